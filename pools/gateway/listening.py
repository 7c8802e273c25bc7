"""Listening sockets: made from what the operator writes, and put to work on a loop.

"ADDRESS:PORT", "[IPv6]:PORT", "unix:/path" or "fd://N", for a socket that whoever started
this process opened. `[::]` takes IPv4 too.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from pools.core.errors import PoolsError
from pools.core.fields import host_port

BACKLOG = 2048
UNIX = "unix:"
FD = "fd://"
ANY_IPV6 = "::"


class Refused(PoolsError):
    """It cannot be listened there; the message is one line with the mend."""


class Kind(StrEnum):
    """What a listener is for."""

    HTTP = "http"
    HTTPS = "https"
    STATUS = "status"


# How an operator says where.
OPTION = {Kind.HTTP: "--bind", Kind.HTTPS: "--tls-bind", Kind.STATUS: "--status-bind"}


@dataclass(slots=True)
class Listener:
    """A listening socket that processes share. `path` is the file to remove at the end, ""
    where there is none or it is another's."""

    kind: Kind
    sock: socket.socket
    path: str = ""

    def fileno(self) -> int:
        return self.sock.fileno()

    def close(self, *, unlink: bool = False) -> None:
        self.sock.close()
        if unlink and self.path:
            with suppress(FileNotFoundError):
                os.unlink(self.path)

    def __str__(self) -> str:
        return f"{self.kind}://{where(self.sock)}"


def where(sock: socket.socket) -> str:
    """The address of a socket, as people write it: "127.0.0.1:8080", "unix:/run/proxy"."""
    name = sock.getsockname()
    if isinstance(name, tuple):
        return host_port(name[0], name[1])
    return UNIX + os.fsdecode(name)


def listen(bind: str, *, kind: Kind = Kind.HTTP, option: str = "") -> Listener:
    """The listening socket of one address; port 0: a free one. Raises Refused, which names
    the option, the kind's own if it is not given.

    The sockets are inherited by programs that this process becomes.
    """
    try:
        listener = _listen(bind, kind)
    except OSError as error:
        reason = _reason(error)
    except (ValueError, OverflowError) as error:
        reason = str(error)
    else:
        listener.sock.setblocking(False)
        listener.sock.set_inheritable(True)
        return listener
    raise Refused(
        f"cannot listen on {bind} ({reason}): give another with {option or OPTION[kind]}"
    )


def adopt(binds: Sequence[tuple[str, Kind]], fds: Sequence[int]) -> list[Listener]:
    """The listeners of an earlier program, whose sockets these are. Raises Refused."""
    if len(binds) != len(fds):
        raise Refused(
            f"{len(fds)} sockets were handed over for {len(binds)} addresses: "
            "change addresses by a new start"
        )
    return [
        Listener(kind, socket.socket(fileno=fd), _own_path(bind))
        for (bind, kind), fd in zip(binds, fds, strict=True)
    ]


def _listen(bind: str, kind: Kind) -> Listener:
    if bind.startswith(FD):
        return Listener(kind, _given(bind.removeprefix(FD)))
    if path := _own_path(bind):
        return Listener(kind, _unix(path), path)
    host, _, port = bind.rpartition(":")
    if not (
        host
        and host.isprintable()
        and port.isascii()
        and port.isdigit()
        and int(port) <= 65_535
    ):
        raise ValueError("not ADDRESS:PORT")
    bracketed = host.startswith("[") and host.endswith("]")
    if (":" in host) != bracketed:
        raise ValueError("write IPv6 as [::1]:8080")
    host = host.strip("[]")
    sock = socket.create_server(
        (host, int(port)),
        family=socket.AF_INET6 if bracketed else socket.AF_INET,
        backlog=BACKLOG,
        dualstack_ipv6=host == ANY_IPV6 and socket.has_dualstack_ipv6(),
    )
    return Listener(kind, sock)


def _reason(error: OSError) -> str:
    if error.errno is None:
        return str(error)
    if error.errno < 0:  # of getaddrinfo
        return "no such address"
    return os.strerror(error.errno).lower()  # its own text says the address once more


def _own_path(bind: str) -> str:
    return bind.removeprefix(UNIX) if bind.startswith(UNIX) else ""


def _given(number: str) -> socket.socket:
    if not (number.isascii() and number.isdigit()):
        raise ValueError("not fd://NUMBER")
    sock = socket.socket(fileno=int(number))
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        sock.detach()
        raise ValueError("not a listening socket")
    return sock


def _unix(path: str) -> socket.socket:
    """Who may reach the path may connect. A file that an earlier process left is replaced;
    one that somebody listens on is not."""
    if not os.path.isabs(path):
        raise ValueError("write unix:/absolute/path")
    sock = socket.socket(socket.AF_UNIX)
    try:
        with suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.stat(path).st_mode) and _deserted(path):
                os.unlink(path)
        sock.bind(path)
        os.chmod(path, 0o666)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _deserted(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:  # such as a full queue
            return False
        return False
