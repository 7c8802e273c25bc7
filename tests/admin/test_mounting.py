"""The console in projects of other people: on Django's own admin, and none at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(settings: str, *command: str) -> str:
    """The output of a Python of its own, as apps are loaded once in each."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": settings, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# What is said of rows and of rights is the same on both; these look at pages.
PAGES = (
    *("backends", "channels", "dashboard", "first_steps", "lists", "matching", "pages"),
    *("paste", "permissions", "pools", "publishing", "revisions", "routes", "staging"),
    *("switching", "tags", "tester"),
)


def test_the_pages_hold_on_the_admin_of_django_too():
    out = run(
        "tests.admin.plain",
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "--ds=tests.admin.plain"),
        *(f"tests/admin/test_{name}.py" for name in PAGES),
    )
    assert " passed" in out


def test_a_project_without_an_admin_configures_and_publishes():
    program = """
import django
django.setup()
from django.core.management import call_command
call_command("check", fail_level="WARNING")
call_command("migrate", verbosity=0)
from pools.control import publish
from pools.models import Pool, Revision
with publish.change(who="me"):
    Pool.objects.create(name="web")
print(Revision.objects.get())
"""
    assert "revision 1" in run("tests.admin.bare", "-c", program)
