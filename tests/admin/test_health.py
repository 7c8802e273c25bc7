"""Health as it is shown: never more than is known."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from django.utils import timezone

from pools.admin import health
from pools.control import verdicts
from pools.core.probing import Verdict
from pools.models import Backend, BackendHealth, Pool, ProbeSchedule

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def backend(*, age_s: float | None = 0, verdict: str | None = "up", **pool: object) -> Backend:
    """A backend whose pool's last round ended `age_s` ago; None: never."""
    state = pool.pop("state", "ready")
    number = Pool.objects.count()
    row = Pool.objects.create(name=f"web{number}", **pool)
    found = Backend.objects.create(pool=row, host="10.0.0.1", port=80, state=state)
    if age_s is not None:
        done_at = NOW - timedelta(seconds=age_s)
        ProbeSchedule.objects.create(pool=row, next_at=NOW, done_at=done_at)
    if verdict:
        BackendHealth.objects.create(
            backend=found, verdict=verdict, reason="200 in 3 ms", since=NOW - timedelta(hours=2)
        )
    return Backend.objects.select_related(*health.WITH).get(pk=found.pk)


def test_a_fresh_verdict_is_shown_with_its_reason():
    reading = health.read(backend(), NOW)
    assert (reading.verdict, reading.reason) == (Verdict.UP, "200 in 3 ms")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"age_s": None}, "not probed yet"),
        ({"verdict": None}, "not probed yet"),
        ({"age_s": 15.0}, "no probe since "),
        ({"age_s": 3.0, "probe_interval_s": 1.0}, "no probe since "),
        ({"probe_kind": "off"}, "the pool has no probe"),
        ({"state": "maint"}, "not probed in maintenance"),
    ],
)
def test_what_is_not_known_is_unknown_and_says_why(given, reason):
    row = backend(**given)
    reading = health.read(row, NOW)
    assert reading.verdict is Verdict.UNKNOWN
    assert reading.reason.startswith(reason)
    assert health.since(row) == ""


@pytest.mark.parametrize(
    ("verdict", "counts", "reason"),
    [
        ("up", {"failures": 1}, "200 in 3 ms, 1 of 3 failures"),
        ("down", {"successes": 1}, "200 in 3 ms, 1 of 2 successes"),
        ("up", {"successes": 2}, "200 in 3 ms"),
        ("down", {"failures": 3}, "200 in 3 ms"),
    ],
)
def test_a_verdict_that_is_turning_says_how_far_it_is(verdict, counts, reason):
    row = backend(age_s=1.0, verdict=verdict)
    for name, count in counts.items():
        setattr(row.health, name, count)
    assert health.read(row, NOW).reason == reason


def test_what_is_shown_is_what_is_routed_by():
    rows = [
        backend(age_s=age_s, verdict=verdict, probe_kind=kind, state=state)
        for age_s, verdict, kind, state in itertools.product(
            (None, 0, 14.9, 15, 60), (None, "up", "down"), ("http", "off"), ("ready", "maint")
        )
    ]
    shown = {row.key: health.read(row, NOW).verdict for row in rows}
    assert shown == verdicts.health_map(NOW)


@pytest.mark.parametrize(
    ("verdict", "text", "colour"),
    [
        (["up", "up"], "2 of 2 up", "up"),
        (["up", "down"], "1 of 2 up", "partly"),
        (["down", "down"], "0 of 2 up", "down"),
        (["up", None], "1 of 2 up, 1 unknown", "partly"),
        ([None], "0 of 1 up, 1 unknown", "unknown"),
        ([], "no backends", "down"),
    ],
)
def test_a_pool_says_how_many_of_its_backends_are_up(verdict, text, colour):
    shown = health.tally(backend(verdict=one, age_s=-86_400) for one in verdict)
    assert text in shown
    assert f"pools-{colour}" in shown


def test_a_reason_is_never_markup():
    row = backend(age_s=-86_400)
    row.health.reason = "<script>"
    assert "<script>" not in health.shown(row)
