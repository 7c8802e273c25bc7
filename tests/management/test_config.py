"""manage.py config: lines, exit codes, and nothing changed by mistake."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection

from pools.control import compile
from pools.models import Backend, BackendHealth, Pool, Revision

pytestmark = pytest.mark.django_db

SITE = """\
pools:
- name: web
  backends:
  - host: 10.0.0.1
    port: 8000
  - host: 10.0.0.2
    port: 8000
    weight: 3
  - host: unix:/run/app.sock
routes:
- name: api
  pool: web
  path_prefix: /api
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    return path


def run(*words: object) -> tuple[int, list[str], list[str]]:
    """Exit code, and the lines of both outputs."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("config", *map(str, words), stdout=out, stderr=err)
    except SystemExit as ended:
        return ended.code, out.getvalue().splitlines(), err.getvalue().splitlines()
    return 0, out.getvalue().splitlines(), err.getvalue().splitlines()


def test_export_then_apply_is_the_identity(file, tmp_path):
    run("apply", file)
    assert run("export") == (0, SITE.splitlines(), [])
    before = compile.document()
    for words in ([], ["--full"], ["--json"], ["--full", "--json"]):
        out = tmp_path / "out"
        assert run("export", "-o", out, *words) == (0, [], [])
        assert run("diff", out) == (0, [], [])
        assert run("apply", out) == (0, ["Nothing to change."], [])
    assert compile.document() == before
    assert Revision.objects.count() == 1


def test_an_empty_configuration_is_exported_so_that_it_can_be_applied(tmp_path):
    assert run("export") == (0, ["pools: []"], [])
    run("export", "-o", tmp_path / "out")
    assert run("apply", tmp_path / "out") == (0, ["Nothing to change."], [])


def test_export_where_nothing_can_be_written(tmp_path):
    code, out, err = run("export", "-o", tmp_path / "no" / "out")
    assert (code, out) == (2, [])
    assert err == [f"{tmp_path}/no/out: cannot be written: No such file or directory"]


def test_apply_says_what_changes_and_publishes_it(file):
    code, out, _ = run("apply", file, "--why", "first")
    assert (code, out) == (
        0,
        [
            "+ pools[web]",
            "+ pools[web].backends[10.0.0.1:8000]",
            "+ pools[web].backends[10.0.0.2:8000]",
            "+ pools[web].backends[unix:/run/app.sock]",
            "+ routes[api]",
            "Published as revision 1.",
        ],
    )
    revision = Revision.objects.get()
    assert revision.why == "first"
    assert "manage.py config apply" in revision.who
    file.write_text(SITE.replace("weight: 3", "weight: 5"))
    assert run("apply", file) == (
        0,
        ["~ pools[web].backends[10.0.0.2:8000].weight: 3 -> 5", "Published as revision 2."],
        [],
    )


def test_a_dry_run_says_the_same_and_changes_nothing(file):
    code, out, _ = run("apply", file, "--dry-run")
    assert code == 0
    assert out[0] == "+ pools[web]"
    assert out[-1] == "Nothing was changed: this was a dry run."
    assert not Pool.objects.exists()
    assert not Revision.objects.exists()


def test_health_outlives_an_apply(file):
    run("apply", file)
    BackendHealth.objects.create(backend=Backend.objects.get(weight=3), verdict="up")
    file.write_text(SITE.replace("weight: 3", "weight: 5"))
    run("apply", file)
    assert Backend.objects.get(weight=5).health.verdict == "up"


def test_diff_ends_as_diff_does(file):
    assert run("diff", file)[0] == 1
    run("apply", file)
    assert run("diff", file) == (0, [], [])
    file.write_text(SITE.replace("/api", "/v2"))
    assert run("diff", file) == (1, ['~ routes[api].path_prefix: "/api" -> "/v2"'], [])
    file.write_text("pools: x")
    assert run("diff", file)[0] == 2


def test_check_counts_what_holds(file):
    assert run("check", file) == (
        0,
        [f"{file}: holds (pools 1, backends 3, routes 1)"],
        [],
    )


def test_check_gives_every_problem_its_path(file):
    file.write_text(
        """
pools:
- {name: a}
- {name: b, weigth: 1}
- {name: c, backends: [{host: x, port: 70000}]}
"""
    )
    code, out, err = run("check", file)
    assert (code, out) == (2, [])
    assert err[0].startswith(f"{file}: pools[1].weigth: unknown name: ")
    assert err[1:] == [
        f"{file}: pools[2].backends[0].port: 70000 is not a port: use 1 to 65535"
    ]


def test_a_route_that_claims_the_admin_is_refused_in_the_file(file):
    file.write_text(SITE.replace("/api", "/admin/x"))
    for verb in ("check", "diff", "apply"):
        code, out, err = run(verb, file)
        assert (code, out) == (2, [])
        assert err[0].startswith(f"{file}: routes[0].path_prefix: /admin/x is the admin's own")
    assert not Pool.objects.exists()


@pytest.mark.parametrize("verb", ["check", "diff", "apply"])
def test_an_empty_file_removes_nothing(file, verb):
    run("apply", file)
    file.write_text("")
    code, _, err = run(verb, file)
    assert code == 2
    assert err == [
        f"{file}: is empty: it would remove every pool and route; "
        "write `pools: []` if that is meant"
    ]
    assert Pool.objects.exists()
    file.write_text("pools: []")
    run("apply", file)
    assert not Pool.objects.exists()


def test_files_that_are_none(tmp_path):
    assert run("check", tmp_path / "no") == (
        2,
        [],
        [f"{tmp_path}/no: cannot be read: No such file or directory"],
    )
    assert run("check", tmp_path) == (2, [], [f"{tmp_path}: cannot be read: Is a directory"])
    assert run("check", "/dev/zero")[0] == 2


def test_standard_input(monkeypatch):
    class Input:
        buffer = io.BytesIO(SITE.encode())

    monkeypatch.setattr("sys.stdin", Input)
    code, out, _ = run("apply", "-")
    assert (code, out[-1]) == (0, "Published as revision 1.")


def test_answers_in_json(file):
    assert json.loads("".join(run("check", file, "--json")[1])) == {
        "problems": [],
        "pools": 1,
        "backends": 3,
        "routes": 1,
    }
    code, out, _ = run("diff", file, "--json")
    assert code == 1
    assert json.loads("".join(out))["changes"][0]["path"] == "pools[web]"
    assert json.loads("".join(run("apply", file, "--json")[1]))["revision"] == 1
    assert json.loads("".join(run("export", "--json")[1]))["routes"][0]["name"] == "api"
    file.write_text("pools: [{name: a b}]")
    code, out, err = run("check", file, "--json")
    assert (code, err) == (2, [])
    (problem,) = json.loads("".join(out))["problems"]
    assert problem["path"] == "pools[0].name"


def test_rows_that_do_not_hold_are_named_and_can_be_replaced(file):
    run("apply", file)
    Pool.objects.update(policy="luck")
    for words in (["export"], ["diff", file]):
        code, out, err = run(*words)
        assert (code, out) == (2, [])
        assert err[0].startswith("the database: pools[web].policy: 'luck' is not one of")
    code, out, _ = run("apply", file)
    assert code == 0
    assert Pool.objects.get().policy == "round_robin"


def test_a_writer_who_takes_long_is_told_apart_from_a_missing_database(file):
    def refuse(*_: object) -> None:
        raise OperationalError("database is locked")

    with connection.execute_wrapper(refuse):
        assert run("apply", file)[2] == [
            "the database: database is locked (somebody else is writing: try again)"
        ]


def test_a_database_that_is_away_is_one_line(file):
    def refuse(*_: object) -> None:
        raise OperationalError("connection refused\n\tis it running?")

    with connection.execute_wrapper(refuse):
        for words in (["export"], ["diff", file], ["apply", file, "--dry-run"]):
            code, out, err = run(*words)
            assert (code, out) == (2, [])
            assert err == [
                "the database: connection refused is it running? "
                "(is it there, and is `migrate` done?)"
            ]
