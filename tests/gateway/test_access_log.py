import json
import os
import re
import stat
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pools.core.errors import PoolsError
from pools.gateway import access_log, line_writer
from pools.gateway.access_log import FORMATS, AccessLog, Entry
from tests.services import eventually

FIELDS: dict[str, Any] = {
    "at": 1_700_000_000.1239,
    "request_id": b"7f3a",
    "client": "203.0.113.9",
    "method": b"GET",
    "target": b"/items?page=2",
    "version": b"1.1",
    "host": b"shop.example",
    "status": 200,
    "received_bytes": 0,
    "sent_bytes": 5120,
    "referer": b"https://shop.example/",
    "user_agent": b"Mozilla/5.0 (X11)",
    "route": "shop",
    "pool": "web",
    "backend": "web/10.0.0.1:8000",
    "attempts": 1,
    "connect_s": 0.0005,
    "first_byte_s": 0.0123,
    "total_s": 0.0234,
    "why": "",
}


def an_entry(**changes: Any) -> Entry:
    return Entry(**{**FIELDS, **changes})


ENTRY = an_entry()
# The expression that log analysers go by.
COMBINED = re.compile(
    rb"(\S+) - - \[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\]"
    rb' "([^"]*)" (\d{3}) (\d+) "([^"]*)" "([^"]*)"\n'
)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "access.log"


@pytest.fixture
def utc(monkeypatch):
    yield from in_zone("UTC0", monkeypatch)


def in_zone(zone, monkeypatch):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    access_log._local_time.cache_clear()
    yield
    monkeypatch.undo()
    time.tzset()
    access_log._local_time.cache_clear()


def unescaped(text):
    return re.sub(rb"\\x(..)", lambda found: bytes.fromhex(found[1].decode()), text)


def combined(**changes):
    return FORMATS["combined"](an_entry(**changes))


def as_json(**changes):
    return FORMATS["json"](an_entry(**changes))


# --- formats -----------------------------------------------------------------------------


def test_combined_is_what_nginx_and_apache_write(utc):
    assert combined() == (
        b'203.0.113.9 - - [14/Nov/2023:22:13:20 +0000] "GET /items?page=2 HTTP/1.1" 200 5120'
        b' "https://shop.example/" "Mozilla/5.0 (X11)"\n'
    )


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        ("<+0530>-5:30", b"15/Nov/2023:03:43:20 +0530"),
        ("<-03>3", b"14/Nov/2023:19:13:20 -0300"),
    ],
)
def test_combined_has_the_local_time_with_its_offset(zone, told, monkeypatch):
    for _ in in_zone(zone, monkeypatch):
        assert b"[" + told + b"]" in combined()


def test_combined_has_dashes_for_what_there_is_not():
    line = combined(client="", method=b"", target=b"", referer=b"", user_agent=b"")
    assert line.startswith(b"- - - [")
    assert line.endswith(b'] "-" 200 5120 "-" "-"\n')


def test_combined_escapes_as_nginx_does():
    line = combined(target=b'/"\\\x1f\x7f\xc3\xa9', user_agent=b"a\r\nb")
    assert rb'"GET /\x22\x5C\x1F\x7F\xC3\xA9 HTTP/1.1"' in line
    assert line.endswith(b'"a\\x0D\\x0Ab"\n')


@given(*[st.binary(max_size=40)] * 4, st.text(max_size=20))
def test_combined_is_one_line_of_its_form_whatever_was_sent(
    method, target, referer, agent, client
):
    line = combined(
        method=method, target=target, referer=referer, user_agent=agent, client=client
    )
    found = COMBINED.fullmatch(line)
    assert found
    request = b"%b %b HTTP/1.1" % (method, target) if method else b"-"
    assert [unescaped(found[part]) for part in (3, 6, 7)] == [
        request,
        referer or b"-",
        agent or b"-",
    ]


def test_json_has_its_fields_in_order():
    told = json.loads(as_json(why="timed out connecting"))
    assert list(told.items()) == [
        ("time", "2023-11-14T22:13:20.123Z"),
        ("request_id", "7f3a"),
        ("client", "203.0.113.9"),
        ("method", "GET"),
        ("target", "/items?page=2"),
        ("host", "shop.example"),
        ("version", "1.1"),
        ("route", "shop"),
        ("pool", "web"),
        ("backend", "web/10.0.0.1:8000"),
        ("attempts", 1),
        ("status", 200),
        ("received_bytes", 0),
        ("sent_bytes", 5120),
        ("connect_ms", 0.5),
        ("first_byte_ms", 12.3),
        ("total_ms", 23.4),
        ("why", "timed out connecting"),
        ("referer", "https://shop.example/"),
        ("user_agent", "Mozilla/5.0 (X11)"),
    ]


def test_json_has_null_for_times_that_there_are_not():
    told = json.loads(as_json(connect_s=None, first_byte_s=None))
    assert told["connect_ms"] is told["first_byte_ms"] is None


def test_json_tells_utf8_and_marks_other_bytes():
    told = json.loads(as_json(target="/é".encode(), user_agent=b"\xff"))
    assert (told["target"], told["user_agent"]) == ("/é", r"\xff")


@given(*[st.binary(max_size=40)] * 6, st.text(max_size=20), st.text(max_size=20))
def test_json_is_one_object_on_one_line_whatever_was_sent(
    request_id, method, target, host, referer, agent, client, why
):
    line = as_json(
        request_id=request_id,
        method=method,
        target=target,
        host=host,
        referer=referer,
        user_agent=agent,
        client=client,
        why=why,
    )
    assert line.count(b"\n") == 1
    told = json.loads(line)
    assert told["target"] == target.decode(errors="backslashreplace")
    assert (told["client"], told["why"]) == (client, why)


# --- writing -----------------------------------------------------------------------------


def test_lines_are_in_the_file_after_the_flush_that_is_due(file):
    log = AccessLog(str(file), "json")
    log.write(ENTRY)
    log.flush(100.0)
    eventually(lambda: file.read_bytes() == as_json())
    log.write(ENTRY)
    log.flush(100.25)  # the next sweep gathers on
    log.flush(101.0)
    eventually(lambda: file.read_bytes() == as_json() * 2)
    log.close()


def test_a_full_buffer_does_not_wait_for_the_flush(file):
    log = AccessLog(str(file), "combined")
    lines = access_log.FLUSH_BYTES // len(combined()) + 1
    for _ in range(lines):
        log.write(ENTRY)
    eventually(lambda: file.read_bytes() == combined() * lines)
    log.close()


def test_closing_writes_what_is_left_behind_what_was_there(file):
    file.write_bytes(b"before\n")
    log = AccessLog(str(file), "combined")
    log.write(ENTRY)
    log.close()
    assert file.read_bytes() == b"before\n" + combined()


def test_others_may_not_read_the_file(file):
    AccessLog(str(file), "combined").close()
    assert stat.S_IMODE(file.stat().st_mode) & ~0o640 == 0


def test_reopening_goes_on_in_a_new_file(file):
    log = AccessLog(str(file), "combined")
    log.write(ENTRY)
    moved = file.rename(file.with_suffix(".1"))
    log.reopen()
    eventually(file.exists)
    log.write(ENTRY)
    log.close()
    assert (moved.read_bytes(), file.read_bytes()) == (combined(), combined())


def test_reopening_that_fails_goes_on_in_the_old_file(file, caplog):
    log = AccessLog(str(file), "combined")
    moved = file.rename(file.with_suffix(".1"))
    file.mkdir()
    log.reopen()
    eventually(lambda: caplog.messages)
    log.write(ENTRY)
    log.close()
    assert moved.read_bytes() == combined()
    assert caplog.messages == [
        f"the access log {file} cannot be reopened and goes on in the file it had:"
        " Is a directory"
    ]


def test_stdout(capfd):
    log = AccessLog("-", "combined")
    log.write(ENTRY)
    log.reopen()
    log.close()
    assert capfd.readouterr().out.encode() == combined()


def test_a_full_disk_is_said_once_and_traffic_goes_on(file, caplog, monkeypatch):
    caplog.set_level("INFO", "pools.gateway")
    monkeypatch.setattr(line_writer, "CALM_S", 0.0)
    file.symlink_to("/dev/full")
    log = AccessLog(str(file), "combined")
    for lost in (1, 2, 3):
        log.write(ENTRY)
        log.flush(lost * 10.0)
        eventually(lambda lost=lost: log.dropped == lost)
    file.unlink()
    log.reopen()
    eventually(file.exists)
    log.write(ENTRY)
    log.close()
    assert file.read_bytes() == combined()
    assert caplog.messages == [
        f"the access log {file} takes no lines, they are dropped:"
        " [Errno 28] No space left on device",
        f"the access log {file} takes lines again",
        f"the access log {file} lost 3 lines",
    ]


def test_a_line_cut_by_a_full_disk_does_not_spoil_the_next(file, monkeypatch):
    write, full = os.write, threading.Event()

    def writes_a_part(fd, data):
        if full.is_set():
            raise OSError(28, "No space left on device")
        full.set()
        return write(fd, data[:100])

    log = AccessLog(str(file), "combined")
    monkeypatch.setattr(os, "write", writes_a_part)
    log.write(ENTRY)
    log.flush(1.0)
    eventually(lambda: log.dropped == 1)
    monkeypatch.undo()
    log.write(ENTRY)
    log.close()
    assert file.read_bytes() == combined()[:100] + b"\n" + combined()


def test_a_pipe_that_nobody_reads_holds_up_nothing(file, caplog, monkeypatch):
    monkeypatch.setattr(line_writer, "MAX_WAITING_BYTES", 2 * access_log.FLUSH_BYTES)
    monkeypatch.setattr(line_writer, "CLOSE_S", 0.01)
    os.mkfifo(file)
    reader = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    log = AccessLog(str(file), "combined")
    for _ in range(20 * access_log.FLUSH_BYTES // len(combined())):
        log.write(ENTRY)
    assert log.dropped > 0
    log.close()
    assert caplog.messages == [
        f"the access log {file} takes no lines, they are dropped: it is too slow"
    ]
    thread = log._writer._thread
    os.close(reader)  # nobody can read any more: the thread ends
    thread.join(10)
    assert not thread.is_alive()


def test_lines_of_two_processes_stay_whole_in_a_pipe(file):
    os.mkfifo(file)
    reader = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    logs = [AccessLog(str(file), "combined") for _ in range(2)]
    entries = [an_entry(user_agent=b"a" * 1000), an_entry(user_agent=b"b" * 700)]
    lines = 300  # of each, beyond what a pipe holds
    for log, entry in zip(logs, entries, strict=True):
        for _ in range(lines):
            log.write(entry)
        log.flush(1.0)
    told = b""
    while told.count(b"\n") < 2 * lines:
        told += os.read(reader, 4096)
    for log in logs:
        log.close()
    os.close(reader)
    expected = {FORMATS["combined"](entry) for entry in entries}
    assert set(told.splitlines(keepends=True)) == expected


def test_a_line_longer_than_a_pipe_takes_whole_is_written_all_the_same(file):
    os.mkfifo(file)
    reader = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    log = AccessLog(str(file), "combined")
    for size in (10, 8000, 10):
        log.write(an_entry(target=b"/" + b"a" * size))
    log.close()
    assert len(os.read(reader, 65_536).splitlines()) == 3
    os.close(reader)


def test_a_file_that_cannot_be_opened_is_one_line_at_the_start(tmp_path):
    with pytest.raises(PoolsError, match="/none/access.log cannot be opened: No such file"):
        AccessLog(str(tmp_path / "none" / "access.log"), "combined")


def test_an_unknown_format_is_one_line_at_the_start(file):
    with pytest.raises(PoolsError, match="no format 'apache'; choose combined or json"):
        AccessLog(str(file), "apache")
