"""last_good: a whole file or none."""

from __future__ import annotations

import json
import stat

import pytest

from pools.control import compile, last_good
from pools.core.probing import Verdict
from tests.control.site import FULL


def test_what_is_saved_is_loaded(tmp_path):
    document = compile.checked(FULL)
    last_good.save(tmp_path, document, revision=1)
    last_good.save(tmp_path, document, revision=7)
    assert last_good.load(tmp_path) == (7, document)


def test_the_file_is_its_owner_s_and_alone(tmp_path):
    last_good.save(tmp_path, compile.checked({}), revision=1)
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_save_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    last_good.save(tmp_path, compile.checked({}), revision=1)

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(last_good.os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        last_good.save(tmp_path, compile.checked(FULL), revision=2)
    assert last_good.load(tmp_path) == (1, compile.checked({}))
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"{}",
        b'{"revision": "x", "document": {}}',
        json.dumps({"revision": 1, "document": {"pools": [{"name": "a b"}]}}).encode(),
        None,
    ],
)
def test_a_file_of_no_use_is_one_warning(tmp_path, content, caplog):
    if content is not None:
        (tmp_path / last_good.NAME).write_bytes(content)
    assert last_good.load(tmp_path) is None
    assert len(caplog.records) == 1
    assert str(tmp_path) in caplog.text


def test_health_that_is_saved_is_loaded(tmp_path, caplog):
    assert last_good.load_health(tmp_path) == {}
    verdicts = {"web/a:1": Verdict.DOWN, "web/b:2": Verdict.UP, "web/c:3": Verdict.UNKNOWN}
    last_good.save_health(tmp_path, verdicts)
    found = last_good.load_health(tmp_path)
    assert found == {"web/a:1": Verdict.DOWN, "web/b:2": Verdict.UP}
    assert caplog.records == []


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b'{"web/a:1": "ill"}', b'{"a": {}}'])
def test_health_of_no_use_is_one_warning(tmp_path, content, caplog):
    (tmp_path / last_good.HEALTH).write_bytes(content)
    assert last_good.load_health(tmp_path) == {}
    assert len(caplog.records) == 1
    assert str(tmp_path) in caplog.text


def test_a_folder_in_its_place_is_one_warning(tmp_path, caplog):
    (tmp_path / last_good.NAME).mkdir()
    assert last_good.load(tmp_path) is None
    assert "cannot be read" in caplog.text
