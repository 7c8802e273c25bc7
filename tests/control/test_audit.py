"""The audit log: what a change of the configuration leaves there."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.management import CommandError, call_command
from django.test import RequestFactory

from pools.control import audit, keep, publish
from pools.control.apply import apply
from pools.core import codec
from pools.core.masking import MASK
from pools.models import AuditEntry, Backend, Pool, Route

pytestmark = pytest.mark.django_db

DOCUMENT = {
    "pools": [
        {
            "name": "web",
            "backends": [{"host": "10.0.0.1", "port": 80}, {"host": "::1", "port": 80}],
        }
    ],
    "routes": [
        {"name": "api", "pool": "web", "request_headers": {"set": {"X-Api-Key": "one"}}}
    ],
}


@pytest.fixture
def site():
    with publish.change(who="test"):
        apply(codec.parse(DOCUMENT))
    AuditEntry.objects.all().delete()


def told() -> list[tuple[str, str, str, list[dict]]]:
    rows = AuditEntry.objects.filter(kind__in=("pool", "backend", "route"))
    rows = rows.order_by("kind", "name")
    return [(row.action, row.kind, row.name, row.changes) for row in rows]


def test_what_was_added_counts_its_backends():
    with publish.change(who="ann"):
        apply(codec.parse(DOCUMENT))
    assert told() == [
        ("added", "pool", "web", [{"field": "backends", "old": 0, "new": 2}]),
        ("added", "route", "api", []),
    ]
    rows = AuditEntry.objects.filter(revision__isnull=False)
    assert set(rows.values_list("who", "revision")) == {("ann", 1)}


def test_a_changed_backend_is_told_with_old_and_new_values(site):
    with publish.change(who="ann"):
        Backend.objects.filter(host="::1").update(weight=5, state="drain")
    assert told() == [
        (
            "changed",
            "backend",
            "web/[::1]:80",
            [
                {"field": "weight", "old": 1, "new": 5},
                {"field": "state", "old": "ready", "new": "drain"},
            ],
        )
    ]


def test_backends_that_come_and_go_are_told_one_by_one(site):
    with publish.change(who="ann"):
        Backend.objects.filter(host="10.0.0.1").update(host="10.0.0.2")
    assert [row[:3] for row in told()] == [
        ("removed", "backend", "web/10.0.0.1:80"),
        ("added", "backend", "web/10.0.0.2:80"),
    ]


def test_a_pool_that_went_counts_its_backends(site):
    with publish.change(who="ann"):
        Route.objects.all().delete()
        Pool.objects.all().delete()
    assert told() == [
        ("removed", "pool", "web", [{"field": "backends", "old": 2, "new": 0}]),
        ("removed", "route", "api", []),
    ]


def test_secrets_are_not_in_it(site):
    with publish.change(who="ann"):
        Route.objects.update(request_headers_set={"X-Api-Key": "two", "X-Stage": "beta"})
    ((_, _, _, changes),) = told()
    assert changes == [
        {"field": "request_headers.set[X-Api-Key]", "old": MASK, "new": MASK},
        {"field": "request_headers.set[X-Stage]", "old": None, "new": "beta"},
    ]
    assert "two" not in json.dumps(changes)


def test_what_changes_nothing_is_not_told(site):
    with publish.change(who="ann"):
        Pool.objects.update(name="web")
    assert told() == []


def test_what_is_undone_is_not_told(site):
    with pytest.raises(RuntimeError), publish.change(who="ann"):
        Backend.objects.update(weight=9)
        raise RuntimeError
    assert told() == []


def test_a_command_is_told_with_the_systems_user(monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "deploy")
    assert audit.record("tested", kind="channel", name="ops").who == "command (deploy)"


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "", "10.0.0.1"),
    ],
)
def test_a_clients_address_is_told_by_trusted_proxies_alone(settings, peer, forwarded, address):
    settings.POOLS_TRUSTED_PROXIES = ["10.0.0.0/8"]
    audit._header_rules.cache_clear()
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    request = RequestFactory().get("/", headers=headers, REMOTE_ADDR=peer)
    request.user = AnonymousUser()
    try:
        with audit.acting(request):
            row = audit.record("failed to sign in")
    finally:
        audit._header_rules.cache_clear()
    assert (row.address, row.who, row.user) == (address, "", None)


def test_the_log_is_kept_for_some_days(settings, monkeypatch):
    settings.POOLS_KEEP_AUDIT_DAYS = 2.0
    monkeypatch.setattr(keep, "_alerts_at", float("-inf"))
    now = audit.clock.now()
    AuditEntry.objects.all().delete()
    for hours in (1, 47, 49):
        row = audit.record("changed", name=str(hours))
        AuditEntry.objects.filter(pk=row.pk).update(at=now - keep.timedelta(hours=hours))
    keep.trim()
    assert set(AuditEntry.objects.values_list("name", flat=True)) == {"1", "47"}


def test_a_change_of_one_backend_of_many_is_told_by_few_queries(
    site, django_assert_max_num_queries
):
    pool = Pool.objects.get()
    Backend.objects.bulk_create(
        Backend(pool=pool, host=f"10.1.{number // 250}.{number % 250}", port=80)
        for number in range(1000)
    )
    publish.publish_pending()
    with django_assert_max_num_queries(25), publish.change(who="ann"):
        Backend.objects.filter(host="10.1.0.1").update(weight=3)


def test_the_command_prints_it(site, capsys):
    with publish.change(who="ann"):
        Backend.objects.filter(host="10.0.0.1").update(weight=5)
    audit.record("signed in", kind="user", name="bob", actor=audit.Actor(who="bob"))
    call_command("audit")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "at",
        "who",
        "address",
        "action",
        "object",
        "changes",
        "revision",
    ]
    assert "signed in" in lines[1]
    assert "backend web/10.0.0.1:80" in lines[2]
    assert "weight: 1 -> 5" in lines[2]
    call_command("audit", "--json", "--user", "bob")
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["who"], entry["action"], entry["kind"]) == ("bob", "signed in", "user")
    call_command("audit", "--object", "web/10.0.0.1:80", "--action", "changed", "--days", "1")
    assert "weight" in capsys.readouterr().out
    call_command("audit", "--object", "nothing")
    assert "Nothing of that" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [("--limit", "0"), ("--days", "-1"), ("--days", "nan")])
def test_the_command_says_what_it_takes(wrong):
    with pytest.raises(CommandError, match="--limit is 1 or more"):
        call_command("audit", *wrong)
