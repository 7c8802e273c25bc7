"""What cannot come into force changes nothing, says why, and loses nothing that was typed."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from django.contrib.admin.models import LogEntry
from django.db import OperationalError

from pools.control import compile, publish
from pools.core.errors import DocumentError, Problem
from pools.models import Backend, Pool, PublishedState, Revision, Route
from tests.admin import browser


@pytest.fixture
def broken(web) -> Pool:
    """Another pool whose row was made invalid past every check."""
    Pool.objects.filter(name="spare").update(policy="wrong")
    return web


@contextmanager
def refused(monkeypatch, *problems: Problem):
    """publish.change as it is when another process got in between check and publish."""

    def document():
        raise DocumentError(problems)

    with monkeypatch.context() as patch:
        patch.setattr(compile, "document", document)
        yield


def test_a_refused_change_shows_the_reason_and_all_that_was_typed(client, broken):
    typed = {
        "policy": "random",
        "probe_path": "/up",
        "backends-0-weight": "9",
        "backends-1-DELETE": "on",
    }
    response = browser.send(client, f"pool/{broken.pk}/change/", **typed)
    (message,) = browser.errors(response)["__all__"]
    assert message.startswith(
        "Nothing was saved, as the configuration does not hold: pools[spare].policy:"
    )
    shown = browser.read(response)
    assert {name: shown[name] for name in typed} == {
        name: [text] for name, text in typed.items()
    }


def test_a_database_that_does_not_take_a_change_costs_nothing_that_was_typed(
    client, broken, monkeypatch
):
    def locked():
        raise OperationalError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(compile, "document", locked)
        typed = {"policy": "random", "probe_path": "/up"}
        response = browser.send(client, f"pool/{broken.pk}/change/", **typed)
    (message,) = browser.errors(response)["__all__"]
    assert message == (
        "Nothing was saved: the database did not take it (database is locked): try again"
    )
    shown = browser.read(response)
    assert {name: shown[name] for name in typed} == {
        name: [text] for name, text in typed.items()
    }


def test_a_refused_change_leaves_no_trace(client, broken):
    browser.send(
        client,
        f"pool/{broken.pk}/change/",
        **{"policy": "random", "backends-0-weight": "9", "backends-1-DELETE": "on"},
    )
    broken.refresh_from_db()
    assert broken.policy == "round_robin"
    assert list(broken.backends.values_list("weight", flat=True)) == [1, 1]
    assert Revision.objects.count() == 1
    assert not LogEntry.objects.exists()


def test_a_refused_addition_can_be_sent_again_as_it_is(client, broken):
    typed = {"name": "more", "backends-0-host": "10.0.0.9", "backends-0-port": "80"}
    response = browser.send(client, "pool/add/", **typed)
    assert "__all__" in browser.errors(response)
    assert not Pool.objects.filter(name="more").exists()
    Pool.objects.filter(name="spare").update(policy="random")
    again = client.post("/admin/pools/pool/add/", browser.read(response))
    assert again.status_code == 302
    assert Backend.objects.get(pool__name="more").address == "10.0.0.9:80"


def test_the_second_of_two_at_a_time_is_told_at_its_field(client, web, monkeypatch):
    lock = PublishedState.lock

    def waited():
        monkeypatch.setattr(PublishedState, "lock", lock)
        state = lock()
        Pool.objects.create(name="more")  # what the first did meanwhile
        return state

    monkeypatch.setattr(PublishedState, "lock", waited)
    response = browser.send(
        client, "pool/add/", **{"name": "more", "backends-TOTAL_FORMS": "0"}
    )
    assert browser.errors(response) == {"name": ["Pool with this Name already exists."]}


def test_mending_what_is_broken_is_published(client, broken):
    spare = Pool.objects.get(name="spare")
    assert browser.send(client, f"pool/{spare.pk}/change/", policy="random").status_code == 302
    assert compile.document() == publish.published(Revision.objects.latest().number)


def test_a_problem_of_the_object_itself_is_said_at_its_field(client, web, monkeypatch):
    with refused(
        monkeypatch,
        Problem(("pools[web]", "probe", "path"), "is taken"),
        Problem(("pools[web]", "backends[10.0.0.1:80]", "port"), "is odd"),
        Problem(("pools[spare]", "name"), "is dull"),
    ):
        response = browser.send(client, f"pool/{web.pk}/change/", policy="random")
    found = browser.errors(response)
    assert found["probe_path"] == ["is taken"]
    assert [text.partition(": ")[2] for text in found["__all__"]] == [
        "pools[web].backends[10.0.0.1:80].port: is odd",
        "pools[spare].name: is dull",
    ]


@pytest.mark.parametrize(
    ("model", "path", "field"),
    [
        ("backend", ("pools[web]", "backends[10.0.0.1:80]", "weight"), "weight"),
        ("route", ("routes[api]", "request_headers", "set"), "request_headers_set"),
    ],
)
def test_backends_and_rules_have_their_problems_at_the_field_too(
    client, web, monkeypatch, model, path, field
):
    row = {"backend": web.backends.first(), "route": Route.objects.get()}[model]
    with refused(monkeypatch, Problem(path, "is odd")):
        response = browser.send(client, f"{model}/{row.pk}/change/")
    assert browser.errors(response) == {field: ["is odd"]}


@pytest.mark.parametrize("model", ["pool", "backend", "route"])
def test_a_refused_deletion_is_a_message(client, broken, model):
    rows = {
        "pool": Pool.objects.create(name="unused"),
        "backend": broken.backends.first(),
        "route": Route.objects.get(),
    }
    row = rows[model]
    url = f"/admin/pools/{model}/{row.pk}/"
    response = client.post(f"{url}delete/", {"post": "yes"})
    assert response.status_code == 302
    assert response["Location"] == f"{url}change/"
    (message,) = browser.messages(response)
    assert message.startswith("Nothing was changed: pools[spare].policy:")
    assert type(row).objects.filter(pk=row.pk).exists()


def test_a_refused_deletion_of_many_is_a_message(client, broken):
    response = browser.act(
        client, "route/", "delete_selected", *Route.objects.all(), post="yes"
    )
    (message,) = browser.messages(response)
    assert message.startswith("Nothing was changed: pools[spare].policy:")
    assert Route.objects.exists()
    assert not LogEntry.objects.exists()
