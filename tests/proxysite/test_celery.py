"""Beat and workers as they are, on both brokers."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from pathlib import Path

import redis

from pools.serve import plan
from proxysite.celery import app
from tests import services
from tests.services import eventually

SETTINGS = {**os.environ, "DJANGO_SETTINGS_MODULE": "proxysite.settings"}


@contextmanager
def running(program, folder, **variables):
    """A program as `manage.py serve` starts it, on a data folder of its own."""
    log = (folder / f"{program.name}.log").open("wb")
    env = {**SETTINGS, "DATA_DIR": str(folder), **variables}
    with log, subprocess.Popen(program.argv, env=env, stdout=log, stderr=log) as child:
        try:
            yield child
        finally:
            child.kill()


def test_every_entry_expires_and_no_sooner_than_clocks_may_differ():
    for entry in app.conf.beat_schedule.values():
        assert entry["options"]["expires"] == 60
        assert entry["task"] in {"pools.notify", "pools.probe", "pools.publish"}


def test_the_tasks_are_there():
    app.loader.import_default_modules()
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= set(app.tasks)


def printed(code, folder):
    """What a program prints, on a data folder of its own."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**SETTINGS, "DATA_DIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


def test_workers_do_without_the_admin(tmp_path):
    code = """
        import sys
        from celery import signals
        from proxysite.celery import app
        app.loader.import_default_modules()
        signals.worker_init.send(sender=None)
        print(sorted({"django.contrib.admin.sites", "pools.admin", "unfold.admin"}
                     & set(sys.modules)))
    """
    assert printed(code, tmp_path) == "['django.contrib.admin.sites']\n"


def test_the_file_broker_has_one_folder_for_both_directions(tmp_path):
    code = """
        import json
        from proxysite.celery import app
        print(json.dumps(app.conf.broker_transport_options))
    """
    options = json.loads(printed(code, tmp_path))
    assert options["data_folder_in"] == options["data_folder_out"]
    assert Path(options["data_folder_in"]).is_relative_to(tmp_path)
    assert Path(options["control_folder"]).is_relative_to(tmp_path)


def test_ticks_go_through_a_unix_socket(tmp_path):
    place = tmp_path / "redis"
    url = f"unix://{place}?db=2"
    worker, beat = plan.celery()
    with (
        services.redis_server(unix_socket=place) as server,
        running(worker, tmp_path, REDIS_URL=url),
        running(beat, tmp_path, REDIS_URL=url),
    ):
        eventually(
            (tmp_path / "worker.alive").exists,
            within_s=60,
            saying="a tick; the worker said: " + (tmp_path / "worker.log").read_text(),
        )
        with redis.Redis.from_url(server.replace("/0", "/2")) as client:
            assert client.keys()  # in the database that was named


def ticks(folder):
    """Wait until the worker has done a task from now on."""
    ticked = folder / "worker.alive"
    before = ticked.stat().st_mtime_ns if ticked.exists() else 0
    eventually(
        lambda: ticked.exists() and ticked.stat().st_mtime_ns > before,
        within_s=60,
        saying="a tick; the worker said: " + (folder / "worker.log").read_text(),
    )


def tried_for_nothing(port, *, times):
    """Be there instead of Redis until programs have tried to connect so often."""
    with services.socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(60)
        for _ in range(times):
            server.accept()[0].close()


def said(folder, program):
    """What it said of the broker; its log holds no traceback."""
    log = (folder / f"{program.name}.log").read_text()
    assert "Traceback" not in log
    assert "celery.beat" not in log
    assert "celery.worker" not in log
    return [line for line in log.splitlines() if " proxysite." in line]


def test_redis_may_go_away_and_come_back(tmp_path):
    """Beat and worker connect again by themselves, ticks arrive, and each outage is one line
    when it begins and one when it is over, however often they try."""
    port = services.free_port()
    url = f"redis://127.0.0.1:{port}/0"
    worker, beat = plan.celery()
    with (
        running(worker, tmp_path, REDIS_URL=url) as worker_process,
        running(beat, tmp_path, REDIS_URL=url) as beat_process,
    ):
        for outages in 1, 2:
            tried_for_nothing(port, times=8)
            with services.redis_server(port=port):
                ticks(tmp_path)
                for program in worker, beat:
                    begun_and_over = eventually(
                        lambda program=program, count=2 * outages: (
                            len(found := said(tmp_path, program)) >= count and found
                        ),
                        within_s=30,
                    )
                    assert [line.split()[2] for line in begun_and_over] == [
                        "WARNING",
                        "INFO",
                    ] * outages
                assert beat_process.poll() is None
                assert worker_process.poll() is None


def test_files_may_be_broken_and_removed(tmp_path):
    """As a full disk, or somebody who makes room on it, leaves them."""
    worker, beat = plan.celery()
    messages = tmp_path / "broker" / "messages"
    messages.mkdir(parents=True)
    (messages / "0.proxysite.msg").touch()
    control = tmp_path / "broker" / "control"
    control.mkdir()
    (control / "proxysite.exchange").touch()
    with (
        running(worker, tmp_path, REDIS_URL="") as worker_process,
        running(beat, tmp_path, REDIS_URL="") as beat_process,
    ):
        ticks(tmp_path)
        shutil.rmtree(tmp_path / "broker")
        ticks(tmp_path)
        eventually(messages.is_dir)
        (messages / "0.proxysite.msg").touch()
        eventually(lambda: not (messages / "0.proxysite.msg").exists())
        ticks(tmp_path)
        assert worker_process.poll() is None
        assert beat_process.poll() is None
    assert len(said(tmp_path, worker)) == 2  # a line for each that was empty
    assert not said(tmp_path, beat)
