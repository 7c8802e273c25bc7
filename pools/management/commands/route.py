"""`manage.py route explain`: which route takes a request, and why."""

from __future__ import annotations

import json
import sys
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error
from django.utils.encoding import iri_to_uri
from rich.console import Console
from rich.markup import escape

from pools.control.explain import Explained, explain
from pools.core import fields
from pools.core.errors import DocumentError
from pools.core.request import RequestHead
from pools.management import terminal
from pools.management.terminal import table

NONE, WRONG = 1, 2


class Command(BaseCommand):
    help = "Explain where a request goes, by the published revision."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verb = verbs.add_parser(
            "explain", help="exit 0: a route takes it, 1: none does, 2: trouble"
        )
        verb.add_argument("method", metavar="METHOD")
        verb.add_argument("url", metavar="URL", help="whole, or a path alone")
        verb.add_argument(
            "-H",
            dest="headers",
            action="append",
            default=[],
            metavar="'NAME: VALUE'",
            help="a header of the request; Host goes before the URL's",
        )
        verb.add_argument(
            "--client", default="127.0.0.1", metavar="ADDRESS", help="the client's"
        )
        verb.add_argument("--json", action="store_true", help="answer in JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        request = {key: options[key] for key in ("method", "url", "headers", "client")}
        try:
            head, found = _explained(**request)
        except ValueError as error:
            if not options["json"]:
                raise CommandError(str(error), returncode=WRONG) from None
            self.print_json({"error": str(error)})
            sys.exit(WRONG)
        if options["json"]:
            self.print_json(found.plain())
        else:
            _print(found, head, terminal.console(self.stdout))
        if not found.taken:
            sys.exit(NONE)

    def print_json(self, data: object) -> None:
        self.stdout.write(json.dumps(data, indent=2, ensure_ascii=False))


def _explained(**request: Any) -> tuple[RequestHead, Explained]:
    """Raises ValueError with what is wrong, in one line."""
    head = _head(**request)
    try:
        return head, explain(head)
    except DocumentError as error:
        problems = " ".join(str(error).split())
        raise ValueError(f"the published revision cannot be read: {problems}") from None
    except Error as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"the database: {reason} (is it there, and is `migrate` done?)"
        ) from None


# --- The request, as it was typed --------------------------------------------------


def _head(*, method: str, url: str, headers: list[str], client: str) -> RequestHead:
    """Raises ValueError with what is wrong."""
    host, path = _url(url)
    pairs = [_header(header) for header in headers]
    for name, value in pairs:
        if name == "host":
            host = _host(value)
    return RequestHead(
        method=fields.method(method).encode(),
        host=host,
        path=path,
        headers=[(name.encode(), value.encode()) for name, value in pairs],
        client=str(ip_address(client)),
    )


def _url(value: str) -> tuple[str, bytes]:
    """Host, "" for a path alone, and raw path: text beyond ASCII is percent-encoded, as
    browsers send it and as path prefixes are kept."""
    parts = urlsplit(value)
    if not (parts.scheme in ("http", "https") and parts.hostname) and value[:1] != "/":
        raise ValueError(f"{value!r} is not a URL: begin it with http://, https:// or /")
    host = _host(parts.netloc.rpartition("@")[2]) if parts.netloc else ""
    path = parts.path if parts.path.isascii() else iri_to_uri(parts.path)
    return host, fields.target(path or "/").encode()


def _header(value: str) -> tuple[str, str]:
    name, colon, text = value.partition(":")
    if not colon:
        raise ValueError(f"{value!r} is not a header: write 'Name: value'")
    return fields.header_name(name.strip()).lower(), fields.header_value(text.strip())


def _host(value: str) -> str:
    """The host of host:port, as routes name it."""
    host = fields.host_header_or_empty(value)
    return host if host.endswith("]") else host.rpartition(":")[0] or host


# --- The answer --------------------------------------------------------------------


def _print(found: Explained, head: RequestHead, console: Console) -> None:
    def say(text: str) -> None:
        console.print(escape(text))

    path = head.path.decode()
    say(f"{head.method.decode()} {head.host or '(no host)'}{path}, revision {found.revision}")
    if found.pending:
        say("The database holds changes that are not published; they are not seen here.")
    route = found.explanation.taken
    if found.reserved:
        say("The admin's own: no route is asked.")
        return
    if route is None:
        say("No route takes it.")
    else:
        hosts = ", ".join(route.spec.hosts) or "any host"
        say(f"Route {route.name} takes it ({hosts}, {route.spec.path_prefix}).")
        say(f"Pool {route.pool.name} gets it, as {found.sent_path.decode()}.")
    passed_over = [(other.route.name, other.reason) for other in found.explanation.passed_over]
    table(console, ("passed over", "why"), passed_over)
    if route:
        table(
            console,
            ("backend", "share", "state", "health", "weight", "why"),
            [
                (
                    candidate.status.key,
                    f"{candidate.share:.0%}",
                    candidate.status.state.value,
                    candidate.status.verdict.value,
                    f"{candidate.weight}{' backup' if candidate.backup else ''}",
                    candidate.status.why or ("" if candidate.share else "others are there"),
                )
                for candidate in found.candidates
            ],
        )
        if not found.candidates:
            say(f"Pool {route.pool.name} has no backends.")
