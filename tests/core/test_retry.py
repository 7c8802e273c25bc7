import pytest

from pools.core import document
from pools.core.document import RetryOn
from pools.core.retry import FailureKind, RetryBudget, decide

IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]


def decided(reason=RetryOn.ERROR, *, method="GET", spec=None, **facts):
    known = {"attempts": 1, "bytes_sent": True, "replayable": True}
    return decide(
        reason, spec=spec or document.Retry(), method=method.encode(), **(known | facts)
    )


def test_every_kind_of_failure_has_its_word_in_the_configuration():
    assert {kind.value for kind in FailureKind} <= {reason.value for reason in RetryOn}


@pytest.mark.parametrize("method", [*IDEMPOTENT, "POST", "PATCH", "BREW"])
def test_any_method_is_tried_again_before_bytes_were_written(method):
    assert decided(RetryOn.CONNECT, method=method, bytes_sent=False)


@pytest.mark.parametrize("method", IDEMPOTENT)
def test_idempotent_methods_are_sent_again(method):
    assert decided(method=method)


@pytest.mark.parametrize("method", ["POST", "PATCH", "LOCK", "get"])
def test_other_methods_are_not_resent_after_bytes_were_written(method):
    assert not decided(method=method)


def test_a_pool_may_have_non_idempotent_methods_resent():
    assert decided(method="POST", spec=document.Retry(non_idempotent=True))


@pytest.mark.parametrize("bytes_sent", [True, False])
def test_a_consumed_body_is_never_sent_again(bytes_sent):
    spec = document.Retry(non_idempotent=True)
    assert not decided(spec=spec, bytes_sent=bytes_sent, replayable=False)


@pytest.mark.parametrize("reason", RetryOn)
def test_only_what_the_pool_names_is_retried(reason):
    assert decided(reason, spec=document.Retry(on=(reason,)))
    others = tuple(other for other in RetryOn if other is not reason)
    assert not decided(reason, spec=document.Retry(on=others))


def test_attempts_are_bounded():
    spec = document.Retry(attempts=3)
    assert [decided(spec=spec, attempts=made) for made in (1, 2, 3, 4)] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("in_flight", "retries"), [(0, 3), (1, 3), (19, 3), (20, 4), (100, 20)]
)
def test_budget_is_a_fifth_of_requests_in_flight_and_at_least_three(in_flight, retries):
    budget = RetryBudget()
    assert [budget.take(in_flight) for _ in range(retries + 1)] == [True] * retries + [False]
    budget.give_back()
    assert budget.take(in_flight)
