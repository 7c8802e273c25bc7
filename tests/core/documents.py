"""Hypothesis strategies for canonical documents."""

from __future__ import annotations

from hypothesis import strategies as st

from pools.core import document as d

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,9}", fullmatch=True)
LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?", fullmatch=True)
# Names of digits alone would be read as IP addresses that are not.
HOSTNAMES = (
    st.lists(LABELS, min_size=1, max_size=3)
    .map(".".join)
    .filter(lambda host: not host.replace(".", "").isdigit())
)
ADDRESSES = st.ip_addresses().map(lambda address: address.compressed)
TAGS = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,9}", fullmatch=True)
TOKENS = st.from_regex(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,8}", fullmatch=True)
HEADERS = st.from_regex(r"[Xx]-[A-Za-z0-9]{1,6}", fullmatch=True)
VALUES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8).map(str.strip)
PREFIXES = st.from_regex(r"(/[a-zA-Z0-9%._~-]{0,4}){0,3}/[a-z0-9]|/", fullmatch=True)
PORTS = st.integers(1, 65_535)
SECONDS = st.floats(0.001, 86_400)
OR_ZERO = SECONDS | st.just(0.0)
COUNTS = st.integers(0, 2**31 - 1)
PERCENTS = st.integers(0, 100)
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def distinct(items, size=3):
    return st.lists(items, max_size=size, unique=True).map(tuple)


HEADER_SETS = st.dictionaries(HEADERS.map(str.lower), VALUES, max_size=3).map(
    lambda mapping: tuple(mapping.items())
)
EDITS = st.builds(
    d.HeaderEdit,
    set=HEADER_SETS,
    remove=distinct(HEADERS),
)
CONDITIONS = st.builds(
    d.Condition,
    header=HEADERS,
    match=st.sampled_from([d.Match.EQUALS, d.Match.PREFIX, d.Match.CONTAINS]),
    value=VALUES.filter(bool),
) | st.builds(
    d.Condition, header=HEADERS, match=st.sampled_from([d.Match.PRESENT, d.Match.ABSENT])
)
SOCKETS = st.from_regex(r"unix:(/[a-zA-Z0-9._-]{1,6}){1,3}", fullmatch=True)
BACKENDS = (st.tuples(HOSTNAMES | ADDRESSES, PORTS) | st.tuples(SOCKETS, st.just(0))).flatmap(
    lambda address: st.builds(
        d.Backend,
        host=st.just(address[0]),
        port=st.just(address[1]),
        scheme=st.sampled_from(d.Scheme),
        weight=st.integers(0, 256),
        backup=st.booleans(),
        state=st.sampled_from(d.AdminState),
        max_in_flight=st.none() | COUNTS,
    )
)
ESCAPED = st.lists(st.sampled_from([r"\r\n", r"\x00", r"\\", "PING", "ü "]), max_size=3).map(
    "".join
)
OF_KIND = {
    d.ProbeKind.HTTP: {
        "method": st.sampled_from(["GET", "OPTIONS"]),
        "text": VALUES,
        "json_path": st.just("a.0.b"),
        "json_value": VALUES,
    },
    d.ProbeKind.TCP: {"send": ESCAPED, "expect": ESCAPED},
    d.ProbeKind.TLS: {},
    d.ProbeKind.OFF: {"method": st.just("HEAD"), "text": VALUES, "expect": ESCAPED},
}
PROBES = st.sampled_from(d.ProbeKind).flatmap(
    lambda kind: st.builds(
        d.Probe,
        kind=st.just(kind),
        path=PREFIXES.map(lambda path: path + "?q=1"),
        host=st.just("") | HOSTNAMES,
        port=st.just(0) | PORTS,
        statuses=st.sampled_from(["200", "200-399", "200-299,418"]),
        headers=HEADER_SETS,
        body_bytes=st.integers(1_000, 1_048_576),
        follow_redirects=st.booleans(),
        certificate_days=COUNTS,
        interval_s=st.floats(10, 86_400),
        fast_interval_s=st.just(0.0) | st.floats(1, 86_400),
        down_interval_s=st.sampled_from([0.0, 86_400.0]),
        timeout_s=st.floats(0.001, 10),
        rise=st.integers(1, 1_000),
        fall=st.integers(1, 1_000),
        **OF_KIND[kind],
    )
)
POOLS = st.builds(
    d.Pool,
    name=NAMES,
    tags=distinct(TAGS),
    policy=st.sampled_from(d.Policy),
    hash=st.builds(
        d.Hash,
        on=st.sampled_from(d.HashOn),
        name=TOKENS,
        balance_factor=st.just(0) | st.integers(101, 1_000),
    ),
    sticky=st.builds(
        d.Sticky,
        mode=st.sampled_from(d.StickyMode),
        cookie=TOKENS,
        ttl_s=COUNTS,
        same_site=st.sampled_from(d.SameSite),
        secure=st.sampled_from([d.CookieSecure.AUTO, d.CookieSecure.ALWAYS]),
        http_only=st.booleans(),
        while_draining=st.booleans(),
    ),
    host=st.builds(
        d.Host, mode=st.sampled_from(d.HostMode), value=HOSTNAMES.map(lambda h: h + ":8080")
    ),
    connect_timeout_s=SECONDS,
    response_timeout_s=SECONDS,
    exchange_timeout_s=OR_ZERO,
    tunnel_timeout_s=SECONDS,
    retry=st.builds(
        d.Retry,
        attempts=st.integers(1, 10),
        on=distinct(st.sampled_from(d.RetryOn), 6),
        non_idempotent=st.booleans(),
    ),
    max_in_flight=COUNTS,
    max_queue=COUNTS,
    queue_timeout_s=SECONDS,
    keepalive_connections=COUNTS,
    keepalive_s=SECONDS,
    tls=st.builds(
        d.Tls,
        verify=st.booleans(),
        ca=st.sampled_from(["", PEM]),
        server_name=st.just("") | HOSTNAMES,
    ),
    passive=st.builds(
        d.Passive,
        failures=COUNTS,
        base_ejection_s=SECONDS,
        max_ejected_percent=PERCENTS,
        panic_percent=PERCENTS,
    ),
    slow_start_s=OR_ZERO,
    probe=PROBES,
    backends=st.lists(BACKENDS, max_size=3, unique_by=lambda b: b.address).map(tuple),
)


@st.composite
def documents(draw):
    pools = draw(st.lists(POOLS, max_size=3, unique_by=lambda pool: pool.name))
    routes = []
    if pools:
        route = st.builds(
            d.Route,
            name=NAMES,
            tags=distinct(TAGS),
            pool=st.sampled_from([pool.name for pool in pools]),
            enabled=st.booleans(),
            hosts=distinct(HOSTNAMES | HOSTNAMES.map(lambda host: "*." + host)),
            path_prefix=PREFIXES,
            methods=distinct(st.sampled_from(["GET", "POST", "PURGE"])),
            conditions=st.lists(CONDITIONS, max_size=2).map(tuple),
            prefix_mode=st.sampled_from(d.PrefixMode),
            prefix_replacement=PREFIXES,
            request_headers=EDITS,
            response_headers=EDITS,
            max_body_bytes=st.integers(0, 2**63 - 1),
            upgrades=distinct(st.sampled_from(["websocket", "mqtt"])),
            connect_timeout_s=st.none() | SECONDS,
            response_timeout_s=st.none() | SECONDS,
            exchange_timeout_s=st.none() | OR_ZERO,
            tunnel_timeout_s=st.none() | SECONDS,
        )
        routes = draw(st.lists(route, max_size=3, unique_by=lambda route: route.name))
    return d.Document(pools=tuple(pools), routes=tuple(routes))
