"""An earlier revision into force again, as a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pools.control import compile, publish
from pools.control.apply import apply
from pools.control.diff import Change, diff
from pools.control.publish import Outcome
from pools.core.document import Document
from pools.core.errors import DocumentError, PoolsError
from pools.models import Revision

if TYPE_CHECKING:
    from django.contrib.auth.models import User


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
        first, *rest = error.problems
        more = f" (and {len(rest)} more)" if rest else ""
        raise RestoreError(
            f"revision {number} no longer holds by this version's rules and settings: "
            f"{' '.join(str(first).split())}{more}"
        ) from None


def changes(number: int) -> tuple[Change, ...]:
    """What restoring it would change in what is in force. Raises RestoreError."""
    target = wanted(number)
    try:
        now = publish.published(publish.revision())
    except DocumentError:
        now = Document()  # another version's: it is replaced whole
    return diff(now, target)


def restore(number: int, *, who: str, user: User | None = None, comment: str = "") -> Outcome:
    """Put it into force as a new revision. Raises RestoreError, and DocumentError as apply
    does."""
    why = f"Restored revision {number}"
    with publish.change(who=who, user=user, why=why, comment=comment) as outcome:
        apply(wanted(number))
    return outcome
