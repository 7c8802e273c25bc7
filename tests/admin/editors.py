"""Two people who save one pool at the same moment: python -m tests.admin.editors

A process of its own, as the project reads its environment once. Says in JSON what became of
each turn, and of a draft that both write.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import django

from tests import migrated

TURNS = 4


def main() -> None:
    django.setup()
    from django.contrib.auth.models import User
    from django.db import connection
    from django.test import Client
    from django.test.utils import setup_test_environment

    from pools.control import compile, drafts, publish
    from pools.models import Draft, Pool, Revision
    from tests.admin import browser

    migrated.migrate()
    setup_test_environment()
    with publish.change(who="test"):
        web = Pool.objects.create(name="web")
    clients = []
    for name in ("ann", "bob"):
        client = Client()
        client.force_login(User.objects.create_superuser(name))
        clients.append(client)
    url = f"pool/{web.pk}/change/"

    def save(client, opened, seconds):
        try:
            sent = {**opened, "slow_start_s": str(seconds)}
            return client.post(f"/admin/pools/{url}", sent).status_code
        finally:
            connection.close()

    def turn(number: int) -> list[int]:
        opened = [browser.form(client, url) for client in clients]
        seconds = (10 * number + 1, 10 * number + 2)
        with ThreadPoolExecutor(2) as threads:
            return sorted(threads.map(save, clients, opened, seconds))

    found = {"in_force": [turn(number) for number in range(1, TURNS)]}
    found["revisions"] = Revision.objects.count()
    drafts.switch(on=True)
    found["staged"] = [turn(number) for number in range(TURNS, 2 * TURNS - 1)]
    found["drafts"] = Draft.objects.count()
    (draft,) = drafts.waiting()
    found["kept"] = sorted(draft.values)
    outcome = drafts.publish_draft([draft], who="test")
    found["published"] = bool(outcome.revision)
    web.refresh_from_db()
    found["last"] = web.slow_start_s == draft.values["slow_start_s"]
    found["same"] = compile.document() == publish.published(publish.revision())
    print(json.dumps(found))


if __name__ == "__main__":
    main()
