"""The admin of a proxy that is served, by requests as a person's browser makes them."""

from __future__ import annotations

import re

import requests

from tests.admin.browser import Form

PATIENCE_S = 30


class Console:
    """Logged in with the password that was shown."""

    def __init__(self, served):
        self._base = served.admin + "/admin/"
        self._session = requests.Session()
        self.home = self.send("", "login-form", username="admin", password=served.password)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self._session.close()

    def open(self, page):
        answer = self._session.get(self._base + page, timeout=PATIENCE_S)
        assert answer.status_code == 200, answer.text
        return answer

    def send(self, page, form_id, **typed):
        """Open the page, type into its form, and send all of it."""
        opened = self.open(page)
        form = Form(form_id)
        form.feed(opened.text)
        assert form.values, opened.text
        answer = self._session.post(
            opened.url, data={**form.values, **typed}, timeout=PATIENCE_S
        )
        assert answer.status_code == 200, answer.text
        assert answer.url != opened.url or "action" in typed, answer.text
        return answer

    def edit(self, model, name, **typed):
        """Change the row that the list shows under this name."""
        return self.send(
            f"pools/{model}/{self._row(model, name)}/change/", f"{model}_form", **typed
        )

    def act(self, model, name, action):
        """Choose the row in the list, and an action for it."""
        row = self._row(model, name)
        return self.send(
            f"pools/{model}/", "changelist-form", action=action, _selected_action=row
        )

    def _row(self, model, name):
        listed = self.open(f"pools/{model}/").text
        found = re.search(
            rf'href="/admin/pools/{model}/(\d+)/change/[^"]*"[^>]*>\s*{re.escape(name)}\s*<',
            listed,
        )
        assert found, listed
        return found[1]
