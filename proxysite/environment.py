"""The environment variables of this project, read once; docs/settings.md lists them.

Names are those that the ecosystem uses. A value that cannot be meant stops the start:
`read` raises EnvError with one line for the first that is wrong.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import secrets
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
import dj_email_url
from django.core.exceptions import ValidationError as Invalid
from django.core.validators import validate_email
from environs import Env, EnvError, ValidationError, validate

from pools import conf
from pools.core import fields

DATABASE_SCHEMES = ("sqlite", "postgres", "postgresql")
REDIS_SCHEMES = ("redis", "rediss", "unix")
EMAIL_SCHEMES = ("smtp", "submission")

# Two writers and a prober on SQLite without these: "database is locked" thousands of
# times; with them, none. IMMEDIATE takes the write lock where a transaction begins, so
# that waiting for it helps.
SQLITE_OPTIONS = {
    "timeout": 10,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}

# A database that swallows packets must not hold anything up for the system's minutes:
# neither where a connection is made, nor on one that waits for an answer (keepalives) or
# for what it sent to be acknowledged (the user time-out).
POSTGRES_OPTIONS = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # milliseconds
}

_DEFAULTS = conf.Conf()
FROM_EMAIL = "proxysite@localhost"
EMAIL_TIMEOUT_S = 10  # of each step with the mail server

# Without hard links the key's file is empty while another process writes it.
KEY_WRITTEN_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """`secret_key`, `redis_url` and `admin_host` may be empty: not given. `email` are Django's
    settings of that name; EMAIL_HOST empty: no mail server. `admin_host` is
    canonical: lower case, IDNA, IPv6 without brackets."""

    data_dir: Path
    database: dict[str, Any]
    redis_url: str
    email: dict[str, Any]
    default_from_email: str
    secret_key: str
    allowed_hosts: list[str]
    admin_host: str
    csrf_trusted_origins: list[str]
    trusted_proxies: list[str]
    secure_cookies: bool
    session_timeout_s: int
    sign_in_attempts: int
    sign_in_lock_s: int
    require_codes: bool
    debug: bool
    log_level: str
    client_header_timeout_s: float
    client_body_timeout_s: float
    client_keepalive_s: float
    client_send_timeout_s: float
    drain_timeout_s: float
    tunnel_drain_timeout_s: float
    max_connections: int
    max_connections_per_client: int
    max_header_bytes: int
    max_header_fields: int
    max_target_bytes: int
    access_log: str
    access_log_format: str
    certificates: Path | None
    web_proxy: bool
    staged: bool


def read(base_dir: Path) -> Environment:
    """The environment as it is now; makes the data folder where there is none."""
    env = Env()
    data_dir = _data_dir(Path(env.str("DATA_DIR", "") or base_dir / "data"))
    return Environment(
        data_dir=data_dir,
        database=_database(env, data_dir),
        redis_url=env.str("REDIS_URL", "", validate=_redis_url),
        email=_email(env.str("EMAIL_URL", "")),
        default_from_email=env.str("DEFAULT_FROM_EMAIL", "", validate=_from_address)
        or FROM_EMAIL,
        secret_key=env.str("SECRET_KEY", ""),
        allowed_hosts=env.list("ALLOWED_HOSTS", []),
        admin_host=_host("ADMIN_HOST", env.str("ADMIN_HOST", "")),
        csrf_trusted_origins=env.list("CSRF_TRUSTED_ORIGINS", [], validate=_origins),
        trusted_proxies=env.list("TRUSTED_PROXIES", [], validate=_networks),
        secure_cookies=env.bool("SECURE_COOKIES", False),
        session_timeout_s=env.int(
            "SESSION_TIMEOUT", 28_800, validate=validate.Range(300, 2_592_000)
        ),
        sign_in_attempts=env.int("SIGN_IN_ATTEMPTS", 5, validate=validate.Range(1, 1000)),
        sign_in_lock_s=env.int("SIGN_IN_LOCK", 900, validate=validate.Range(1, 86_400)),
        require_codes=env.bool("REQUIRE_CODES", False),
        debug=env.bool("DEBUG", False),
        log_level=env.str("LOG_LEVEL", "INFO", validate=_log_level).upper(),
        client_header_timeout_s=env.float(
            "CLIENT_HEADER_TIMEOUT", **_as("client_header_timeout_s")
        ),
        client_body_timeout_s=env.float("CLIENT_BODY_TIMEOUT", **_as("client_body_timeout_s")),
        client_keepalive_s=env.float("CLIENT_KEEPALIVE", **_as("client_keepalive_s")),
        client_send_timeout_s=env.float("CLIENT_SEND_TIMEOUT", **_as("client_send_timeout_s")),
        drain_timeout_s=env.float("DRAIN_TIMEOUT", **_as("drain_timeout_s")),
        tunnel_drain_timeout_s=env.float(
            "TUNNEL_DRAIN_TIMEOUT", **_as("tunnel_drain_timeout_s")
        ),
        max_connections=env.int("MAX_CONNECTIONS", **_as("max_connections")),
        max_connections_per_client=env.int(
            "MAX_CONNECTIONS_PER_CLIENT", **_as("max_connections_per_client")
        ),
        max_header_bytes=env.int("MAX_HEADER_BYTES", **_as("max_header_bytes")),
        max_header_fields=env.int("MAX_HEADER_FIELDS", **_as("max_header_fields")),
        max_target_bytes=env.int("MAX_TARGET_BYTES", **_as("max_target_bytes")),
        access_log=env.str("ACCESS_LOG", **_as("access_log")),
        access_log_format=env.str("ACCESS_LOG_FORMAT", **_as("access_log_format")),
        certificates=_folder(env.str("CERTIFICATES", "")),
        web_proxy=env.bool("WEB_PROXY", True),
        staged=env.bool("STAGED", False),
    )


def _as(field: str) -> dict[str, Any]:
    """The default and the limits of a setting of the app, for the variable that gives it."""

    def limits(value: object) -> None:
        try:
            conf.checked(field, value)
        except ValueError as error:
            raise ValidationError(str(error)) from None

    return {"default": getattr(_DEFAULTS, field), "validate": limits}


def secret_key(data_dir: Path) -> str:
    """The key kept in the data folder, made by whoever asks first.

    The file appears whole or not at all: it is written beside its place and then linked,
    which fails where another process was faster, so that all use the same one. On a file
    system without hard links it is made in its place, and others wait for its text.
    """
    path = data_dir / "secret_key"
    with suppress(FileNotFoundError):
        return _kept(path)
    descriptor, name = tempfile.mkstemp(dir=data_dir)  # O_EXCL, 0600
    try:
        _write_key(descriptor)
        with suppress(FileExistsError):
            try:
                os.link(name, path)
            except FileExistsError:
                raise
            except OSError:  # FAT, SMB and others have no links
                _write_key(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    finally:
        os.unlink(name)
    return _kept(path)


def _write_key(descriptor: int) -> None:
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(50))
        file.flush()
        os.fsync(file.fileno())


def _kept(path: Path) -> str:
    until = time.monotonic() + KEY_WRITTEN_WITHIN_S
    while not (key := path.read_text()):
        if time.monotonic() > until:
            raise EnvError(f"{path} is empty: remove it, and another is made")
        time.sleep(0.01)
    return key


def _data_dir(path: Path) -> Path:
    path = path.expanduser().absolute()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EnvError(f"DATA_DIR {path} cannot be made: {error.strerror}") from None
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise EnvError(f"DATA_DIR {path} cannot be written: give its user that right")
    return path


def _database(env: Env, data_dir: Path) -> dict[str, Any]:
    url = env.str("DATABASE_URL", "") or f"sqlite:///{data_dir / 'proxysite.sqlite3'}"
    try:
        if url.partition(":")[0] not in DATABASE_SCHEMES:
            raise ValueError
        found: dict[str, Any] = dict(
            dj_database_url.parse(url, conn_max_age=60, conn_health_checks=True)
        )
    except ValueError:  # its own message may quote the password
        raise EnvError(
            "DATABASE_URL cannot be read: use postgres://user:password@host:5432/name or "
            "sqlite:////folder/file, with special characters percent-encoded"
        ) from None
    if found["NAME"] == ":memory:":
        raise EnvError(
            "DATABASE_URL is of a database in memory, which processes cannot share: use "
            "sqlite:////folder/file"
        )
    if not found["NAME"] and "service" not in found.get("OPTIONS", {}):
        raise EnvError(
            "DATABASE_URL names no database: use postgres://user:password@host:5432/name"
        )
    own = SQLITE_OPTIONS if "sqlite" in found["ENGINE"] else POSTGRES_OPTIONS
    found["OPTIONS"] = {**own, **found.get("OPTIONS", {})}
    return found


def _email(url: str) -> dict[str, Any]:
    """Django's settings for a mail server; one without a host for none."""
    try:
        parts = urlsplit(url or "smtp:")
        if parts.scheme not in EMAIL_SCHEMES or not (parts.hostname or not url):
            raise ValueError
        found: dict[str, Any] = dj_email_url.parse(url or "smtp:")
    except ValueError:  # its own message may quote the password
        raise EnvError(
            "EMAIL_URL cannot be read: use smtp://user:password@host:25, "
            "submission://user:password@host:587 for STARTTLS or "
            "smtp://user:password@host:465?ssl=true, with special characters percent-encoded"
        ) from None
    found["EMAIL_TIMEOUT"] = found["EMAIL_TIMEOUT"] or EMAIL_TIMEOUT_S
    return found if url else {**found, "EMAIL_HOST": ""}


def _from_address(value: str) -> None:
    if not value:
        return
    _, address = parseaddr(value)
    name, at, host = address.rpartition("@")
    try:
        # Django's check wants a dot; a host of one's own may have none.
        validate_email(f"{name}{at}{host if '.' in host else f'{host}.example'}")
    except Invalid:
        raise ValidationError(
            f"{value!r} is no address: use proxy@example.com or 'Proxy <proxy@example.com>'"
        ) from None


def _folder(value: str) -> Path | None:
    return Path(value) if value else None


def _redis_url(value: str) -> None:
    if not value:
        return
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises where it is no number
        if parts.scheme not in REDIS_SCHEMES or (parts.scheme == "unix" and not parts.path):
            raise ValueError
    except ValueError:  # its own message may quote the password
        raise ValidationError(
            "use redis://host:6379/0, rediss:// or unix:///folder/socket"
        ) from None


def _host(name: str, value: str) -> str:
    try:
        return value and fields.backend_host(value)
    except ValueError as error:
        raise EnvError(f"{name}: {error}") from None


def _origins(values: list[str]) -> None:
    for value in values:
        if not value.startswith(("http://", "https://")):
            raise ValidationError(f"{value!r} has no scheme: use https://admin.example.com")


def _networks(values: list[str]) -> None:
    for value in values:
        try:
            ipaddress.ip_network(value)
        except ValueError as error:
            raise ValidationError(f"{error}: use networks such as 10.0.0.0/8") from None


def _log_level(value: str) -> None:
    if value.upper() not in logging.getLevelNamesMapping():
        raise ValidationError("use DEBUG, INFO, WARNING or ERROR")
