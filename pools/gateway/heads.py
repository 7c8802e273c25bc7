"""The heads that the gateway sends: requests to backends, answers to clients."""

from __future__ import annotations

from pools.core.compiled import CompiledRoute
from pools.core.headers import HeaderRules, Pairs, block
from pools.gateway.requests import Arrival, Request
from pools.wire.parser import Head

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def request_fields(
    request: Request,
    arrived: Arrival,
    route: CompiledRoute,
    rules: HeaderRules,
    upgrade: bytes | None,
) -> bytes:
    """All fields of the request but Host, which is each backend's."""
    version = b"1.1" if request.version == "1.1" else b"1.0"
    data = block(
        rules.request(request.headers, origin=arrived.origin, route=route, version=version)
    )
    if request.length is None:
        data += b"transfer-encoding: chunked\r\n"
    elif request.length or b"content-length" in request.fields:
        data += b"content-length: %d\r\n" % request.length
    if request.expects_continue:
        data += b"expect: 100-continue\r\n"
    if upgrade is not None:
        data += b"connection: upgrade\r\nupgrade: %b\r\n" % upgrade
    return data


def answer(
    head: Head, fields: Pairs, request: Request, *, keep: bool
) -> tuple[bytes, bool, bool, bool]:
    """The head for the client, and whether its body is to be sent in chunks, whether it ends
    with the connection, whether the connection may go on.

    `fields` are what the header rules made of the backend's.
    """
    status = head.status
    chunked = endless = False
    if status == 204:  # has none (RFC 9110 §8.6)
        fields = [field for field in fields if field[0].lower() != b"content-length"]
    elif status != 304 and request.method != b"HEAD" and not _has_length(fields):
        if request.version == "1.1":
            chunked = True
            fields.append((b"Transfer-Encoding", b"chunked"))
        else:
            endless = True
            keep = False
    if not keep:
        fields.append((b"Connection", b"close"))
    elif request.version == "1.0":
        fields.append((b"Connection", b"keep-alive"))
    data = b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, head.reason, block(fields))
    return data, chunked, endless, keep


def switching(head: Head, fields: Pairs, upgrade: bytes) -> bytes:
    """The 101 for the client; it has no length (RFC 9110 §8.6)."""
    fields = [field for field in fields if field[0].lower() != b"content-length"]
    fields += [(b"Connection", b"upgrade"), (b"Upgrade", upgrade)]
    return b"HTTP/1.1 101 %b\r\n%b\r\n" % (head.reason, block(fields))


def early_hints(links: Pairs) -> bytes:
    return b"HTTP/1.1 103 Early Hints\r\n%b\r\n" % block(links)


def _has_length(fields: Pairs) -> bool:
    for name, _ in fields:  # noqa: SIM110 - a generator takes twice the time
        if len(name) == 14 and name.lower() == b"content-length":
            return True
    return False
