"""F7: another configuration, while requests and tunnels are in progress."""

import threading

import pytest

from pools.core import codec
from tests.conformance.backends import OK, Conversation
from tests.conformance.client import PATIENCE_S, Client
from tests.conformance.scripts import switches
from tests.services import eventually


@pytest.fixture(scope="module")
def own(plane, served, tmp_path_factory):
    """A server of its own: its address, and how to edit what the suite's serves."""
    site, _ = served
    server = type(plane)()
    address = server.start(site.document(), tmp_path_factory.mktemp(f"{plane.name}-own"))

    def change(edit) -> None:
        plain = codec.to_plain(site.document())
        edit(plain)
        server.publish(codec.parse(plain))

    yield address, change
    server.stop()


def without(plain, *routes: str):
    plain["routes"] = [route for route in plain["routes"] if route["name"] not in routes]


@pytest.mark.rule("F7")
def test_request_in_progress_is_untouched(site, connect, own):
    """Its route is gone, or leads elsewhere, or its backend drains. What comes behind it
    on its connection goes by the new configuration."""
    address, change = own
    go = threading.Event()

    def script(plane: Conversation) -> None:
        plane.request()
        plane.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
        assert go.wait(PATIENCE_S * 3)
        plane.send(b"after")

    def edit(plain) -> None:
        without(plain, "plain")
        for route in plain["routes"]:
            if route["name"] == "edited":
                route["pool"] = "pair"
        for pool in plain["pools"]:
            if pool["name"] == "full":
                pool["backends"][0]["state"] = "drain"

    site.one.script = script
    clients = {
        host: connect(address=address) for host in ("plain.test", "edited.test", "full.test")
    }
    for host, client in clients.items():
        client.ask(host=host)
        assert client.head().status == 200
        assert client.exactly(5) == b"first"
    change(edit)

    def status(host: str) -> int:
        with Client(address) as client:
            client.ask(host=host)
            return client.head().status

    eventually(lambda: status("plain.test") == 404)
    assert status("full.test") == 503
    assert status("edited.test") == 200
    go.set()
    for client in clients.values():
        assert client.exactly(5) == b"after"
    after = {"plain.test": 404, "edited.test": 200, "full.test": 503}
    for host, client in clients.items():
        client.ask(host=host)
        assert client.response().status == after[host]


@pytest.mark.rule("F7", "Q9")
def test_tunnel_is_untouched(site, connect, own):
    address, change = own

    def script(plane: Conversation) -> None:
        switches(plane)
        plane.send(plane.exactly(4))

    site.one.script = script
    client = connect(address=address)
    client.ask("/", "Connection: upgrade", "Upgrade: websocket", host="small.test")
    assert client.head().status == 101
    site.one.script = site.one.answers(OK)
    change(lambda plain: without(plain, "small"))

    def gone() -> bool:
        with Client(address) as other:
            other.ask(host="small.test")
            return other.response().status == 404

    eventually(gone)
    client.send(b"ping")
    assert client.exactly(4) == b"ping"
