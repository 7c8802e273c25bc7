"""The app's settings, read from the project's: POOLS_<FIELD>, each with a default.

docs/settings.md has a heading for each; `pools.checks` reports what is wrong with them
at start, so that `current()` raises only where the checks were skipped.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from pydantic import (
    AfterValidator,
    BeforeValidator,
    IPvAnyNetwork,
    Strict,
    TypeAdapter,
    ValidationError,
)

from pools.core import fields as values

PREFIX = "POOLS_"


def _between(low: float, high: float) -> AfterValidator:
    def check(value: float) -> float:
        if not low <= value <= high:
            raise ValueError(f"use {low:g} to {high:g}")
        return value

    return AfterValidator(check)


def _list(value: Any) -> Any:
    """One bare text, which is an iterable too, is meant as a list of one."""
    if isinstance(value, str):
        raise ValueError(f"give a list, such as [{value!r}]")
    return value


def _redis_url(value: str) -> str:
    if value and urlsplit(value).scheme not in ("redis", "rediss", "unix"):
        raise ValueError("begin it with redis://, rediss:// or unix://")
    return value


def _host(value: str) -> str:
    return value and values.backend_host(value)


def _reserved(paths: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if paths is None else tuple(values.path_prefix(path) for path in paths)


Flag = Annotated[bool, Strict()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conf:
    """The settings as they are now; `data_dir` is POOLS_DATA_DIR and so on.

    `admin_host` is canonical (lower case; IPv6 without brackets), `reserved_paths` are
    prefixes without a final slash.
    """

    data_dir: Path | None = None
    trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], BeforeValidator(_list)] = ()
    admin_host: Annotated[str, AfterValidator(_host)] = ""
    reserved_paths: Annotated[
        tuple[str, ...] | None, BeforeValidator(_list), AfterValidator(_reserved)
    ] = None
    fallthrough: Flag = True
    via: Annotated[str, AfterValidator(values.token_or_empty)] = "proxysite"
    forwarded: Flag = False
    redis_url: Annotated[str, AfterValidator(_redis_url)] = ""
    poll_interval_s: Annotated[float, Strict(), _between(0, 60)] = 0.5
    probe_concurrency: Annotated[int, Strict(), _between(1, 65_536)] = 2000
    staged: Flag = False
    keep_revisions: Annotated[int, Strict(), _between(1, 1_000_000)] = 1000
    keep_events: Annotated[int, Strict(), _between(1, 1_000_000)] = 1000
    keep_history_days: Annotated[float, Strict(), _between(0.1, 3650)] = 30.0
    keep_audit_days: Annotated[float, Strict(), _between(0.1, 3650)] = 365.0
    keep_latencies_days: Annotated[float, Strict(), _between(0.1, 3650)] = 1.0
    client_header_timeout_s: Annotated[float, Strict(), _between(0.1, 600)] = 10.0
    client_body_timeout_s: Annotated[float, Strict(), _between(0.1, 3600)] = 60.0
    client_keepalive_s: Annotated[float, Strict(), _between(0.1, 3600)] = 75.0
    client_send_timeout_s: Annotated[float, Strict(), _between(0.1, 3600)] = 60.0
    drain_timeout_s: Annotated[float, Strict(), _between(0, 3600)] = 30.0
    tunnel_drain_timeout_s: Annotated[float, Strict(), _between(0, 86_400)] = 30.0
    max_connections: Annotated[int, Strict(), _between(1, 1_000_000)] = 16_384
    max_connections_per_client: Annotated[int, Strict(), _between(0, 1_000_000)] = 0
    max_header_bytes: Annotated[int, Strict(), _between(1024, 1_048_576)] = 32_768
    max_header_fields: Annotated[int, Strict(), _between(1, 10_000)] = 100
    max_target_bytes: Annotated[int, Strict(), _between(256, 1_048_576)] = 8_190
    access_log: str = ""
    access_log_format: Literal["combined", "json"] = "combined"
    certificates: Path | None = None


_HINTS = get_type_hints(Conf, include_extras=True)
_ADAPTERS = {spec.name: TypeAdapter[Any](_HINTS[spec.name]) for spec in fields(Conf)}


def setting(spec: Field[Any]) -> str:
    """The name of the field's setting: "POOLS_DATA_DIR"."""
    return PREFIX + spec.name.upper()


def read(spec: Field[Any]) -> Any:
    """One setting, checked; raises ValueError with what is wrong, without its name."""
    assert spec.default is not MISSING
    return checked(spec.name, getattr(settings, setting(spec), spec.default))


def checked(field: str, value: Any) -> Any:
    """The value as the field keeps it; raises ValueError as `read` does."""
    try:
        return _ADAPTERS[field].validate_python(value)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        cause = detail.get("ctx", {}).get("error", detail["msg"])
        raise ValueError(f"{value!r}: {cause}") from None


def current() -> Conf:
    """All settings. Some microseconds each: read it once, not for each request."""
    found = {}
    for spec in fields(Conf):
        try:
            found[spec.name] = read(spec)
        except ValueError as error:
            raise ImproperlyConfigured(f"{setting(spec)} is {error}") from None
    return Conf(**found)
