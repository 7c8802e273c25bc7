"""recording: many results in few writes, and each flip told once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from pools.core.probing import Verdict
from pools.health import recording, rounds
from pools.health.probes import Result
from pools.health.rounds import Claims
from pools.models import (
    Backend,
    BackendHealth,
    HealthEvent,
    Pool,
    ProbeSchedule,
    PublishedState,
)

pytestmark = pytest.mark.django_db

NOW = timezone.now()
UP = Result(ok=True, reason="status 200", code=200, latency_ms=1.0)
DOWN = Result(ok=False, reason="connection refused", latency_ms=1.0)


def fifty(**settings):
    """The jobs of a pool of 50 backends, all up."""
    pool = Pool.objects.create(name="web", **settings)
    Backend.objects.bulk_create(
        Backend(pool=pool, host="a", port=port) for port in range(1, 51)
    )
    BackendHealth.objects.bulk_create(
        BackendHealth(
            backend=backend, verdict="up", successes=1, reason="status 200", code=200, since=NOW
        )
        for backend in Backend.objects.all()
    )
    ProbeSchedule.objects.create(pool=pool, next_at=NOW, regular_at=NOW, done_at=NOW)
    (round_,) = Claims().claim(NOW)
    return round_.jobs


@pytest.fixture
def jobs():
    """Where one probe turns a verdict."""
    return fifty(probe_fall=1, probe_rise=1)


def version():
    return PublishedState.objects.values_list("health_version", flat=True).first() or 0


def test_steady_health_costs_no_query(jobs, django_assert_num_queries):
    with django_assert_num_queries(0):
        recording.record([(job, UP) for job in jobs], NOW)


def test_a_mass_failure_is_one_new_version_and_an_event_each(jobs):
    recording.record([(job, DOWN) for job in jobs], NOW)
    assert version() == 1
    assert HealthEvent.objects.filter(old="up", new="down").count() == 50
    assert set(BackendHealth.objects.values_list("verdict", "since")) == {("down", NOW)}


def test_a_result_that_comes_twice_is_one_event(jobs):
    """As two workers that probed one backend would write it."""
    recording.record([(jobs[0], DOWN)], NOW)
    recording.record([(jobs[0], DOWN)], NOW)
    assert HealthEvent.objects.count() == 1
    assert version() == 1


def test_words_that_changed_are_written_without_a_new_version(jobs):
    recording.record(
        [(jobs[0], Result(ok=True, reason="status 204", code=204, latency_ms=1))], NOW
    )
    row = BackendHealth.objects.get(backend=jobs[0].pk)
    assert (row.reason, row.code, row.since) == ("status 204", 204, NOW)
    assert version() == 0


def test_the_end_of_a_certificate_is_kept_and_not_written_again(jobs):
    until = NOW + timedelta(days=9)
    result = Result(
        ok=True, reason="status 200", code=200, latency_ms=1, certificate_until=until
    )
    recording.record([(jobs[0], result)], NOW)
    assert BackendHealth.objects.get(backend=jobs[0].pk).certificate_until == until
    jobs[0].certificate_until = until
    with CaptureQueriesContext(connection) as queries:
        recording.record([(jobs[0], result)], NOW)
    assert not queries


def test_maintenance_makes_it_unknown_once(jobs):
    Backend.objects.filter(pk=jobs[0].pk).update(state="maint")
    recording.forget_maintained(NOW)
    recording.forget_maintained(NOW)
    assert BackendHealth.objects.get(backend=jobs[0].pk).verdict == Verdict.UNKNOWN
    event = HealthEvent.objects.get()
    assert (event.new, event.reason) == ("unknown", "in maintenance: not probed")
    assert version() == 1


def test_who_is_between_is_due_again_before_the_round_has_ended():
    """As long as others hang, it would wait for them; and theirs ends as if nothing was."""
    jobs = fifty()
    recording.record([(jobs[0], DOWN)], NOW)
    schedule = ProbeSchedule.objects.get()
    assert schedule.next_at == NOW + timedelta(seconds=1)
    later = NOW + timedelta(seconds=1)
    (fast,) = Claims().claim(later)
    assert not fast.regular
    assert [job.pk for job in fast.jobs] == [jobs[0].pk]
    rounds.end([fast], later)
    schedule.refresh_from_db()
    assert schedule.done_at == NOW
    rounds.end([jobs[0].of], later)
    schedule.refresh_from_db()
    assert (schedule.done_at, schedule.began_at, schedule.busy_until) == (later, NOW, None)
    assert schedule.next_at == schedule.regular_at


def test_who_is_probed_is_not_due_when_another_one_is():
    first, second, *_ = fifty()
    recording.record([(first, DOWN)], NOW)
    (fast,) = Claims().claim(NOW + timedelta(seconds=1))
    recording.record([(second, DOWN)], NOW + timedelta(seconds=1))
    (another,) = Claims().claim(NOW + timedelta(seconds=2))
    assert ([job.pk for job in fast.jobs], [job.pk for job in another.jobs]) == (
        [first.pk],
        [second.pk],
    )


def test_a_regular_round_waits_for_the_one_before_it_and_takes_nobody_who_is_probed():
    first, second, *rest = fifty(probe_timeout_s=5.0)
    recording.record([(first, DOWN)], NOW)
    (fast,) = Claims().claim(NOW + timedelta(seconds=1))
    due_at = NOW + timedelta(seconds=5)
    recording.record([(second, DOWN)], due_at - timedelta(seconds=1))
    (late,) = Claims().claim(due_at)
    assert not late.regular
    assert [job.pk for job in late.jobs] == [second.pk]
    rounds.end([first.of], due_at)
    (regular,) = Claims().claim(due_at)
    assert regular.regular
    assert [job.pk for job in regular.jobs] == [job.pk for job in rest]
    assert fast.until > due_at


def test_who_was_probed_by_a_process_that_died_is_due_again():
    jobs = fifty(probe_interval_s=3600.0)
    recording.record([(jobs[0], DOWN)], NOW)
    rounds.end([jobs[0].of], NOW)
    (fast,) = Claims().claim(NOW + timedelta(seconds=1))
    (again,) = Claims().claim(fast.until)
    assert [job.pk for job in again.jobs] == [jobs[0].pk]


def test_a_clock_that_was_set_back_puts_nobody_off():
    jobs = fifty()
    recording.record([(jobs[0], DOWN)], NOW)
    before = NOW - timedelta(hours=1)
    rounds.end([jobs[0].of], NOW)
    (regular,) = Claims().claim(before)
    assert len(regular.jobs) == 50
