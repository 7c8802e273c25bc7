"""Backends as people paste them, one a line.

    10.0.0.1:8000
    https://app.example.com           # 443 is understood, as in a URL
    [2001:db8::1]:80 weight=2
    unix:/run/app.sock backup
    server 10.0.0.2:8000 max_in_flight=20;      of an nginx configuration

Rules:
- An address, then words: weight=N, state=drain, max_in_flight=N, backup.
- Empty lines and what follows a # are left out; so is a comma or semicolon at the end.
- What cannot be read is told with the number of its line, all lines at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from pools.core import codec, fields
from pools.core.document import Backend, Scheme
from pools.core.errors import DocumentError

MOST = 500  # lines of one paste
_BREAK = re.compile(r"\r\n|\r|\n")
_COMMENT = re.compile(r"(?:^|\s)#.*")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_PORTS = {Scheme.HTTP.value: 80, Scheme.HTTPS.value: 443}
_NUMBERS = ("weight", "max_in_flight")
_WORDS = "weight=2, state=drain, max_in_flight=20 and backup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line that says something: a backend, or what is wrong with it."""

    number: int
    text: str
    backend: Backend | None = None
    problem: str = ""

    def __str__(self) -> str:
        return f"line {self.number}: {self.problem}"


def read(text: str, there: Iterable[str] = ()) -> list[Line]:
    """The lines of a paste; `there` are the addresses that the pool has already."""
    known, seen = frozenset(there), dict[str, int]()
    found = []
    for number, words in _lines(text):
        line = _line(number, words)
        if line.backend is not None:
            address = line.backend.address
            said = ""
            if address in known:
                said = _("%(address)s is in the pool already: leave it out")
                said %= {"address": address}
            elif address in seen:
                said = _("%(address)s is on line %(line)d already: keep one")
                said %= {"address": address, "line": seen[address]}
            seen.setdefault(address, number)
            if said:
                line = Line(number=number, text=line.text, problem=said)
        found.append(line)
    return found


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """What each line says, and its number as an editor counts it."""
    for number, line in enumerate(_BREAK.split(text), start=1):
        words = _COMMENT.sub("", line).strip().rstrip(",;").strip()
        if words:
            yield number, words


def _line(number: int, text: str) -> Line:
    try:
        return Line(number=number, text=text, backend=_backend(text))
    except DocumentError as error:
        # A host that is none says nothing good of its port.
        problem = error.problems[0]
        at = f"{problem.path[-1]}: " if problem.path and problem.path[-1] != "host" else ""
        return Line(number=number, text=text, problem=f"{at}{problem.message}")
    except ValueError as error:
        return Line(number=number, text=text, problem=str(error))


def _backend(text: str) -> Backend:
    address, *words = text.removeprefix("server ").split()
    plain = _address(address)
    for word in words:
        name, equals, value = word.partition("=")
        if name in plain:
            raise ValueError(_("%(name)s is there twice: keep one") % {"name": name})
        if name == "backup" and not equals:
            plain[name] = True
        elif name in _NUMBERS:
            if not re.fullmatch(r"\d{1,9}", value, re.ASCII):
                said = _("%(word)r is not a number: write %(name)s=2")
                raise ValueError(said % {"word": word, "name": name})
            plain[name] = int(value)
        elif name == "state":
            plain[name] = value
        else:
            said = _("%(word)r is not known: after the address come %(words)s")
            raise ValueError(said % {"word": word, "words": _WORDS})
    return codec.parse_part(Backend, plain)


def _address(text: str) -> dict[str, Any]:
    """Host, port and scheme of `host:port`, of a URL without a path, or of a socket."""
    if text.startswith(fields.UNIX):
        return {"host": text}
    plain: dict[str, Any] = {}
    port = None
    if found := _SCHEME.fullmatch(text):
        scheme, text = found[1].lower(), found[2]
        if scheme not in _PORTS:
            said = _("%(scheme)s:// is not known: use http:// or https://")
            raise ValueError(said % {"scheme": found[1]})
        plain["scheme"], port = scheme, _PORTS[scheme]
        text = text.removesuffix("/")
    if "/" in text:
        said = _("%(text)r has a path: write host:port alone")
        raise ValueError(said % {"text": text})
    if text.count(":") > 1 and not text.startswith("["):
        said = _("%(text)r may be an IPv6 address: put it in brackets, [::1]:80")
        raise ValueError(said % {"text": text})
    host, bracket, rest = text.rpartition("]")
    name, colon, digits = rest.partition(":")
    if bracket and name:
        raise ValueError(_("%(text)r is not an address: write [::1]:80") % {"text": text})
    if colon:
        if not re.fullmatch(r"\d{1,5}", digits, re.ASCII):
            said = _("%(port)r is not a port: use 1 to 65535")
            raise ValueError(said % {"port": digits})
        port = int(digits)
    plain["host"] = host + bracket + name
    if port is None:
        said = _("%(text)r has no port: write %(bare)s:80")
        raise ValueError(said % {"text": text, "bare": text})
    return {**plain, "port": port}
