"""Publishers at once, with health changing meanwhile: python -m tests.control.publishers

A process of its own, as the project reads its environment once. Says in JSON what stands
in the database afterwards.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import django

from tests import migrated
from tests.control.site import FULL

THREADS, TURNS = 8, 5


def main() -> None:
    django.setup()
    from django.db import connection, transaction

    from pools.control import compile, publish
    from pools.control.apply import apply
    from pools.models import Pool, PublishedState, Revision

    migrated.migrate()

    def work(name: str) -> None:
        try:
            for turn in range(TURNS):
                with publish.change(who=name):
                    Pool.objects.create(name=f"{name}-{turn}")
                with transaction.atomic():
                    publish.health_changed()
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(work, (f"p{index}" for index in range(THREADS))))
    state = PublishedState.objects.get()
    newest = Revision.objects.get(number=state.revision)
    assert publish.published(newest.number) == compile.document()
    found = {
        "numbers": sorted(Revision.objects.values_list("number", flat=True)),
        "pools": len(newest.document["pools"]),
        "published": state.revision,
        "health_version": state.health_version,
    }
    print(json.dumps(found))

    wanted = compile.checked(FULL)
    with publish.change(who="file"):
        apply(wanted)
    assert compile.document() == wanted  # each database keeps values as they are
    assert publish.published(state.revision + 1) == wanted
    assert publish.publish_pending() is None


if __name__ == "__main__":
    main()
