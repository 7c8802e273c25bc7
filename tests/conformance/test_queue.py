"""A full pool: its requests wait, in order, for a while, and not too many of them."""

import threading

import pytest

from tests.conformance.backends import OK, Conversation
from tests.conformance.client import PATIENCE_S
from tests.services import eventually


class Held:
    """A script that keeps what it got, and answers each when it is told to."""

    def __init__(self) -> None:
        self.targets: list[bytes] = []
        self.bodies: list[bytes] = []
        self._free = threading.Semaphore(0)

    def __call__(self, plane: Conversation) -> None:
        while (request := plane.request()) is not None:
            self.targets.append(request.target)
            self.bodies.append(request.body)
            assert self._free.acquire(timeout=PATIENCE_S)
            plane.send(OK)

    def free(self, count: int = 1) -> None:
        self._free.release(count)

    def wait(self, count: int) -> None:
        eventually(lambda: len(self.targets) == count, saying=f"{count} requests")


@pytest.fixture
def queue_up(site, connect, get):
    """Sends requests one behind the other: returns once the plane has each."""

    def queue_up(*targets: str, host: str = "queueing.test", **more):
        clients = []
        for target in targets:
            client = connect()
            client.ask(target, host=host, **more)
            clients.append(client)
            # Of one loop: what is answered now was read later.
            for _ in range(2):
                assert get(host="pair.test").status == 200
        return clients

    return queue_up


@pytest.mark.rule("queue")
def test_requests_to_a_full_pool_wait_in_order(site, queue_up):
    site.one.script = held = Held()
    clients = queue_up("/1", "/2", "/3")
    held.wait(1)
    held.free(3)
    assert [client.response().status for client in clients] == [200] * 3
    assert held.targets == [b"/1", b"/2", b"/3"]


@pytest.mark.rule("queue")
def test_request_too_many_for_the_queue_is_503(site, queue_up, get):
    site.one.script = held = Held()
    clients = queue_up("/1", "/2", "/3")
    response = get("/4", host="queueing.test")
    assert response.status == 503
    assert response.one("Retry-After")
    held.free(3)
    assert [client.response().status for client in clients] == [200] * 3
    assert b"/4" not in held.targets


@pytest.mark.rule("queue")
def test_wait_that_is_too_long_is_503(site, queue_up):
    site.one.script = held = Held()
    first, second = queue_up("/1", "/2", host="brief-queue.test")
    response = second.response()
    assert response.status == 503
    assert response.one("Retry-After")
    held.free()
    assert first.response().status == 200
    assert held.targets == [b"/1"]


@pytest.mark.rule("queue", "F1")
def test_failed_request_does_not_wait_for_others_that_are_full(site, connect, get):
    """Its failure is known, and is the answer."""
    held, going = threading.Event(), threading.Event()

    def script(plane: Conversation) -> None:
        request = plane.request()
        assert request is not None
        if request.target == b"/1":
            held.set()
            assert going.wait(PATIENCE_S)
            plane.send(OK)

    site.left.script = site.right.script = script
    first = connect()
    first.ask("/1", host="full-pair.test")
    assert held.wait(PATIENCE_S)
    assert get("/2", host="full-pair.test").status == 502
    going.set()
    assert first.response().status == 200


@pytest.mark.rule("queue")
def test_client_that_leaves_the_queue_frees_its_place(site, queue_up):
    site.one.script = held = Held()
    first, second, third = queue_up("/1", "/2", "/3")
    second.sock.close()
    [fourth] = queue_up("/4")
    held.free(3)
    assert [client.response().status for client in (first, third, fourth)] == [200] * 3
    assert held.targets == [b"/1", b"/3", b"/4"]


@pytest.mark.rule("queue")
def test_body_waits_with_its_request(site, queue_up):
    site.one.script = held = Held()
    clients = queue_up("/1", "/2", method="PUT", body=b"a" * 30_000)
    held.free(2)
    assert [client.response().status for client in clients] == [200, 200]
    assert held.bodies == [b"a" * 30_000] * 2


@pytest.mark.rule("queue", "F1")
def test_failed_request_gives_its_place_to_the_next(site, queue_up):
    going = threading.Event()

    def script(plane: Conversation) -> None:
        request = plane.request()
        assert request is not None
        if request.target == b"/1":
            assert going.wait(PATIENCE_S)
            return
        plane.send(OK)

    site.one.script = script
    first, second = queue_up("/1", "/2")
    going.set()
    assert first.response().status == 502
    assert second.response().status == 200


@pytest.mark.rule("queue")
def test_pipelined_requests_take_one_place(site, queue_up):
    """Only the first of a connection is in progress."""
    site.one.script = held = Held()
    [client] = queue_up("/1")
    client.ask("/2", host="queueing.test")
    client.ask("/3", host="queueing.test")
    client.ask("/4", host="queueing.test")
    held.free(4)
    assert [client.response().status for _ in range(4)] == [200] * 4
    assert held.targets == [b"/1", b"/2", b"/3", b"/4"]
