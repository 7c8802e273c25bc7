"""Options that commands share, and what they come to: the gateway's plan.

A value that cannot be meant is one line, where argparse would say how the command is used.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from pools import conf as confs
from pools.conf import Conf
from pools.core.errors import PoolsError
from pools.gateway import listening
from pools.gateway.access_log import AccessLog
from pools.gateway.arbiter import Plan
from pools.gateway.certificates import Certificates
from pools.gateway.listening import Kind, Listener, Refused

BIND = "127.0.0.1:8080"
STATUS_BIND = "127.0.0.1:8081"
FILES_BESIDE = 256  # open files of a worker that are no connections


def number(parser: CommandParser, option: str, *, highest: int) -> Callable[[str], int]:
    """What reads the option's value."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= highest):
            parser.exit(2, f"{option} {text} is not a number of 1 to {highest}\n")
        return int(text)

    return read


def add_gateway(parser: CommandParser) -> None:
    parser.add_argument(
        "--bind",
        action="append",
        metavar="ADDRESS:PORT",
        help=f"where to listen, also [::]:8080, unix:/path or fd://N; may be repeated; {BIND} "
        "where there is no --tls-bind either",
    )
    parser.add_argument(
        "--tls-bind",
        action="append",
        metavar="ADDRESS:PORT",
        help="the same, for TLS; wants --certificates",
    )
    parser.add_argument(
        "--certificates", metavar="FOLDER", help="certificates, chosen by server name"
    )
    parser.add_argument(
        "--proxy-protocol",
        action="store_true",
        help="trusted proxies send the PROXY protocol (v1 or v2) first",
    )
    parser.add_argument(
        "--workers",
        type=number(parser, "--workers", highest=1024),
        default=1,
        metavar="N",
        help="processes; each balances by itself; default %(default)s",
    )
    parser.add_argument(
        "--status-bind",
        default=STATUS_BIND,
        metavar="ADDRESS:PORT",
        help='health and figures, for the operator alone; "" for none; default %(default)s',
    )
    parser.add_argument(
        "--access-log", metavar="FILE", help="a line for each request; - for stdout"
    )
    parser.add_argument(
        "--access-log-format", metavar="FORMAT", help="combined (default) or json"
    )


def _binds(options: Mapping[str, Any]) -> list[tuple[str, Kind]]:
    """Every address to listen on, and what for."""
    plain, tls = options["bind"] or [], options["tls_bind"] or []
    if not (plain or tls):
        plain = [BIND]
    found = [(bind, Kind.HTTP) for bind in plain] + [(bind, Kind.HTTPS) for bind in tls]
    if options["status_bind"]:
        found.append((options["status_bind"], Kind.STATUS))
    return found


def _conf(options: Mapping[str, Any]) -> Conf:
    """The settings, and what the options say instead. Raises PoolsError.

    All that can be told beforehand is looked at: certificates are there, the access log
    can be written.
    """
    now = confs.current()
    for field in ("certificates", "access_log", "access_log_format"):
        if (value := options[field]) is not None:
            try:
                now = replace(now, **{field: confs.checked(field, value)})
            except ValueError as error:
                raise PoolsError(f"--{field.replace('_', '-')} is {error}") from None
    if options["tls_bind"] and now.certificates is None:
        raise PoolsError("--tls-bind wants certificates: name their folder by --certificates")
    if options["proxy_protocol"] and not now.trusted_proxies:
        raise PoolsError(
            "--proxy-protocol is for trusted proxies: name their networks in TRUSTED_PROXIES"
        )
    if now.access_log:
        AccessLog(now.access_log, now.access_log_format).close()
    return now


def plan(options: Mapping[str, Any]) -> Plan:
    """What `manage.py gateway` is to do, with its sockets open. Raises PoolsError."""
    now = _conf(options)
    certificates = None
    if options["tls_bind"]:
        certificates = Certificates(Path(now.certificates or ""), strict=True)
    return Plan(
        conf=now,
        listeners=listen(_binds(options)),
        workers=options["workers"],
        proxy_protocol=options["proxy_protocol"],
        certificates=certificates,
    )


def words(options: Mapping[str, Any]) -> list[str]:
    """The options as they would be written for `manage.py gateway`, without addresses."""
    found = ["--workers", str(options["workers"])]
    found += ["--proxy-protocol"] if options["proxy_protocol"] else []
    for name in ("certificates", "access_log", "access_log_format"):
        if options[name] is not None:
            found += [f"--{name.replace('_', '-')}", options[name]]
    return found


def listen(addresses: list[tuple[str, Kind]]) -> list[Listener]:
    """Their sockets, or those that the program had which became this one. Raises Refused."""
    handed_over = os.environ.pop("GUNICORN_FD", "")  # by SIGUSR2
    if handed_over and os.environ.get("GUNICORN_PID") == str(os.getppid()):
        return listening.adopt(addresses, [int(fd) for fd in handed_over.split(",")])
    found: list[Listener] = []
    try:
        for bind, kind in addresses:
            found.append(listening.listen(bind, kind=kind))
            if kind is Kind.STATUS:
                _not_public(found[-1])
    except Refused:
        for listener in found:
            listener.close(unlink=True)
        raise
    return found


def lacking_files(now: Conf) -> str:
    """What to tell an operator whose limit of open files is below what was asked for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * now.max_connections + FILES_BESIDE
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        return ""
    return (
        f"{now.max_connections} connections may take {wanted} open files, and the limit is "
        f"{hard}: raise it (LimitNOFILE), or lower MAX_CONNECTIONS"
    )


def _not_public(listener: Listener) -> None:
    name = listener.sock.getsockname()
    if not isinstance(name, tuple):
        return
    address = ip_address(name[0])
    if address.is_global or address.is_unspecified:
        raise Refused(
            f"cannot tell the status on {name[0]}, where others can ask: give a loopback or "
            "private address with --status-bind"
        )
