"""What counts as wrong, and what nobody can say."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pools.models import Backend, BackendHealth, Pool, ProbeSchedule, Route
from pools.notify import conditions
from tests.notify import site
from tests.notify.site import NOW, at

pytestmark = pytest.mark.django_db


def wrong(seconds: float = 0) -> dict[tuple[str, str], str]:
    seen = conditions.read(at(seconds))
    return {key: condition.detail for key, condition in seen.wrong.items()}


def keys(seconds: float = 0) -> set[tuple[str, str]]:
    return set(wrong(seconds))


def test_a_site_in_good_health_has_nothing_wrong():
    site.pool()
    assert wrong() == {}


def test_a_backend_that_is_down_is_wrong_since_it_went_down():
    site.pool()
    site.down(2, seconds=-7, reason="status 503, expected 200-399")
    seen = conditions.read(NOW)
    condition = seen.wrong["backend_down", "web/10.0.0.1:2"]
    assert (condition.pool, condition.since) == ("web", at(-7))
    assert condition.detail == "status 503, expected 200-399"


def test_a_time_ahead_of_the_clock_counts_as_now():
    site.pool()
    site.down(2, seconds=3)
    assert conditions.read(NOW).wrong["backend_down", "web/10.0.0.1:2"].since == NOW


@pytest.mark.parametrize("state", ["drain", "maint"])
def test_what_is_out_by_intent_is_not_wrong(state):
    site.pool()
    site.down(2, seconds=0)
    Backend.objects.filter(port=2).update(state=state)
    assert wrong() == {}
    kind = ("backend_down", "web/10.0.0.1:2")
    assert conditions.read(NOW).ending(*kind) == f"it is in {state}"


def test_verdicts_that_are_not_known_are_neither_right_nor_wrong():
    site.pool(ports=(1, 2))
    site.down(2, seconds=0)
    BackendHealth.objects.filter(backend__port=1).delete()
    seen = conditions.read(NOW)
    assert ("backend_down", "web/10.0.0.1:1") in seen.vague
    later = conditions.read(at(3 * 3600))
    assert set(later.wrong) == {("not_probed", "web")}
    assert later.vague >= {
        ("backend_down", "web/10.0.0.1:2"),
        ("pool_empty", "web"),
        ("pool_panic", "web"),
    }


def test_a_pool_that_is_not_probed_says_since_when():
    site.pool()
    assert keys(3 * 3600 - 1) == set()
    assert "the last round ended" in wrong(3 * 3600)["not_probed", "web"]


def test_a_new_pool_has_time_for_its_first_round():
    row = site.pool()
    ProbeSchedule.objects.update(done_at=None, next_at=NOW)
    assert keys(0) == set()
    assert wrong(3 * 3600)["not_probed", "web"].startswith("never yet")
    row.schedule.delete()
    assert keys(0) == {("not_probed", "web")}


def test_nobody_need_probe_what_has_no_probe_or_is_in_maintenance():
    site.pool("off", ports=(1,), probe_kind="off")
    site.pool("maint", ports=(2,), routed=False)
    Backend.objects.filter(port=2).update(state="maint")
    site.pool("bare", ports=(), routed=False)
    assert keys(10 * 3600) == set()


@pytest.mark.parametrize("percent", [0, 50])
def test_a_pool_without_a_usable_backend_is_empty_and_not_in_panic_too(percent):
    site.pool(ports=(1, 2), passive_panic_percent=percent)
    site.down(1, 2, seconds=0)
    found = wrong()
    assert found["pool_empty", "web"] == "all 2 ready ones are down"
    assert ("pool_panic", "web") not in found
    assert ("pool_panic", "web") in conditions.read(NOW).vague


def test_a_pool_that_is_empty_by_intent_is_told_as_such():
    site.pool(ports=(1, 2, 3))
    Backend.objects.filter(port=1).update(state="drain")
    Backend.objects.filter(port=2).update(state="maint")
    Backend.objects.filter(port=3).update(weight=0)
    assert wrong() == {
        ("pool_empty", "web"): "none is ready: 1 in drain, 1 in maint, 1 of weight 0"
    }


def test_a_pool_without_backends_is_empty_where_a_route_leads_to_it():
    site.pool(ports=())
    assert wrong() == {("pool_empty", "web"): "it has no backends"}
    Route.objects.update(enabled=False)
    assert wrong() == {}


def test_a_backend_of_unknown_health_is_one_left():
    site.pool(ports=(1, 2))
    site.down(1, 2, seconds=0)
    BackendHealth.objects.filter(backend__port=1).delete()
    assert ("pool_empty", "web") not in keys()


@pytest.mark.parametrize(
    ("count", "percent", "panics"),
    [(2, 50, False), (3, 50, True), (3, 25, False), (3, 0, False)],
)
def test_a_pool_panics_below_its_threshold(count, percent, panics):
    site.pool(passive_panic_percent=percent)
    site.down(*range(1, count + 1), seconds=0)
    assert (("pool_panic", "web") in keys()) is panics


def test_where_backups_step_in_there_is_no_panic():
    site.pool(ports=(1, 2, 3))
    Backend.objects.filter(port=3).update(backup=True)
    site.down(1, 2, seconds=0)
    assert ("pool_panic", "web") not in keys()


def test_panic_by_ejections_is_what_living_processes_tell():
    site.pool()
    site.process("gw:1", panic=["web", "gone"])
    site.process("gw:2", panic=[])
    site.process("old:1", panic=["web"], seconds=-60)
    site.process("worker:1", kind="worker", panic=["web"])
    assert wrong() == {
        ("pool_panic", "web"): "down or ejected are too many, 1 of 2 processes find"
    }
    site.process("gw:1", panic=[])
    assert wrong() == {}


def test_a_report_of_another_version_is_passed_over():
    site.pool()
    site.process(panic=None, certificates=[{"name": "x"}, 7, {"name": "y", "until": "soon"}])
    site.process("gw:2", certificates=None)
    assert wrong() == {}


def test_a_backends_certificate_is_near_its_end_by_its_pools_days():
    site.pool("web", ports=(1, 2), probe_certificate_days=10)
    site.pool("never", ports=(3,), probe_certificate_days=0)
    BackendHealth.objects.update(certificate_until=NOW + timedelta(days=9, hours=1))
    BackendHealth.objects.filter(backend__port=2).update(
        certificate_until=NOW + timedelta(days=11)
    )
    (((kind, subject), detail),) = wrong().items()
    assert (kind, subject) == ("certificate", "web/10.0.0.1:1")
    assert detail.endswith("9 days left")
    BackendHealth.objects.filter(backend__port=1).update(certificate_until=at(-1))
    assert wrong()["certificate", "web/10.0.0.1:1"].endswith("which is past")


def test_a_gateways_certificate_is_told_by_its_name():
    soon, later = (
        (NOW + timedelta(days=days, hours=1)).isoformat()
        for days in (1, conditions.GATEWAY_DAYS)
    )
    told = [{"name": "a.example", "until": soon}, {"name": "b.example", "until": later}]
    site.process("gw:1", certificates=told)
    site.process("gw:2", certificates=told)
    assert keys() == {("certificate", "a.example")}
    assert wrong()["certificate", "a.example"].endswith("1 day left")


def test_why_something_is_over_is_said_where_not_all_is_well():
    site.pool(ports=(1, 2))
    Pool.objects.filter(name="web").update(probe_kind="off")
    seen = conditions.read(NOW)
    assert seen.ending("backend_down", "web/10.0.0.1:1") == "it is no longer probed"
    assert seen.ending("backend_down", "web/10.0.0.9:1") == "it is no longer configured"
    assert seen.ending("pool_empty", "gone") == "it is no longer configured"
    assert seen.ending("pool_empty", "web") == ""
    assert seen.ending("certificate", "a.example") == ""


def test_the_number_of_queries_is_that_of_no_pools(django_assert_num_queries):
    site.pool("a")
    site.pool("b", ports=(5, 6))
    site.down(1, 2, 5, 6, seconds=0)
    with django_assert_num_queries(8):
        conditions.read(NOW)
