"""Waiting for a backend to be at rest: never over too early, whoever dies meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pools.control.leaving import HOLDS_S, Waiting
from pools.control.processes import GONE_AFTER_S, PULSE_S, Told
from pools.control.reports import InFlight
from pools.models.process import ProcessKind

AT = datetime(2026, 11, 23, 9, 5, 8, tzinfo=UTC)
KEY = "web/10.0.0.1:80"


class Bench:
    """A wait for revision 7, and the time of who waits."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.waiting = Waiting(KEY, 7, clock=lambda: self.now)

    def told(self, name="a:1", *, revision=7, age_s=0.0, silent=False, **leaving):
        """As read now: told just now unless it is silent since the beginning."""
        seen = 0.0 if silent else self.now
        return Told(
            kind=ProcessKind.GATEWAY,
            name=name,
            started_at=AT,
            seen_at=AT + timedelta(seconds=seen),
            age_s=age_s,
            report={"revision": revision, "leaving": {KEY: leaving} if leaving else {}},
        )

    def look(self, *told):
        return self.waiting.look(told)

    def rests(self, *told) -> bool:
        """Whether it is over once this held for a moment."""
        self.look(*told)
        self.now += HOLDS_S
        self.look(*told)
        return self.waiting.over


def test_it_is_over_when_all_have_it_in_force_and_nothing_in_flight():
    bench = Bench()
    assert bench.rests(bench.told("a:1"), bench.told("a:2", revision=8))


def test_it_is_not_over_at_the_first_moment():
    bench = Bench()
    assert bench.look(bench.told()).clear
    assert not bench.waiting.over


def test_who_does_not_have_it_in_force_is_waited_for():
    bench = Bench()
    behind = bench.told(revision=6)
    assert not bench.rests(behind)
    assert bench.look(behind).words() == "gateway a:1 does not have it in force yet"
    assert bench.rests(bench.told())


def test_requests_and_tunnels_are_waited_for():
    bench = Bench()
    busy = bench.told(requests=3, tunnels=1)
    assert not bench.rests(busy)
    progress = bench.look(busy, bench.told("a:2"))
    assert progress.words() == "3 requests and 1 tunnel in flight in gateway a:1"
    assert progress.plain() == {
        "in_flight": [{"process": "gateway a:1", "requests": 3, "tunnels": 1}],
        "behind": [],
        "silent": [],
        "gone": [],
        "processes": 2,
    }
    assert bench.rests(bench.told())


def test_what_begins_again_begins_the_moment_anew():
    bench = Bench()
    bench.look(bench.told())
    bench.now += HOLDS_S
    bench.look(bench.told(requests=1, tunnels=0))
    assert not bench.waiting.over


def test_who_stops_telling_is_waited_for_until_it_counts_as_gone():
    bench = Bench()
    bench.look(bench.told(silent=True, requests=1, tunnels=0))
    bench.now += 2 * PULSE_S
    progress = bench.look(bench.told(silent=True))
    assert progress.silent == ("gateway a:1",)
    assert not progress.clear
    bench.now += GONE_AFTER_S - 2 * PULSE_S
    progress = bench.look(bench.told(silent=True, age_s=15, requests=1, tunnels=0))
    assert (progress.gone, progress.in_flight, progress.living) == (("gateway a:1",), (), 0)
    assert bench.rests(bench.told(silent=True, age_s=15))


def test_who_ends_in_good_order_is_waited_for_no_more():
    bench = Bench()
    assert bench.look(bench.told(requests=1, tunnels=0)).in_flight == (
        InFlight(process="gateway a:1", requests=1, tunnels=0),
    )
    assert bench.rests()


def test_who_looks_gone_at_first_may_say_something_within_a_pulse():
    """As after the database's clock was set."""
    bench = Bench()
    assert not bench.rests(bench.told(silent=True, age_s=3600, requests=1, tunnels=0))
    bench.now += PULSE_S - HOLDS_S
    assert not bench.rests(bench.told(requests=1, tunnels=0))


def test_who_was_gone_before_is_no_news():
    bench = Bench()
    bench.look(bench.told(silent=True, age_s=3600))
    bench.now += PULSE_S + 1
    progress = bench.look(bench.told(silent=True, age_s=3606))
    assert (progress.gone, progress.clear) == ((), True)
