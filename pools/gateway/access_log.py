"""The access log: a line for each exchange, in nginx's combined format or as JSON.

Rules:
- A line is one line: what clients sent is escaped, so that nobody writes lines of their own.
- Cookies and Authorization are never logged. Targets and referers are, with their queries.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import lru_cache

from pools.core.errors import PoolsError
from pools.gateway.line_writer import LineWriter

FLUSH_BYTES = 65_536
FLUSH_S = 0.75  # with sweeps of 0.25 s, a line is at most 1 s late

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SAFE = bytes([code for code in range(0x20, 0x7F) if code not in b'"\\'])
_ESCAPED = {code: b"\\x%02X" % code for code in range(256) if code not in _SAFE}


class Entry:
    """One exchange. Sizes are those of bodies; an empty text or None: there was none. `at`:
    its arrival, as unix time. `version`: b"1.1". `status` 499: the client left. Plain as
    core/request.py says."""

    __slots__ = (
        "at",
        "attempts",
        "backend",
        "client",
        "connect_s",
        "first_byte_s",
        "host",
        "method",
        "pool",
        "received_bytes",
        "referer",
        "request_id",
        "route",
        "sent_bytes",
        "status",
        "target",
        "total_s",
        "user_agent",
        "version",
        "why",
    )

    def __init__(
        self,
        *,
        at: float,
        request_id: bytes,
        client: str,
        method: bytes,
        target: bytes,
        version: bytes,
        host: bytes,
        status: int,
        received_bytes: int,
        sent_bytes: int,
        referer: bytes,
        user_agent: bytes,
        route: str,
        pool: str,
        backend: str,
        attempts: int,
        connect_s: float | None,
        first_byte_s: float | None,
        total_s: float,
        why: str,
    ) -> None:
        self.at = at
        self.request_id = request_id
        self.client = client
        self.method = method
        self.target = target
        self.version = version
        self.host = host
        self.status = status
        self.received_bytes = received_bytes
        self.sent_bytes = sent_bytes
        self.referer = referer
        self.user_agent = user_agent
        self.route = route
        self.pool = pool
        self.backend = backend
        self.attempts = attempts
        self.connect_s = connect_s
        self.first_byte_s = first_byte_s
        self.total_s = total_s
        self.why = why


class AccessLog:
    """Writes entries to a file, or to stdout for "-". One thread, the loop's, may call it."""

    def __init__(self, target: str, format: str) -> None:
        """Raises PoolsError."""
        if format not in FORMATS:
            known = " or ".join(FORMATS)
            raise PoolsError(f"the access log has no format {format!r}; choose {known}")
        self._format = FORMATS[format]
        self._lines: list[bytes] = []
        self._bytes = 0
        self._due = 0.0
        self._writer = LineWriter(target)

    @property
    def dropped(self) -> int:
        """The lines that were lost so far."""
        return self._writer.dropped

    def write(self, entry: Entry) -> None:
        line = self._format(entry)
        self._lines.append(line)
        self._bytes += len(line)
        if self._bytes >= FLUSH_BYTES:
            self._hand_over()

    def flush(self, now: float) -> None:
        """Hand over what was gathered, if it is time; `now` only grows."""
        if self._lines and now >= self._due:
            self._due = now + FLUSH_S
            self._hand_over()

    def reopen(self) -> None:
        """Go on in a new file of the same name, after the old one was moved away."""
        self._hand_over()
        self._writer.reopen()

    def close(self) -> None:
        """Write what is left, within CLOSE_S."""
        self._hand_over()
        self._writer.close()

    def _hand_over(self) -> None:
        lines, self._lines, self._bytes = self._lines, [], 0
        if lines:
            self._writer.take(lines)


# --- formats -----------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _local_time(second: int) -> bytes:
    """As nginx writes it, with English months whatever the locale."""
    at = time.localtime(second)
    sign, offset = ("-" if at.tm_gmtoff < 0 else "+"), abs(at.tm_gmtoff) // 60
    day = f"{at.tm_mday:02}/{_MONTHS[at.tm_mon - 1]}/{at.tm_year}"
    clock = f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}"
    return f"{day}:{clock} {sign}{offset // 60:02}{offset % 60:02}".encode()


@lru_cache(maxsize=64)
def _utc(second: int) -> bytes:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()


def _escape(text: bytes) -> bytes:
    """As nginx does: quotes, backslashes, control bytes and all beyond ASCII as \\xHH."""
    return b"".join([_ESCAPED.get(code) or bytes((code,)) for code in text])


def _combined(entry: Entry) -> bytes:
    client = _plain(entry.client).replace(b" ", b"\\x20") or b"-"
    request = b"%b %b HTTP/%b" % (entry.method, entry.target, entry.version)
    referer, agent = entry.referer, entry.user_agent
    if (request + referer + agent).translate(None, _SAFE):
        request, referer, agent = _escape(request), _escape(referer), _escape(agent)
    return b'%b - - [%b] "%b" %d %d "%b" "%b"\n' % (
        client,
        _local_time(int(entry.at)),
        request if entry.method else b"-",
        entry.status,
        entry.sent_bytes,
        referer or b"-",
        agent or b"-",
    )


@lru_cache(maxsize=1024)
def _plain(text: str) -> bytes:
    return _escape(text.encode(errors="backslashreplace"))


_JSON = (
    b'{"time":"%b.%03dZ","request_id":"%b","client":"%b","method":"%b","target":"%b",'
    b'"host":"%b","version":"%b","route":"%b","pool":"%b","backend":"%b","attempts":%d,'
    b'"status":%d,"received_bytes":%d,"sent_bytes":%d,"connect_ms":%b,"first_byte_ms":%b,'
    b'"total_ms":%.3f,"why":"%b","referer":"%b","user_agent":"%b"}\n'
)


def _json(entry: Entry) -> bytes:
    at = entry.at
    second = int(at)
    sent = (
        entry.request_id,
        entry.method,
        entry.target,
        entry.host,
        entry.version,
        entry.referer,
        entry.user_agent,
    )
    if b"".join(sent).translate(None, _SAFE):
        sent = tuple(map(_inside_quotes, sent))  # type: ignore[assignment]
    request_id, method, target, host, version, referer, agent = sent
    connect_s, first_byte_s = entry.connect_s, entry.first_byte_s
    return _JSON % (
        _utc(second),
        int((at - second) * 1000),
        request_id,
        _known(entry.client),
        method,
        target,
        host,
        version,
        _known(entry.route),
        _known(entry.pool),
        _known(entry.backend),
        entry.attempts,
        entry.status,
        entry.received_bytes,
        entry.sent_bytes,
        b"null" if connect_s is None else b"%.3f" % (connect_s * 1000),
        b"null" if first_byte_s is None else b"%.3f" % (first_byte_s * 1000),
        entry.total_s * 1000,
        _known(entry.why),
        referer,
        agent,
    )


def _inside_quotes(text: bytes) -> bytes:
    """A JSON string's inside. Bytes that are not UTF-8 are told as \\xHH."""
    return json.dumps(text.decode(errors="backslashreplace"))[1:-1].encode()


@lru_cache(maxsize=4096)
def _known(text: str) -> bytes:
    """The same, of names and reasons that come again and again."""
    return json.dumps(text)[1:-1].encode()


FORMATS: dict[str, Callable[[Entry], bytes]] = {"combined": _combined, "json": _json}
