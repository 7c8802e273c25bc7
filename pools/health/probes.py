"""One probe of one backend: what was asked, and what came of it in words.

A probe never raises and never takes longer than the pool's `timeout_s`. Redirects are
answers like others, and proxies of the environment are not used.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import requests
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from pools import net
from pools.core import fields
from pools.core.document import Backend, Pool, ProbeKind
from pools.health import bounded

USER_AGENT = "proxysite-probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """`reason` is words for people; `code` is the HTTP status, where there was one."""

    ok: bool
    reason: str
    code: int | None = None
    latency_ms: float
    timed_out: bool = False
    certificate_until: object = None


def probe(pool: Pool, backend: Backend) -> Result:
    """Ask a backend as its pool's probe says; kind off is for the caller to leave out."""
    started = time.monotonic()
    code = None
    try:
        if pool.probe.kind is ProbeKind.TCP:
            ok, reason = _tcp(pool, backend)
        else:
            ok, reason, code = _http(pool, backend)
    except (OSError, http.client.HTTPException, HTTPError) as error:
        ok, reason = False, _words(error, pool.probe.timeout_s)
    latency_ms = (time.monotonic() - started) * 1000
    return Result(ok=ok, reason=reason, code=code, latency_ms=latency_ms)


def _tcp(pool: Pool, backend: Backend) -> tuple[bool, str]:
    with bounded.connect(*_address(pool, backend), timeout_s=pool.probe.timeout_s):
        return True, "connected"


def _http(pool: Pool, backend: Backend) -> tuple[bool, str, int]:
    spec = pool.probe
    host, port = _address(pool, backend)
    authority = fields.host_port(host, port) if port else backend.hostname
    headers = {"User-Agent": USER_AGENT, "Accept": "*/*", "Connection": "close"}
    if spec.host:
        headers["Host"] = spec.host
    request = requests.Request(
        spec.method, f"{backend.scheme}://{authority}{spec.path}", headers=headers
    )
    # The adapter alone and no session: no redirects, cookies, proxies or .netrc.
    with closing(bounded.Adapter((host, port), pool.tls)) as adapter:
        response = adapter.send(request.prepare(), stream=True, timeout=spec.timeout_s)
        with closing(response):
            code = response.status_code
            expected = fields.status_ranges(spec.statuses)
            if not any(low <= code <= high for low, high in expected):
                return False, f"status {code}, expected {spec.statuses}", code
            if spec.text and not _holds(response.raw, spec.text.encode()):
                return False, f"status {code}, but the expected text is not in it", code
            return True, f"status {code}", code


def _address(pool: Pool, backend: Backend) -> bounded.Address:
    """Where to ask; a Unix socket has no other port to ask at."""
    return backend.host, 0 if backend.unix else pool.probe.port or backend.port


def _holds(body: BaseHTTPResponse, text: bytes) -> bool:
    """Whether the first fields.PROBED_BYTES hold the text; ends as soon as it was seen."""
    seen = b""
    while len(seen) < fields.PROBED_BYTES:
        piece = body.read1(fields.PROBED_BYTES - len(seen), decode_content=False)
        if not piece:
            return False
        seen += piece
        if text in seen:
            return True
    return False


def _words(error: BaseException, timeout_s: float) -> str:
    """What went wrong, for people; the libraries' wrappings taken off."""
    causes = tuple(_chain(error))
    for cause in causes:
        match cause:
            case net.Expired(doing=doing):
                return f"timed out after {timeout_s:g} s {doing}"
            case socket.gaierror(errno=socket.EAI_NONAME):
                return "name does not resolve"
            case socket.gaierror():
                return f"name cannot be resolved: {cause.strerror}"
            case ssl.SSLCertVerificationError():
                return f"certificate refused: {cause.verify_message}"
            case ssl.SSLError():
                reason = (cause.reason or "unknown").lower().replace("_", " ")
                return f"TLS failed: {reason}"
            case http.client.RemoteDisconnected():
                return "closed without an answer"
            case http.client.HTTPException():
                return "the answer is not HTTP"
    return _words_of_errno(causes[-1])


def _words_of_errno(error: BaseException) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number is None:
        return f"the answer cannot be read: {type(error).__name__}"
    return os.strerror(number).lower()


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, outermost first."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


class Asker:
    def __init__(self, loop):
        pass

    async def ask(self, pool, backend, steps=None):
        import asyncio

        return await asyncio.to_thread(probe, pool, backend)
