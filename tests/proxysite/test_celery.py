"""Beat and workers as they are, on both brokers."""

import json
import os
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


def test_every_entry_expires_before_it_can_pile_up():
    for entry in app.conf.beat_schedule.values():
        assert entry["options"]["expires"] <= 2 * entry["schedule"]
        assert entry["task"] in {"pools.probe", "pools.publish"}


def test_the_tasks_are_there():
    app.loader.import_default_modules()
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= set(app.tasks)


def test_the_file_broker_has_one_folder_for_both_directions(tmp_path):
    code = """
        import json
        from proxysite.celery import app
        print(json.dumps(app.conf.broker_transport_options))
    """
    said = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**SETTINGS, "DATA_DIR": str(tmp_path)},
        capture_output=True,
        check=True,
    )
    options = json.loads(said.stdout)
    assert options["data_folder_in"] == options["data_folder_out"]
    assert Path(options["data_folder_in"]).is_relative_to(tmp_path)
    assert Path(options["control_folder"]).is_dir()


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


def test_redis_may_go_away_and_come_back(tmp_path):
    """Beat and worker connect again by themselves, and ticks arrive."""
    port = services.free_port()
    url = f"redis://127.0.0.1:{port}/0"
    ticked = tmp_path / "worker.alive"

    def ticks():
        before = ticked.stat().st_mtime if ticked.exists() else 0
        eventually(
            lambda: ticked.exists() and ticked.stat().st_mtime > before,
            within_s=60,
            saying="a tick; the worker said: " + (tmp_path / "worker.log").read_text(),
        )

    programs = plan.celery()
    with (
        running(programs[0], tmp_path, REDIS_URL=url) as worker,
        running(programs[1], tmp_path, REDIS_URL=url) as beat,
    ):
        with services.redis_server(port=port):
            ticks()
        eventually(
            lambda: "Connection refused" in (tmp_path / "worker.log").read_text(), within_s=30
        )
        with services.redis_server(port=port):
            ticks()
            assert beat.poll() is None
            assert worker.poll() is None
