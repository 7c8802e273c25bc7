"""Errors of our own as clients see them: a short page, or JSON. They name no backend."""

from __future__ import annotations

import json
from functools import lru_cache
from html import escape
from http import HTTPStatus
from string import Template

from django.http import HttpRequest

TEXTS = {
    400: "The request is malformed.",
    404: "Nothing is served at this address.",
    405: "This method is not served here.",
    408: "The request took too long to arrive.",
    411: "The request's body needs a Content-Length.",
    413: "The request's body is too large.",
    414: "The request's address is too long.",
    431: "The request's header fields are too large.",
    499: "The client left before the answer.",
    501: "The request's body is coded in a way that is not served here.",
    502: "The service behind this address gave no usable answer.",
    503: "No service behind this address is available now. Try again in a moment.",
    504: "The service behind this address took too long.",
    505: "This version of HTTP is not served.",
}
ALLOW = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"  # of a 405

# Self-contained, light and dark, without scripts.
_PAGE = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>$status $title</title>
<style>
:root { color-scheme: light dark; --ink: #1c2024; --dim: #60646c; --ground: #fcfcfd; \
--line: #e0e1e6; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #edeef0; --dim: #a0a4ab; --ground: #111113; --line: #363a3f; }
}
body { margin: 0; min-height: 100vh; display: grid; place-items: center; \
background: var(--ground); color: var(--ink); \
font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 32rem; padding: 2rem; }
h1 { margin: 0; font-size: 1.5rem; line-height: 1.3; font-weight: 600; }
h1 span { color: var(--dim); font-weight: 400; font-variant-numeric: tabular-nums; }
p { margin: .75rem 0 0; }
footer { margin-top: 2rem; padding-top: 1rem; border-top: 1px solid var(--line); \
color: var(--dim); font-size: .875rem; }
code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; \
overflow-wrap: anywhere; }
</style>
</head>
<body>
<main>
<h1><span>$status</span> $title</h1>
<p>$text</p>
<footer>Request <code>$request_id</code></footer>
</main>
</body>
</html>
""")


def title(status: int) -> str:
    return HTTPStatus(status).phrase if status != 499 else "Client Closed Request"


def error(status: int, *, accept: str, request_id: str) -> tuple[str, str]:
    """The content type and the content for who sent this Accept field."""
    text = TEXTS[status]
    if _prefers_json(accept):
        told = {"status": status, "error": text, "request_id": request_id}
        return "application/json", json.dumps(told)
    page = _PAGE.substitute(
        status=status, title=title(status), text=text, request_id=escape(request_id)
    )
    return "text/html; charset=utf-8", page


@lru_cache(maxsize=256)
def _prefers_json(accept: str) -> bool:
    request = HttpRequest()
    if accept:
        request.META["HTTP_ACCEPT"] = accept
    try:
        kind = request.get_preferred_type(["text/html", "application/json"])
    except (LookupError, ValueError):  # a parameter that Django cannot decode
        return False
    return kind == "application/json"
