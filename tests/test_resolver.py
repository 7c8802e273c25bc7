"""Names of backends: looked up beside the loop, and kept."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from pools import resolver
from pools.resolver import Resolver
from tests import services


class Names:
    """A name server that says what it is told, and counts."""

    def __init__(self) -> None:
        self.answer: tuple[str, ...] | OSError = ("127.0.0.1",)
        self.asked = 0
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __call__(self, name: str) -> tuple[str, ...]:
        self.asked += 1
        assert self.may_answer.wait(10)
        if isinstance(self.answer, OSError):
            raise self.answer
        return self.answer


@pytest.fixture
def names():
    return Names()


def run(names: Names, work: Callable[[Resolver], Any]) -> Any:
    async def main() -> Any:
        return await work(Resolver(asyncio.get_running_loop(), names))

    return asyncio.run(main())


def test_address_is_no_name(names):
    async def work(names: Resolver) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return await names.resolve("127.0.0.1"), await names.resolve("::1")

    assert run(names, work) == (("127.0.0.1",), ("::1",))
    assert names.asked == 0


def test_all_who_ask_wait_for_one_look_up(names):
    names.may_answer.clear()

    async def work(resolver: Resolver) -> Any:
        asking = [asyncio.create_task(resolver.resolve("app")) for _ in range(5)]
        await asyncio.sleep(0)
        names.may_answer.set()
        return await asyncio.gather(*asking)

    assert run(names, work) == [("127.0.0.1",)] * 5
    assert names.asked == 1


def test_name_that_hangs_holds_up_no_other(names):
    names.may_answer.clear()

    async def work(resolver: Resolver) -> Any:
        hanging = asyncio.create_task(resolver.resolve("hangs"))
        await asyncio.sleep(0)
        other = Resolver(asyncio.get_running_loop(), lambda name: ("::1",))
        found = await other.resolve("app")
        names.may_answer.set()
        await hanging
        return found

    assert run(names, work) == ("::1",)


def test_who_gives_up_waiting_leaves_the_look_up_to_others(names):
    names.may_answer.clear()

    async def work(resolver: Resolver) -> Any:
        first = asyncio.create_task(resolver.resolve("app"))
        second = asyncio.create_task(resolver.resolve("app"))
        await asyncio.sleep(0)
        first.cancel()
        names.may_answer.set()
        return await second

    assert run(names, work) == ("127.0.0.1",)


def test_failure_is_told_and_tried_again_later(names, monkeypatch):
    monkeypatch.setattr(resolver, "FAILED_S", 0.0)
    names.answer = socket.gaierror(socket.EAI_NONAME, "no such name")

    async def work(resolver: Resolver) -> Any:
        with pytest.raises(socket.gaierror, match="no such name"):
            await resolver.resolve("app")
        names.answer = ("127.0.0.2",)
        return await resolver.resolve("app")

    assert run(names, work) == ("127.0.0.2",)


def test_what_is_known_is_used_while_the_name_server_is_away(names, monkeypatch):
    monkeypatch.setattr(resolver, "FRESH_S", 0.0)

    async def work(resolver: Resolver) -> Any:
        await resolver.resolve("app")
        names.answer = OSError("unreachable")
        async with asyncio.timeout(10):
            while names.asked < 4:
                assert await resolver.resolve("app") == ("127.0.0.1",)
                await asyncio.sleep(0.001)
        return await resolver.resolve("app")

    monkeypatch.setattr(resolver, "FAILED_S", 0.0)
    assert run(names, work) == ("127.0.0.1",)


def test_new_addresses_replace_old_ones_behind_the_one_that_answers(names, monkeypatch):
    monkeypatch.setattr(resolver, "FRESH_S", 0.0)
    names.answer = ("127.0.0.1", "127.0.0.2")

    async def work(resolver: Resolver) -> Any:
        await resolver.resolve("app")
        resolver.prefer("app", "127.0.0.2")
        names.answer = ("127.0.0.3", "127.0.0.2")
        await resolver.resolve("app")
        async with asyncio.timeout(10):
            while "127.0.0.3" not in (found := await resolver.resolve("app")):
                await asyncio.sleep(0.001)
        return found

    assert run(names, work) == ("127.0.0.2", "127.0.0.3")


def test_names_that_nobody_asks_for_are_forgotten(names):
    async def work(names: Resolver) -> Any:
        await names.resolve("app")
        names.sweep(asyncio.get_running_loop().time() + resolver.FORGET_S + 1)
        await names.resolve("app")

    run(names, work)
    assert names.asked == 2


def test_look_ups_at_a_time_are_bounded_and_the_rest_wait_for_their_turn(names, monkeypatch):
    monkeypatch.setattr(resolver, "MOST_AT_ONCE", 2)
    names.may_answer.clear()

    async def work(resolver: Resolver) -> Any:
        asking = [asyncio.create_task(resolver.resolve(f"app{n}")) for n in range(9)]
        async with asyncio.timeout(10):
            while names.asked < 2:
                await asyncio.sleep(0.001)
        at_once = names.asked
        names.may_answer.set()
        await asyncio.gather(*asking)
        return at_once

    assert run(names, work) == 2
    assert names.asked == 9


def test_a_process_without_threads_left_says_so_of_itself(names, monkeypatch):
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def work(resolver: Resolver) -> Any:
        monkeypatch.setattr(threading.Thread, "start", start)
        return await asyncio.gather(
            *(resolver.resolve(f"app{n}") for n in range(2000)), return_exceptions=True
        )

    found = run(names, work)
    assert {error.errno for error in found} == {errno.ENOMEM}


def test_system_resolver_knows_localhost():
    assert set(resolver.look_up("localhost")) & {"127.0.0.1", "::1"}


@pytest.mark.parametrize("name", ["no-such-name.invalid", "a" * 80 + ".test", "\udc80"])
def test_what_is_no_name_is_an_error_of_the_system(name):
    with pytest.raises(OSError):
        resolver.look_up(name)


def test_answer_that_comes_when_the_loop_has_ended_does_no_harm(names):
    names.may_answer.clear()

    async def work(resolver: Resolver) -> Any:
        asking = asyncio.create_task(resolver.resolve("app"))
        await asyncio.sleep(0)
        asking.cancel()

    run(names, work)
    names.may_answer.set()
    services.eventually(
        lambda: not any(thread.name == "resolve app" for thread in threading.enumerate())
    )
