"""Sends bytes as they are, and holds what the backend saw against a strict reading of them."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults import PATIENCE_S
from tests.faults.oracle import Oracle
from tests.faults.reference import End, Request, read

CORPUS = Path(__file__).with_name("corpus")
LAST = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

# What the gateway may answer itself and go on: methods, and paths that no route can take.
_OWN = re.compile(rb"TRACE |[^ ]+ (?:/(?:-|admin|static)(?:[/?]|\Z)|\*\Z)")


def corpus() -> dict[str, bytes]:
    """The cases of all files, by file and name. The first lines of framing.txt say how
    they are written."""
    cases = {}
    for file in sorted(CORPUS.glob("*.txt")):
        for block in re.split(r"^## ", file.read_text(), flags=re.MULTILINE)[1:]:
            name, _, lines = block.partition("\n")
            text = lines.replace("\n", "").encode()
            data = text.decode("unicode_escape").encode("latin-1")
            cases[f"{file.stem}: {name}"] = data
    return cases


def talk(address: tuple[str, int], pieces: Sequence[bytes]) -> bytes:
    """Sends the pieces and returns all that comes until the gateway closes.

    Where a request is left unfinished the sending side is closed: nobody is to wait for
    the gateway's time-out.
    """
    received = b""
    with socket.create_connection(address, PATIENCE_S) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        with suppress(ConnectionError):
            for piece in pieces:
                sock.sendall(piece)
            if read(b"".join(pieces)).end in (End.MORE, End.NOTHING):
                sock.shutdown(socket.SHUT_WR)
        try:
            while data := sock.recv(65_536):
                received += data
        except ConnectionError:
            pass
        except TimeoutError:
            pytest.fail(f"{b''.join(pieces)!r} was neither answered nor refused")
    return received


def holds(address: tuple[str, int], oracle: Oracle, *pieces: bytes) -> list[Request]:
    """The backend saw what the client framed, in its order, and nothing else.

    Returns what it saw. The gateway may refuse more than the strict reading does.
    """
    sent = b"".join(pieces)
    reading = read(sent)
    oracle.forget()
    received = talk(address, pieces)
    _barrier(address)
    seen = [request for request in oracle.seen() if request.target != b"/barrier"]
    framed = reading.requests
    assert _follows(seen, framed), f"{sent!r} was read as {seen}"
    for data, conversation in oracle.readings():
        assert conversation.end is not End.REFUSED, f"{sent!r} reached the backend as {data!r}"
        if conversation.begun:
            heads = [reading.begun, *((each.method, each.target) for each in framed)]
            assert conversation.begun in heads, f"{sent!r} began {conversation.begun}"
    assert received.count(b"X-Oracle: yes") <= len(seen)
    return seen


def _follows(seen: Sequence[Request], framed: Sequence[Request]) -> bool:
    """Whether all that was seen is the beginning of what was framed, but for what the
    gateway may have answered itself."""
    left = iter(framed)
    for request in seen:
        for each in left:
            if each == request:
                break
            if not _OWN.match(each.method + b" " + each.target):
                return False
        else:
            return False
    return True


def _barrier(address: tuple[str, int]) -> None:
    """A request through the same worker: what went to the backend before has arrived."""
    data = b"GET /barrier HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert talk(address, [data]).startswith(b"HTTP/1.1 204 ")
