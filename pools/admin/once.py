"""What is shown of a row, made once for each object that is read: a page asks for the contents
of a read-only field several times, and each may take queries."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar, cast

from django.db.models import Model

A = TypeVar("A")
R = TypeVar("R", bound=Model)
T = TypeVar("T")


def once(show: Callable[[A, R], T]) -> Callable[[A, R], T]:
    """For below `admin.display`."""

    @wraps(show)
    def shown(admin: A, row: R) -> T:
        found, name = vars(row), f"shown_{show.__name__}"
        if name not in found:
            found[name] = show(admin, row)
        return cast(T, found[name])

    return shown
