"""What the dashboard warns of, each with its mend, and one cause once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from pools.admin.dashboard import warnings
from pools.admin.dashboard.warnings import Level
from pools.control import census, processes, wake
from pools.models import BackendHealth, Process
from tests.control.test_census import DAY_S, pool

pytestmark = pytest.mark.django_db


def now():
    return timezone.now()


def tell(
    kind: str, name: str = "a:1", *, age_s: float = 0, runs_s: float = 600, **report: object
) -> None:
    at = now() - timedelta(seconds=age_s)
    begun = at - timedelta(seconds=runs_s)
    Process.objects.create(kind=kind, name=name, started_at=begun, seen_at=at, report=report)


def at_work(*, revision: int = 1) -> None:
    """Beat, a worker and a gateway that do what they should."""
    tell("beat", idle_s=0.5, broker="")
    tell("worker", idle_s=0.5, broker="")
    tell("gateway", revision=revision)


def warned(*, revision: int = 1, age_s: float = 60) -> list[warnings.Warned]:
    told = processes.read()
    since = now() - timedelta(seconds=age_s)
    found = warnings.gather(census.read(now()), told, (revision, since), now())
    assert all(each.mend for each in found)
    return found


def words(**given: object) -> list[str]:
    return [each.what for each in warned(**given)]


def test_where_all_is_well_there_is_nothing_to_say():
    at_work()
    pool("web", "up", "up")
    assert words() == []


def test_each_part_that_is_missing_is_named_with_how_to_start_it():
    found = warned()
    assert [each.what for each in found] == [
        "Nobody probes: no beat has told of itself.",
        "Nobody probes: no worker has told of itself.",
        "Nobody carries traffic: no gateway or web process has told of itself.",
    ]
    assert found[0].mend.startswith("Start beat: ")
    assert {each.level for each in found} == {Level.URGENT}


def test_pools_that_nobody_probes_are_no_cause_of_their_own():
    tell("gateway", revision=1)
    pool("web", "up", age_s=DAY_S)
    assert all("not been probed" not in each for each in words())
    Process.objects.all().delete()
    at_work()
    assert words() == [
        "Pool web has not been probed for three intervals: its backends count as usable, "
        "whatever they are."
    ]


def test_workers_that_just_began_are_not_late_yet():
    pool("web", "up", age_s=DAY_S)
    tell("beat", idle_s=0.5, broker="")
    tell("worker", idle_s=0.5, broker="", runs_s=5)
    tell("gateway", revision=1)
    assert warned() == []


def test_a_broker_that_is_away_is_said_by_those_who_need_it():
    tell("beat", idle_s=30, broker="Connection refused")
    tell("worker", idle_s=30, broker="")
    tell("gateway", revision=1)
    (only,) = warned()
    assert only.what == "Nobody probes: beat a:1: Connection refused."
    assert "REDIS_URL" in only.mend


def test_redis_that_only_wakes_is_a_lesser_thing(monkeypatch, settings):
    settings.POOLS_POLL_INTERVAL_S = 0.5
    at_work()
    monkeypatch.setattr(wake, "away", lambda: True)
    (only,) = warned()
    assert only.level is Level.WARNING
    assert only.what == "Redis is away: changes take up to 0.5 s, as processes poll."


def test_pools_without_a_backend_share_a_line():
    at_work()
    for number in range(8):
        pool(f"p{number}", "down", "down")
    (only,) = warned()
    assert only.what == (
        "Requests for 8 pools are refused, as they have no backend left: "
        "p0, p1, p2, p3, p4 and 3 more."
    )
    assert only.where == "/admin/pools/backend/"


def test_one_pool_in_panic_leads_to_its_backends():
    at_work()
    row = pool("web", "up", "down", "down")
    (only,) = warned()
    assert only.what.startswith("Pool web is in panic: ")
    assert only.where == f"/admin/pools/backend/?pool__id__exact={row.pk}"


def test_a_process_behind_is_told_of_once_it_had_time_to_follow():
    at_work(revision=1)
    assert words(revision=2, age_s=1) == []
    (only,) = warned(revision=2)
    assert only.what == "A process does not follow revision 2: gateway a:1."
    assert only.since_when


def test_the_gone_are_not_behind():
    at_work()
    tell("gateway", "b:2", age_s=600, revision=0)
    assert words() == []


def test_certificates_that_end_are_told_of_the_first_ones_by_name():
    at_work()
    row = pool("web", *["up"] * 9)
    health = BackendHealth.objects.filter(backend__pool=row)
    health.update(certificate_until=now() + timedelta(days=2))
    health.filter(backend__port=4).update(certificate_until=now() - timedelta(days=1))
    found = warned()
    assert found[0].level is Level.URGENT
    assert found[0].what.startswith("The certificate of web/10.0.0.1:4 has ended, on ")
    assert found[-1].what == "4 more certificates end soon."
    assert len(found) == 6


def test_a_gateways_certificate_is_told_of_too():
    at_work()
    until = (now() + timedelta(days=3)).isoformat()
    Process.objects.filter(kind="gateway").update(
        report={"revision": 1, "certificates": [{"name": "example.org", "until": until}]}
    )
    (only,) = words()
    assert only.startswith("The certificate of example.org ends on ")


def test_a_probe_that_is_off_warns_of_no_certificate():
    at_work()
    pool("web", "up", probe_kind="off")
    BackendHealth.objects.update(certificate_until=now())
    assert words() == []


@pytest.fixture
def safe(settings):
    settings.DEBUG = False
    settings.SECRET_KEY = "k9#" + "abcdefghij0123456789" * 3
    settings.POOLS_ADMIN_HOST = "admin.example.com"


def unwise() -> list[str]:
    return [each.what.split(":")[0] for each in warnings.unwise()]


def test_settings_that_are_safe_are_not_spoken_of(safe):
    assert unwise() == []


@pytest.mark.parametrize("key", ["secret", "django-insecure-" + "x1y2z3" * 10, "a" * 60])
def test_a_key_that_can_be_guessed_is(safe, settings, key):
    settings.SECRET_KEY = key
    assert unwise() == ["SECRET_KEY is easy to guess"]


def test_debug_and_a_shared_host_are(safe, settings):
    settings.DEBUG = True
    settings.POOLS_ADMIN_HOST = ""
    assert unwise() == ["DEBUG is on"]  # nothing is proxied by the console's own process
    settings.MIDDLEWARE = [warnings.PROXY, *settings.MIDDLEWARE]
    assert unwise() == ["DEBUG is on", "The console has no host of its own"]


def test_warnings_cost_few_queries_however_many_there_are(django_assert_max_num_queries):
    at_work()
    for number in range(20):
        pool(f"p{number}", "up", "down", "down", age_s=DAY_S * (number % 2))
    BackendHealth.objects.update(certificate_until=now())
    counted, told = census.read(now()), processes.read()
    with django_assert_max_num_queries(2):
        assert warnings.gather(counted, told, (1, now()), now())
