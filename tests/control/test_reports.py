"""Reports of processes that carry traffic: what they hold, and what is read of several."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from pools.control import reports
from pools.control.processes import Told
from pools.control.reports import Ejected, InFlight
from pools.core.probing import Verdict
from pools.models.process import ProcessKind
from tests.core.build import Bench, backends, pool

AT = datetime(2026, 11, 23, 9, 5, 8, tzinfo=UTC)


def told(name: str = "a:1", **report: object) -> Told:
    return Told(
        kind=ProcessKind.GATEWAY,
        name=name,
        started_at=AT,
        seen_at=AT,
        age_s=0.0,
        report=report,
    )


@pytest.fixture
def clock(monkeypatch):
    """Of the calendar; it goes with the bench's."""

    class Clock:
        now = AT

    monkeypatch.setattr(timezone, "now", lambda: Clock.now)
    return Clock


def test_as_usual_a_report_holds_little():
    bench = Bench(pool(2))
    held, _ = bench.hold()
    assert reports.of(bench.engine, {}) == {
        "revision": 1,
        "ejected": {},
        "panic": [],
        "leaving": {},
    }
    held.close()


def test_an_ejection_is_told_with_its_end_which_stays_as_it_was_told(clock):
    bench = Bench(pool(2))
    bench.break_backend("b1")
    report = reports.of(bench.engine, {})
    assert report["ejected"] == {
        "web/b1:80": {
            "until": "2026-11-23T09:05:38Z",
            "why": "5 failed requests in a row, the last: reset",
        }
    }
    bench.clock.advance(3)
    clock.now += timedelta(seconds=3.9)
    assert reports.of(bench.engine, report) == report
    clock.now += timedelta(hours=1)  # the clock was set
    (ejected,) = reports.of(bench.engine, report)["ejected"].values()
    assert ejected["until"] == "2026-11-23T10:05:38Z"


def test_panic_and_who_leaves_are_told():
    bench = Bench(pool(2))
    held = [bench.hold()[0] for _ in range(2)]
    bench.swap(pool([spec | {"state": "drain"} for spec in backends(2)]), pool(2, name="api"))
    bench.engine.apply_health({"api/b1:80": Verdict.DOWN, "api/b2:80": Verdict.DOWN})
    held[0].becomes_tunnel()
    report = reports.of(bench.engine, {})
    assert report["panic"] == ["api"]
    assert sorted(report["leaving"].values(), key=str) == [
        {"requests": 0, "tunnels": 1},
        {"requests": 1, "tunnels": 0},
    ]
    for exchange in held:
        exchange.close()
    assert reports.of(bench.engine, report)["leaving"] == {}


def test_certificates_are_a_gateways():
    bench = Bench(pool(1))
    ends = [{"name": "example.org", "until": "2027-01-01T00:00:00Z"}]
    assert reports.of(bench.engine, {}, lambda: ends)["certificates"] == ends


def test_a_report_is_bounded(monkeypatch):
    monkeypatch.setattr(reports, "MOST", 1)
    bench = Bench(pool(4, passive={"failures": 1}))
    for _ in range(4):
        bench.serve(status=503)
    assert len(bench.engine.ejected()) == 2
    assert len(reports.of(bench.engine, {})["ejected"]) == 1


def test_what_several_told_is_found_by_backend():
    one = {"until": "2026-11-23T09:05:38Z", "why": "reset"}
    leaving = {"requests": 3, "tunnels": 1}
    found = [
        told("a:1", ejected={"web/a:1": one}, leaving={"web/b:1": leaving}, panic=["web"]),
        told("a:2", ejected={"web/a:1": one}, leaving={}, panic=[]),
    ]
    (first, second) = reports.ejections(found)["web/a:1"]
    assert first == Ejected(
        process="gateway a:1", until=AT + timedelta(seconds=30), why="reset"
    )
    assert (second.process, second.left_s(AT)) == ("gateway a:2", 30.0)
    assert first.left_s(AT + timedelta(hours=1)) == 0.0
    assert reports.in_flight(found) == {
        "web/b:1": [InFlight(process="gateway a:1", requests=3, tunnels=1)]
    }
    assert reports.panics(found) == {"web": ["gateway a:1"]}


@pytest.mark.parametrize(
    "report",
    [
        {},
        {"revision": "x", "ejected": [], "leaving": None, "panic": {"a": 1}},
        {"ejected": {"k": 1, "l": {}, "m": {"until": 5}, "n": {"until": "2026-01-01"}}},
        {"leaving": {"k": 7}},
    ],
)
def test_what_another_version_told_otherwise_is_left_out(report):
    found = [told(**report)]
    assert reports.revision(found[0]) == 0
    assert (reports.ejections(found), reports.in_flight(found), reports.panics(found)) == (
        {},
        {},
        {},
    )


@pytest.mark.parametrize(
    ("requests", "tunnels", "words"),
    [
        (0, 0, "nothing"),
        (1, 0, "1 request"),
        (0, 2, "2 tunnels"),
        (3, 1, "3 requests and 1 tunnel"),
    ],
)
def test_counts_in_words(requests, tunnels, words):
    assert reports.counted(requests, tunnels) == words


@pytest.mark.parametrize(
    ("in_flight", "facts", "words"),
    [
        ([], {}, "safe to stop"),
        ([], {"follow": False}, "not in force in every process yet"),
        ([], {"may_come": True}, "at rest, but clients that hold its cookie may come"),
        ([("a", 1, 0), ("b", 1, 1)], {}, "2 requests and 1 tunnel in flight (a, b)"),
    ],
)
def test_whether_a_backend_may_be_stopped(in_flight, facts, words):
    flying = [InFlight(process=p, requests=r, tunnels=t) for p, r, t in in_flight]
    assert reports.leaving(flying, **{"follow": True, "may_come": False} | facts) == words
