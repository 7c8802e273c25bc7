"""A request as people type it, for a test of the routes: method, URL, headers, client."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from django.utils.encoding import iri_to_uri
from django.utils.translation import gettext as _

from pools.core import fields
from pools.core.headers import Pairs

CLIENT = "127.0.0.1"


class Mistyped(ValueError):
    """What is wrong, in one line; `field` is where: method, url, headers or client."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request. `host` is the authority, "" where there is none; `query` holds its question
    mark. Names in `headers` are lower case; Host is not among them. `peer`: the address of
    who connects."""

    method: str
    scheme: str
    host: str
    path: bytes
    query: str
    headers: Pairs
    peer: str

    @property
    def name(self) -> str:
        """The host as routes name it."""
        return _name(self.host)


def read(*, method: str, url: str, headers: Sequence[str] = (), client: str = CLIENT) -> Asked:
    """What was typed; raises Mistyped. A Host among the headers goes before the URL's."""
    with _typed_at("method"):
        method = fields.method(method.strip())
    with _typed_at("url"):
        scheme, host, path, query = _url(url)
    with _typed_at("headers"):
        pairs = [_header(line) for line in headers if line.strip()]
        for name, value in pairs:
            if name == "host":
                host = fields.host_header_or_empty(value)
    with _typed_at("client"):
        peer = str(ip_address(client.strip()))
    return Asked(
        method=method,
        scheme=scheme,
        host=host,
        path=path,
        query=query,
        headers=[(name.encode(), text.encode()) for name, text in pairs if name != "host"],
        peer=peer,
    )


@contextmanager
def _typed_at(field: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise Mistyped(field, str(error)) from None


def _url(value: str) -> tuple[str, str, bytes, str]:
    """Scheme, host ("" for a path alone), raw path and query: text beyond ASCII is
    percent-encoded, as browsers send it and as path prefixes are kept."""
    value = value.strip()
    parts = urlsplit(value)
    if not (parts.scheme in ("http", "https") and parts.hostname) and value[:1] != "/":
        said = _("%(value)r is not a URL: begin it with http://, https:// or /")
        raise ValueError(said % {"value": value})
    whole = parts.netloc.rpartition("@")[2] if parts.netloc else ""
    host = fields.host_header_or_empty(whole)
    path = parts.path if parts.path.isascii() else iri_to_uri(parts.path)
    query = f"?{iri_to_uri(parts.query)}" if parts.query else ""
    return parts.scheme or "http", host, fields.target(path or "/").encode(), query


def _header(line: str) -> tuple[str, str]:
    name, colon, text = line.partition(":")
    if not colon:
        raise ValueError(_("%(line)r is not a header: write 'Name: value'") % {"line": line})
    return fields.header_name(name.strip()).lower(), fields.header_value(text.strip())


def _name(host: str) -> str:
    """The host of host:port."""
    return host if host.endswith("]") else host.rpartition(":")[0] or host
