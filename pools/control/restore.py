"""An earlier revision into force again, as a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pools.control import compile, publish
from pools.control.apply import apply
from pools.control.diff import Change, diff_plain
from pools.control.publish import Outcome
from pools.core.document import Document
from pools.core.errors import DocumentError, PoolsError
from pools.models import Revision

if TYPE_CHECKING:
    from django.contrib.auth.models import User


_CHECKED = 50  # parts of a kind, before a page is shown


class RestoreError(PoolsError):
    """A revision that cannot be restored; one line that says why."""


def wanted(number: int) -> Document:
    """What a revision would put into force. Raises RestoreError where it is not kept, cannot
    be read, or no longer holds by the rules of this installation."""
    plain = Revision.objects.filter(number=number).values_list("document", flat=True).first()
    if plain is None:
        raise RestoreError(f"revision {number} is not kept: choose one that is")
    try:
        return compile.checked(plain)
    except DocumentError as error:
        raise _refusal(number, error) from None


def changes(number: int) -> tuple[Change, ...]:
    """What restoring it would change in what is in force. Raises RestoreError."""
    wanted(number)
    return preview(number)


def preview(number: int) -> tuple[Change, ...]:
    """As `changes`, for a page: what is kept is compared as it is, and of it the first parts
    that are different are checked; `restore` checks all of them. Raises RestoreError."""
    plain = Revision.objects.filter(number=number).values_list("document", flat=True).first()
    if plain is None:
        raise RestoreError(f"revision {number} is not kept: choose one that is")
    try:
        found = diff_plain(publish.kept(publish.revision()), plain)
        _check(plain, {_head(change.path) for change in found})
    except DocumentError as error:
        raise _refusal(number, error) from None
    return found


def _head(path: str) -> str:
    return path.partition("]")[0]


def _check(plain: Any, heads: set[str]) -> None:
    """The parts that paths begin with, by the rules for each of them alone."""
    found = {
        kind: [part for part in plain.get(kind, ()) if f"{kind}[{part['name']}" in heads]
        for kind in ("pools", "routes")
    }
    names = {part["pool"] for part in found["routes"][:_CHECKED]}
    pools = [part for part in plain.get("pools", ()) if part["name"] in names]
    pools += [part for part in found["pools"][:_CHECKED] if part["name"] not in names]
    compile.checked({"pools": pools, "routes": found["routes"][:_CHECKED]})


def _refusal(number: int, error: DocumentError) -> RestoreError:
    first, *rest = error.problems
    more = f" (and {len(rest)} more)" if rest else ""
    return RestoreError(
        f"revision {number} no longer holds by this version's rules and settings: "
        f"{' '.join(str(first).split())}{more}"
    )


def restore(number: int, *, who: str, user: User | None = None, comment: str = "") -> Outcome:
    """Put it into force as a new revision. Raises RestoreError, and DocumentError as apply
    does."""
    why = f"Restored revision {number}"
    with publish.change(who=who, user=user, why=why, comment=comment) as outcome:
        apply(wanted(number))
    return outcome
