"""How serving starts, again and against odds: one line for each trouble, and status 2."""

import os
import signal
import sqlite3
import stat
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from tests import services
from tests.serve.conftest import FREE, REPOSITORY, children
from tests.services import eventually, gone


@pytest.fixture(scope="module")
def served(serving):
    return serving()


def interrupted(manage, *, when):
    """How `serve` ends, and what it said, when it is interrupted as soon as `when()` holds."""
    argv = manage.argv(["serve", *FREE])
    with subprocess.Popen(
        argv,
        env=manage.env,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        eventually(lambda: when(process), within_s=30)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    return process.returncode, said.decode()


def refused(manage, *args):
    """The one line that a start ends with."""
    ended = manage("serve", *args, timeout=60)
    assert ended.returncode == 2
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    return line


def test_the_first_start_makes_what_it_needs(served):
    folder = served.manage.folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "secret_key").stat().st_mode) == 0o600
    assert "password" in served.output


def test_a_second_serve_on_the_same_data_is_refused(served):
    line = refused(served.manage, *FREE)
    assert f"process {served.process.pid} serves from" in line


@pytest.fixture(scope="module")
def again(served, serving, tmp_path_factory):
    """Serving anew where an operator has replaced the demo's route by one of their own."""
    file = tmp_path_factory.mktemp("config") / "site.yaml"
    document = yaml.safe_load(served.manage("config", "export").stdout)
    document["routes"][0].update(name="mine", path_prefix="/demo")
    file.write_text(yaml.safe_dump(document))
    assert served.manage("config", "apply", str(file)).returncode == 0
    assert served.interrupt() == 0
    return serving(served.manage.folder), document


def test_a_later_start_keeps_what_the_operator_changed(again):
    """The demo comes once: a route that was deleted stays deleted, the ports stay."""
    started, document = again
    assert yaml.safe_load(started.manage("config", "export").stdout) == document
    assert set(started.meets(4)) == {"demo-1", "demo-2", "demo-3"}


def test_a_later_start_shows_no_password(again):
    started, _ = again
    assert "log in as" not in started.output
    assert "changepassword admin" in started.output


def test_children_end_with_a_supervisor_that_is_killed(again):
    """The last one here that needs it running."""
    started, _ = again
    below = children(started.process.pid)
    started.close()
    eventually(lambda: all(gone(pid) for pid in below), within_s=30)


@pytest.mark.parametrize("option", ["--bind", "--admin-bind", "--status-bind"])
def test_a_port_in_use(manage, port_in_use, option):
    line = refused(manage, *FREE, option, f"127.0.0.1:{port_in_use}")
    assert f"cannot listen on 127.0.0.1:{port_in_use} (address already in use)" in line
    assert line.endswith(f"give another with {option}")


@pytest.mark.parametrize("bind", ["nonsense:port", "127.0.0.1:99999", "192.0.2.1:80"])
def test_an_address_that_cannot_be_listened_on(manage, bind):
    assert f"cannot listen on {bind}" in refused(manage, *FREE, "--admin-bind", bind)


def test_certificates_that_are_missing(manage):
    assert "wants certificates" in refused(manage, *FREE, "--tls-bind", "127.0.0.1:0")


def test_a_data_folder_that_cannot_be_written(manage):
    manage.env["DATA_DIR"] = "/dev/null/data"
    assert "DATA_DIR /dev/null/data cannot be made" in refused(manage)


def test_a_database_url_that_cannot_be_read(manage):
    manage.env["DATABASE_URL"] = "mysql://root:secret@db/site"
    line = refused(manage)
    assert "DATABASE_URL" in line
    assert "secret" not in line


def test_numbers_out_of_range(manage):
    assert "--threads 0 is not a number of 1 to 1024" in refused(manage, "--threads", "0")
    assert "--web-workers x is not a number" in refused(manage, "--web-workers", "x")
    assert "--workers 1025 is not a number" in refused(manage, "--workers", "1025")


def test_an_interrupt_ends_at_once_what_waits_for_a_locked_database(manage):
    """The lock is held for as long as it takes: ending cannot be because it was given up."""
    manage.env["DATABASE_URL"] = f"sqlite:///{manage.folder}/site.sqlite3?timeout=600"
    manage.folder.mkdir()
    with closing(sqlite3.connect(manage.folder / "site.sqlite3")) as other:
        other.execute("BEGIN EXCLUSIVE")

        def waits(process):
            """It has the database open: what comes next is the lock."""
            files = Path(f"/proc/{process.pid}/fd").iterdir()
            return any(os.path.realpath(file).endswith("site.sqlite3") for file in files)

        status, said = interrupted(manage, when=waits)
    assert status == -signal.SIGINT
    assert said == ""


def test_a_database_that_is_away(manage):
    manage.env["DATABASE_URL"] = f"postgres://site@127.0.0.1:{services.free_port()}/site"
    assert "the database cannot be used" in refused(manage, *FREE)
