"""Celery's messages as files, on disks as they are."""

import json
import resource
import shutil
from contextlib import contextmanager
from queue import Empty

import pytest
from kombu import Connection, Queue
from kombu.exceptions import ChannelError

from proxysite import broker


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "broker" / "messages"


@pytest.fixture
def connection(folder):
    options = {
        "data_folder_in": str(folder),
        "data_folder_out": str(folder),
        "control_folder": str(folder.parent / "control"),
    }
    with Connection(f"{broker.SCHEME}://localhost", transport_options=options) as connection:
        yield connection


@pytest.fixture
def queue(connection):
    """As Celery's own: messages go straight to it, without an exchange."""
    with connection.SimpleQueue(Queue("ticks", routing_key="ticks")) as queue:
        yield queue


@contextmanager
def full_disk():
    """No file of this process can grow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def take(queue):
    message = queue.get(block=False)
    message.ack()
    return message.payload


def test_messages_arrive_in_order_and_once(queue, folder):
    for number in range(5):
        queue.put({"tick": number})
    assert [take(queue)["tick"] for _ in range(5)] == list(range(5))
    with pytest.raises(Empty):
        take(queue)
    assert not list(folder.iterdir())


@pytest.mark.parametrize("content", [b"", b'{"body": "W1', b"{}", b"[]", b"\xff"])
def test_what_cannot_be_read_is_dropped_with_one_line(queue, folder, caplog, content):
    poison = folder / "0.ticks.msg"  # the first
    poison.write_bytes(content)
    queue.put({"tick": 1})
    assert take(queue) == {"tick": 1}
    assert not poison.exists()
    assert [record.getMessage() for record in caplog.records] == [
        f"message {poison} is dropped: it cannot be read"
    ]


def test_a_full_disk_leaves_no_file_behind(queue, folder):
    with full_disk(), pytest.raises(ChannelError, match=f"{folder}: File too large"):
        queue.put({"tick": 1})
    assert not list(folder.iterdir())
    queue.put({"tick": 2})
    assert take(queue) == {"tick": 2}


def test_folders_may_be_removed_meanwhile(queue, folder):
    shutil.rmtree(folder.parent)
    with pytest.raises(Empty):
        take(queue)
    shutil.rmtree(folder.parent)
    queue.put({"tick": 1})
    assert take(queue) == {"tick": 1}


def test_a_folder_that_cannot_be_read_is_said_once(queue, folder, caplog):
    caplog.set_level("INFO")
    shutil.rmtree(folder)
    folder.touch()
    for _ in range(3):
        with pytest.raises(Empty):
            take(queue)
    folder.unlink()
    queue.put({"tick": 1})
    assert take(queue) == {"tick": 1}
    begun, over = [record.getMessage() for record in caplog.records]
    assert begun.startswith("messages cannot be read, nothing is probed: ")
    assert over == "messages are read again"


def test_a_queue_is_declared_on_a_full_disk(connection, folder):
    with full_disk(), connection.SimpleQueue("declared_on_a_full_disk"):
        pass
    assert not list((folder.parent / "control").iterdir())


def test_bindings_cut_short_are_written_anew(connection, folder):
    file = folder.parent / "control" / "cut_short.exchange"
    file.parent.mkdir(parents=True)
    file.touch()
    with connection.SimpleQueue("cut_short"):
        pass
    assert json.loads(file.read_text()) == [["cut_short", "", "cut_short"]]
