"""The examples of the docs: each command is run and answers as it is written there."""

from __future__ import annotations

import dataclasses
import io
import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django.core.management import call_command

from pools.core.document import Probe

DOCS = Path(__file__).resolve().parents[2] / "docs"
NAME = re.compile(r"`(\w+)`")
BLOCK = re.compile(r"^```(yaml|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def follow(page: str) -> Iterator[tuple[str, str, str]]:
    """Write the page's files and run its commands: typed, expected, came."""
    for kind, text in BLOCK.findall((DOCS / page).read_text()):
        if kind == "yaml":
            Path(text.partition("\n")[0].removeprefix("# ")).write_text(text)
            continue
        for example in text.removeprefix("$ manage.py ").split("\n$ manage.py "):
            typed, _, expected = example.partition("\n")
            yield typed, expected, run(typed)


def run(typed: str) -> str:
    out = io.StringIO()
    with suppress(SystemExit):
        call_command(*shlex.split(typed), stdout=out, stderr=out)
    return out.getvalue()


@pytest.mark.django_db
def test_every_example_is_true(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = 0
    for page in ("configuration.md", "concepts.md"):  # the second goes on from the first
        for typed, expected, came in follow(page):
            assert [line.rstrip() for line in came.splitlines()] == expected.splitlines(), typed
            seen += 1
    assert seen == 11


def test_every_file_with_probes_holds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = [text for kind, text in BLOCK.findall((DOCS / "health.md").read_text())]
    assert len(files) == 2
    for text in files:
        name = text.partition("\n")[0].removeprefix("# ")
        Path(name).write_text(text)
        assert run(f"config check {name}").startswith(f"{name}: holds (")


def test_every_setting_of_probes_is_told():
    text = (DOCS / "health.md").read_text().partition("## Probes")[2].partition("\n## ")[0]
    told = {
        name
        for cell in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
        for name in NAME.findall(cell)
    }
    assert {spec.name for spec in dataclasses.fields(Probe)} <= told
