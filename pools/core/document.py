"""The configuration as typed plain data: what YAML, revisions and the API hold.

Rules:
- A value that exists is valid: `codec.parse` returns a canonical document or raises
  DocumentError with every problem and its path; nothing else makes documents from
  foreign data.
- Names are the keys. Pools and routes are told apart by name, a backend by its
  address (host:port or unix:/path) within its pool; no database id appears.
- Defaults are what an expert would set for someone who names only a host, a port
  and a prefix; each says where it comes from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, Strict

from pools.core import fields, probe_fields

Flag = Annotated[bool, Strict()]
Port = Annotated[
    int, Strict(), AfterValidator(fields.backend_port), Field(validate_default=True)
]
Count = Annotated[int, Strict(), AfterValidator(fields.not_negative)]
Positive = Annotated[int, Strict(), AfterValidator(fields.positive)]
Percent = Annotated[int, Strict(), AfterValidator(fields.percent)]
Seconds = Annotated[float, Strict(), AfterValidator(fields.seconds)]
SecondsOrNone = Annotated[float, Strict(), AfterValidator(fields.seconds_or_zero)]
Name = Annotated[str, AfterValidator(fields.name)]
Tags = Annotated[tuple[str, ...], AfterValidator(fields.tags)]
HeaderName = Annotated[str, AfterValidator(fields.header_name)]
HeaderSet = Annotated[
    tuple[tuple[str, str], ...],
    BeforeValidator(fields.pairs_of_mapping),
    AfterValidator(fields.header_set),
]
HeaderRemove = Annotated[tuple[str, ...], AfterValidator(fields.header_remove)]


class Policy(StrEnum):
    ROUND_ROBIN = "round_robin"
    LEAST_REQUESTS = "least_requests"
    POWER_OF_TWO = "power_of_two"
    RANDOM = "random"
    CONSISTENT_HASH = "consistent_hash"


class HashOn(StrEnum):
    CLIENT_ADDRESS = "client_address"
    PATH = "path"
    HEADER = "header"
    COOKIE = "cookie"


class StickyMode(StrEnum):
    OFF = "off"
    COOKIE = "cookie"


class SameSite(StrEnum):
    LAX = "Lax"
    STRICT = "Strict"
    NONE = "None"


class CookieSecure(StrEnum):
    """auto: Secure when the client came by https."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class HostMode(StrEnum):
    PRESERVE = "preserve"
    BACKEND = "backend"
    FIXED = "fixed"


class RetryOn(StrEnum):
    """What may be tried again. The words are nginx's (`proxy_next_upstream`).

    connect: no connection was made. error: the connection broke or the answer was
    malformed. timeout: no answer within the response time-out.
    """

    CONNECT = "connect"
    ERROR = "error"
    TIMEOUT = "timeout"
    HTTP_502 = "http_502"
    HTTP_503 = "http_503"
    HTTP_504 = "http_504"


class ProbeKind(StrEnum):
    """tcp: a connection, and what is sent and expected on it. tls: a handshake."""

    HTTP = "http"
    TCP = "tcp"
    TLS = "tls"
    OFF = "off"


class Scheme(StrEnum):
    HTTP = "http"
    HTTPS = "https"


class AdminState(StrEnum):
    """The operator's intent. drain: no new requests. maint: none, and not probed."""

    READY = "ready"
    DRAIN = "drain"
    MAINT = "maint"


class PrefixMode(StrEnum):
    KEEP = "keep"
    STRIP = "strip"
    REPLACE = "replace"


class Match(StrEnum):
    """How a condition looks at its header."""

    EQUALS = "equals"
    PREFIX = "prefix"
    CONTAINS = "contains"
    PRESENT = "present"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Base of all parts of a document: frozen, and closed to unknown names."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hash(Part):
    """What consistent_hash hashes; `name` is the header's or the cookie's.

    `balance_factor`: no backend takes more than this percentage of its fair share
    of requests in flight; 0 switches the bound off (HAProxy hash-balance-factor).
    """

    on: HashOn = HashOn.CLIENT_ADDRESS
    name: Annotated[str, AfterValidator(fields.token_or_empty)] = ""
    balance_factor: Annotated[int, Strict(), AfterValidator(fields.balance_factor)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sticky(Part):
    """Keep a client on its backend by a signed cookie (HAProxy `cookie insert indirect`).

    `cookie` empty: "proxysite_" and the pool's name, so that two pools on one host do not
    overwrite each other's. `ttl_s` 0 is a session cookie. `while_draining`: clients that
    hold the cookie may stay on a draining backend.
    """

    mode: StickyMode = StickyMode.OFF
    cookie: Annotated[str, AfterValidator(fields.token_or_empty)] = ""
    ttl_s: Count = 0
    same_site: SameSite = SameSite.LAX
    secure: CookieSecure = CookieSecure.AUTO
    http_only: Flag = True
    while_draining: Flag = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Host(Part):
    """The Host that backends get; `value` is for mode fixed."""

    mode: HostMode = HostMode.PRESERVE
    value: Annotated[str, AfterValidator(fields.host_header_or_empty)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry(Part):
    """`attempts` counts the first try too (HAProxy retries 3; nginx error, timeout)."""

    attempts: Annotated[int, Strict(), AfterValidator(fields.attempts)] = 3
    on: tuple[RetryOn, ...] = (RetryOn.CONNECT, RetryOn.ERROR, RetryOn.TIMEOUT)
    non_idempotent: Flag = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls(Part):
    """How https backends are checked. `ca` is PEM text; empty: the system's CAs.

    `server_name` is sent as SNI and checked against the certificate; empty: the
    backend's host.
    """

    verify: Flag = True
    ca: Annotated[str, AfterValidator(fields.pem_or_empty)] = ""
    server_name: Annotated[str, AfterValidator(fields.hostname_or_empty)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passive(Part):
    """Ejection by what requests meet (Envoy outlier detection: 5, 30 s, panic 50 %).

    `failures` 0 switches it off. `max_ejected_percent` is 50, not Envoy's 10: pools
    here are small, and panic guards the rest.
    """

    failures: Count = 5
    base_ejection_s: Seconds = 30.0
    max_ejected_percent: Percent = 50
    panic_percent: Percent = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe(Part):
    """Active checks (nginx Plus: 5 s, 2xx-3xx; HAProxy: rise 2, fall 3).

    `host` empty: the backend's host. `port` 0: the backend's port; a Unix socket has no
    other. Of http: `text` and `json_path` empty: any answer of an expected status will do;
    what they expect must be in the first `body_bytes`. Of tcp: `send` and `expect` are
    texts with escapes (\\r\\n, \\x00), empty: a connection is enough.

    `interval_s` is from one probe of a backend to the next; `fast_interval_s` while it is
    between up and down (HAProxy fastinter), `down_interval_s` while it is down (downinter);
    0: the same as `interval_s`. A certificate with fewer than `certificate_days` left is
    warned of; 0: never. `fast_s` and `down_s` are what comes of all this.
    """

    kind: ProbeKind = ProbeKind.HTTP
    method: Annotated[str, AfterValidator(fields.method)] = "GET"
    path: Annotated[str, AfterValidator(fields.target)] = "/"
    host: Annotated[str, AfterValidator(fields.host_header_or_empty)] = ""
    port: Annotated[int, Strict(), AfterValidator(fields.port_or_zero)] = 0
    statuses: Annotated[
        str, BeforeValidator(probe_fields.text_of_int), AfterValidator(probe_fields.statuses)
    ] = "200-399"
    headers: HeaderSet = ()
    text: Annotated[str, AfterValidator(probe_fields.probe_text)] = ""
    json_path: Annotated[str, AfterValidator(probe_fields.json_path)] = ""
    json_value: Annotated[str, AfterValidator(probe_fields.probe_text)] = ""
    body_bytes: Annotated[int, Strict(), AfterValidator(probe_fields.probe_bytes)] = 65_536
    follow_redirects: Flag = False
    send: Annotated[str, AfterValidator(probe_fields.escaped)] = ""
    expect: Annotated[str, AfterValidator(probe_fields.escaped)] = ""
    certificate_days: Count = 14
    interval_s: Annotated[float, Strict(), AfterValidator(fields.interval)] = 5.0
    fast_interval_s: Annotated[float, Strict(), AfterValidator(fields.interval_or_zero)] = 1.0
    down_interval_s: Annotated[float, Strict(), AfterValidator(fields.interval_or_zero)] = 0.0
    timeout_s: Seconds = 2.0
    rise: Positive = 2
    fall: Positive = 3

    @property
    def fast_s(self) -> float:
        """The interval between up and down: never longer than the usual one."""
        return min(self.fast_interval_s or self.interval_s, self.interval_s)

    @property
    def down_s(self) -> float:
        """The interval while down."""
        return self.down_interval_s or self.interval_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend(Part):
    """One scheme://host:port, or a Unix socket: host "unix:/path" and port 0.

    `weight` 0: no new requests. `max_in_flight` None: the pool's.
    """

    host: Annotated[str, AfterValidator(fields.backend_host)]
    port: Port = 0
    scheme: Scheme = Scheme.HTTP
    weight: Annotated[int, Strict(), AfterValidator(fields.weight)] = 1
    backup: Flag = False
    state: AdminState = AdminState.READY
    max_in_flight: Count | None = None

    @property
    def address(self) -> str:
        """host:port, with an IPv6 host in brackets, or unix:/path; its name in its pool."""
        return fields.host_port(self.host, self.port)

    @property
    def unix(self) -> str:
        """The path of its Unix socket; "": it is reached by TCP."""
        return fields.unix_path(self.host)

    @property
    def hostname(self) -> str:
        """Its host as Host and TLS name it: "localhost" for a Unix socket, as in nginx."""
        return "localhost" if self.unix else self.host


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool(Part):
    """A group of backends with one balancing policy.

    `tags` are for people, to find and to sort; nothing goes by them.

    `connect_timeout_s` 5 is Envoy's, `response_timeout_s` 60 nginx's: the longest
    silence of a backend, before and within its answer. `exchange_timeout_s` bounds the
    whole exchange with its retries; 0: no bound, so that streams and large downloads
    live. `tunnel_timeout_s` is the longest silence of both sides of a tunnel (Envoy's
    idle time-out, 1 h). `slow_start_s` 0: off.

    `max_in_flight` 0: no limit for each backend. While all are full, up to `max_queue`
    requests of a process wait, each for up to `queue_timeout_s`; 0: none waits.

    A process keeps up to `keepalive_connections` idle connections for each backend, each
    for up to `keepalive_s`: less than the 5 s after which Node and uvicorn close them, as
    a request that meets the close must be sent again.
    """

    name: Name
    tags: Tags = ()
    policy: Policy = Policy.ROUND_ROBIN
    hash: Hash = field(default_factory=Hash)
    sticky: Sticky = field(default_factory=Sticky)
    host: Host = field(default_factory=Host)
    connect_timeout_s: Seconds = 5.0
    response_timeout_s: Seconds = 60.0
    exchange_timeout_s: SecondsOrNone = 0.0
    tunnel_timeout_s: Seconds = 3_600.0
    retry: Retry = field(default_factory=Retry)
    max_in_flight: Count = 0
    max_queue: Count = 100
    queue_timeout_s: Seconds = 5.0
    keepalive_connections: Count = 64
    keepalive_s: Seconds = 4.0
    tls: Tls = field(default_factory=Tls)
    passive: Passive = field(default_factory=Passive)
    slow_start_s: SecondsOrNone = 0.0
    probe: Probe = field(default_factory=Probe)
    backends: tuple[Backend, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition(Part):
    """A test of one request header; `value` is for equals, prefix and contains."""

    header: HeaderName
    match: Match = Match.EQUALS
    value: Annotated[str, AfterValidator(fields.header_value)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderEdit(Part):
    """Fields to set (replacing what is there) and to remove; in a file `set` is a mapping."""

    set: HeaderSet = ()
    remove: HeaderRemove = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(Part):
    """Hosts + path prefix (+ methods, conditions) to a pool.

    `hosts` empty: any host. `methods` empty: any method. `prefix_replacement` is for
    prefix_mode replace. `max_body_bytes` 0: no limit. A time-out of None is the pool's.
    `upgrades`: the protocols that a client may upgrade its connection to; empty: none.
    `tags`: as a pool's.
    """

    name: Name
    pool: str
    tags: Tags = ()
    enabled: Flag = True
    hosts: Annotated[tuple[str, ...], AfterValidator(fields.route_hosts)] = ()
    path_prefix: Annotated[str, AfterValidator(fields.path_prefix)] = "/"
    methods: Annotated[tuple[str, ...], AfterValidator(fields.methods)] = ()
    conditions: tuple[Condition, ...] = ()
    prefix_mode: PrefixMode = PrefixMode.KEEP
    prefix_replacement: Annotated[str, AfterValidator(fields.path_prefix_or_empty)] = ""
    request_headers: HeaderEdit = field(default_factory=HeaderEdit)
    response_headers: HeaderEdit = field(default_factory=HeaderEdit)
    max_body_bytes: Annotated[int, Strict(), AfterValidator(fields.max_bytes)] = 0
    upgrades: Annotated[tuple[str, ...], AfterValidator(fields.upgrades)] = ("websocket",)
    connect_timeout_s: Seconds | None = None
    response_timeout_s: Seconds | None = None
    exchange_timeout_s: SecondsOrNone | None = None
    tunnel_timeout_s: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document(Part):
    pools: tuple[Pool, ...] = ()
    routes: tuple[Route, ...] = ()
