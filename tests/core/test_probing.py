import pytest

from pools.core.probing import ProbeState, Verdict, observe


def run(results, rise=2, fall=3):
    """The state after these results, and at which of them the verdict flipped."""
    state, flips = ProbeState(), []
    for index, ok in enumerate(results):
        state, flipped = observe(state, ok, rise=rise, fall=fall)
        if flipped:
            flips.append(index)
    return state, flips


@pytest.mark.parametrize(("ok", "verdict"), [(True, Verdict.UP), (False, Verdict.DOWN)])
def test_first_probe_decides_both_ways(ok, verdict):
    state, flips = run([ok], rise=10, fall=10)
    assert (state.verdict, flips) == (verdict, [0])


def test_fall_failures_in_a_row_make_it_down():
    state, flips = run([True, False, False, True, False, False, False])
    assert (state.verdict, flips) == (Verdict.DOWN, [0, 6])


def test_rise_successes_in_a_row_make_it_up():
    state, flips = run([False, True, False, True, True])
    assert (state.verdict, flips) == (Verdict.UP, [0, 4])


@pytest.mark.parametrize("ok", [True, False])
def test_steady_health_leaves_the_state_as_it_is(ok):
    state, _ = run([ok] * 5)
    assert observe(state, ok, rise=2, fall=3) == (state, False)


def test_counts_follow_a_rise_and_fall_that_were_lowered():
    state, _ = run([True] * 9, rise=9)
    assert observe(state, True, rise=2, fall=3)[0].successes == 2


def test_one_failure_of_fall_one_is_enough():
    assert run([True, False], fall=1)[0].verdict is Verdict.DOWN
