"""The configuration that the suite runs against: a route for each thing to be shown."""

from __future__ import annotations

import socket
import ssl
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pools.core import codec
from pools.core.document import Document
from tests import services
from tests.conformance.backends import Backend, unused_port

TRUSTED = "127.0.0.2"  # the peer that every plane trusts; others on loopback it does not
SMALL_BODY = 1000


@dataclass
class Site:
    """`one` is behind most routes; `left` and `right` are a pool of two; `secure` speaks
    TLS, and keeps the names it was asked for in `asked_names`; on `refused` nothing
    listens."""

    folder: Path
    one: Backend = field(default_factory=Backend)
    left: Backend = field(default_factory=Backend)
    right: Backend = field(default_factory=Backend)
    refused: int = field(default_factory=unused_port)

    def __post_init__(self) -> None:
        self.ca = _certificate(self.folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "cert.pem", self.folder / "key.pem")
        self.asked_names: list[str | None] = []
        context.sni_callback = lambda _sock, name, _context: self.asked_names.append(name)
        self.secure = Backend(context)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.folder / "backend.sock"))
        listener.listen()
        self.unix = Backend(listener=listener)
        listener = None  # nobody comes to it then
        if not services.NO_IPV6:
            listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
        self.ipv6 = Backend(listener=listener)

    @property
    def backends(self) -> tuple[Backend, ...]:
        return self.one, self.left, self.right, self.secure, self.unix, self.ipv6

    def document(self) -> Document:
        one, left, right = self.one.port, self.left.port, self.right.port
        return codec.parse(
            {
                "pools": [
                    _pool("one", one),
                    _pool("pair", left, right),
                    _pool("half-dead", self.refused, right),
                    _pool("refused", self.refused),
                    _pool("empty"),
                    _pool("again", left, right, retry={"on": ["error", "http_503"]}),
                    _pool("all-methods", left, right, retry={"non_idempotent": True}),
                    _pool("sticky", left, right, sticky={"mode": "cookie"}),
                    _pool("touchy", left, right, passive={"failures": 1, "panic_percent": 0}),
                    _pool("ejecting", left, right, passive={"failures": 2}),
                    _pool(
                        "impatient",
                        left,
                        right,
                        passive={"failures": 1, "panic_percent": 0},
                        exchange_timeout_s=0.5,
                    ),
                    {
                        **_pool("draining", right),
                        "backends": [
                            {"host": "127.0.0.1", "port": left, "state": "drain"},
                            {"host": "127.0.0.1", "port": right},
                        ],
                    },
                    _pool("backend-host", one, host={"mode": "backend"}),
                    _pool("fixed-host", one, host={"mode": "fixed", "value": "inner.test"}),
                    _pool("full", one, max_in_flight=1, max_queue=0),
                    _pool("queueing", one, max_in_flight=1, max_queue=2),
                    _pool("brief-queue", one, max_in_flight=1, queue_timeout_s=0.3),
                    _pool("full-pair", left, right, max_in_flight=1),
                    _pool("brief-idle", one, keepalive_s=0.3),
                    _pool("one-idle", one, keepalive_connections=1),
                    _pool("none-idle", one, keepalive_connections=0),
                    _pool("secure", self.secure.port, scheme="https", tls={"ca": self.ca}),
                    _pool("unverified", self.secure.port, scheme="https"),
                    _pool(
                        "named",
                        self.secure.port,
                        scheme="https",
                        tls={"ca": self.ca, "server_name": "backend.test"},
                    ),
                    _pool(
                        "misnamed",
                        self.secure.port,
                        scheme="https",
                        tls={"ca": self.ca, "server_name": "other.test"},
                    ),
                    {**_pool("unix"), "backends": [{"host": f"unix:{self.unix.address}"}]},
                    {
                        **_pool("ipv6"),
                        "backends": [{"host": "::1", "port": self.ipv6.port}],
                    },
                    {
                        **_pool("unresolved", right),
                        "backends": [
                            {"host": "unresolved.invalid", "port": 80},
                            {"host": "127.0.0.1", "port": right},
                        ],
                    },
                ],
                "routes": [
                    _route("plain", "one"),
                    _route("any-of-wild", "one", hosts=["*.wild.test"]),
                    _route("one-of-wild", "pair", hosts=["exact.wild.test"]),
                    _route("wild-api", "pair", hosts=["*.wild.test"], path_prefix="/api"),
                    _route("strip", "one", path_prefix="/api", prefix_mode="strip"),
                    _route(
                        "replace",
                        "one",
                        path_prefix="/v1",
                        prefix_mode="replace",
                        prefix_replacement="/app",
                    ),
                    _route(
                        "backend-host", "backend-host", path_prefix="/api", prefix_mode="strip"
                    ),
                    _route("fixed-host", "fixed-host"),
                    _route(
                        "edited",
                        "one",
                        request_headers={"set": {"X-Added": "yes"}, "remove": ["X-Gone"]},
                        response_headers={"set": {"X-Added": "yes"}, "remove": ["X-Gone"]},
                    ),
                    _route("small", "one", max_body_bytes=SMALL_BODY),
                    _route("slow", "one", response_timeout_s=0.3),
                    _route("slow-pair", "pair", response_timeout_s=0.3),
                    _route("bounded", "one", exchange_timeout_s=0.5),
                    _route("bounded-pair", "pair", exchange_timeout_s=0.5),
                    _route("shell", "one", upgrades=["x-shell"]),
                    _route("no-upgrades", "one", upgrades=[]),
                    _route("brief-tunnel", "one", tunnel_timeout_s=0.5),
                    *(
                        _route(name, name)
                        for name in (
                            "pair",
                            "half-dead",
                            "refused",
                            "empty",
                            "again",
                            "all-methods",
                            "sticky",
                            "ejecting",
                            "impatient",
                            "touchy",
                            "draining",
                            "full",
                            "secure",
                            "unverified",
                            "queueing",
                            "brief-queue",
                            "full-pair",
                            "brief-idle",
                            "one-idle",
                            "none-idle",
                            "named",
                            "misnamed",
                            "unix",
                            "ipv6",
                            "unresolved",
                        )
                    ),
                ],
            }
        )


def _pool(name: str, *ports: int, scheme: str = "http", **fields: Any) -> dict[str, Any]:
    """Without probes and ejection, so that one test leaves nothing to the next."""
    return {
        "name": name,
        "probe": {"kind": "off"},
        "passive": {"failures": 0},
        "backends": [{"host": "127.0.0.1", "port": port, "scheme": scheme} for port in ports],
        **fields,
    }


def _route(name: str, pool: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "pool": pool, "hosts": [f"{name}.test"], **fields}


def _certificate(folder: Path) -> str:
    """A certificate for 127.0.0.1 and backend.test that is its own CA; returns its PEM."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    name = ["-subj", "/CN=backend", "-addext", "subjectAltName=IP:127.0.0.1,DNS:backend.test"]
    files = ["-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(
        [services.program("openssl"), "req", "-x509", "-days", "2", *curve, *name, *files],
        check=True,
        capture_output=True,
        cwd=folder,
    )
    return (folder / "cert.pem").read_text()
