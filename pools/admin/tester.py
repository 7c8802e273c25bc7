"""Test a request: where it goes, why, and what the backend gets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db import Error
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pools.admin import base
from pools.admin.lines import TextField
from pools.control import asked, explained_text
from pools.control.explain import Explained, explain
from pools.core import masking
from pools.core.document import Match
from pools.core.errors import DocumentError
from pools.models import Backend, Pool, Route

MOST = 50  # routes that were passed over, on the page
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class RequestForm(forms.Form):
    """A request as it is typed. `asked` is what it comes to, once it is valid."""

    method = forms.CharField(
        label=gettext_lazy("Method"),
        initial="GET",
        widget=base.text_input(list="pools-methods"),
    )
    url = forms.CharField(
        label=gettext_lazy("URL"),
        help_text=gettext_lazy("Whole, or a path alone for a request without a host."),
        widget=base.text_input(placeholder="https://app.example.com/path"),
    )
    headers = TextField(
        label=gettext_lazy("Headers"),
        required=False,
        help_text=gettext_lazy("One a line, as Name: value."),
        widget=base.textarea(rows=3),
    )
    client = forms.CharField(
        label=gettext_lazy("Client address"),
        initial=asked.CLIENT,
        required=False,
        help_text=gettext_lazy("Who connects. X-Forwarded-For of a trusted proxy is believed."),
        widget=base.text_input(),
    )

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                self.asked = asked.read(
                    method=data["method"],
                    url=data["url"],
                    headers=data["headers"].split("\n"),
                    client=data["client"] or asked.CLIENT,
                )
            except asked.Mistyped as error:
                self.add_error(error.field, str(error))
        return data


def view(model_admin: ModelAdmin[Route], request: HttpRequest) -> HttpResponse:
    """The page: a form that is sent by GET, so that the address of a test can be passed on."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    form = RequestForm(_with_defaults(request.GET)) if "url" in request.GET else RequestForm()
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "title": _("Test a request"),
        "opts": model_admin.opts,
        "media": model_admin.media
        + forms.Media(css={"all": ["pools/routes.css"]}, js=["pools/copy.js"]),
        "form": form,
        "methods": _METHODS,
    }
    if form.is_valid():
        found = _found(model_admin, request, form)
        if found is not None:
            context |= _shown(found)
    return TemplateResponse(request, "pools/admin/route_test.html", context)


def link(route: Route) -> str:
    """The address of a test of what the route is to take."""
    host = route.hosts[0] if route.hosts else ""
    if host.startswith("*."):
        host = f"www{host[1:]}"
    found = {
        "method": route.methods[0] if route.methods else "GET",
        "url": f"http://{host}{route.path_prefix}" if host else route.path_prefix,
        "headers": "\n".join(_headers(route)),
    }
    page = reverse("admin:pools_route_test")
    return f"{page}?{urlencode({name: value for name, value in found.items() if value})}"


def _headers(route: Route) -> Iterator[str]:
    """What meets the route's conditions."""
    for condition in route.conditions:
        if condition["match"] != Match.ABSENT:
            # A link is kept in histories and logs: a secret is typed.
            value = masking.shown(condition["header"], condition.get("value", ""))
            yield f"{condition['header']}: {value or '1'}"


def _with_defaults(typed: QueryDict) -> dict[str, Any]:
    """A link may leave out what a form is filled in with."""
    fields = {name: field.initial or "" for name, field in RequestForm.base_fields.items()}
    return fields | {name: typed[name] for name in fields if name in typed}


def _found(
    model_admin: ModelAdmin[Route], request: HttpRequest, form: RequestForm
) -> Explained | None:
    """What becomes of the request, as far as this user may see routes."""
    try:
        found = explain(form.asked, watching=True)
    except DocumentError as error:
        why = " ".join(str(error).split())
        form.add_error(None, _("The published revision cannot be read: %(why)s") % {"why": why})
        return None
    except Error as error:
        why = " ".join(str(error).split())
        form.add_error(None, _("The database did not answer: %(why)s") % {"why": why})
        return None
    names = set(Route.objects.values_list("name", flat=True))
    seen = model_admin.get_queryset(request).order_by().values_list("name", flat=True)
    hidden = names.difference(seen)
    return found.without(hidden) if hidden else found


def _shown(found: Explained) -> dict[str, Any]:
    """What the template needs beside: links to the rows, where they are still there."""
    passed_over = found.explanation.passed_over
    if len(passed_over) > MOST:
        passed_over = found.explanation.closest(MOST)
    route = found.route
    names = [other.route.name for other in passed_over] + ([route.name] if route else [])
    routes = dict(Route.objects.filter(name__in=names).values_list("name", "pk"))
    pool, backends = None, {}
    if route is not None:
        pool = Pool.objects.filter(name=route.pool.name).first()
        rows = Backend.objects.select_related("pool").filter(pool__name=route.pool.name)
        backends = {row.key: row.pk for row in rows}
    return {
        "found": found,
        "route": route,
        "route_pk": routes.get(route.name) if route else None,
        "pool": pool,
        "path": found.sent_path.decode("ascii", "backslashreplace"),
        "passed_over": [(other, routes.get(other.route.name)) for other in passed_over],
        "further": len(found.explanation.passed_over) - len(passed_over),
        "sent": [field for field in found.fields if field.sent],
        "left_out": [field for field in found.fields if not field.sent],
        "candidates": [
            (candidate, backends.get(candidate.status.key), explained_text.why(candidate))
            for candidate in found.candidates
        ],
        "plain": explained_text.text(found, most=MOST),
    }
