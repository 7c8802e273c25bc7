"""Who changed an object since a revision."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pools.control.compile import name_of
from pools.models import Backend, Pool, Revision
from pools.models.parts import PartModel

_MOST = 10  # documents that are read, which may be large


def since(number: int, rows: Iterable[PartModel]) -> list[Revision]:
    """The revisions after this one in which an object changed, newest first, among the last
    few. `rows`: the object as it was and as it is; it may have got another name."""
    names = [_names(row) for row in rows]
    newest = Revision.objects.filter(number__gte=number).order_by("-number")[: _MOST + 1]
    documents = list(newest.values_list("number", "document"))
    changed = [
        later
        for (later, after), (_, before) in zip(documents, documents[1:], strict=False)
        if _parts(after, names) != _parts(before, names)
    ]
    found = Revision.objects.filter(number__in=changed).defer("document")
    return list(found)


def _names(row: PartModel) -> tuple[str, str, str]:
    """Where a document has it: its list, its pool or rule, and its address for a backend."""
    if isinstance(row, Backend):
        pool = Pool.drafted.filter(pk=row.pool_id).values_list("name", flat=True).first()
        return "pools", pool or "", row.address
    return ("pools" if isinstance(row, Pool) else "routes"), getattr(row, "name", ""), ""


def _parts(document: Any, names: Iterable[tuple[str, str, str]]) -> list[Any]:
    found = []
    for kind, name, address in names:
        listed = document.get(kind, ()) if isinstance(document, dict) else ()
        part = next((one for one in listed if one.get("name") == name), None)
        if part is not None and address:
            below = part.get("backends", ())
            part = next((one for one in below if name_of(one) == address), None)
        found.append(part)
    return found
