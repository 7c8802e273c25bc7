"""manage.py health status: parts, pools and backends, for people and for programs."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, ProgrammingError, connection
from django.utils import timezone

from pools.control import compile, processes, publish
from pools.control.apply import apply
from pools.management.commands import health
from pools.models import Backend, BackendHealth, Pool, ProbeSchedule, Process, Revision

pytestmark = pytest.mark.django_db

SITE = {
    "pools": [
        {
            "name": "web",
            "backends": [
                {"host": "10.0.0.1", "port": 80},
                {"host": "10.0.0.2", "port": 80},
                {"host": "10.0.0.3", "port": 80, "state": "drain"},
            ],
        },
        {"name": "empty"},
    ],
    "routes": [{"name": "all", "pool": "web"}],
}
NOBODY = {"idle_s": 0.5, "broker": ""}


def tell(kind: str, name: str = "a:1", *, age_s: float = 0, **report: object) -> None:
    now = timezone.now() - timedelta(seconds=age_s)
    Process.objects.create(kind=kind, name=name, started_at=now, seen_at=now, report=report)


def probed(host: str, verdict: str, reason: str) -> None:
    backend = Backend.objects.get(host=host)
    now = timezone.now()
    BackendHealth.objects.create(backend=backend, verdict=verdict, reason=reason, since=now)
    ProbeSchedule.objects.update_or_create(
        pool=backend.pool, defaults={"next_at": now, "done_at": now}
    )


@pytest.fixture(autouse=True)
def site(monkeypatch) -> None:
    """All is well, but for one backend that drains and is at rest."""
    monkeypatch.setattr(health, "_ask_broker", lambda: ("redis://r", ""))
    with publish.change(who="test"):
        apply(compile.checked(SITE))
    tell("beat", **NOBODY)
    tell("worker", **NOBODY)
    tell("gateway", revision=1)
    probed("10.0.0.1", "up", "status 200")
    probed("10.0.0.2", "up", "status 200")


def run(*words: str) -> tuple[int, str]:
    out = io.StringIO()
    code = 0
    try:
        call_command("health", "status", *words, stdout=out)
    except SystemExit as ended:
        code = ended.code
    return code, "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def told(*words: str) -> dict:
    return json.loads(run("--json", *words)[1])


def test_as_usual_little_is_said():
    code, said = run()
    assert code == 0
    assert said.splitlines()[2:5] == [
        "broker     ok  redis://r",
        "beat       ok  a:1",
        "worker     ok  a:1",
    ]
    assert "web    2   0     0        1" in said
    assert "web/10.0.0.3:80  drain" in said
    assert said.splitlines()[-2].endswith("safe to stop")
    assert said.splitlines()[-1] == "2 backends are as usual."
    plain = told()
    assert (plain["ok"], plain["revision"]) == (True, 1)
    assert [process["kind"] for process in plain["processes"]] == ["beat", "gateway", "worker"]
    assert plain["processes"][1]["report"] == {"revision": 1}


def test_what_is_missing_is_said_with_its_mend_and_exit_1():
    Process.objects.filter(kind="worker").delete()
    code, said = run()
    assert code == 1
    (line,) = [line for line in said.splitlines() if line.startswith("worker")]
    assert "missing" in line
    assert "start a worker" in line
    assert told()["ok"] is False


def test_a_backend_that_is_down_is_shown_with_its_reason():
    BackendHealth.objects.filter(backend__host="10.0.0.2").update(
        verdict="down", reason="connection refused"
    )
    code, said = run()
    assert code == 0
    (line,) = [line for line in said.splitlines() if "10.0.0.2" in line]
    assert "ready  down" in line
    assert line.endswith("connection refused")
    (pool, _) = sorted(told()["pools"], key=lambda pool: -pool["up"])
    assert (pool["up"], pool["down"], pool["leaving"], pool["trouble"]) == (1, 1, 1, "")


def test_verdicts_that_went_stale_are_unknown_and_say_since_when():
    ProbeSchedule.objects.update(done_at=timezone.now() - timedelta(hours=1))
    _, said = run()
    assert "unknown" in said
    assert "no probe since" in said


def test_a_pool_with_no_backend_left_and_one_in_panic_are_said():
    BackendHealth.objects.update(verdict="down")
    pools = {pool["name"]: pool for pool in told()["pools"]}
    assert (pools["web"]["trouble"], pools["empty"]["trouble"]) == ("panic", "no backends")
    with publish.change(who="test"):
        pool = Backend.objects.get(host="10.0.0.1").pool
        pool.passive_panic_percent = 0
        pool.save()
    assert "no backend left" in run()[1]


def test_ejections_and_panic_are_told_by_process():
    until = timezone.now() + timedelta(seconds=60)
    why = "5 failed requests in a row, the last: connection refused"
    ejected = {"web/10.0.0.1:80": {"until": until.isoformat(), "why": why}}
    tell("gateway", "a:2", revision=1, ejected=ejected, panic=["web"])
    _, said = run()
    assert "panic in gateway a:2" in said
    (line,) = [line for line in said.splitlines() if "10.0.0.1" in line]
    assert line.split("ejected by ")[1].startswith("gateway a:2 for ")
    assert line.endswith(f" s: {why}")
    (backend,) = [each for each in told("web")["pools"][0]["backends"] if each["ejected"]]
    assert backend["ejected"][0]["process"] == "gateway a:2"
    assert 50 < backend["ejected"][0]["left_s"] <= 60


def test_what_ended_since_it_was_told_is_no_news():
    until = timezone.now() - timedelta(seconds=2)
    ejected = {"web/10.0.0.1:80": {"until": until.isoformat(), "why": "reset"}}
    tell("gateway", "a:2", revision=1, ejected=ejected)
    assert "ejected by" not in run()[1]


@pytest.mark.parametrize(
    ("revision", "leaving", "words"),
    [
        (1, {"requests": 3, "tunnels": 1}, "3 requests and 1 tunnel in flight (gateway a:2)"),
        (0, None, "not in force in every process yet"),
    ],
)
def test_what_a_leaving_backend_still_has_is_told(revision, leaving, words):
    tell("gateway", "a:2", revision=revision, leaving=leaving and {"web/10.0.0.3:80": leaving})
    assert words in run()[1]


def test_a_pool_by_name_shows_all_of_its_backends():
    _, said = run("web")
    assert "web/10.0.0.1:80  ready  up" in said
    assert "as usual" not in said
    assert "empty" not in said


def test_a_pool_that_is_not_there_is_a_line_with_what_is_near():
    with pytest.raises(CommandError, match=r"no pool 'wep': did you mean web\?") as caught:
        run("wep")
    assert caught.value.returncode == 2


@pytest.mark.parametrize(
    ("error", "mend"),
    [
        (OperationalError("connection refused"), "bring it back"),
        (ProgrammingError('relation "pools_process" does not exist'), "run manage.py migrate"),
    ],
)
def test_without_the_database_the_rest_is_told(settings, tmp_path, error, mend):
    settings.POOLS_DATA_DIR = tmp_path
    (tmp_path / "beat.alive").touch()

    def refuse(execute, sql, params, many, context):
        raise error

    with connection.execute_wrapper(refuse):
        code, said = run()
    assert code == 1
    lines = {line.split()[0]: line for line in said.splitlines()}
    assert " missing " in lines["database"] and mend in lines["database"]
    assert " ok " in lines["broker"]
    assert " ok " in lines["beat"] and "by its file" in lines["beat"]
    assert " unknown " in lines["worker"] and " unknown " in lines["gateway"]


def test_a_revision_that_cannot_be_read_is_a_line():
    Revision.objects.update(document={"pools": 5})
    code, said = run()
    assert code == 1
    assert "the published revision cannot be read: pools: 5 is not a list" in said
    assert "cannot be read" in told()["problem"]


def test_a_project_without_celery_is_told(settings, monkeypatch):
    monkeypatch.undo()
    settings.WSGI_APPLICATION = "json.application"
    url, problem = health._ask_broker()
    assert (url, problem) == ("no Celery app was found in json.celery", None)
    parts = health._components(url, problem, processes.read())
    assert (parts[0].ok, parts[1].ok) == (None, True)


def waits(*words: str) -> str:
    out = io.StringIO()
    call_command("health", "waits", *words, stdout=out)
    return out.getvalue()


def test_waits_are_those_of_the_published_pools():
    with publish.change(who="test"):
        Pool.objects.filter(name="web").update(probe_interval_s=30.0, probe_fast_interval_s=5.0)
        Pool.objects.filter(name="empty").update(probe_kind="off")
    told = json.loads(waits("--json"))
    assert list(told) == ["web"]
    assert told["web"]["down_refused_s"] == 30 + 1 + 2 * (5 + 1)
    assert told["web"]["stale_s"] == 90
    assert waits().split() == waits("web").split()
    assert "43 s" in waits("web")


def test_waits_of_a_pool_that_is_not_there_are_one_line():
    with pytest.raises(CommandError, match="there is no pool 'wbe': did you mean web") as error:
        waits("wbe")
    assert error.value.returncode == 2
