"""What a person's browser does: read a form, type into some of it, send all of it."""

from __future__ import annotations

from html.parser import HTMLParser

from django.contrib.messages import get_messages
from django.http import HttpResponse
from django.test import Client


class Form(HTMLParser):
    """The values of the controls of the form with an id, as a browser would send them."""

    def __init__(self, form_id: str) -> None:
        super().__init__()
        self.values: dict[str, list[str]] = {}
        self._form_id = form_id
        self._inside = False
        self._select = self._textarea = ""
        self._multiple = False

    def handle_starttag(self, tag, pairs):
        attrs = dict(pairs)
        if tag == "form":
            self._inside = attrs.get("id") == self._form_id
        if not self._inside:
            return
        name, value = attrs.get("name") or "", attrs.get("value") or ""
        if tag == "input" and name:
            kind = attrs.get("type")
            if kind not in ("submit", "checkbox", "radio") or (
                kind in ("checkbox", "radio") and "checked" in attrs
            ):
                self.values.setdefault(name, []).append(
                    value or ("on" if kind == "checkbox" else "")
                )
        elif tag == "select":
            self._select = name
            self._multiple = "multiple" in attrs
        elif tag == "option" and self._select:
            # Without a choice a browser sends the first, where there can be one alone.
            if self._multiple:
                if "selected" in attrs:
                    self.values.setdefault(self._select, []).append(value)
            elif "selected" in attrs or self._select not in self.values:
                self.values[self._select] = [value]
        elif tag == "textarea":
            self._textarea = name
            self.values[name] = [""]

    def handle_data(self, data):
        if self._inside and self._textarea:
            self.values[self._textarea][0] += data

    def handle_endtag(self, tag):
        if tag == "select":
            self._select = ""
        elif tag == "textarea" and self._textarea:
            # HTML drops the line break that follows the opening tag.
            text = self.values[self._textarea][0].removeprefix("\n")
            self.values[self._textarea] = [text.replace("\n", "\r\n")]
            self._textarea = ""


def form(client: Client, url: str) -> dict[str, list[str]]:
    """The form at the admin's page `url`, ready to be sent: "pool/add/"."""
    response = client.get(f"/admin/pools/{url}")
    assert response.status_code == 200
    return read(response)


def read(response: HttpResponse) -> dict[str, list[str]]:
    parser = Form(f"{response.context['opts'].model_name}_form")
    parser.feed(response.content.decode())
    return parser.values


def send(client: Client, url: str, /, **typed: str | list[str]) -> HttpResponse:
    """Open the form at `url`, type, and save."""
    return client.post(f"/admin/pools/{url}", {**form(client, url), **typed})


def act(client: Client, url: str, action: str, *rows: object, **more: str) -> HttpResponse:
    """Choose rows of a list and an action for them."""
    chosen = [str(row.pk) for row in rows]
    return client.post(
        f"/admin/pools/{url}", {"action": action, "_selected_action": chosen, **more}
    )


def errors(response: HttpResponse) -> dict[str, list[str]]:
    """The errors of the form that came back."""
    assert response.status_code == 200
    return {
        name: list(found) for name, found in response.context["adminform"].form.errors.items()
    }


def row_errors(response: HttpResponse) -> list[dict[str, list[str]]]:
    """The errors of the inline rows of the form that came back."""
    (formset,) = response.context["inline_admin_formsets"]
    return [
        {name: list(found) for name, found in row.items()} for row in formset.formset.errors
    ]


def messages(response: HttpResponse) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]
