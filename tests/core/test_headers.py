import ipaddress
import itertools
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pools.core import names
from pools.core.headers import (
    HeaderRules,
    block,
    connection_options,
    edited,
    host_for,
    upgrade_asked,
)
from tests.core.build import backends, pool, snapshot

PROXY = "10.0.0.1"  # trusted
STRANGER = "192.0.2.7"


def rules(**fields):
    ids = (f"id-{number}".encode() for number in itertools.count(1))
    trusted = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")]
    return HeaderRules(trusted=trusted, make_id=lambda: next(ids), **fields)


def routed(made_pool=None, **fields):
    made = snapshot(made_pool or pool(), routes=[{"name": "r", "pool": "web", **fields}])
    return made.routes.routes[0]


def origin(made, headers=(), *, peer=STRANGER, scheme="http", host=b"a.test"):
    return made.origin(peer=peer, scheme=scheme, host=host, headers=headers)


def sent(headers=(), *, made=None, route=None, peer=STRANGER, version=b"1.1", **facts):
    made = made or rules()
    return made.request(
        headers,
        origin=origin(made, headers, peer=peer, **facts),
        route=route or routed(),
        version=version,
    )


def received(headers, *, made=None, route=None, **facts):
    made, route = made or rules(), route or routed()
    return made.response(
        headers,
        origin=origin(made, **facts),
        route=route,
        backend=route.pool.backends[0],
        sent_host=b"inner.test",
    )


# Where a request comes from


@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("fd00::1", True),
        ("", True),
        ("192.0.2.1", False),
        ("2001:db8::1", False),
        ("nonsense", False),
    ],
)
def test_peers_are_trusted_by_network(address, trusted):
    assert rules().trusts(address) is trusted


@pytest.mark.parametrize(
    ("said", "client"),
    [
        (b"", PROXY),
        (b"192.0.2.1", "192.0.2.1"),
        (b"203.0.113.9, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
        (b"10.0.0.3, 10.0.0.2", "10.0.0.3"),
        (b"192.0.2.1, unknown, 10.0.0.2", "10.0.0.2"),
        (b"unknown", PROXY),
        (b"192.0.2.1:1234", "192.0.2.1"),
        (b"[2001:db8::1]:1234", "2001:db8::1"),
        (b"[2001:db8::1]", "2001:db8::1"),
        (b"[2001:db8::1]x", PROXY),
        (b"2001:db8::1", "2001:db8::1"),
        (b"\xff", PROXY),
        (b"fe80::1%" + b"a" * 60, PROXY),
    ],
)
def test_client_is_the_rightmost_untrusted_address(said, client):
    assert origin(rules(), [(b"x-forwarded-for", said)], peer=PROXY).client == client


def test_repeated_fields_are_one_chain():
    headers = [(b"x-forwarded-for", b"192.0.2.1"), (b"x-forwarded-for", b"10.0.0.2")]
    assert origin(rules(), headers, peer=PROXY).client == "192.0.2.1"


def test_a_strangers_word_counts_for_nothing():
    headers = [
        (b"x-forwarded-for", b"203.0.113.9"),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-host", b"evil.test"),
        (b"x-request-id", b"evil"),
    ]
    found = origin(rules(), headers)
    assert (found.client, found.scheme, found.host) == (STRANGER, "http", b"a.test")
    assert (found.trusted, found.request_id) == (False, b"id-1")


def test_a_trusted_peers_word_counts():
    headers = [
        (b"x-forwarded-proto", b"HTTPS, http"),
        (b"x-forwarded-host", b"public.test, inner.test"),
        (b"x-request-id", b"theirs"),
    ]
    found = origin(rules(), headers, peer=PROXY)
    assert (found.scheme, found.host, found.request_id) == ("https", b"public.test", b"theirs")


@pytest.mark.parametrize("bad", [b"", b"a b", b"a" * 129, b"\xe9"])
def test_a_request_id_that_cannot_be_one_is_replaced(bad):
    assert origin(rules(), [(b"x-request-id", bad)], peer=PROXY).request_id == b"id-1"


def test_unknown_scheme_is_no_scheme():
    headers = [(b"x-forwarded-proto", b"gopher")]
    assert origin(rules(), headers, peer=PROXY).scheme == "http"


# Requests


def test_connection_takes_away_what_it_names_but_not_ours():
    headers = [
        (b"connection", b"close, X-Secret"),
        (b"connection", b"x-forwarded-for,via"),
        (b"x-secret", b"1"),
        (b"via", b"1.0 outer"),
        (b"te", b"trailers"),
        (b"accept", b"*/*"),
    ]
    found = dict(sent(headers, made=rules(via="us")))
    assert found[b"accept"] == b"*/*"
    assert found[b"x-forwarded-for"] == STRANGER.encode()
    assert found[b"via"] == b"1.1 us"
    assert not {b"connection", b"x-secret", b"te"} & set(found)


@pytest.mark.parametrize(
    "name",
    [
        b"x_user",
        b"proxy",
        b"expect",
        b"upgrade",
        b"http2-settings",
        b"transfer-encoding",
        b"host",
    ],
)
def test_fields_that_never_pass(name):
    assert name not in dict(sent([(name, b"1")]))


def test_a_stranger_is_the_beginning_of_the_chain():
    headers = [(b"x-forwarded-for", b"1.2.3.4"), (b"x-real-ip", b"1.2.3.4"),
               (b"forwarded", b"for=1.2.3.4"), (b"x-forwarded-anything", b"1")]  # fmt: skip
    assert sent(headers, host=b"a.test:81") == [
        (b"x-forwarded-for", STRANGER.encode()),
        (b"x-forwarded-proto", b"http"),
        (b"x-forwarded-host", b"a.test:81"),
        (b"x-forwarded-port", b"81"),
        (b"x-request-id", b"id-1"),
    ]


def test_a_trusted_peer_is_a_link_of_the_chain():
    headers = [
        (b"x-forwarded-for", b"192.0.2.1"),
        (b"x-forwarded-for", b"10.0.0.9"),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-prefix", b"/outer/"),
        (b"x-forwarded-tls", b"kept"),
        (b"forwarded", b"for=192.0.2.1"),
    ]
    route = routed(path_prefix="/api", prefix_mode="strip")
    found = dict(sent(headers, made=rules(forwarded=True), route=route, peer=PROXY))
    assert found[b"x-forwarded-for"] == b"192.0.2.1, 10.0.0.9, 10.0.0.1"
    assert found[b"x-forwarded-proto"] == b"https"
    assert found[b"x-forwarded-port"] == b"443"
    assert found[b"x-forwarded-prefix"] == b"/outer/api"
    assert found[b"x-forwarded-tls"] == b"kept"
    assert found[b"forwarded"] == (b'for=192.0.2.1, for=10.0.0.1;host="a.test";proto=https')


def test_a_prefix_that_is_none_is_not_told():
    route = routed(path_prefix="/", prefix_mode="replace", prefix_replacement="/app")
    assert b"x-forwarded-prefix" not in dict(sent(route=route))


def test_a_unix_socket_has_no_address():
    found = dict(sent(made=rules(forwarded=True), peer=""))
    assert b"x-forwarded-for" not in found
    assert found[b"forwarded"] == b'for=unknown;host="a.test";proto=http'


def test_an_ipv6_peer_is_quoted_in_forwarded():
    found = dict(sent(made=rules(forwarded=True), peer="2001:db8::1", host=b""))
    assert found[b"forwarded"] == b'for="[2001:db8::1]";proto=http'
    assert b"x-forwarded-host" not in found


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (b"a=1; admin=x; b=2", b"a=1; b=2"),
        (b"admin=x", None),
        ("a=1; \u00a0admin\u2003=x".encode(), b"a=1"),
        (b"lb=t; a=1", b"a=1"),
        (b"a=1", b"a=1"),
    ],
)
def test_cookies_that_are_not_the_backends_stay_here(value, left):
    route = routed(pool(sticky={"mode": "cookie", "cookie": "lb"}))
    made = rules(private_cookies=["admin"])
    assert dict(sent([(b"cookie", value)], made=made, route=route)).get(b"cookie") == left


def test_cookie_of_stickiness_passes_where_the_pool_has_none():
    assert dict(sent([(b"cookie", b"proxysite_web=1")]))[b"cookie"]


def test_route_has_the_last_word():
    route = routed(request_headers={"set": {"X-Forwarded-For": "hidden"}, "remove": ["X-Gone"]})
    found = sent([(b"x-gone", b"1"), (b"x-kept", b"1")], route=route)
    assert [value for name, value in found if name == b"x-forwarded-for"] == [b"hidden"]
    assert b"x-gone" not in dict(found)
    assert (b"x-kept", b"1") in found


@given(st.lists(st.tuples(st.sampled_from([b"accept", b"x-a", b"x-b"]), st.binary())))
def test_other_fields_pass_in_number_order_and_value(headers):
    assert sent(headers)[: len(headers)] == headers


@pytest.mark.parametrize(
    ("host", "spec", "asked", "expected"),
    [
        ({}, {}, b"Public.test:81", b"Public.test:81"),
        ({}, {}, b"", b"b1"),
        ({"mode": "backend"}, {}, b"public.test", b"b1"),
        ({"mode": "backend"}, {"port": 8000}, b"public.test", b"b1:8000"),
        ({"mode": "backend"}, {"scheme": "https", "port": 443}, b"public.test", b"b1"),
        ({"mode": "backend"}, {"scheme": "https"}, b"public.test", b"b1:80"),
        ({"mode": "backend"}, {"host": "::1"}, b"public.test", b"[::1]"),
        ({"mode": "fixed", "value": "other.test"}, {}, b"public.test", b"other.test"),
    ],
)
def test_host_by_the_pools_mode(host, spec, asked, expected):
    route = routed(pool([{**backends(1)[0], **spec}], host=host))
    assert host_for(route, route.pool.backends[0], asked) == expected


# Responses


def test_answers_lose_the_fields_of_the_hop_alone():
    headers = [
        (b"Set-Cookie", b"a=1"),
        (b"Connection", b"close, X-Hop"),
        (b"X-HOP", b"1"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Proxy-Authenticate", b"Basic"),
        (b"set-cookie", b"b=2"),
        (b"Content-Length", b"2"),
    ]
    assert received(headers) == [
        (b"Set-Cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"Content-Length", b"2"),
        (b"X-Request-ID", b"id-1"),
    ]


@pytest.mark.parametrize("host", [b'e"vil', b"evil.test/..", b"", b", x"])
def test_trusted_peers_pass_on_nothing_that_is_no_host_scheme_or_port(host):
    said = [
        (b"x-forwarded-host", host),
        (b"x-forwarded-proto", b"gopher"),
        (b"x-forwarded-port", b"99;x"),
    ]
    found = dict(sent(said, peer="10.0.0.1"))
    assert found[b"x-forwarded-host"] == b"a.test"
    assert found[b"x-forwarded-proto"] == b"http"
    assert found[b"x-forwarded-port"] == b"80"


def test_backends_own_request_id_stays():
    assert received([(b"x-request-id", b"own")]) == [(b"x-request-id", b"own")]


def test_backends_cannot_set_the_admins_cookies():
    spaced = [
        b" admin =x",
        b"=admin=x",
        b" = =admin=x; Path=/",
        "\u00a0admin=x".encode(),
        "\u2000admin\u3000=x".encode(),
    ]
    headers = [(b"Set-Cookie", value) for value in [*spaced, b"administrator=y"]]
    found = received(headers, made=rules(private_cookies=["admin"]))
    assert found[:-1] == [(b"Set-Cookie", b"administrator=y")]


def test_references_are_mended():
    route = routed(path_prefix="/api", prefix_mode="strip")
    headers = [(b"Location", b"http://inner.test/x"), (b"Content-Location", b"/y"),
               (b"Set-Cookie", b"a=1; Path=/")]  # fmt: skip
    assert received(headers, route=route, scheme="https")[:3] == [
        (b"Location", b"https://a.test/api/x"),
        (b"Content-Location", b"/api/y"),
        (b"Set-Cookie", b"a=1; Path=/api"),
    ]


def test_route_edits_answers():
    route = routed(
        response_headers={"set": {"X-Added": "1"}, "remove": ["Server", "X-Request-ID"]}
    )
    assert received([(b"Server", b"x"), (b"X-ADDED", b"0")], route=route) == [
        (b"x-added", b"1")
    ]


def test_nothing_to_edit_changes_nothing():
    headers = [(b"a", b"1")]
    assert edited(headers, set_=(), remove=frozenset()) is headers


def test_connection_options_are_lower_case():
    assert connection_options([(b"connection", b"Close , X-A")]) == {b"close", b"x-a"}


# Lines, hints and switches of protocol


def test_a_block_holds_the_fields_in_their_order():
    assert block([(b"a", b"1"), (b"B", b""), (b"a", b"2")]) == b"a: 1\r\nB: \r\na: 2\r\n"
    assert block([]) == b""


def test_hints_are_links_alone():
    headers = [(b"Link", b"</a>"), (b"X-A", b"1"), (b"set-cookie", b"a=1"), (b"link", b"</b>")]
    assert rules().hints(headers, routed()) == [(b"Link", b"</a>"), (b"link", b"</b>")]


@pytest.mark.parametrize("edits", [{"remove": ["Link"]}, {"set": {"Link": "</own>"}}])
def test_hints_keep_to_the_routes_edits(edits):
    assert not rules().hints([(b"Link", b"</a>")], routed(response_headers=edits))


def upgrading(*fields, allowed=(b"websocket", b"foo/2")):
    headers = [(name.encode(), value.encode()) for name, value in fields]
    return upgrade_asked(headers, SimpleNamespace(upgrades=frozenset(allowed)))


@pytest.mark.parametrize(
    ("offered", "taken"),
    [
        ("websocket", b"websocket"),
        ("WebSocket", b"WebSocket"),
        ("h2c, bar , foo/2,websocket", b"foo/2"),
        ("bar", None),
        ("web socket", None),
        ("", None),
    ],
)
def test_the_first_allowed_protocol_is_asked_for(offered, taken):
    connection = ("connection", "keep-alive, Upgrade")
    assert upgrading(("upgrade", offered), connection) == taken


def test_repeated_upgrade_fields_are_one_list():
    fields = [("connection", "upgrade"), ("upgrade", "bar"), ("upgrade", "websocket")]
    assert upgrading(*fields) == b"websocket"


def test_upgrade_is_of_this_hop_or_not_at_all():
    assert upgrading(("upgrade", "websocket")) is None
    assert upgrading(("upgrade", "websocket"), ("connection", "close")) is None
    assert upgrading(("connection", "upgrade")) is None


def test_h2c_is_never_asked_for():
    fields = [("connection", "upgrade, http2-settings"), ("upgrade", "h2c")]
    assert upgrading(*fields, allowed=[b"h2c"]) is None


def test_what_needs_no_closer_look_is_looked_at_nowhere():
    looked_at = names.REQUEST_DROPPED | names.OF_ORIGIN | {b"cookie"}
    assert not names.REQUEST_USUAL & looked_at
    assert not any(b"_" in name for name in names.REQUEST_USUAL)
    assert not any(name.startswith(b"x-forwarded-") for name in names.REQUEST_USUAL)


def test_usual_values_of_connection_name_only_what_is_dropped_anyway():
    named = connection_options((b"connection", value) for value in names.CONNECTION_USUAL)
    assert named <= names.HOP_BY_HOP


def test_connection_can_name_a_usual_field_and_a_trusted_peers():
    headers = [
        (b"accept", b"*/*"),
        (b"x-forwarded-for", b"192.0.2.1"),
        (b"connection", b"accept, X-Forwarded-For"),
    ]
    found = dict(sent(headers, peer=PROXY))
    assert b"accept" not in found
    assert found[b"x-forwarded-for"] == PROXY.encode()


def test_connection_of_an_answer_can_name_its_request_id():
    headers = [(b"X-Request-ID", b"own"), (b"Connection", b"x-request-id")]
    assert received(headers) == [(b"X-Request-ID", b"id-1")]


def test_a_prefix_told_by_a_trusted_peer_stays_where_there_is_none_of_ours():
    headers = [(b"x-forwarded-prefix", b"/outer/")]
    assert dict(sent(headers, peer=PROXY))[b"x-forwarded-prefix"] == b"/outer/"
