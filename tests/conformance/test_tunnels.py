"""Q9: upgrades to a tunnel, and what must not become one."""

import select
import threading
from contextlib import suppress

import pytest

from tests.conformance.backends import OK, Conversation
from tests.conformance.client import PATIENCE_S, Client
from tests.conformance.scripts import fill, switches
from tests.services import eventually

UPGRADE = ("Connection: upgrade", "Upgrade: websocket")


def tunnel(connect, host: str = "plain.test") -> Client:
    client: Client = connect()
    client.ask("/", *UPGRADE, host=host)
    assert client.head().status == 101
    return client


def repeats(plane: Conversation, count: int) -> None:
    """Switches, and sends back so many bytes."""
    switches(plane)
    plane.send(plane.exactly(count))


@pytest.mark.rule("Q9")
def test_connect_is_405(site, connect):
    client = connect()
    client.send(b"CONNECT plain.test:80 HTTP/1.1\r\nHost: plain.test:80\r\n\r\n")
    response = client.response()
    assert response.status == 405
    assert response.one("Allow")
    assert site.one.connections == 0


@pytest.mark.rule("Q9")
def test_bytes_behind_connect_are_no_tunnel(site, connect):
    client = connect()
    client.send(
        b"CONNECT plain.test:80 HTTP/1.1\r\nHost: plain.test:80\r\n\r\n"
        b"GET /behind HTTP/1.1\r\nHost: nowhere.test\r\n\r\n"
    )
    assert client.response().status == 405
    client.finish()
    assert b"200" not in client.rest().partition(b"\r\n")[0]
    assert site.one.connections == 0


@pytest.mark.rule("Q9")
def test_trace_is_405(site, get):
    assert get("/", method="TRACE").status == 405
    assert site.one.seen.empty()


@pytest.mark.rule("Q9")
@pytest.mark.parametrize("token", ["h2c", "H2C", "h2c, x", "h2", "HTTP/2.0", "TLS/1.0"])
def test_http_is_never_offered_to_a_backend(site, get, token):
    response = get(
        "/", "Connection: Upgrade, HTTP2-Settings", f"Upgrade: {token}", "HTTP2-Settings: x"
    )
    assert response.status == 200
    request = site.one.got()
    assert request.one("Upgrade") is None
    assert request.one("HTTP2-Settings") is None


@pytest.mark.rule("Q9")
@pytest.mark.parametrize(
    "fields",
    [
        ["Upgrade: websocket"],
        ["Upgrade: websocket", "Connection: keep-alive"],
        ["Upgrade: websocket", "Connection: x-upgrade"],
        ["Connection: upgrade"],
        ["Connection: upgrade", "Upgrade: x-shell"],
        ["Connection: upgrade", "Upgrade:"],
    ],
)
def test_what_is_no_allowed_upgrade_is_an_ordinary_request(site, get, fields):
    assert get("/", *fields).body == b"ok"
    request = site.one.got()
    assert request.one("Upgrade") is None
    assert b"upgrade" not in (request.one("Connection") or b"").lower()


@pytest.mark.rule("Q9")
def test_route_may_allow_no_upgrade(site, get):
    assert get("/", *UPGRADE, host="no-upgrades.test").body == b"ok"
    assert site.one.got().one("Upgrade") is None


@pytest.mark.rule("Q9")
def test_http_1_0_cannot_upgrade(site, connect):
    """RFC 9110 §7.8."""
    client = connect()
    client.ask("/", *UPGRADE, version="1.0")
    assert client.response().body == b"ok"
    assert site.one.got().one("Upgrade") is None


@pytest.mark.rule("Q9")
def test_websocket_is_tunnelled(site, connect):
    asked = []

    def script(plane: Conversation) -> None:
        asked.append(switches(plane))
        plane.send(plane.exactly(4))

    site.one.script = script
    client = connect()
    client.ask("/chat?room=1", *UPGRADE, "Sec-WebSocket-Key: x", "Origin: http://plain.test")
    response = client.head()
    assert (response.status, response.reason) == (101, b"Switching")
    assert (response.one("Upgrade") or b"").lower() == b"websocket"
    assert (response.one("Connection") or b"").lower() == b"upgrade"
    assert response.one("Content-Length") is response.one("Transfer-Encoding") is None
    client.send(b"ping")
    assert client.exactly(4) == b"ping"
    [request] = asked
    assert request.target == b"/chat?room=1"
    assert (request.one("Upgrade") or b"").lower() == b"websocket"
    assert (request.one("Connection") or b"").lower() == b"upgrade"
    assert request.one("Sec-WebSocket-Key") == b"x"
    assert request.one("X-Forwarded-For") == b"127.0.0.1"


@pytest.mark.rule("Q9")
@pytest.mark.parametrize(
    ("host", "connection", "asked", "offered"),
    [
        ("plain.test", "Upgrade", "WebSocket", b"websocket"),
        ("plain.test", "keep-alive, UPGRADE", "websocket", b"websocket"),
        ("plain.test", "upgrade", "h2c, websocket", b"websocket"),
        ("shell.test", "upgrade", "x-shell", b"x-shell"),
        ("shell.test", "upgrade", "websocket, x-shell", b"x-shell"),
    ],
)
def test_only_what_the_route_allows_is_offered(site, connect, host, connection, asked, offered):
    requests = []
    site.one.script = lambda plane: requests.append(switches(plane, offered, b"hello"))
    client = connect()
    client.ask("/", f"Connection: {connection}", f"Upgrade: {asked}", host=host)
    assert client.head().status == 101
    assert client.rest() == b"hello"
    assert [request.one("Upgrade").lower() for request in requests] == [offered]


@pytest.mark.rule("Q9")
def test_upgrade_goes_to_another_backend_where_one_cannot_be_reached(site, connect):
    site.right.script = lambda plane: switches(plane, more=b"hello")
    for _ in range(2):
        client = tunnel(connect, "half-dead.test")
        assert client.rest() == b"hello"


@pytest.mark.rule("Q9")
def test_early_bytes_arrive_behind_the_101(site, connect):
    """The client does not wait for the answer, and the backend finds all it sent."""
    site.one.script = lambda plane: repeats(plane, 5)
    client = connect()
    client.ask("/", *UPGRADE)
    client.send(b"early")
    assert client.head().status == 101
    assert client.exactly(5) == b"early"


@pytest.mark.rule("Q9")
@pytest.mark.parametrize("status", [b"200 OK", b"403 No", b"426 Other"])
def test_refused_upgrade_is_an_ordinary_answer(site, connect, status):
    """What the client sent behind it was never a tunnel's, but the next request."""
    site.one.script = site.one.answers(
        b"HTTP/1.1 %b\r\nContent-Length: 2\r\n\r\nno" % status, OK
    )
    client = connect()
    client.ask("/", *UPGRADE)
    client.ask("/next")
    response = client.response()
    assert (response.status, response.body) == (int(status[:3]), b"no")
    assert client.response().body == b"ok"
    assert site.one.got().target == b"/"
    request = site.one.got()
    assert request.target == b"/next"
    assert request.one("X-Forwarded-For") == b"127.0.0.1"


@pytest.mark.rule("Q9")
@pytest.mark.parametrize("protocol", [b"x-shell", b"h2c", b""])
def test_switch_to_another_protocol_is_502(site, connect, protocol):
    site.one.script = lambda plane: switches(plane, protocol, b"poison")
    client = connect()
    client.ask("/", *UPGRADE)
    response = client.response()
    assert response.status == 502
    assert b"poison" not in response.body


@pytest.mark.rule("Q9")
def test_lengths_of_a_101_mean_nothing(site, connect):
    def script(plane: Conversation) -> None:
        plane.head()
        plane.send(
            b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
            b"Content-Length: 2\r\n\r\nhello"
        )

    site.one.script = script
    client = tunnel(connect)
    assert client.rest() == b"hello"


@pytest.mark.rule("Q9")
def test_client_that_has_sent_all_gets_the_rest(site, connect):
    def script(plane: Conversation) -> None:
        switches(plane)
        assert plane.exactly(3) == b"end"
        assert plane.closed()
        plane.send(b"the rest")

    site.one.script = script
    client = tunnel(connect)
    client.send(b"end")
    client.finish()
    assert client.rest() == b"the rest"


@pytest.mark.rule("Q9")
def test_backend_that_has_sent_all_gets_the_rest(site, connect):
    got = threading.Event()

    def script(plane: Conversation) -> None:
        switches(plane, more=b"end")
        plane.finish()
        assert plane.exactly(8) == b"the rest"
        assert plane.closed()
        got.set()

    site.one.script = script
    client = tunnel(connect)
    assert client.rest() == b"end"
    client.send(b"the rest")
    client.finish()
    assert got.wait(PATIENCE_S)


@pytest.mark.rule("Q9")
@pytest.mark.parametrize("how", ["close", "reset"])
def test_end_of_the_client_ends_the_backends_connection(site, connect, how):
    left = threading.Event()

    def script(plane: Conversation) -> None:
        switches(plane)
        if plane.closed():
            left.set()

    site.one.script = script
    client = tunnel(connect)
    client.reset() if how == "reset" else client.sock.close()
    assert left.wait(PATIENCE_S)


@pytest.mark.rule("Q9")
@pytest.mark.parametrize("how", ["close", "reset"])
def test_end_of_the_backend_ends_the_clients_connection(site, connect, how):
    def script(plane: Conversation) -> None:
        switches(plane)
        plane.exactly(2)
        if how == "reset":
            plane.reset()

    site.one.script = script
    client = tunnel(connect)
    client.send(b"go")
    assert client.ended()


@pytest.mark.rule("Q9")
def test_silent_tunnel_is_ended(site, connect):
    left = threading.Event()

    def script(plane: Conversation) -> None:
        switches(plane)
        if plane.closed():
            left.set()

    site.one.script = script
    assert tunnel(connect, "brief-tunnel.test").ended()
    assert left.wait(PATIENCE_S)


@pytest.mark.rule("Q9")
def test_tunnel_is_no_answer_that_takes_too_long(site, connect):
    """Its own time-out counts, not that of answers, which is shorter here."""
    site.one.script = lambda plane: repeats(plane, 4)
    client = tunnel(connect, "slow.test")
    assert not select.select([client.sock], [], [], 1.0)[0]
    client.send(b"ping")
    assert client.exactly(4) == b"ping"


@pytest.mark.rule("Q9")
def test_tunnel_carries_much_both_ways_at_once(site, connect):
    size = 20_000_000

    def script(plane: Conversation) -> None:
        def send() -> None:
            with suppress(OSError):  # a plane without tunnels has closed
                plane.send(b"b" * size)

        switches(plane)
        sending = threading.Thread(target=send)
        sending.start()
        got = plane.exactly(size)
        sending.join()
        plane.send(b"%d" % got.count(b"a"))

    site.one.script = script
    client = tunnel(connect)
    sending = threading.Thread(target=client.send, args=(b"a" * size,))
    sending.start()
    assert client.exactly(size).count(b"b") == size
    sending.join()
    assert client.rest() == b"%d" % size


@pytest.mark.rule("Q9", "Q8")
@pytest.mark.parametrize("deaf", ["client", "backend"])
def test_tunnel_holds_back_who_sends_to_one_that_does_not_read(site, connect, deaf):
    """And passes on all of it in the end."""
    took: list[int] = []
    filled = threading.Event()

    def script(plane: Conversation) -> None:
        switches(plane)
        if deaf == "client":
            took.append(fill(plane.sock))
            filled.set()
        else:
            assert filled.wait(PATIENCE_S * 3)
            plane.exactly(took[0])
            plane.send(b"all")

    site.one.script = script
    client = tunnel(connect)
    if deaf == "backend":
        took.append(fill(client.sock))
        filled.set()
        assert client.exactly(3) == b"all"
    else:
        assert filled.wait(PATIENCE_S * 3)
        assert len(client.rest()) == took[0]
    assert took[0] < 50_000_000


@pytest.mark.rule("Q9", "F5")
def test_tunnel_holds_its_place_until_it_ends(site, connect, get):
    left = threading.Event()

    def script(plane: Conversation) -> None:
        switches(plane)
        plane.closed()
        left.set()

    site.one.script = script
    client = tunnel(connect, "full.test")
    assert get(host="full.test").status == 503
    client.sock.close()
    assert left.wait(PATIENCE_S)
    site.one.script = site.one.answers(OK)
    eventually(lambda: get(host="full.test").status == 200)


@pytest.mark.rule("Q9", "Q8")
def test_bytes_before_the_101_are_held_back(site, connect):
    """Nobody reads them yet, and nothing of them is lost."""
    answer = threading.Event()
    took: list[int] = []

    def script(plane: Conversation) -> None:
        assert answer.wait(PATIENCE_S * 3)
        switches(plane)
        plane.exactly(took[0])
        plane.send(b"all")

    site.one.script = script
    client = connect()
    client.ask("/", *UPGRADE)
    took.append(fill(client.sock))
    answer.set()
    assert took[0] < 50_000_000
    assert client.head().status == 101
    assert client.exactly(3) == b"all"


@pytest.mark.rule("Q7", "Q9")
@pytest.mark.parametrize("token", ["websocket", "foo", "h2c"])
@pytest.mark.parametrize("chunked", [False, True])
def test_body_of_a_request_that_asks_to_switch_is_no_request(site, connect, token, chunked):
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: plain.test\r\n\r\n"
    framing = (
        b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(smuggled)
    )
    client = connect()
    client.send(
        b"POST / HTTP/1.1\r\nHost: plain.test\r\nConnection: upgrade\r\n"
        b"Upgrade: %b\r\n%b\r\n\r\n" % (token.encode(), framing)
    )
    client.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(smuggled), smuggled) if chunked else smuggled)
    assert client.response().status == 200
    assert site.one.got().body == smuggled
    client.send(b"GET /next HTTP/1.1\r\nHost: plain.test\r\n\r\n")
    assert client.response().status == 200
    assert site.one.got().target == b"/next"
