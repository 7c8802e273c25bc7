"""The broker, asked directly."""

from __future__ import annotations

import errno
import os
import tempfile

import pytest
from celery import Celery

from pools.control import broker
from proxysite.broker import SCHEME
from tests import services


def app_of(url, **options):
    app = Celery("asked", broker=url)
    app.conf.broker_transport_options = options
    return app


def test_a_redis_that_answers(redis_url):
    url, problem = broker.ask(app_of(redis_url))
    assert (url.rstrip("/"), problem) == (redis_url.rstrip("/"), "")


def test_one_that_does_not_is_a_line_without_its_password():
    url, problem = broker.ask(app_of(f"redis://:secret@127.0.0.1:{services.free_port()}/0"))
    assert "secret" not in url + problem
    assert "refused" in problem.lower()
    assert "\n" not in problem


def files(folder):
    return app_of(f"{SCHEME}://localhost", data_folder_out=str(folder))


def test_files_that_can_be_written(tmp_path):
    folder = tmp_path / "broker" / "messages"  # made by who sends the first
    assert broker.ask(files(folder)) == (str(folder), "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_files_that_nobody_may_write(tmp_path):
    tmp_path.chmod(0o500)
    assert "cannot be written" in broker.ask(files(tmp_path))[1]


def test_a_full_disk(tmp_path, monkeypatch):
    def full(**_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    assert "No space left" in broker.ask(files(tmp_path))[1]
