import asyncio
import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from pools.control import clock
from pools.control.verdicts import health_map
from pools.health import probes, rounds, worker
from pools.models import (
    Backend,
    BackendHealth,
    HealthEvent,
    Pool,
    ProbeGap,
    ProbeSchedule,
    PublishedState,
)

pytestmark = pytest.mark.django_db(transaction=True)

NOW = timezone.now()
UP = probes.Result(ok=True, reason="status 200", code=200, latency_ms=1.0)
REFUSED = probes.Result(ok=False, reason="connection refused", latency_ms=1.0)


@pytest.fixture(autouse=True)
def time_stands_still(monkeypatch):
    """While a round runs it is the time that it was told."""
    told, tick = {}, worker.Worker.tick

    def at(self, now=None, **options):
        told["now"] = now
        return tick(self, now, **options)

    monkeypatch.setattr(worker.Worker, "tick", at)
    monkeypatch.setattr(clock, "now", lambda: told.get("now") or timezone.now())


@pytest.fixture(autouse=True)
def whole_intervals(monkeypatch):
    """The second round comes a whole interval after the first."""
    monkeypatch.setattr(rounds.random, "uniform", lambda low, high: high)


@pytest.fixture
def answers(monkeypatch):
    """What each backend's probe finds, by port; `asked` are the ports, in order."""
    found, asked = {}, []

    def answer(port):
        answer = found.get(port, UP)
        if not callable(answer):
            return answer
        try:
            return answer()
        finally:
            connection.close()  # of the thread that answers; the others go on

    async def ask(asker, pool, backend):
        asked.append(backend.port)
        return await asyncio.to_thread(answer, backend.port)

    monkeypatch.setattr(probes.Asker, "ask", ask)
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
    """So many rounds, an interval apart."""
    for number in range(count):
        worker.run_due(since + timedelta(seconds=5 * number))


def health(port=8001):
    return BackendHealth.objects.get(backend__port=port)


def version():
    state = PublishedState.objects.filter(pk=PublishedState.KEY).first()
    return state.health_version if state else 0


def test_the_first_probe_decides(answers):
    answers[8002] = REFUSED
    pool(ports=(8001, 8002))
    assert worker.run_due(NOW) == 2
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
        worker.run_due(NOW + timedelta(seconds=tick + 0.01 * (-1) ** tick))
    assert len(answers["asked"]) == 4


def test_a_shorter_interval_is_in_force_at_once(answers):
    row = pool(probe_interval_s=3600.0)
    worker.run_due(NOW)
    Pool.objects.filter(pk=row.pk).update(probe_interval_s=5.0)
    assert worker.run_due(NOW + timedelta(seconds=6)) == 1


def test_what_another_worker_claimed_is_not_probed_again(answers, monkeypatch):
    pool()
    locked = rounds._locked

    def outrun(pks):
        ProbeSchedule.objects.update(next_at=NOW + timedelta(seconds=5))  # the other's claim
        return locked(pks)

    monkeypatch.setattr(rounds, "_locked", outrun)
    assert worker.run_due(NOW) == 0
    assert answers["asked"] == []


def test_many_claiming_at_once_probe_each_pool_once():
    for index in range(20):
        pool(f"p{index}")
    begin = threading.Barrier(4)
    claimed = []

    def claim():
        try:
            begin.wait()
            for one in rounds.Claims().claim(NOW):
                claimed.extend(job.key for job in one.jobs)
        finally:
            connection.close()

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(f"p{index}/127.0.0.1:8001" for index in range(20))


def test_a_round_is_claimed_a_tick_ahead_and_begins_when_it_is_due():
    row = pool()
    BackendHealth.objects.create(backend=row.backends.get(), verdict="up", successes=2)
    due_at = NOW + timedelta(seconds=0.7)
    ProbeSchedule.objects.create(pool=row, next_at=due_at, regular_at=due_at, done_at=NOW)
    (round_,) = rounds.Claims().claim(NOW)
    assert (round_.at, round_.late_s) == (due_at, 0)
    schedule = ProbeSchedule.objects.get()
    assert schedule.regular_at == due_at + timedelta(seconds=5)
    assert rounds.Claims().claim(NOW + timedelta(seconds=1)) == []


def test_a_claim_whose_process_died_runs_out():
    row = pool()
    rounds.Claims().claim(NOW)
    claims = rounds.Claims()
    probe = row.part().probe
    longest = timedelta(seconds=2 * probe.timeout_s + rounds.LEASE_SLACK_S)
    after = max(longest, timedelta(seconds=probe.interval_s))
    assert claims.claim(NOW + after - timedelta(seconds=1.1)) == []
    assert len(claims.claim(NOW + after)) == 1


def test_pools_of_one_moment_do_not_beat_together(answers, monkeypatch):
    monkeypatch.undo()
    for index in range(20):
        pool(f"p{index}")
    rounds.Claims().claim(NOW)
    after = [
        (at - NOW).total_seconds() for (at,) in ProbeSchedule.objects.values_list("regular_at")
    ]
    assert len(set(after)) == 20
    assert 1 <= min(after) < max(after) <= 5


def test_a_backend_between_up_and_down_is_probed_sooner_and_alone(answers):
    row = pool(ports=(8001, 8002))
    rounds_of(row, 1)
    answers[8001] = REFUSED
    rounds_of(row, 1, since=NOW + timedelta(seconds=5))
    answers["asked"].clear()
    found_at = BackendHealth.objects.get(backend__port=8001).changed_at
    assert health(8001).next_at == found_at + timedelta(seconds=1)
    BackendHealth.objects.filter(backend__port=8001).update(next_at=NOW + timedelta(seconds=6))
    ProbeSchedule.objects.update(
        next_at=NOW + timedelta(seconds=6), regular_at=NOW + timedelta(seconds=10)
    )
    assert worker.run_due(NOW + timedelta(seconds=6)) == 1
    assert answers["asked"] == [8001]
    schedule = ProbeSchedule.objects.get()
    assert schedule.regular_at == NOW + timedelta(seconds=10)
    assert schedule.done_at == NOW + timedelta(seconds=5)  # of the whole pool
    BackendHealth.objects.filter(backend__port=8001).update(next_at=NOW + timedelta(seconds=7))
    ProbeSchedule.objects.update(next_at=NOW + timedelta(seconds=7))
    worker.run_due(NOW + timedelta(seconds=7))
    assert health(8001).verdict == "down"
    assert health(8001).next_at is None
    assert ProbeSchedule.objects.get().next_at == NOW + timedelta(seconds=10)


def test_a_round_that_ends_brings_the_pool_back_when_its_next_backend_is_due(answers):
    row = pool()
    rounds_of(row, 1)
    answers[8001] = REFUSED
    rounds_of(row, 1, since=NOW + timedelta(seconds=5))
    schedule = ProbeSchedule.objects.get()
    assert schedule.next_at == min(health().next_at, schedule.regular_at)


def test_a_backend_that_is_down_is_probed_at_its_own_interval(answers):
    answers[8001] = REFUSED
    row = pool(ports=(8001, 8002), probe_down_interval_s=20.0)
    rounds_of(row, 1)
    BackendHealth.objects.update(since=NOW)
    answers["asked"].clear()
    rounds_of(row, 12, since=NOW + timedelta(seconds=5))
    assert answers["asked"].count(8002) == 12
    assert answers["asked"].count(8001) == 3


def test_a_new_backend_is_probed_with_the_next_tick(answers):
    row = pool(probe_interval_s=60.0)
    rounds_of(row, 1)
    row.backends.create(host="127.0.0.1", port=8002)
    assert worker.run_due(NOW + timedelta(seconds=1)) == 1
    assert answers["asked"] == [8001, 8002]
    assert health(8002).verdict == "up"
    assert ProbeSchedule.objects.get().regular_at == NOW + timedelta(seconds=60)


def test_a_new_backend_is_probed_beside_a_round_and_takes_nothing_from_it(answers):
    row = pool(probe_interval_s=60.0)
    rounds_of(row, 1)
    due_at = NOW + timedelta(seconds=60)
    claims = rounds.Claims()
    (round_,) = claims.claim(due_at)
    row.backends.create(host="127.0.0.1", port=8002)
    (beside,) = claims.claim(due_at + timedelta(seconds=1))
    assert [job.spec.port for job in beside.jobs] == [8002]
    rounds.end([beside], due_at + timedelta(seconds=1))
    ended_at = due_at + timedelta(seconds=2)
    rounds.end([round_], ended_at)
    schedule = ProbeSchedule.objects.get()
    assert (schedule.done_at, schedule.began_at) == (ended_at, due_at)


@pytest.mark.parametrize("late_s", [0.0, 29.0, 30.0, 31.0, 59.0, 200.0])
def test_a_round_of_a_long_interval_that_was_late_is_not_had_twice(late_s):
    pool(probe_interval_s=60.0)
    claims = rounds.Claims()
    (round_,) = claims.claim(NOW)
    BackendHealth.objects.update(verdict="up", next_at=None)
    rounds.end([round_], NOW)
    now = NOW + timedelta(seconds=60 + late_s)
    (round_,) = claims.claim(now)
    assert claims.claim(now + timedelta(seconds=1)) == []
    rounds.end([round_], now + timedelta(seconds=2))
    assert claims.claim(now + timedelta(seconds=3)) == []
    next_at = ProbeSchedule.objects.get().regular_at
    assert timedelta(seconds=30) <= next_at - now <= timedelta(seconds=90)
    assert len(claims.claim(next_at)) == 1


def test_a_round_that_did_not_happen_puts_off_no_backend_that_is_down(answers):
    answers[8001] = REFUSED
    row = pool(ports=(8001, 8002), probe_down_interval_s=20.0)
    rounds_of(row, 4)  # until 15 s
    BackendHealth.objects.update(since=NOW)
    answers["asked"].clear()
    rounds_of(row, 1, since=NOW + timedelta(seconds=26))
    assert sorted(answers["asked"]) == [8001, 8002]


def test_what_is_being_deleted_is_waited_for_and_not_entered(answers, monkeypatch):
    pool("gone", ports=(8001,))
    pool(ports=(8002, 8003))
    lock = PublishedState.lock

    def deleted_by_who_held_it():
        Pool.objects.filter(name="gone").delete()
        Backend.objects.filter(port=8002).delete()
        return lock()

    monkeypatch.setattr(PublishedState, "lock", deleted_by_who_held_it)
    worker.run_due(NOW)
    assert answers["asked"] == [8003]
    assert [row.pool.name for row in ProbeSchedule.objects.all()] == ["web"]


def test_the_time_without_probes_is_kept(answers):
    row = pool()
    rounds_of(row, 2)
    assert not ProbeGap.objects.exists()
    back = NOW + timedelta(seconds=65)
    rounds_of(row, 1, since=back)
    gap = ProbeGap.objects.get()
    assert (gap.pool, gap.ends_at) == (row, back)
    assert gap.begins_at == NOW + timedelta(seconds=5 + 15)


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_jumps_makes_no_verdict_stale_and_no_gap(answers, hours):
    """One failed probe after it does not decide: that takes `fall` of them, as ever."""
    pool()
    one = worker.Worker()
    now, seconds = NOW, 100.0
    try:
        for round_ in range(3):
            if round_ == 2:
                now += timedelta(hours=hours)
                answers[8001] = REFUSED
            one._claims.look(now, seconds, seconds)
            assert len(one.tick(now, ahead=timedelta())) == 1
            one.wait()
            ProbeSchedule.objects.update(done_at=now)
            now, seconds = now + timedelta(seconds=5), seconds + 5
    finally:
        one.stop()
    assert (health().verdict, health().failures) == ("up", 1)
    assert not ProbeGap.objects.exists()


def test_ill_rows_that_cannot_be_probed_are_left_out(answers):
    row = pool(ports=(8001, 8002))
    Backend.objects.filter(port=8001).update(scheme="gopher")
    assert worker.run_due(NOW) == 1
    assert ProbeSchedule.objects.get(pool=row).done_at


def test_the_end_of_a_round_is_kept(answers):
    row = pool()
    worker.run_due(NOW)
    schedule = ProbeSchedule.objects.get(pool=row)
    assert schedule.began_at == NOW
    assert schedule.busy_until is None
    assert schedule.done_at >= NOW


def test_a_pool_without_backends_has_rounds_too(answers):
    row = pool(ports=())
    assert worker.run_due(NOW) == 0
    assert ProbeSchedule.objects.get(pool=row).done_at


def test_pools_whose_probe_is_off_are_not_probed(answers):
    pool(probe_kind="off")
    assert worker.run_due(NOW) == 0


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


@pytest.mark.parametrize(
    "change", [{"probe_path": "/other"}, {"probe_kind": "tcp"}, {"tls_verify": False}]
)
def test_what_a_pool_no_longer_asks_judges_nobody(answers, change):
    row = pool(probe_fall=1)
    rounds_of(row, 2)

    def changed():
        Pool.objects.filter(pk=row.pk).update(**change)
        return REFUSED

    answers[8001] = changed
    rounds_of(row, 1, since=NOW + timedelta(seconds=10))
    assert health().verdict == "up"


def test_a_backend_that_moved_in_its_first_probe_is_not_judged_by_it(answers):
    row = pool()
    other = pool("other", ports=(), probe_kind="off")
    Pool.objects.filter(pk=other.pk).update(probe_kind="http")

    def moved():
        Backend.objects.filter(port=8001).update(pool=other)
        return REFUSED

    answers[8001] = moved
    rounds_of(row, 1)
    assert health().verdict == "unknown"


def test_a_pool_deleted_in_mid_probe_does_no_harm(answers):
    row = pool()

    def gone():
        Pool.objects.filter(pk=row.pk).delete()
        return UP

    answers[8001] = gone
    assert worker.run_due(NOW) == 1
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
    assert worker.run_due(NOW) == 1
    assert answers["asked"] == [8002]
    assert "bad is not probed" in caplog.text


@pytest.mark.parametrize("late_s", [4.6, 4.8, 5.0])
def test_ticks_that_were_held_up_probe_once(answers, late_s):
    """Two that come at one moment, as after a pause of all workers."""
    pool()
    worker.run_due(NOW)
    later = NOW + timedelta(seconds=5 + late_s)
    assert worker.run_due(later) == 1
    assert worker.run_due(later + timedelta(milliseconds=40)) == 0
