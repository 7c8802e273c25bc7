"""What commands share that speak to a person: who that is, and tables."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from typing import IO, Any, cast

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table


def who(command: str) -> str:
    """The person at the terminal, as far as the system knows, and by what it is done."""
    try:
        return f"{getpass.getuser()} (manage.py {command})"
    except (KeyError, OSError, ImportError):  # a user without a name, as in containers
        return f"manage.py {command}"


def console(stdout: Any) -> Console:
    """For a command's output; whole lines where nobody looks at a terminal."""
    made = Console(file=cast(IO[str], stdout), highlight=False)
    if not made.is_terminal:
        made.width = 10_000
    return made


def table(console: Console, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns; nothing where there are no rows."""
    if not rows:
        return
    made = Table(box=box.SIMPLE if console.is_terminal else None, pad_edge=False)
    for name in names:
        made.add_column(name)
    for row in rows:
        made.add_row(*map(escape, row))
    console.print(made)
