"""What the operator sees first: what runs where, what to try, how to log in."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import connection
from django.urls import reverse
from rich.console import Console
from rich.table import Table

from pools import conf
from pools.core.fields import host_port
from pools.gateway.listening import Kind, Listener
from pools.serve.demo import PREFIX
from pools.serve.echo import HOST
from pools.serve.preparing import Login

ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, slots=True)
class Backend:
    """A demo backend and its process."""

    name: str
    port: int
    pid: int | None


def show(
    listeners: Sequence[Listener],
    *,
    admin: Listener,
    login: Login,
    backends: Sequence[Backend],
) -> None:
    """Print it; the password appears here and nowhere else."""
    proxies = [_url(listener) for listener in listeners if listener.kind is not Kind.STATUS]
    table = Table(show_header=False, title="proxysite", title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for url in proxies:
        table.add_row("proxy", f"{url}/")
    table.add_row("admin", f"{_url(admin, conf.current().admin_host)}{reverse('admin:index')}")
    for listener in listeners:
        if listener.kind is Kind.STATUS:
            table.add_row("status", f"{_url(listener)}/-/status")
    if login.password:
        table.add_row("log in as", login.name)
        table.add_row("password", f"{login.password}   (shown this once)")
    elif login.name:
        table.add_row("password lost?", f"manage.py changepassword {login.name}")
    else:
        table.add_row("no administrator", "manage.py createsuperuser")
    table.add_row("data", f"{settings.DATA_DIR}, {connection.vendor}, {_broker()}")
    for backend in backends:
        where = f"http://{HOST}:{backend.port}, process {backend.pid}"
        table.add_row(backend.name, where)
    if backends:
        table.add_row("try", f"curl {proxies[0]}{PREFIX}/")
        table.add_row("", f"kill {backends[0].pid}; it is back after a minute")
    table.add_row("end", "Ctrl-C")
    Console(file=sys.stdout, highlight=False, soft_wrap=True).print(table)
    sys.stdout.flush()


def _url(listener: Listener, host: str = "") -> str:
    """Where to reach it from this machine, by this host's name where one is given."""
    name = listener.sock.getsockname()
    if not isinstance(name, tuple):
        return str(listener)
    scheme = Kind.HTTPS if listener.kind is Kind.HTTPS else Kind.HTTP
    address: str = name[0]
    return f"{scheme}://{host_port(host or ANY_ADDRESS.get(address, address), name[1])}"


def _broker() -> str:
    return "Redis" if conf.current().redis_url else "messages in files"
