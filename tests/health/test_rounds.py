from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from pools.control.verdicts import health_map
from pools.health import probes, rounds
from pools.models import (
    Backend,
    BackendHealth,
    HealthEvent,
    Pool,
    ProbeSchedule,
    PublishedState,
)

pytestmark = pytest.mark.django_db(transaction=True)

NOW = timezone.now()
UP = probes.Result(ok=True, reason="status 200", code=200, latency_ms=1.0)
REFUSED = probes.Result(ok=False, reason="connection refused", latency_ms=1.0)


@pytest.fixture
def answers(monkeypatch):
    """What each backend's probe finds, by port; `asked` are the ports, in order."""
    found, asked = {}, []

    def probe(pool, backend):
        asked.append(backend.port)
        answer = found.get(backend.port, UP)
        if not callable(answer):
            return answer
        try:
            return answer()
        finally:
            connection.close()  # of the thread that probes; the others go on

    monkeypatch.setattr(rounds.probes, "probe", probe)
    found["asked"] = asked
    return found


def pool(name="web", *, ports=(8001,), **settings):
    row = Pool.objects.create(
        name=name,
        **{"probe_interval_s": 5.0, "probe_rise": 2, "probe_fall": 3, **settings},
    )
    for port in ports:
        row.backends.create(host="127.0.0.1", port=port)
    return row


def rounds_of(row, count, *, since=NOW):
    """So many rounds, an interval apart; done_at is told as if the clock had run along."""
    for number in range(count):
        now = since + timedelta(seconds=5 * number)
        rounds.run_due(now)
        ProbeSchedule.objects.update(done_at=now)


def health(port=8001):
    return BackendHealth.objects.get(backend__port=port)


def version():
    state = PublishedState.objects.filter(pk=PublishedState.KEY).first()
    return state.health_version if state else 0


def test_the_first_probe_decides(answers):
    answers[8002] = REFUSED
    pool(ports=(8001, 8002))
    assert rounds.run_due(NOW) == 2
    assert health(8001).verdict == "up"
    assert health(8002).verdict == "down"
    assert health(8002).reason == "connection refused"
    assert health_map() == {"web/127.0.0.1:8001": "up", "web/127.0.0.1:8002": "down"}


def test_a_flip_is_an_event_and_a_new_health_version(answers):
    row = pool()
    rounds_of(row, 2)
    before = version()
    answers[8001] = REFUSED
    rounds_of(row, 2, since=NOW + timedelta(seconds=10))
    assert health().verdict == "up"
    assert version() == before
    rounds_of(row, 1, since=NOW + timedelta(seconds=20))
    assert health().verdict == "down"
    assert version() == before + 1
    event = HealthEvent.objects.first()
    assert (event.old, event.new, event.reason) == ("up", "down", "connection refused")
    assert event.seen_by


def test_steady_health_is_not_written(answers):
    row = pool()
    rounds_of(row, 3)
    changed_at = health().changed_at
    rounds_of(row, 2, since=NOW + timedelta(seconds=15))
    assert health().changed_at == changed_at


def test_a_pool_is_due_once_an_interval_whatever_the_ticks_delay(answers):
    pool()
    for tick in range(20):
        rounds.run_due(NOW + timedelta(seconds=tick + 0.01 * (-1) ** tick))
    assert len(answers["asked"]) == 4


def test_a_shorter_interval_is_in_force_at_once(answers):
    row = pool(probe_interval_s=3600.0)
    rounds.run_due(NOW)
    Pool.objects.filter(pk=row.pk).update(probe_interval_s=5.0)
    assert rounds.run_due(NOW + timedelta(seconds=6)) == 1


def test_what_another_worker_claimed_is_not_probed_again(answers, monkeypatch):
    pool()
    due = rounds._due

    def outrun(now):
        schedules = due(now)
        ProbeSchedule.objects.update(next_at=now + timedelta(seconds=5))  # the other's claim
        return schedules

    monkeypatch.setattr(rounds, "_due", outrun)
    assert rounds.run_due(NOW) == 0
    assert answers["asked"] == []


def test_the_end_of_a_round_is_kept(answers):
    row = pool()
    rounds.run_due(NOW)
    schedule = ProbeSchedule.objects.get(pool=row)
    assert schedule.claimed_at == NOW
    assert schedule.done_at >= NOW


def test_a_pool_without_backends_has_rounds_too(answers):
    row = pool(ports=())
    assert rounds.run_due(NOW) == 0
    assert ProbeSchedule.objects.get(pool=row).done_at


def test_pools_whose_probe_is_off_are_not_probed(answers):
    pool(probe_kind="off")
    assert rounds.run_due(NOW) == 0


def test_a_backend_in_maintenance_is_not_probed_and_unknown(answers):
    row = pool(ports=(8001, 8002))
    rounds_of(row, 1)
    Backend.objects.filter(port=8001).update(state="maint")
    rounds_of(row, 1, since=NOW + timedelta(seconds=5))
    assert answers["asked"].count(8001) == 1
    assert health(8001).verdict == "unknown"
    answers[8001] = REFUSED
    Backend.objects.filter(port=8001).update(state="ready")
    rounds_of(row, 1, since=NOW + timedelta(seconds=10))
    assert health(8001).verdict == "down"


def test_stale_verdicts_count_for_nothing(answers):
    answers[8001] = REFUSED
    row = pool()
    rounds_of(row, 1)
    answers[8001] = UP
    rounds_of(row, 1, since=NOW + timedelta(seconds=5))
    assert health().verdict == "down"  # rise is 2
    rounds_of(row, 1, since=NOW + timedelta(seconds=60))
    assert health().verdict == "up"


def test_verdicts_are_stale_from_the_moment_when_they_are_shown_as_unknown(answers):
    answers[8001] = REFUSED
    row = pool()
    rounds_of(row, 1)
    answers[8001] = UP
    at = NOW + timedelta(seconds=15)
    assert set(health_map(at).values()) == {"unknown"}
    rounds_of(row, 1, since=at)
    assert health().verdict == "up"


def test_a_backend_deleted_in_mid_probe_does_no_harm(answers):
    row = pool(ports=(8001, 8002))

    def gone():
        Backend.objects.filter(port=8001).delete()
        return REFUSED

    answers[8001] = gone
    rounds_of(row, 1)
    assert health(8002).verdict == "up"
    assert not HealthEvent.objects.filter(new="down").exists()


@pytest.mark.parametrize(
    "change", [{"host": "127.0.0.2"}, {"port": 8003}, {"scheme": "https"}, {"state": "maint"}]
)
def test_a_backend_changed_in_mid_probe_is_not_judged_by_it(answers, change):
    row = pool()

    def changed():
        Backend.objects.filter(port=8001).update(**change)
        return REFUSED

    answers[8001] = changed
    before = version()
    rounds_of(row, 1)
    assert BackendHealth.objects.get().verdict == "unknown"
    assert version() == before
    assert not HealthEvent.objects.exists()


def test_a_pool_deleted_in_mid_probe_does_no_harm(answers):
    row = pool()

    def gone():
        Pool.objects.filter(pk=row.pk).delete()
        return UP

    answers[8001] = gone
    assert rounds.run_due(NOW) == 1
    assert not BackendHealth.objects.exists()


def test_what_another_process_judged_meanwhile_stands(answers):
    row = pool()
    rounds_of(row, 1)

    def judged():
        BackendHealth.objects.update(verdict="down", successes=0, failures=3)
        return UP

    answers[8001] = judged
    rounds_of(row, 1, since=NOW + timedelta(seconds=5))
    assert health().verdict == "down"


def test_rows_that_do_not_hold_stop_no_other_pool(answers, caplog):
    pool("bad", probe_statuses="nonsense")
    pool("good", ports=(8002,))
    assert rounds.run_due(NOW) == 1
    assert answers["asked"] == [8002]
    assert "bad is not probed" in caplog.text


@pytest.mark.parametrize("late_s", [4.6, 4.8, 5.0])
def test_ticks_that_were_held_up_probe_once(answers, late_s):
    """Two that come at one moment, as after a pause of all workers."""
    pool()
    rounds.run_due(NOW)
    later = NOW + timedelta(seconds=5 + late_s)
    assert rounds.run_due(later) == 1
    assert rounds.run_due(later + timedelta(milliseconds=40)) == 0
