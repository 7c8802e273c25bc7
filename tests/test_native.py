"""The native build is used where it fits, and nowhere else."""

import json
import os
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from pools import native

ROOT = Path(__file__).parents[1]


@pytest.fixture
def build(tmp_path, monkeypatch):
    """build(made_of) makes a folder that says what it was made of; no module is in it."""
    monkeypatch.setattr(native, "NATIVE_DIR", tmp_path)
    monkeypatch.setattr(native, "MANIFEST", tmp_path / "manifest.json")
    monkeypatch.setattr(native, "in_use", False)
    monkeypatch.setattr(native, "problem", "")
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.delenv("NATIVE", raising=False)

    def make(made_of):
        files = {"pools.core.retry": f"retry{EXTENSION_SUFFIXES[0]}"}
        native.MANIFEST.write_text(json.dumps({"made_of": made_of, "files": files}))

    return make


def find(name):
    return sys.meta_path[0].find_spec(name, None)


def test_a_build_of_these_sources_is_used_for_what_is_in_it(build):
    build(native.made_of())
    native.use()
    assert (native.in_use, native.problem) == (True, "")
    spec = find("pools.core.retry")
    assert spec.origin == str(native.NATIVE_DIR / f"retry{EXTENSION_SUFFIXES[0]}")
    assert find("pools.core.document") is None


def test_without_a_build_the_sources_run_and_nothing_is_said(build):
    finders = list(sys.meta_path)
    native.use()
    assert (native.in_use, native.problem, sys.meta_path) == (False, "", finders)


@pytest.mark.parametrize("other", ["python", *native.MODULES])
def test_a_build_of_anything_else_is_not_used_and_it_says_why(build, other):
    finders = list(sys.meta_path)
    build(native.made_of() | {other: "another"})
    native.use()
    assert (native.in_use, sys.meta_path) == (False, finders)
    assert native.problem.endswith("of other sources or another Python: make native")


def test_a_build_is_left_alone_if_told_so(build, monkeypatch):
    monkeypatch.setenv("NATIVE", "0")
    build(native.made_of())
    native.use()
    assert not native.in_use


def test_asked_for_and_missing_it_ends_the_start(build, monkeypatch):
    monkeypatch.setenv("NATIVE", "1")
    with pytest.raises(SystemExit, match="NATIVE=1: there is no native build: make native"):
        native.use()
    build({})
    with pytest.raises(SystemExit, match="NATIVE=1: the native build is of other sources"):
        native.use()


@pytest.mark.skipif(bool(native.unfit()), reason="there is no native build: make native")
def test_the_build_holds_every_module_and_works():
    code = """
import importlib, sys
from pools import native
for name in native.MODULES:
    assert importlib.import_module(name).__file__.endswith(".so"), name
"""
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "NATIVE": "1", "DJANGO_SETTINGS_MODULE": "tests.settings"},
        check=True,
    )


def test_without_a_compiler_it_says_what_to_install(tmp_path):
    ended = subprocess.run(
        [sys.executable, ROOT / "scripts" / "native.py"],
        env={**os.environ, "PATH": str(tmp_path), "CC": ""},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert ended.stderr == (
        "there is no C compiler: on Debian and Ubuntu, apt install gcc libc6-dev\n"
    )
