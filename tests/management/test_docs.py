"""The examples of the docs: each command is run and answers as it is written there."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django.core.management import call_command

DOCS = Path(__file__).resolve().parents[2] / "docs"
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
    assert seen == 10
