"""F5: a client that leaves."""

import threading

import pytest

from tests.conformance.backends import OK, Conversation
from tests.conformance.client import PATIENCE_S
from tests.conformance.scripts import fill
from tests.services import eventually


@pytest.mark.rule("F5")
@pytest.mark.parametrize("when", ["before the answer", "during the answer"])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_client_that_leaves_cancels_at_once(site, connect, when, how):
    """Well before any time-out: the route's is a minute."""
    began, left = threading.Event(), threading.Event()

    def script(plane: Conversation) -> None:
        plane.request()
        if when == "during the answer":
            plane.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        began.set()
        if plane.closed():
            left.set()

    site.one.script = script
    client = connect()
    client.send(b"GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n")
    assert began.wait(PATIENCE_S)
    if when == "during the answer":
        assert client.head().status == 200
        client.line()
    client.reset() if how == "reset" else client.sock.close()
    assert left.wait(PATIENCE_S)


@pytest.mark.rule("F5")
def test_client_that_leaves_during_its_upload_cancels(site, connect):
    began, left = threading.Event(), threading.Event()

    def script(plane: Conversation) -> None:
        plane.head()
        plane.exactly(5)
        began.set()
        if plane.closed():
            left.set()

    site.one.script = script
    client = connect()
    client.send(b"POST / HTTP/1.1\r\nHost: plain.test\r\nContent-Length: 10\r\n\r\nhello")
    assert began.wait(PATIENCE_S)
    client.sock.close()
    assert left.wait(PATIENCE_S)


@pytest.mark.rule("F5")
def test_client_that_leaves_frees_its_place(site, connect, get):
    """The pool takes one request at a time: a lease that stayed would answer 503."""
    began, left = threading.Event(), threading.Event()

    def script(plane: Conversation) -> None:
        plane.request()
        began.set()
        plane.closed()
        left.set()

    site.one.script = script
    client = connect()
    client.send(b"GET / HTTP/1.1\r\nHost: full.test\r\n\r\n")
    assert began.wait(PATIENCE_S)
    assert get(host="full.test").status == 503
    client.sock.close()
    assert left.wait(PATIENCE_S)
    site.one.script = site.one.answers(OK)
    eventually(lambda: get(host="full.test").status == 200)


@pytest.mark.rule("F5")
@pytest.mark.parametrize("how", ["close", "reset"])
def test_client_that_leaves_while_its_upload_is_held_back_cancels(site, connect, how):
    """The backend does not read, so nobody reads from the client either."""
    gone, left = threading.Event(), threading.Event()

    def script(plane: Conversation) -> None:
        plane.head()
        assert gone.wait(PATIENCE_S)
        plane.drain()
        left.set()

    site.one.script = script
    client = connect()
    client.ask("/", "Content-Length: 1000000000", method="POST")
    assert fill(client.sock) < 100_000_000
    client.reset() if how == "reset" else client.sock.close()
    gone.set()
    assert left.wait(PATIENCE_S)


@pytest.mark.rule("F5")
def test_client_that_leaves_between_two_tries_is_tried_for_no_more(site, connect):
    began, gone = threading.Event(), threading.Event()

    def script(plane: Conversation) -> None:
        plane.request()
        began.set()
        assert plane.closed()
        gone.set()

    site.left.script = site.right.script = script
    client = connect()
    client.ask(host="pair.test")
    assert began.wait(PATIENCE_S)
    client.reset()
    assert gone.wait(PATIENCE_S)
    assert site.left.connections + site.right.connections == 1


@pytest.mark.rule("F5", "F6")
def test_client_that_leaves_ejects_nobody(site, connect, get):
    """One failure would be enough in this pool."""
    for _ in range(4):
        began, left = threading.Event(), threading.Event()

        def script(plane: Conversation, began=began, left=left) -> None:
            plane.request()
            began.set()
            plane.closed()
            left.set()

        site.left.script = site.right.script = script
        client = connect()
        client.ask(host="touchy.test")
        assert began.wait(PATIENCE_S)
        client.reset()
        assert left.wait(PATIENCE_S)
    site.left.script = site.right.script = site.left.answers(OK)
    left, right = site.left.connections, site.right.connections
    assert {get(host="touchy.test").status for _ in range(4)} == {200}
    assert site.left.connections > left
    assert site.right.connections > right
