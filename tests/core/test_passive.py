import pytest

from pools.core import document
from pools.core.passive import MOST_CHARS, PassiveState, may_eject, panics

SPEC = document.Passive(failures=3, base_ejection_s=30.0)


def eject(state, now):
    state.eject(SPEC, now)
    return state.until - now


def test_failures_in_a_row_make_an_ejection_due():
    state = PassiveState()
    assert [state.failed(SPEC, "reset") for _ in range(4)] == [False, False, True, True]


def test_failures_zero_switches_it_off():
    state = PassiveState()
    assert not any(state.failed(document.Passive(failures=0), "reset") for _ in range(100))


def test_ejection_ends_by_itself_and_begins_a_new_count():
    state = PassiveState()
    state.failed(SPEC, "reset")
    state.eject(SPEC, 100.0)
    assert state.ejected(129.9) and not state.ejected(130.0)
    assert state.failures == 0


def test_each_ejection_lasts_longer_up_to_the_cap():
    state, now, lasted = PassiveState(), 0.0, []
    for _ in range(12):
        lasted.append(eject(state, now))
        now = state.until
    assert lasted == [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]


def test_a_base_time_above_the_cap_is_kept():
    state = PassiveState()
    spec = document.Passive(base_ejection_s=900.0)
    for _ in range(2):
        state.eject(spec, 0.0)
        assert state.until == 900.0


@pytest.mark.parametrize(
    ("good_s", "next_s"), [(0, 90), (29, 90), (30, 60), (60, 30), (9e9, 30)]
)
def test_good_behaviour_is_remembered_too(good_s, next_s):
    state = PassiveState()
    eject(state, 0.0)
    eject(state, state.until)
    assert eject(state, state.until + good_s) == next_s


def test_recovery_ends_the_ejection_and_keeps_it_in_mind():
    state = PassiveState()
    eject(state, 0.0)
    state.recover(10.0)
    assert not state.ejected(10.0)
    assert eject(state, 11.0) == 60


def test_recovery_without_ejection_changes_nothing_but_the_count():
    state = PassiveState()
    state.failed(SPEC, "reset")
    state.recover(10.0)
    assert (state.failures, state.times, state.ejected(10.0)) == (0, 0, False)


@pytest.mark.parametrize(
    ("failures", "words", "why"),
    [
        (3, "reset", "3 failed requests in a row, the last: reset"),
        (1, "status 503", "a failed request: status 503"),
        (1, "two\r\nlines", "a failed request: two lines"),
        (1, "x" * 1000, "a failed request: " + "x" * MOST_CHARS),
    ],
)
def test_an_ejection_keeps_what_it_was_for(failures, words, why):
    spec = document.Passive(failures=failures)
    state = PassiveState()
    state.failed(spec, "at first")
    state.failed(spec, words)
    state.eject(spec, 0.0)
    state.failed(spec, "after it")
    assert state.why == why


@pytest.mark.parametrize(
    ("percent", "pool", "allowed"),
    [(50, 2, 1), (50, 3, 1), (50, 4, 2), (10, 5, 1), (100, 4, 4), (0, 4, 0), (34, 3, 1)],
)
def test_share_of_a_pool_that_may_be_ejected(percent, pool, allowed):
    spec = document.Passive(max_ejected_percent=percent)
    counts = [
        may_eject(spec, pool=pool, ejected=ejected, others_selectable=1)
        for ejected in range(pool + 1)
    ]
    assert counts == [True] * allowed + [False] * (pool + 1 - allowed)


def test_the_last_selectable_is_never_ejected():
    spec = document.Passive(max_ejected_percent=100)
    assert not may_eject(spec, pool=4, ejected=0, others_selectable=0)


@pytest.mark.parametrize(
    ("percent", "selectable", "panic"),
    [
        (50, 2, False),
        (50, 1, True),
        (50, 0, True),
        (25, 1, False),
        (0, 0, False),
        (100, 3, True),
    ],
)
def test_panic_begins_below_the_threshold(percent, selectable, panic):
    spec = document.Passive(panic_percent=percent)
    assert panics(spec, selectable=selectable, ready=4) is panic
