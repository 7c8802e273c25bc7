"""The one way in which a change comes into force.

Rules:
- Whoever changes configuration rows does it within `change`. One writer at a time: the
  row PublishedState is locked first, so that two never publish the same number and
  neither loses what the other did.
- What does not compile is refused whole: DocumentError rolls back everything.
- Only what differs becomes a revision.
- `QuerySet.update` sends no signal, so `publish_pending` is to be called every few
  seconds as well. It compiles only rows that are not what they were at its last compare.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import connections, transaction
from django.db.models import F

from pools.control import audit, clock, compile, wake
from pools.control.diff import diff
from pools.core import codec
from pools.core.document import Document
from pools.core.errors import DocumentError
from pools.models import Backend, Pool, PublishedState, Revision, Route

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger("pools.control")

_FETCHED = 500  # rows at a time

_refused = ""  # what publish_pending last complained of, so that it says it once
_compared: tuple[int, bytes] | None = None  # revision and rows of which nothing came


@dataclass(slots=True)
class Outcome:
    """What a change led to; `revision` is None where nothing is different."""

    revision: Revision | None = None


@contextmanager
def change(
    *, who: str, user: User | None = None, why: str = "", comment: str = ""
) -> Iterator[Outcome]:
    """Change rows in here; at the end they are compiled, checked and published.

    `why` says what was done, `comment` what the one who did it has to say of it.
    Raises DocumentError, with everything rolled back, where the rows do not hold.
    Changes may be nested in one another and in a transaction of the caller's.
    """
    outcome = Outcome()
    with transaction.atomic():
        state = PublishedState.lock()
        yield outcome
        document = compile.document()
        before = _readable(state.revision)
        if document != before:
            made = Revision(user=user, who=who, why=why, comment=comment)
            changes = diff(before or Document(), document)
            made.changes = len(changes) if before else None
            outcome.revision = _publish(state, document, made)
            audit.published(changes, revision=made.number, who=who, user=user)


def revision() -> int:
    """The number of the revision in force; 0: there is none."""
    live = PublishedState.objects.filter(pk=PublishedState.KEY)
    return live.values_list("revision", flat=True).first() or 0


def made_at(number: int) -> datetime | None:
    """When a revision was made, by the database's clock."""
    found = Revision.objects.filter(number=number)
    return found.values_list("created_at", flat=True).first()


def published(number: int) -> Document:
    """The canonical document of a revision, the empty one for 0.

    Raises DocumentError where another version of the program wrote what this one can't
    read.
    """
    return compile.canonical(codec.parse(kept(number))) if number else Document()


def kept(number: int) -> object:
    """The document of a revision as it is kept, not parsed; the empty one for 0."""
    if number == 0:
        return {}
    return Revision.objects.values_list("document", flat=True).get(number=number)


def publish_pending() -> Revision | None:
    """Publish what was changed past `change`, if anything was.

    Rows that do not hold are logged, once for each reason, and change nothing.
    """
    global _refused, _compared
    state = PublishedState.objects.filter(pk=PublishedState.KEY).first()
    number = state.revision if state else 0
    found = number, rows_digest()  # before they are read: a change meanwhile is seen next
    if found == _compared:
        return None
    try:
        if compile.document() == _readable(number):
            _compared, _refused = found, ""
            return None
        with change(who="", why="found changed in the database") as outcome:
            pass  # compiled again, under the lock
    except DocumentError as error:
        if str(error) != _refused:
            logger.error("the configuration in the database does not hold: %s", error)
        _compared, _refused = found, str(error)
        return None
    _refused = ""
    return outcome.revision


def rows_digest() -> bytes:
    """What the configuration's rows hold, as 32 bytes; nothing is made of their values."""
    digest = hashlib.sha256()
    connection = connections[Pool.objects.db]
    with connection.cursor() as cursor:
        for model in (Pool, Backend, Route):
            table = connection.ops.quote_name(model._meta.db_table)
            cursor.execute(f"SELECT * FROM {table} WHERE published ORDER BY id")
            while rows := cursor.fetchmany(_FETCHED):
                digest.update(repr(rows).encode())
            digest.update(b"\0")
    return digest.digest()


def health_changed() -> None:
    """Tell all processes that health is different; for use within health's transaction.

    Who writes the rows that it tells of locks PublishedState before: `change` does so too,
    and two that lock in another order can meet in a deadlock.
    """
    PublishedState.lock()
    PublishedState.objects.update(health_version=F("health_version") + 1)
    transaction.on_commit(wake.wake)


def _readable(number: int) -> Document | None:
    try:
        return published(number)
    except DocumentError:
        return None  # to be replaced


def _publish(state: PublishedState, document: Document, revision: Revision) -> Revision:
    """Keep the document as this revision, which lacks it and its number."""
    # In full, so that an old revision keeps its meaning when a default changes.
    revision.document = codec.to_plain(document, defaults=True)
    revision.number = state.revision + 1
    revision.created_at = clock.ask()  # processes tell by it when they took it over
    revision.save()
    PublishedState.objects.update(revision=revision.number)
    transaction.on_commit(wake.wake)
    return revision
