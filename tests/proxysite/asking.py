"""`manage.py health status --json` again and again, by a process that has Django loaded.

As a script: for each line of input a line of output, with the exit code first. Each look
connects anew, as a command of its own would.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import Any

from tests.faults.gateway import ROOT


class Asker:
    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.proxysite.asking"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self) -> tuple[int, list[dict[str, Any]]]:
        """The exit code and the components."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        code, told = json.loads(self._process.stdout.readline())
        return code, told["components"]

    def close(self) -> None:
        self._process.communicate()


def main() -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connections

    for _ in sys.stdin:
        out, code = io.StringIO(), 0
        try:
            call_command("health", "status", "--json", stdout=out)
        except SystemExit as ended:
            code = int(ended.code or 0)
        connections.close_all()
        print(json.dumps([code, json.loads(out.getvalue())]), flush=True)


if __name__ == "__main__":
    main()
