"""manage.py backend drain, ready and maint: one revision each, and waiting for processes."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone

from pools.control import compile, leaving, publish
from pools.control.apply import apply
from pools.management.commands import backend
from pools.models import Backend, Pool, Process, Revision

pytestmark = pytest.mark.django_db

SITE = {
    "pools": [
        {
            "name": "web",
            "backends": [
                {"host": "10.0.0.1", "port": 80},
                {"host": "10.0.0.2", "port": 80},
                {"host": "::1", "port": 80},
            ],
        },
    ],
}
KEY = "web/10.0.0.1:80"


@pytest.fixture(autouse=True)
def site(monkeypatch) -> None:
    with publish.change(who="test"):
        apply(compile.checked(SITE))
    monkeypatch.setattr(backend, "LOOK_S", 0.01)
    monkeypatch.setattr(leaving, "HOLDS_S", 0.02)


def tell(name: str = "a:1", **report: object) -> None:
    now = timezone.now()
    Process.objects.update_or_create(
        kind="gateway",
        name=name,
        defaults={"started_at": now, "seen_at": now, "report": {"revision": 2, **report}},
    )


def run(*words: str) -> tuple[int, list[str], str]:
    """The exit code and what it said, on both ways."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    try:
        call_command("backend", *words, stdout=out, stderr=err)
    except SystemExit as ended:
        code = ended.code
    return code, out.getvalue().splitlines(), err.getvalue().strip()


@pytest.mark.parametrize(
    ("verb", "state", "said"),
    [
        ("drain", "drain", "gets no new requests"),
        ("maint", "maint", "gets no requests and no probes"),
    ],
)
def test_a_state_is_one_revision_and_says_who_and_why(verb, state, said):
    assert run(verb, KEY) == (0, [f"{KEY} {said} (revision 2)."], "")
    assert Backend.objects.get(host="10.0.0.1").state == state
    revision = Revision.objects.latest()
    assert (revision.number, revision.why) == (2, f"{verb.title()} {KEY}")
    assert revision.who.endswith(f"manage.py backend {verb})")
    assert run("ready", KEY) == (0, [f"{KEY} takes requests (revision 3)."], "")
    assert publish.published(3) == publish.published(1)


def test_it_says_where_no_backend_of_the_pool_is_ready_any_more():
    run("drain", KEY)
    run("maint", "web/10.0.0.2:80")
    assert run("drain", "web/[::1]:80")[1] == [
        "web/[::1]:80 gets no new requests (revision 4).",
        "No backend of pool web is ready now.",
    ]
    assert len(run("ready", KEY)[1]) == 1


def test_what_is_so_already_is_no_revision():
    assert run("ready", "web/[::1]:80")[1] == [
        "web/[::1]:80 takes requests (revision 1, as before)."
    ]
    assert Revision.objects.count() == 1


@pytest.mark.parametrize(
    ("key", "mend"),
    [
        ("web/10.0.0.3:80", "did you mean web/10.0.0.2:80 or web/10.0.0.1:80?"),
        ("wep/10.0.0.1:80", f"did you mean {KEY}"),
        ("nothing", "manage.py health status has all"),
    ],
)
def test_a_name_that_is_wrong_is_a_line_with_what_is_near(key, mend):
    with pytest.raises(CommandError, match="there is no backend") as caught:
        run("drain", key)
    assert mend in str(caught.value)
    assert caught.value.returncode == 2
    assert Revision.objects.count() == 1


def test_what_does_not_hold_changes_nothing_and_says_why():
    Pool.objects.update(policy="wrong")
    with pytest.raises(CommandError, match="nothing was changed: pools.*policy") as caught:
        run("drain", KEY)
    assert caught.value.returncode == 2
    assert Backend.objects.get(host="10.0.0.1").state == "ready"


def test_the_database_s_absence_is_a_line():
    def refuse(execute, sql, params, many, context):
        raise OperationalError("connection\nrefused")

    with (
        connection.execute_wrapper(refuse),
        pytest.raises(CommandError, match="the database: connection refused"),
    ):
        run("drain", KEY)


def test_it_waits_for_nobody_where_nobody_serves():
    code, said, _ = run("drain", KEY, "--wait")
    assert code == 0
    assert said[1:] == [
        "No gateway or web process tells of itself: nothing is known to be in flight."
    ]


def test_it_says_when_a_backend_is_safe_to_stop():
    tell("a:1")
    tell("a:2")
    code, said, _ = run("maint", KEY, "--wait")
    assert code == 0
    assert said[1:] == [f"{KEY} is safe to stop: nothing is in flight in 2 processes."]


def test_it_waits_until_all_have_it_in_force():
    tell(revision=1)
    code, said, left = run("ready", KEY, "--wait", "--timeout", "0.1")
    assert code == 0  # that was so before
    assert said[1:] == [f"{KEY}: in force in 1 process."]
    code, said, left = run("drain", KEY, "--wait", "--timeout", "0.1")
    assert code == 1
    assert left == "not in time: gateway a:1 does not have it in force yet"


def test_it_ends_in_time_with_what_is_left():
    tell(leaving={KEY: {"requests": 2, "tunnels": 1}})
    code, said, left = run("drain", KEY, "--wait", "--timeout", "0.1")
    words = "2 requests and 1 tunnel in flight in gateway a:1"
    assert (code, said[1:], left) == (1, [f"waiting: {words}"], f"not in time: {words}")
    code, said, left = run("drain", KEY, "--wait", "--timeout", "0.1", "--json")
    assert (code, left) == (1, "")
    assert json.loads("".join(said)) == {
        "backend": KEY,
        "state": "drain",
        "revision": 2,
        "changed": False,
        "done": False,
        "in_flight": [{"process": "gateway a:1", "requests": 2, "tunnels": 1}],
        "behind": [],
        "silent": [],
        "gone": [],
        "processes": 1,
    }


def test_it_follows_what_ends(monkeypatch):
    tell(leaving={KEY: {"requests": 2, "tunnels": 0}})
    ways = iter([{KEY: {"requests": 1, "tunnels": 0}}, {}])

    def later(_: float) -> None:
        tell(leaving=next(ways, {}))

    monkeypatch.setattr(backend.time, "sleep", later)
    code, said, _ = run("drain", KEY, "--wait")
    assert code == 0
    assert said[1:] == [
        "waiting: 2 requests in flight in gateway a:1",
        "waiting: 1 request in flight in gateway a:1",
        f"{KEY} is safe to stop: nothing is in flight in 1 process.",
    ]


def test_sticky_clients_that_may_come_are_told_of():
    with publish.change(who="test"):
        pool = Pool.objects.get()
        pool.sticky_mode = "cookie"
        pool.save()
    tell(revision=3)
    code, said, _ = run("drain", KEY, "--wait")
    assert code == 0
    assert "clients that hold its cookie may come; put it in maint" in said[1]


def test_ctrl_c_leaves_it_draining_and_says_so(monkeypatch):
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(backend.time, "sleep", interrupted)
    tell(leaving={KEY: {"requests": 2, "tunnels": 0}})
    with pytest.raises(
        CommandError, match=f"interrupted: {KEY} stays in state drain"
    ) as caught:
        run("drain", KEY, "--wait")
    assert caught.value.returncode == 130
    assert Backend.objects.get(host="10.0.0.1").state == "drain"


def test_the_database_may_go_while_it_waits(monkeypatch):
    tell()
    monkeypatch.setattr(backend, "close_old_connections", lambda: None)
    ways = iter([OperationalError("connection refused")] * 2)
    read = backend.processes.read

    def flaky(*kinds):
        if error := next(ways, None):
            raise error
        return read(*kinds)

    monkeypatch.setattr(backend.processes, "read", flaky)
    code, said, _ = run("drain", KEY, "--wait")
    assert code == 0
    assert said[1:] == [
        "waiting for the database: connection refused",
        f"{KEY} is safe to stop: nothing is in flight in 1 process.",
    ]


@pytest.mark.parametrize("seconds", ["0", "-1", "x", "inf"])
def test_a_time_that_cannot_be_meant_is_refused(seconds):
    with pytest.raises(CommandError, match="invalid number of seconds value"):
        run("drain", KEY, "--wait", "--timeout", seconds)


def test_a_timeout_without_a_wait_is_refused():
    with pytest.raises(CommandError, match="--timeout is of --wait") as error:
        call_command("backend", "drain", "web/10.0.0.1:80", "--timeout", "5")
    assert error.value.returncode == 2
