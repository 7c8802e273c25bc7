"""Probes by HTTP: one request, its answer, and what the pool expects of it."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from pools.core import fields, probe_fields
from pools.core.document import Backend, Pool, Probe
from pools.health.asking import expecting
from pools.health.asking.course import Course, Phase
from pools.health.asking.dial import Dial, port_of
from pools.health.asking.link import FAREWELL_S, Link
from pools.health.asking.words import Unmet
from pools.wire.parser import Head, ResponseParser

USER_AGENT = "proxysite-probe"
MOST_REDIRECTS = 5

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_SAFE = "/%!$&'()*+,;=:@~"  # in a path; all else is percent-encoded
_PORTS = {"http": 80, "https": 443}


async def ask(dial: Dial, pool: Pool, backend: Backend, course: Course) -> str:
    """What was found, in words; raises Unmet, UpstreamError and OSError."""
    spec = pool.probe
    method, path = spec.method, spec.path
    for _ in range(1 + MOST_REDIRECTS):
        link = await dial.connect(pool, backend, course)
        if backend.scheme == "https":
            await dial.secure(pool, backend, course, link)
        parser = ResponseParser(method.encode())
        head = await _head(link, parser, _request(pool, backend, method, path), course)
        location = _location(head) if spec.follow_redirects else None
        if location is None:
            await _judge(spec, link, parser, head.status, course)
            return f"status {head.status}"
        path = _on_this_backend(location, path, pool, backend, head.status)
        if head.status == 303 and method != "HEAD":  # RFC 9110 §15.4.4
            method = "GET"
        await link.leave(within_s=FAREWELL_S, first=False)
        course.link = None
    raise Unmet(f"status {head.status}, and more than {MOST_REDIRECTS} redirects")


# --- The request -------------------------------------------------------------------


def _request(pool: Pool, backend: Backend, method: str, path: str) -> bytes:
    headers = {
        "host": ("Host", pool.probe.host or own_authority(pool, backend)),
        "user-agent": ("User-Agent", USER_AGENT),
        "accept": ("Accept", "*/*"),
        "connection": ("Connection", "close"),
    }
    if method in _WITH_BODY:
        headers["content-length"] = ("Content-Length", "0")
    for name, value in pool.probe.headers:
        headers[name.lower()] = (name, value)
    lines = [
        f"{method} {path} HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers.values()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def own_authority(pool: Pool, backend: Backend) -> str:
    """host:port, without the port that its scheme implies."""
    port = port_of(pool, backend)
    if port in (0, _PORTS[backend.scheme]):
        host = backend.hostname
        return f"[{host}]" if ":" in host else host
    return fields.host_port(backend.hostname, port)


# --- The answer --------------------------------------------------------------------


async def _head(link: Link, parser: ResponseParser, request: bytes, course: Course) -> Head:
    course.enter(Phase.SEND)
    await link.send(request)
    course.done(request.partition(b"\r\n")[0].decode())
    course.enter(Phase.FIRST_BYTE)
    data = await link.receive()
    if not data:
        raise Unmet("closed without an answer")
    course.done(f"{len(data)} bytes")
    course.enter(Phase.STATUS)
    _feed(parser, data)
    while (head := parser.head) is None:
        _feed(parser, await link.receive())
    course.code = head.status
    reason = head.reason.decode("latin-1")
    course.done(f"{head.status} {reason}, {len(head.headers)} header fields")
    return head


def _feed(parser: ResponseParser, data: bytes) -> None:
    """Raises Unmet and UpstreamError."""
    if data:
        parser.feed(data)
    elif parser.head is None:
        raise Unmet("the answer was cut short")
    else:
        parser.end()


async def _judge(
    spec: Probe, link: Link, parser: ResponseParser, status: int, course: Course
) -> None:
    """Raises Unmet where the answer is not as expected."""
    if not any(low <= status <= high for low, high in _ranges(spec.statuses)):
        raise Unmet(f"status {status}, expected {spec.statuses}")
    if not (spec.text or spec.json_path):
        return
    course.enter(Phase.BODY)
    text = spec.text.encode("utf-8", "surrogatepass")
    body = await _body(link, parser, spec.body_bytes, b"" if spec.json_path else text)
    cut = len(body) > spec.body_bytes
    course.done(f"{'more than ' if cut else ''}{min(len(body), spec.body_bytes)} bytes")
    if text and text not in body[: spec.body_bytes]:
        raise Unmet(f"status {status}, but the expected text is not in it")
    if spec.json_path:
        if cut:
            raise Unmet(f"status {status}, but its JSON is longer than {spec.body_bytes} bytes")
        try:
            expecting.in_json(bytes(body), spec.json_path, spec.json_value)
        except Unmet as unmet:
            raise Unmet(f"status {status}, but {unmet}") from None


async def _body(link: Link, parser: ResponseParser, most: int, until: bytes) -> bytearray:
    """The body, or as much of it as shows `until`, or that it is longer than `most`."""
    body = bytearray(parser.take())
    looked = 0
    while not parser.complete and len(body) <= most:
        if until and until in body[looked:]:
            break
        looked = max(0, len(body) - len(until) + 1)
        _feed(parser, await link.receive())
        body += parser.take()
    return body


@lru_cache(maxsize=1024)
def _ranges(statuses: str) -> tuple[tuple[int, int], ...]:
    return probe_fields.status_ranges(statuses)


# --- Redirects ---------------------------------------------------------------------


def _location(head: Head) -> str | None:
    """Where an answer redirects to."""
    if head.status in _REDIRECTS:
        for name, value in head.headers:
            if name.lower() == b"location":
                return value.decode("latin-1")
    return None


def _on_this_backend(
    location: str, path: str, pool: Pool, backend: Backend, status: int
) -> str:
    """The path that a redirect leads to; raises Unmet where it leads elsewhere."""
    own = own_authority(pool, backend)
    base = f"{backend.scheme}://{pool.probe.host or own}"
    try:
        target = urlsplit(urljoin(base + path, location))
        place = _place(target)
    except ValueError:
        raise Unmet(f"status {status} redirects to what is no address") from None
    if place not in (_place(urlsplit(base)), _place(urlsplit(f"{backend.scheme}://{own}"))):
        elsewhere = f"{target.scheme}://{target.netloc.rpartition('@')[2]}"
        raise Unmet(f"status {status} redirects elsewhere: {ascii(elsewhere)[1:-1][:100]}")
    found = quote(target.path or "/", _SAFE, "latin-1")
    if target.query:
        found += "?" + quote(target.query, _SAFE + "?", "latin-1")
    try:
        return fields.target(found)
    except ValueError:
        raise Unmet(f"status {status} redirects to what is no path") from None


def _place(url: SplitResult) -> tuple[str, str, int]:
    return url.scheme, url.hostname or "", url.port or _PORTS.get(url.scheme, 0)
