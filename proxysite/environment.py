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
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dj_database_url
from environs import Env, EnvError, ValidationError

DATABASE_SCHEMES = ("sqlite", "postgres", "postgresql")
REDIS_SCHEMES = ("redis", "rediss", "unix")

# Two writers and a prober on SQLite without these: "database is locked" thousands of
# times; with them, none. IMMEDIATE takes the write lock where a transaction begins, so
# that waiting for it helps.
SQLITE_OPTIONS = {
    "timeout": 10,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}

# A database that swallows packets must not hold anything up for the system's minutes.
POSTGRES_OPTIONS = {"connect_timeout": 5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """`secret_key` and `redis_url` may be empty: not given."""

    data_dir: Path
    database: dict[str, Any]
    redis_url: str
    secret_key: str
    allowed_hosts: list[str]
    admin_host: str
    csrf_trusted_origins: list[str]
    trusted_proxies: list[str]
    secure_cookies: bool
    debug: bool
    log_level: str


def read(base_dir: Path) -> Environment:
    """The environment as it is now; makes the data folder where there is none."""
    env = Env()
    data_dir = _data_dir(Path(env.str("DATA_DIR", "") or base_dir / "data"))
    return Environment(
        data_dir=data_dir,
        database=_database(env, data_dir),
        redis_url=env.str("REDIS_URL", "", validate=_redis_url),
        secret_key=env.str("SECRET_KEY", ""),
        allowed_hosts=env.list("ALLOWED_HOSTS", []),
        admin_host=env.str("ADMIN_HOST", ""),
        csrf_trusted_origins=env.list("CSRF_TRUSTED_ORIGINS", [], validate=_origins),
        trusted_proxies=env.list("TRUSTED_PROXIES", [], validate=_networks),
        secure_cookies=env.bool("SECURE_COOKIES", False),
        debug=env.bool("DEBUG", False),
        log_level=env.str("LOG_LEVEL", "INFO", validate=_log_level).upper(),
    )


def secret_key(data_dir: Path) -> str:
    """The key kept in the data folder, made by whoever asks first.

    The file appears whole or not at all: it is written beside its place and then linked,
    which fails where another process was faster, so that all use the same one.
    """
    path = data_dir / "secret_key"
    with suppress(FileNotFoundError):
        return path.read_text()
    descriptor, name = tempfile.mkstemp(dir=data_dir)  # O_EXCL, 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(50))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        os.unlink(name)
    return path.read_text()


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
    own = SQLITE_OPTIONS if "sqlite" in found["ENGINE"] else POSTGRES_OPTIONS
    found["OPTIONS"] = {**own, **found.get("OPTIONS", {})}
    return found


def _redis_url(value: str) -> None:
    if value and value.partition("://")[0] not in REDIS_SCHEMES:
        raise ValidationError("use redis://host:6379/0, rediss:// or unix://")


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
