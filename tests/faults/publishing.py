"""Publishes documents, one after the other, from a process that has the database open.

As a script: a document in JSON for each line of the input, its revision for each line of
the output. The project reads its environment once, so that it is a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Publisher:
    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.publishing"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def publish(self, document: dict[str, Any]) -> int:
        """Returns the revision, once it is in the database."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(document) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


def main() -> None:
    import django

    django.setup()
    from django.db import connections

    from pools.control import apply, publish
    from pools.core import codec
    from pools.models import PublishedState
    from tests import migrated

    migrated.migrate()
    for line in sys.stdin:
        with publish.change(who="the fault suite"):
            apply.apply(codec.parse(json.loads(line)))
        state = PublishedState.objects.get(pk=PublishedState.KEY)
        print(state.revision, flush=True)
        connections.close_all()  # the database may be gone at the next one, and back


if __name__ == "__main__":
    main()
