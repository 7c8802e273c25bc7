"""wake: Redis coming and going."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest

from pools.control import wake
from tests.services import eventually, free_port, redis_server


@pytest.fixture
def woken() -> list[None]:
    return []


@pytest.fixture
def listening(woken) -> Iterator[str]:
    """A listener at a URL where no Redis is yet."""
    url = f"redis://127.0.0.1:{free_port()}/0"
    stop = threading.Event()
    thread = threading.Thread(
        target=wake.listen, args=(url, lambda: woken.append(None), stop), daemon=True
    )
    thread.start()
    yield url
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


def test_a_listener_connects_again_by_itself(listening, woken, settings, caplog):
    caplog.set_level("INFO")
    settings.POOLS_REDIS_URL = listening
    port = int(listening.rpartition(":")[2].partition("/")[0])
    for turn in (1, 2):
        with redis_server(port=port):
            woken.clear()
            eventually(lambda: woken, saying="a look after each connection", within_s=20)
            woken.clear()
            wake.wake()
            eventually(lambda: woken, saying="woken")
        # Once before the first Redis came, and once after each that went.
        said = ["listening: Redis is away"] * (turn + 1)
        eventually(lambda said=said: re.findall(said[0], caplog.text) == said, within_s=20)
