"""What others can make the log say."""

import io
import logging

import pytest

from proxysite.logs import Brief


@pytest.fixture
def console(monkeypatch):
    """What goes to the console from now on."""
    handlers = logging.getLogger().handlers
    [handler] = [
        handler
        for handler in handlers
        if any(isinstance(found, Brief) for found in handler.filters)
    ]
    output = io.StringIO()
    monkeypatch.setattr(handler, "stream", output)
    return output


def test_a_host_that_is_not_ours_is_one_line(client, console):
    assert client.get("/-/live", headers={"host": "evil.example"}).status_code == 400
    [line] = console.getvalue().splitlines()
    assert "WARNING django.security.DisallowedHost: Invalid HTTP_HOST header" in line


def test_line_breaks_do_not_get_into_the_log(console):
    logging.getLogger("django.security.SuspiciousFileOperation").error(
        "a\nb\r\nc\u2028d", exc_info=ValueError("not shown")
    )
    [line] = console.getvalue().splitlines()
    assert line.endswith(" WARNING django.security.SuspiciousFileOperation: a b c d")


def test_tracebacks_of_our_own_mistakes_stay(console):
    logging.getLogger("django.request").error("Internal", exc_info=ValueError("shown"))
    assert "ValueError: shown" in console.getvalue()
