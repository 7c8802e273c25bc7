"""Two people edit one object: the second is told, and nothing is overwritten unasked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from django.test import Client

from pools.control import drafts, publish
from pools.models import Backend, Pool, PublishedState, Revision, Route
from tests.admin import browser
from tests.admin.test_revisions import text


@pytest.fixture
def bob(db, django_user_model) -> Client:
    client = Client()
    client.force_login(django_user_model.objects.create_superuser("bob"))
    return client


@pytest.fixture
def url(web) -> str:
    return f"pool/{web.pk}/change/"


def post(client, url, values, /, **typed):
    return client.post(f"/admin/pools/{url}", {**values, **typed})


def test_the_second_is_told_who_changed_what_and_nothing_is_overwritten(client, bob, url, web):
    opened = browser.form(client, url)
    browser.send(bob, url, policy="random", _comment="a try")
    response = post(client, url, opened, policy="least_requests", probe_path="/mine")
    page = text(response)
    assert "Somebody else was faster" in page
    assert "bob" in page and "revision 2 : Changed pool web: policy" in page.replace(
        "2:", "2 :"
    )
    assert "policy round_robin random least_requests" in page
    (message,) = browser.errors(response)["__all__"]
    assert message.startswith("Nothing was saved: somebody else changed it meanwhile.")
    web.refresh_from_db()
    assert (web.policy, web.probe_path) == ("random", "/")
    shown = browser.read(response)
    assert shown["policy"] == ["least_requests"]
    assert shown["probe_path"] == ["/mine"]
    assert publish.revision() == 2


def test_without_a_choice_it_stays_stopped(client, bob, url, web):
    opened = browser.form(client, url)
    browser.send(bob, url, policy="random")
    told = post(client, url, opened, probe_path="/mine")
    again = post(client, url, browser.read(told))
    assert "Somebody else was faster" in text(again)
    assert publish.revision() == 2


def test_the_others_values_are_kept_where_nothing_was_typed(client, bob, url, web):
    opened = browser.form(client, url)
    browser.send(
        bob,
        url,
        **{
            "policy": "random",
            "retry_on": ["connect"],
            "sticky_http_only": [],
            "probe_text": "fine",
            "backends-0-weight": "9",
            "backends-1-weight": "8",
        },
    )
    told = post(client, url, opened, **{"probe_path": "/mine", "backends-1-weight": "3"})
    done = post(client, url, browser.read(told), _conflict="merge")
    assert done.status_code == 302
    web.refresh_from_db()
    assert (web.policy, web.probe_path, web.retry_on) == ("random", "/mine", ["connect"])
    assert (web.sticky_http_only, web.probe_text) == (False, "fine")
    weights = dict(web.backends.values_list("host", "weight"))
    assert weights == {"10.0.0.1": 9, "10.0.0.2": 3}


def test_the_form_as_it_stands_is_saved_over_it_by_choice(client, bob, url, web):
    opened = browser.form(client, url)
    browser.send(bob, url, policy="random")
    told = post(client, url, opened, probe_path="/mine")
    done = post(client, url, browser.read(told), _conflict="overwrite")
    assert done.status_code == 302
    web.refresh_from_db()
    assert (web.policy, web.probe_path) == ("round_robin", "/mine")


def test_a_choice_holds_for_what_was_shown_alone(client, bob, url, web):
    opened = browser.form(client, url)
    browser.send(bob, url, policy="random")
    told = post(client, url, opened, probe_path="/mine")
    browser.send(bob, url, policy="power_of_two")
    again = post(client, url, browser.read(told), _conflict="overwrite")
    assert "round_robin power_of_two" in text(again)
    web.refresh_from_db()
    assert web.policy == "power_of_two"


def test_an_error_after_the_choice_loses_nothing(client, bob, url, web):
    opened = browser.form(client, url)
    browser.send(bob, url, policy="random")
    told = post(client, url, opened, probe_path="/mine", name="no name!")
    wrong = post(client, url, browser.read(told), _conflict="merge")
    assert "name" in browser.errors(wrong)
    done = post(client, url, browser.read(wrong), name="site")
    assert done.status_code == 302
    web.refresh_from_db()
    assert (web.name, web.policy, web.probe_path) == ("site", "random", "/mine")


def test_rows_that_the_other_added_stay(client, bob, url, web):
    opened = browser.form(client, url)
    Backend.objects.create(pool=web, host="10.0.0.9", port=80)
    told = post(client, url, opened, policy="random")
    assert "10.0.0.9:80 not there there" in text(told)
    post(client, url, browser.read(told), _conflict="overwrite")
    assert web.backends.count() == 3


def test_rows_that_the_other_removed_go_unless_something_was_typed(client, bob, url, web):
    opened = browser.form(client, url)
    browser.send(bob, url, **{"backends-0-DELETE": "on", "backends-1-DELETE": "on"})
    told = post(client, url, opened, **{"backends-1-weight": "7"})
    assert "10.0.0.1:80 there not there" in text(told)
    done = post(client, url, browser.read(told), _conflict="merge")
    assert done.status_code == 302
    assert list(web.backends.values_list("host", "weight")) == [("10.0.0.2", 7)]


@pytest.mark.parametrize("model", ["backend", "route"])
def test_backends_and_rules_are_guarded_too(client, bob, web, model):
    row = {"backend": web.backends.first(), "route": Route.objects.get()}[model]
    field, theirs, mine = {
        "backend": ("weight", "5", "6"),
        "route": ("path_prefix", "/theirs", "/mine"),
    }[model]
    url = f"{model}/{row.pk}/change/"
    opened = browser.form(client, url)
    browser.send(bob, url, **{field: theirs})
    told = post(client, url, opened, **{field: mine})
    assert "Somebody else was faster" in text(told)
    assert f"{theirs} {mine}" in text(told)
    row.refresh_from_db()
    assert str(getattr(row, field)) == theirs


def test_an_action_meanwhile_counts(client, bob, web):
    backend = web.backends.first()
    url = f"backend/{backend.pk}/change/"
    opened = browser.form(client, url)
    browser.act(bob, "backend/", "drain", backend)
    told = post(client, url, opened, weight="4")
    assert "Drained web/10.0.0.1:80" in text(told)
    post(client, url, browser.read(told), _conflict="merge")
    backend.refresh_from_db()
    assert (backend.state, backend.weight) == ("drain", 4)


def test_what_was_deleted_meanwhile_can_be_added_again(client, bob, web):
    Route.objects.all().delete()
    url = f"pool/{web.pk}/change/"
    opened = browser.form(client, url)
    bob.post(f"/admin/pools/pool/{web.pk}/delete/", {"post": "yes"})
    told = post(client, url, opened, **{"policy": "random", "backends-1-weight": "7"})
    page = text(told)
    assert "It was deleted meanwhile" in page
    assert "Deleted pool web" in page
    assert not Pool.objects.filter(name="web").exists()
    done = post(client, url, browser.read(told), _conflict="add")
    assert done.status_code == 302
    again = Pool.objects.get(name="web")
    assert again.policy == "random"
    assert dict(again.backends.values_list("host", "weight")) == {"10.0.0.1": 1, "10.0.0.2": 7}


def test_a_form_that_does_not_say_what_it_was_opened_with_is_stopped(client, url, web):
    opened = browser.form(client, url)
    told = post(client, url, opened, _opened="made:up", policy="random")
    assert "Somebody else was faster" in text(told)
    done = post(client, url, browser.read(told), _conflict="overwrite")
    assert done.status_code == 302


def test_nothing_stops_who_is_alone(client, url, web):
    for policy in ("random", "least_requests"):
        assert browser.send(client, url, policy=policy).status_code == 302
    assert Revision.objects.count() == 3


def test_a_draft_of_somebody_else_counts(client, bob, url, web):
    drafts.switch(on=True)
    opened = browser.form(client, url)
    browser.send(bob, url, policy="random", _comment="a try")
    told = post(client, url, opened, probe_path="/mine")
    page = text(told).replace("\xa0", " ")
    assert "bob" in page and "in the draft a try" in page
    post(client, url, browser.read(told), _conflict="merge")
    row = Pool.drafted.overlaid().get(pk=web.pk)
    assert (row.policy, row.probe_path) == ("random", "/mine")
    assert publish.revision() == 1


def test_a_writer_that_gets_in_while_one_waits_for_its_turn_is_seen(
    client, url, web, monkeypatch
):
    opened = browser.form(client, url)
    lock = PublishedState.lock

    def waited():
        monkeypatch.setattr(PublishedState, "lock", lock)
        state = lock()
        Pool.objects.filter(pk=web.pk).update(policy="random")
        return state

    monkeypatch.setattr(PublishedState, "lock", waited)
    told = post(client, url, opened, policy="least_requests")
    assert "Somebody else was faster" in text(told)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request, tmp_path):
    """An empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/test.sqlite3"
        return
    server = request.getfixturevalue("postgres_url")
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute("CREATE DATABASE editors")
        yield server.rpartition("/")[0] + "/editors"
        admin.execute("DROP DATABASE editors WITH (FORCE)")


def test_of_two_who_save_at_the_same_moment_one_is_told(database_url, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.admin.editors"],
        check=False,
        cwd=Path(__file__).resolve().parents[2],
        env={
            **os.environ,
            "DATABASE_URL": database_url,
            "DATA_DIR": str(tmp_path),
            "ALLOWED_HOSTS": "testserver",
            "WEB_PROXY": "false",
            "DJANGO_SETTINGS_MODULE": "proxysite.settings",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "in_force": [[200, 302]] * 3,
        "revisions": 4,
        "staged": [[200, 302]] * 3,
        "drafts": 1,
        "kept": ["slow_start_s"],
        "published": True,
        "last": True,
        "same": True,
    }
