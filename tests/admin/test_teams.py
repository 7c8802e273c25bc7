"""Teams: who is in one sees and changes its things, and nothing of others."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.utils import timezone

from pools.control import publish, teams
from pools.control.apply import apply
from pools.core import codec
from pools.models import (
    Alert,
    Channel,
    Delivery,
    HealthEvent,
    Pool,
    Revision,
    Route,
    Team,
    Telling,
)
from tests.admin import browser

NOW = timezone.now()


@pytest.fixture
def oak(db) -> Team:
    return Team.objects.create(group=Group.objects.create(name="oak"))


@pytest.fixture
def elm(db) -> Team:
    return Team.objects.create(group=Group.objects.create(name="elm"))


@pytest.fixture
def sites(oak, elm):
    """Pools and routing rules oak-1, elm-1 and free, of the teams and of nobody; each pool
    with a backend, an event, an alert and a channel that was told of it."""
    names = ("oak-1", "elm-1", "free")
    with publish.change(who="test"):
        Pool.objects.all().delete()
        apply(
            codec.parse(
                {
                    "pools": [
                        {"name": name, "backends": [{"host": f"{name}.example", "port": 80}]}
                        for name in names
                    ],
                    "routes": [
                        {"name": name, "pool": name, "path_prefix": f"/{name}"}
                        for name in names
                    ],
                }
            )
        )
    for team in (oak, elm):
        for model in (Pool, Route):
            model.objects.filter(name=f"{team}-1").update(team=team)
    for name in names:
        pool = Pool.objects.get(name=name)
        HealthEvent.objects.create(
            backend=pool.backends.get(), at=NOW, old="unknown", new="up", reason=name
        )
        alert = Alert.objects.create(kind="pool_empty", subject=name, pool=name, begun_at=NOW)
        channel = Channel.objects.create(
            name=f"to-{name}", kind="slack", url="http://127.0.0.1:9/x", every_pool=False
        )
        channel.pools.add(pool)
        delivery = Delivery.objects.create(
            channel=channel, subject=name, payload={}, created_at=NOW, next_at=NOW
        )
        Telling.objects.create(
            channel=channel, alert=alert, phase="begun", at=NOW, since=NOW, delivery=delivery
        )


@pytest.fixture
def sign_in(django_user_model):
    def made(name: str, *groups: str, role: str = "editor") -> Client:
        user = django_user_model.objects.create(username=name, is_staff=True)
        user.groups.set(Group.objects.filter(name__in=(*groups, role)))
        client = Client()
        client.force_login(user)
        return client

    return made


KINDS = ("pool", "backend", "route", "alert", "channel", "delivery", "healthevent")


@pytest.mark.parametrize(
    ("groups", "role", "seen"),
    [
        (["oak"], "editor", {"oak-1"}),
        (["oak"], "viewer", {"oak-1"}),
        (["oak", "elm"], "editor", {"oak-1", "elm-1"}),
        ([], "editor", {"free"}),
        (["oak"], "administrator", {"oak-1", "elm-1", "free"}),
    ],
)
def test_lists_show_what_is_the_teams(sites, sign_in, groups, role, seen):
    ann = sign_in("ann", *groups, role=role)
    for kind in KINDS:
        response = ann.get(f"/admin/pools/{kind}/")
        assert response.status_code == 200
        rows = [str(row) for row in response.context["cl"].queryset]
        assert len(rows) == len(seen), kind
        assert {name for name in ("oak-1", "elm-1", "free") if name in " ".join(rows)} == seen
        # Neither filters nor columns tell of the others.
        main = response.content.decode()
        for other in {"oak-1", "elm-1", "free"} - seen:
            assert other not in main, (kind, other)


def test_while_there_is_no_team_everybody_sees_all(web, sign_in):
    assert len(sign_in("ann").get("/admin/pools/pool/").context["cl"].queryset) == 2


def test_what_is_anothers_is_as_if_it_were_not_there(sites, sign_in):
    ann = sign_in("ann", "oak")
    other = Pool.objects.get(name="elm-1")
    rows = [
        other,
        other.backends.get(),
        Route.objects.get(name="elm-1"),
        Alert.objects.get(subject="elm-1"),
        Channel.objects.get(name="to-elm-1"),
        Delivery.objects.get(subject="elm-1"),
    ]
    for row in rows:
        kind = row._meta.model_name
        for rest in ("change", "delete", "history"):
            there = ann.get(f"/admin/pools/{kind}/{row.pk}/{rest}/")
            missing = ann.get(f"/admin/pools/{kind}/999999/{rest}/")
            assert there.status_code in (302, 403), (kind, rest)
            assert (there.status_code, there.headers.get("Location")) == (
                missing.status_code,
                missing.headers.get("Location"),
            ), (kind, rest)
    for name in ("test", "secret"):
        channel = Channel.objects.get(name="to-elm-1")
        ann.post(f"/admin/pools/channel/{channel.pk}/{name}/")
    assert Delivery.objects.filter(channel__name="to-elm-1").count() == 1


def test_actions_leave_what_is_anothers_alone(sites, sign_in):
    ann = sign_in("ann", "oak")
    backends = [pool.backends.get() for pool in Pool.objects.all()]
    browser.act(ann, "backend/", "drain", *backends)
    browser.act(ann, "pool/", "delete_selected", *Pool.objects.all(), post="yes")
    browser.act(ann, "route/", "delete_selected", *Route.objects.all(), post="yes")
    states = {row.pool.name: row.state for row in backends if not row.refresh_from_db()}
    assert states == {"oak-1": "drain", "elm-1": "ready", "free": "ready"}
    assert set(Route.objects.values_list("name", flat=True)) == {"elm-1", "free"}


def test_forms_offer_the_teams_pools_alone(sites, sign_in):
    ann = sign_in("ann", "oak")
    for kind, row in (("route", Route), ("channel", Channel)):
        page = ann.get(f"/admin/pools/{kind}/add/").content.decode()
        assert "oak-1" in page, row
        assert "elm-1" not in page, row
    own, other = Route.objects.get(name="oak-1"), Pool.objects.get(name="elm-1")
    response = browser.send(ann, f"route/{own.pk}/change/", pool=str(other.pk))
    assert "pool" in browser.errors(response)


def test_a_channel_of_a_team_tells_of_its_pools_alone(sites, sign_in):
    ann = sign_in("ann", "oak")
    pool = Pool.objects.get(name="oak-1")
    typed = {"name": "mine", "kind": "slack", "url": "http://127.0.0.1:9/y"}
    browser.send(ann, "channel/add/", **typed, pools=[str(pool.pk)], every_pool="on")
    assert Channel.objects.get(name="mine").every_pool is False


def test_what_is_added_is_the_teams_of_who_adds_it(sites, sign_in, oak, elm):
    ann = sign_in("ann", "oak")
    assert browser.send(ann, "pool/add/", **{"name": "oak-2"}).status_code == 302
    assert Pool.objects.get(name="oak-2").team == oak
    both = sign_in("bob", "oak", "elm")
    assert "team" in browser.errors(browser.send(both, "pool/add/", name="new", team=""))
    browser.send(both, "pool/add/", name="new", team=str(elm.pk))
    assert Pool.objects.get(name="new").team == elm
    nobody = sign_in("eve")
    browser.send(nobody, "pool/add/", name="free-2")
    assert Pool.objects.get(name="free-2").team is None


def test_a_team_is_given_a_pool_by_who_sees_all(client, sites, oak):
    pool = Pool.objects.get(name="free")
    browser.send(client, f"pool/{pool.pk}/change/", team=str(oak.pk))
    pool.refresh_from_db()
    assert pool.team == oak


def test_teams_are_on_no_form_while_there_is_none(client, web):
    assert "team" not in browser.form(client, f"pool/{web.pk}/change/")


def test_revisions_show_the_changes_of_ones_own_things(client, sites, sign_in):
    ann = sign_in("amy", "oak")
    before = {row.number for row in ann.get("/admin/pools/revision/").context["cl"].queryset}
    for name in ("oak-1", "elm-1"):
        row = Route.objects.get(name=name)
        browser.send(client, f"route/{row.pk}/change/", path_prefix=f"/{name}/new")
    seen = {row.number for row in ann.get("/admin/pools/revision/").context["cl"].queryset}
    theirs = Revision.objects.latest()
    assert seen - before == {theirs.number - 1}
    with publish.change(who="ann", why="Changed elm-1 and oak-1"):
        Pool.objects.update(connect_timeout_s=9)
    row = Revision.objects.latest()
    page = ann.get(f"/admin/pools/revision/{row.pk}/change/").content.decode()
    assert "oak-1" in page and "connect_timeout_s" in page
    assert "elm-1" not in page


def test_a_pool_that_comes_back_is_its_teams_again(client, sites, oak):
    free = Pool.objects.get(name="free")
    browser.send(client, f"pool/{free.pk}/change/", team=str(oak.pk))
    document = publish.published(publish.revision())
    with publish.change(who="test"):
        Route.objects.all().delete()
        Pool.objects.all().delete()
    with publish.change(who="test"):
        apply(document)
    assert Pool.objects.get(name="free").team == oak


def test_a_rule_of_another_team_is_not_named_where_it_keeps_a_pool(sites, sign_in, elm):
    route = Route.objects.get(name="oak-1")
    Route.objects.filter(pk=route.pk).update(team=elm, name="elms-own")
    pool = Pool.objects.get(name="oak-1")
    page = sign_in("ann", "oak").get(f"/admin/pools/pool/{pool.pk}/delete/").content.decode()
    assert "elms-own" not in page
    assert "another team" in page


def test_a_team_with_pools_is_not_deleted(client, sites, oak):
    page = f"/admin/pools/team/{oak.pk}/delete/"
    assert client.post(page, {"post": "yes"}).status_code == 200
    assert Team.objects.filter(pk=oak.pk).exists()


def test_who_is_given_the_right_sees_every_team(sites, django_user_model, oak):
    user = django_user_model.objects.create(username="ann", is_staff=True)
    assert not teams.sees_all(user)
    user.user_permissions.add(Permission.objects.get(codename="see_every_team"))
    again = django_user_model.objects.get(pk=user.pk)
    assert teams.visible_pools(again).count() == 3


@pytest.mark.parametrize("kind", ["pool", "backend", "route", "alert", "delivery", "revision"])
def test_a_list_asks_as_much_of_the_database_for_many_rows(
    sites, sign_in, oak, django_assert_max_num_queries, kind
):
    ann = sign_in("ann", "oak")
    ann.get(f"/admin/pools/{kind}/")
    Pool.objects.bulk_create(Pool(name=f"p{number}", team=oak) for number in range(300))
    with django_assert_max_num_queries(22):
        ann.get(f"/admin/pools/{kind}/")
