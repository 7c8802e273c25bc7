"""TLS from clients: certificates of a folder, chosen by server name, followed as they change.

Rules:
- `context` is one for good, so that listeners keep it; at each handshake it hands over to the
  context of the certificate. Connections that are open keep what they have.
- The exact name wins, then a wildcard for its first label, then the default: `default.*`,
  else the first by file name. Of two for one name, the one that is valid longer.
- A file that is changed for a broken one, half-written or without its key, is said once, and
  the last good one stays. One that is removed goes; the last one of all stays.
- One that has expired, or does within SOON, is served, and said once a day until it is
  renewed.
"""

from __future__ import annotations

import logging
import os
import ssl
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509

from pools.core.errors import PoolsError
from pools.outage import Outage

logger = logging.getLogger("pools.gateway")

LOOK_S = 2.0
SOON = timedelta(days=14)  # clients of Let's Encrypt renew 30 days ahead
REMIND_S = 86_400.0
MOST_NAMED = 10  # in a line
MOST_TOLD = 100  # in a row of the database
# Forward secret and authenticated, for TLS 1.2; those of 1.3 all are.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
DEFAULTS = ("default", "default.pem", "default.crt")

_MALFORMED = (
    ValueError,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)

# Of each file, what tells whether it is another one: name, time, size, inode.
Mark = tuple[tuple[str, int, int, int], ...]


class Certificates:
    """The certificates of a folder. One thread, the loop's, uses it.

    A certificate is NAME.pem (chain and key), NAME.crt with NAME.key, or a folder with
    fullchain.pem and privkey.pem, as Let's Encrypt's clients keep it; `folder` itself may
    be such a one.
    """

    def __init__(self, folder: Path, *, strict: bool = False) -> None:
        """Raises PoolsError where no certificate is usable; `strict`: where one is not."""
        self._folder = folder
        self._away = Outage(
            logger,
            begun=f"certificates stay as they are, {folder} cannot be used",
            over=f"certificates follow {folder} again",
        )
        self._next_look = 0.0
        self._marks: dict[str, Mark] = {}
        self._loaded: dict[str, _Certificate] = {}
        self._by_name: dict[str, ssl.SSLContext] = {}
        # By chain and end, when it was said last that it is to be renewed.
        self._reminded: dict[tuple[Path, datetime], float] = {}
        try:
            problems = self._take(self._look())
        except OSError as error:
            raise PoolsError(_folder_problem(folder, error)) from None
        if problems and (strict or not self._loaded):
            raise PoolsError(problems[0])
        if not self._loaded:
            raise PoolsError(
                f"there is no certificate in {folder}; put NAME.pem there (chain and key),"
                " or NAME.crt and NAME.key, or NAME/fullchain.pem and NAME/privkey.pem"
            )
        for problem in problems:
            logger.error("%s", problem)
        self.context = _context()
        self.context.sni_callback = self._choose
        self._remind(time.monotonic())

    def refresh(self, now: float) -> None:
        """Follow the folder, looking each LOOK_S at most; `now` is of time.monotonic."""
        if now < self._next_look:
            return
        self._next_look = now + LOOK_S
        self._follow()
        self._remind(now)

    def plain(self) -> list[dict[str, Any]]:
        """Those in use, for the status page, the first to end first."""
        now = datetime.now(UTC)
        return [
            {
                "file": str(one.chain),
                "names": list(one.names),
                "until": f"{one.until:%Y-%m-%dT%H:%M:%SZ}",
                "days_left": (one.until - now).days,  # below 0: it has expired
            }
            for one in self._by_end()
        ]

    def ends(self) -> list[dict[str, str]]:
        """Name and end of those that end first, for who tells of this process. Another thread
        may ask."""
        return [
            {
                "name": one.names[0] if one.names else one.chain.name,
                "until": f"{one.until:%Y-%m-%dT%H:%M:%SZ}",
            }
            for one in self._by_end()[:MOST_TOLD]
        ]

    def _follow(self) -> None:
        try:
            found = self._look()
            if not found:
                raise FileNotFoundError("there is no certificate in it any more")
        except OSError as error:
            self._away.begins(error)
            return
        self._away.over()
        if {name: mark for name, (_, _, mark) in found.items()} != self._marks:
            for problem in self._take(found):
                logger.error("%s", problem)

    def _by_end(self) -> list[_Certificate]:
        return sorted(self._loaded.values(), key=lambda one: one.until)

    def _remind(self, now: float) -> None:
        """Say which are to be renewed, in a line, unless that was said within REMIND_S."""
        today = datetime.now(UTC)
        before, self._reminded = self._reminded, {}
        due = []
        for one in self._by_end():
            if one.until > today + SOON:
                break
            said = before.get((one.chain, one.until))
            if said is None or now - said >= REMIND_S:
                said = now
                verb = "expired" if one.until <= today else "expires"
                due.append(f"{one.chain} {verb} on {one.until:%Y-%m-%d}")
            self._reminded[one.chain, one.until] = said
        if due:
            more = f", and {len(due) - MOST_NAMED} more" if len(due) > MOST_NAMED else ""
            logger.warning("renew certificates: %s%s", ", ".join(due[:MOST_NAMED]), more)

    def _look(self) -> dict[str, tuple[Path, Path, Mark]]:
        """Chain, key and mark of each certificate, by name. Raises OSError."""
        return {
            name: (chain, key, _mark(chain, key))
            for name, chain, key in sorted(_certificates_in(self._folder))
        }

    def _take(self, found: dict[str, tuple[Path, Path, Mark]]) -> list[str]:
        """Load what is new or changed; returns what is wrong with those that are not usable."""
        problems = []
        loaded = {}
        for name, (chain, key, mark) in found.items():
            before = self._loaded.get(name)
            try:
                made = before if mark == self._marks.get(name) else _load(chain, key)
            except PoolsError as error:
                made = before
                problems.append(
                    f"{error}; the one before stays in use" if before else str(error)
                )
            if made:
                loaded[name] = made
        self._marks = {name: mark for name, (_, _, mark) in found.items()}
        if loaded:
            self._loaded = loaded
            self._by_name = _by_name(loaded.values())
            first = next((name for name in DEFAULTS if name in loaded), next(iter(loaded)))
            self._default = loaded[first].context
        return problems

    def _choose(
        self, tls: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext
    ) -> None:
        """What OpenSSL calls for each handshake, with None where no name was sent."""
        name = (name or "").lower().rstrip(".")
        by_name = self._by_name
        tls.context = (
            by_name.get(name) or by_name.get("*." + name.partition(".")[2]) or self._default
        )


def without_bad_names(
    hook: Callable[[sys.UnraisableHookArgs], None],
) -> Callable[[sys.UnraisableHookArgs], None]:
    """A sys.unraisablehook that leaves to `hook` what is not a client's.

    Who asks for a name that is not ASCII is refused by Python's ssl before `_choose` is
    called, with a traceback for each: anybody could fill the log.
    """

    def without(args: sys.UnraisableHookArgs) -> None:
        if isinstance(args.exc_value, UnicodeDecodeError):
            logger.debug("a handshake came to nothing: %s", args.exc_value)
        else:
            hook(args)

    return without


@dataclass(frozen=True, slots=True)
class _Certificate:
    chain: Path
    context: ssl.SSLContext
    names: tuple[str, ...]
    until: datetime


def _certificates_in(folder: Path) -> Iterator[tuple[str, Path, Path]]:
    """The name of file or folder, chain and key of each. Some of the files may be missing."""
    if os.path.exists(folder / "fullchain.pem"):
        yield folder.name, folder / "fullchain.pem", folder / "privkey.pem"
        return
    for path in folder.iterdir():
        if path.name.startswith("."):  # half-written files of other programs
            continue
        if path.suffix == ".pem":
            yield path.name, path, path
        elif path.suffix == ".crt":
            yield path.name, path, path.with_suffix(".key")
        elif os.path.exists(path / "fullchain.pem"):  # also for what may not be looked into
            yield path.name, path / "fullchain.pem", path / "privkey.pem"


def _mark(*paths: Path) -> Mark:
    marks = []
    for path in paths:
        try:
            stat = path.stat()
        except FileNotFoundError:
            marks.append((str(path), 0, 0, 0))
        else:
            marks.append((str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(marks)


def _load(chain: Path, key: Path) -> _Certificate:
    """Raises PoolsError, with one line."""
    try:
        first = x509.load_pem_x509_certificates(chain.read_bytes())[0]
        names = _names(first)
        readable = key.stat().st_mode & 0o004
        context = _context()
        context.load_cert_chain(chain, key, password=_no_password)
    except ssl.SSLError as error:
        mend = (
            f"the key in {key.name} is not that of the first certificate; put in the two"
            " that belong together"
            if error.reason == "KEY_VALUES_MISMATCH"
            else f"{key.name} has no usable key ({error.reason}); put it there, in PEM"
        )
        raise PoolsError(f"certificate {chain}: {mend}") from None
    except OSError as error:
        raise PoolsError(
            f"certificate {chain}: {error.filename or key} cannot be read, {error.strerror};"
            " put it there, readable by this user"
        ) from None
    except _MALFORMED as error:
        raise PoolsError(
            f"certificate {chain}: {str(error).partition(chr(10))[0]};"
            " put in the whole chain, in PEM, the server's own certificate first"
        ) from None
    until = first.not_valid_after_utc
    if readable:
        logger.warning("others may read the key %s; chmod 600 it", key)
    told = ", ".join(names) or "no name, as the default alone"
    logger.info("certificate %s is used for %s, until %s", chain, told, f"{until:%Y-%m-%d}")
    return _Certificate(chain, context, names, until)


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    names = extension.value.get_values_for_type(x509.DNSName)
    return tuple(name.lower().rstrip(".") for name in names)


def _by_name(certificates: Iterable[_Certificate]) -> dict[str, ssl.SSLContext]:
    chosen: dict[str, _Certificate] = {}
    for certificate in certificates:
        for name in certificate.names:
            before = chosen.get(name)
            if before is None or certificate.until > before.until:
                chosen[name] = certificate
    return {name: certificate.context for name, certificate in chosen.items()}


def _context() -> ssl.SSLContext:
    """All are alike: what is negotiated goes partly by the first, partly by the chosen one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    # Session tickets are on by default. Renegotiation lets a client have us work for nothing.
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    return context


def _no_password() -> str:
    # OpenSSL would ask the terminal.
    raise ValueError("the key is encrypted; decrypt it")


def _folder_problem(folder: Path, error: OSError) -> str:
    return (
        f"the folder of certificates {folder} cannot be read: {error.strerror};"
        " name one that this user may read"
    )
