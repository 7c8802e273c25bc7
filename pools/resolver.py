"""Addresses of backends' names, kept for a while.

Rules:
- A name is looked up off the loop, in threads of its own, so that one which does not resolve
  holds up nobody else. MOST_AT_ONCE of them bound what thousands of names may take; more
  wait for their turn.
- Whoever asks for a name that is being looked up waits for that look-up.
- What is known is used for FRESH_S; then it is still used while one look-up brings the new
  addresses, and for as long as that fails: a name server's outage stops nothing.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

FRESH_S = 10.0  # HAProxy's `hold valid`
FAILED_S = 1.0  # until a name that did not resolve is looked up again
FORGET_S = 300.0  # a name that nobody asked for
MOST_AT_ONCE = 256  # look-ups

Addresses = tuple[str, ...]


@dataclass(slots=True)
class _Known:
    addresses: Addresses = ()
    error: OSError | None = None
    fresh_until: float = 0.0
    asked_at: float = 0.0
    looking: asyncio.Future[None] | None = None


def look_up(name: str) -> Addresses:
    """The addresses of a name, in the system's order; raises OSError."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise socket.gaierror(socket.EAI_NONAME, "not a name") from None
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


class Resolver:
    """The names of one event loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, look_up: Callable[[str], Addresses] = look_up
    ) -> None:
        self._loop = loop
        self._look_up = look_up
        self._known: dict[str, _Known] = {}
        self._at_once = 0  # look-ups under way
        self._waiting: deque[tuple[str, _Known]] = deque()

    async def resolve(self, name: str) -> Addresses:
        """The addresses to try, in this order; raises OSError where there are none."""
        if _is_address(name):
            return (name,)
        now = self._loop.time()
        known = self._known.setdefault(name, _Known())
        known.asked_at = now
        if now >= known.fresh_until and known.looking is None:
            self._begin(name, known)
        if not known.addresses and known.looking is not None:
            await asyncio.shield(known.looking)
        if not known.addresses:
            raise known.error or socket.gaierror(socket.EAI_NONAME, "the name has no address")
        return known.addresses

    def prefer(self, name: str, address: str) -> None:
        """An address answered where those before it did not: try it first from now on."""
        known = self._known.get(name)
        if known and address in known.addresses[1:]:
            others = tuple(other for other in known.addresses if other != address)
            known.addresses = (address, *others)

    def sweep(self, now: float) -> None:
        """Forget names that nobody asks for any more."""
        for name, known in list(self._known.items()):
            if known.looking is None and now - known.asked_at > FORGET_S:
                del self._known[name]

    def _begin(self, name: str, known: _Known) -> None:
        known.looking = self._loop.create_future()
        if self._at_once < MOST_AT_ONCE:
            self._look(name, known)
        else:
            self._waiting.append((name, known))

    def _look(self, name: str, known: _Known) -> None:
        self._at_once += 1

        def work() -> None:
            # Its own thread: the resolver cannot be interrupted, and a small pool of threads
            # would be filled by names that hang.
            try:
                found: Addresses | OSError = self._look_up(name)
            except OSError as error:
                found = error
            except Exception as error:
                found = OSError(repr(error))
            with suppress(RuntimeError):  # the loop has ended meanwhile
                self._loop.call_soon_threadsafe(self._end, known, found)

        try:
            threading.Thread(target=work, name=f"resolve {name}", daemon=True).start()
        except RuntimeError as error:  # no more threads: later there may be
            lacking = OSError(errno.ENOMEM, str(error))
            self._loop.call_soon(self._end, known, lacking)

    def _end(self, known: _Known, found: Addresses | OSError) -> None:
        self._at_once -= 1
        if isinstance(found, OSError):
            known.error = found
            known.fresh_until = self._loop.time() + FAILED_S
        else:
            # The one that answered last stays first.
            kept = [address for address in known.addresses[:1] if address in found]
            known.addresses = tuple(dict.fromkeys((*kept, *found)))
            known.error = None
            known.fresh_until = self._loop.time() + FRESH_S
        looking, known.looking = known.looking, None
        if looking is not None and not looking.done():
            looking.set_result(None)
        if self._waiting:
            self._look(*self._waiting.popleft())


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
