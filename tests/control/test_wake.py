"""wake: Redis coming and going."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pools.control import wake
from tests.services import eventually, free_port, redis_server

AWAY, BACK = "listening: Redis is away", "listening: Redis is back"


@contextmanager
def listening(url: str, woken: threading.Event) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=wake.listen, args=(url, woken.set, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()


def test_a_listener_connects_again_by_itself_and_says_so_once(settings, caplog):
    caplog.set_level("INFO")
    port = free_port()
    settings.POOLS_REDIS_URL = url = f"redis://127.0.0.1:{port}/0"
    woken = threading.Event()

    def said() -> list[str]:
        texts = (record.getMessage() for record in caplog.records)
        return [text[: len(AWAY)] for text in texts if text.startswith("listening")]

    assert not wake.away()
    with listening(url, woken):
        eventually(lambda: said() == [AWAY])
        assert wake.away()
        for _ in range(2):
            before = said()
            with redis_server(port=port):
                assert woken.wait(20)  # as a wake-up may have been missed
                woken.clear()
                wake.wake()
                assert woken.wait(20)
                woken.clear()
            eventually(lambda before=before: said()[len(before) :] == [BACK, AWAY], within_s=20)
