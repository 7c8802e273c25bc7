"""scripts/setup on machines that lack something: one line that says what to do."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "setup"


@pytest.fixture
def machine(tmp_path):
    """machine(python3.11="shell code", …): what is on PATH; gives what set-up says."""
    scripts, programs = tmp_path / "scripts", tmp_path / "bin"
    scripts.mkdir()
    programs.mkdir()
    shutil.copy(SCRIPT, scripts)
    for name in ("sh", "dirname"):
        (programs / name).symlink_to(shutil.which(name))

    def run(interpreters, **variables):
        for name, code in interpreters.items():
            (programs / name).write_text(f"#!/bin/sh\n{code}\n")
            (programs / name).chmod(0o755)
        env = {name: value for name, value in os.environ.items() if name != "PYTHON"}
        return subprocess.run(
            [scripts / "setup", "requirements.txt"],
            env={**env, "PATH": str(programs), **variables},
            capture_output=True,
            text=True,
        )

    return run


TOO_OLD = "exit 1"  # as the version check ends
NO_VENV = 'case "$2" in *ensurepip*) exit 1;; *print*) echo 3.11;; esac'


def test_without_python_it_says_which_to_install(machine):
    ended = machine({})
    assert ended.returncode == 2
    assert ended.stderr.startswith("No Python 3.11 to 3.13 was found: install one")


def test_a_python_that_is_too_old_is_none(machine):
    ended = machine({"python3": TOO_OLD, "python3.12": TOO_OLD})
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)


def test_a_named_python_that_does_not_suit_is_not_replaced(machine):
    ended = machine({"python3.9": TOO_OLD, "python3.11": NO_VENV}, PYTHON="python3.9")
    assert ended.returncode == 2
    assert "PYTHON=python3.9 does not run or is not Python 3.11 to 3.13" in ended.stderr


def test_without_venv_it_names_the_package(machine):
    ended = machine({"python3.13": TOO_OLD, "python3.11": NO_VENV})
    assert ended.returncode == 2
    assert "apt install python3.11-venv" in ended.stderr
