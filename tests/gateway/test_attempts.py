"""Attempts that only a race can bring about; the others are the conformance suite's."""

import asyncio
import threading

import pytest

from pools.gateway.gateway import Gateway
from tests.conformance.backends import Backend
from tests.core.build import pool, snapshot
from tests.gateway.test_accepting import connected, listening, run, within


@pytest.fixture
def backends():
    made = [Backend() for _ in range(2)]
    yield made
    for backend in made:
        backend.close()


def test_a_retry_that_gets_no_place_in_time_ends_in_the_failure_before_it(
    backends, monkeypatch
):
    """Another thread's change, such as a published pool, takes the place that the retry was
    promised: as if a full backend had seemed free."""
    monkeypatch.setattr("pools.core.runtime.PoolState.another", lambda *_, **__: True)
    going = threading.Event()

    def script(plane):
        request = plane.request()
        if request.target == b"/held":
            going.wait(10)

    for backend in backends:
        backend.script = script
    places = [{"host": "127.0.0.1", "port": backend.port} for backend in backends]
    web = pool(places, max_in_flight=1, queue_timeout_s=0.1)
    served = snapshot(web, routes=[{"name": "all", "pool": "web"}])

    async def ask():
        async with (
            listening(trusted=(), kind=Gateway) as listener,
            connected(listener) as (_, held),
            connected(listener) as (reader, writer),
        ):
            gateway = listener.gateway
            gateway.engine.swap(served)
            gateway.start()
            held.write(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
            await within(lambda: sum(backend.connections for backend in backends) == 1)
            writer.write(b"GET /fails HTTP/1.1\r\nHost: a\r\n\r\n")
            await within(lambda: gateway.queues.length("web") == 1)
            return await asyncio.wait_for(reader.readline(), 8)

    try:
        assert run(ask()).startswith(b"HTTP/1.1 502 ")
    finally:
        going.set()
