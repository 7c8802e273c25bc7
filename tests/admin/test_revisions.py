"""Revisions: read, compared, restored; who said what of them; and who has them in force."""

from __future__ import annotations

import html
import re

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from pools.admin import changes
from pools.control import compile, publish
from pools.control.apply import apply
from pools.core import codec
from pools.models import Backend, Draft, Pool, Process, Revision, Route
from tests.admin import browser
from tests.admin.conftest import DOCUMENT


def text(response) -> str:
    """What is read on a page, without its tags."""
    assert response.status_code == 200
    bare = re.sub(
        r"<(script|style).*?</\1>|<[^>]+>", " ", response.content.decode(), flags=re.S
    )
    return " ".join(html.unescape(bare).split())


def shown(client, revision: Revision) -> str:
    return text(client.get(f"/admin/pools/revision/{revision.pk}/change/"))


@pytest.fixture
def second(web) -> Revision:
    with publish.change(who="bob", why="Weigh", comment="for the sale") as outcome:
        Backend.objects.filter(host="10.0.0.1").update(weight=5)
        Pool.objects.create(name="more", policy="random")
    assert outcome.revision is not None
    return outcome.revision


def process(name: str, revision: int, took_s: float | None = None, kind: str = "gateway"):
    report = {"revision": revision} | ({"took_s": took_s} if took_s is not None else {})
    Process.objects.create(kind=kind, name=name, started_at=Now(), seen_at=Now(), report=report)


def test_a_revision_shows_what_it_changed_by_pool(client, second):
    page = shown(client, second)
    assert "Pool web" in page
    assert "10.0.0.1:80 weight 1 → becomes 5" in page
    assert "Pool more added" in page
    assert "policy: random" in page
    assert "removed" not in page.partition("What it changed")[2].partition("Compare")[0]


def test_the_first_revision_shows_all_as_added(client, web):
    page = shown(client, Revision.objects.get())
    assert "10.0.0.2:80" in page
    assert "Routing rule api added" in page


def test_a_revision_is_compared_with_the_one_before_that_is_kept(client, web):
    with publish.change(who="ann"):
        Backend.objects.filter(host="10.0.0.1").update(weight=5)
    with publish.change(who="ann") as outcome:
        Backend.objects.filter(host="10.0.0.1").update(weight=6)
    Revision.objects.filter(number=2).delete()
    assert "weight 1 → becomes 6" in shown(client, outcome.revision)


def test_a_revision_that_this_version_cannot_read_is_shown_without_its_changes(client, web):
    revision = Revision.objects.get()
    Revision.objects.update(document={"pools": "of another age"})
    assert "cannot be compared" in shown(client, revision)


def test_a_revision_whose_predecessor_is_gone_says_so(client, second):
    Revision.objects.filter(number=1).delete()
    assert "the revision before it is no longer kept" in shown(client, second)


def test_the_documents_are_read_once_for_a_page(client, second):
    with CaptureQueriesContext(connection) as found:
        shown(client, second)
    assert sum('"document"' in query["sql"] for query in found) == 2


def test_the_list_names_who_why_the_comment_and_how_many_changes(
    client, second, django_assert_max_num_queries
):
    with django_assert_max_num_queries(10):
        page = text(client.get("/admin/pools/revision/"))
    assert "Weigh" in page
    assert "for the sale" in page
    assert second.changes == 2


def test_long_values_are_folded_and_thousands_of_changes_cut(client, web, monkeypatch):
    monkeypatch.setattr(changes, "MOST", 20)
    hosts = [f"host-{number}.example.com" for number in range(30)]
    with publish.change(who="ann") as outcome:
        Route.objects.update(hosts=hosts)
        pool = Pool.objects.get(name="spare")
        Backend.objects.bulk_create(
            Backend(pool=pool, host=f"10.1.0.{number}", port=80) for number in range(60)
        )
    response = client.get(f"/admin/pools/revision/{outcome.revision.pk}/change/")
    assert "61 changes" in text(response)
    assert "and 41 more" in text(response)
    monkeypatch.setattr(changes, "MOST", 500)
    response = client.get(f"/admin/pools/revision/{outcome.revision.pk}/change/")
    assert "<details>" in response.content.decode()


def test_secrets_are_masked_in_a_difference(client, web):
    with publish.change(who="ann") as outcome:
        Route.objects.update(request_headers_set={"Authorization": "Bearer x1y2", "X-A": "b"})
    page = shown(client, outcome.revision)
    assert "x1y2" not in page
    assert "Authorization" in page


def test_any_two_revisions_are_compared(client, second):
    there = text(client.get("/admin/pools/revision/compare/?old=1&new=2"))
    back = text(client.get("/admin/pools/revision/compare/?old=2&new=1"))
    assert "weight 1 → becomes 5" in there
    assert "weight 5 → becomes 1" in back
    assert "Pool more removed" in back


@pytest.mark.parametrize("query", ["", "?old=1&new=99", "?old=x&new=1", "?old=1&new=²"])
def test_a_comparison_with_what_is_not_there_says_so(client, web, query):
    response = client.get(f"/admin/pools/revision/compare/{query}")
    assert response.status_code == 302
    (message,) = browser.messages(response)
    assert message.startswith("There is no revision ")


def test_a_restore_shows_what_it_changes_and_then_does_it(client, second):
    url = "/admin/pools/revision/1/restore/"
    response = client.get(url)
    assert "weight 5 → becomes 1" in text(response)
    assert "Pool more removed" in text(response)
    before = publish.published(1)
    done = client.post(url, {"live": "2", "_comment": "the  sale is over"})
    assert done.status_code == 302
    newest = Revision.objects.latest()
    assert (newest.number, newest.why, newest.who) == (3, "Restored revision 1", "ann")
    assert newest.comment == "the sale is over"
    assert compile.document() == before
    (message,) = browser.messages(done)
    assert message.startswith("Restored revision 1. ")


def test_a_restore_keeps_the_rows_of_what_stays(client, second):
    pk = Backend.objects.get(host="10.0.0.1").pk
    client.post("/admin/pools/revision/1/restore/", {"live": "2"})
    assert Backend.objects.get(host="10.0.0.1").pk == pk


def test_a_restore_of_what_came_meanwhile_is_shown_again_first(client, second):
    with publish.change(who="bob"):
        Pool.objects.create(name="yet")
    response = client.post("/admin/pools/revision/1/restore/", {"live": "2"})
    assert "Revision 3 came meanwhile" in text(response)
    assert "Pool yet removed" in text(response)
    assert publish.revision() == 3


@pytest.mark.parametrize(
    "document",
    [
        {"pools": "of another age"},
        {
            "routes": [{"name": "steal", "pool": "web", "path_prefix": "/admin"}],
            "pools": [{"name": "web"}],
        },
    ],
)
def test_what_no_longer_holds_is_refused_in_a_line(client, second, document):
    Revision.objects.filter(number=1).update(document=document)
    for response in (
        client.get("/admin/pools/revision/1/restore/"),
        client.post("/admin/pools/revision/1/restore/", {"live": "2"}),
    ):
        assert response.status_code == 302
        *_, message = browser.messages(response)
        assert message.startswith("Nothing was changed: revision 1 no longer holds")
        assert "\n" not in message
    assert publish.revision() == 2


def test_only_who_may_restore_does(client, viewer, second, django_user_model):
    assert viewer.get("/admin/pools/revision/1/restore/").status_code == 403
    assert viewer.post("/admin/pools/revision/1/restore/", {"live": "2"}).status_code == 403
    assert "Restore this revision" not in shown(viewer, Revision.objects.get(number=1))
    vic = django_user_model.objects.get(username="vic")
    vic.user_permissions.add(Permission.objects.get(codename="restore_revision"))
    assert viewer.get("/admin/pools/revision/1/restore/").status_code == 200


def test_the_revision_in_force_is_not_offered_to_be_restored(client, second):
    assert "Restore this revision" not in shown(client, second)
    assert "Restore this revision" in shown(client, Revision.objects.get(number=1))


@pytest.mark.parametrize("where", ["pool/add/", "pool/{pool}/change/", "route/{route}/change/"])
def test_a_comment_is_kept_with_the_revision_of_a_save(client, web, where):
    url = where.format(pool=web.pk, route=Route.objects.get().pk)
    typed = {"name": "other", "_comment": "because of the sale"}
    response = browser.send(
        client, url, **typed, **{"backends-TOTAL_FORMS": "0"} if "add" in url else {}
    )
    assert response.status_code == 302
    assert Revision.objects.latest().comment == "because of the sale"


def test_a_comment_that_was_typed_survives_an_error(client, web):
    response = browser.send(
        client, f"pool/{web.pk}/change/", name="not a name!", _comment='"why" <not>'
    )
    assert browser.read(response)["_comment"] == ['"why" <not>']


def test_deletions_have_a_comment_too(client, web):
    backend = web.backends.first()
    page = client.get(f"/admin/pools/backend/{backend.pk}/delete/")
    assert page.content.decode().count('name="_comment"') == 1
    client.post(
        f"/admin/pools/backend/{backend.pk}/delete/", {"post": "yes", "_comment": "broken"}
    )
    assert Revision.objects.latest().comment == "broken"
    rest = web.backends.all()
    page = browser.act(client, "backend/", "delete_selected", *rest)
    assert page.content.decode().count('name="_comment"') == 1
    browser.act(client, "backend/", "delete_selected", *rest, post="yes", _comment="all")
    assert Revision.objects.latest().comment == "all"


def test_who_may_only_look_is_asked_for_no_comment(viewer, web):
    page = viewer.get(f"/admin/pools/pool/{web.pk}/change/").content.decode()
    assert "_comment" not in page
    assert "_opened" not in page


def test_a_save_says_which_processes_have_it_and_which_are_behind(client, web):
    process("a:1", 1)
    process("b:2", 1, kind="web")
    process("c:3", 1, kind="worker")  # carries no traffic
    response = browser.send(client, f"pool/{web.pk}/change/", policy="random")
    (message,) = browser.messages(response)
    assert "Revision 2 comes into force within a second:" in message
    assert 'data-followers-url="/admin/pools/revision/2/followers/"' in message

    fragment = client.get("/admin/pools/revision/2/followers/").content.decode()
    assert "Revision 2, in force in 0 of 2 processes; behind: gateway a:1" in fragment
    Process.objects.filter(name="a:1").update(report={"revision": 2, "took_s": 0.24})
    fragment = client.get("/admin/pools/revision/2/followers/")
    assert "X-Pools-Done" not in fragment
    assert fragment.content.decode() == (
        "Revision 2, in force in 1 of 2 processes after 0.2 s; behind: web b:2 (at 1).\n"
    )
    Process.objects.filter(name="b:2").update(report={"revision": 2, "took_s": 0.61})
    fragment = client.get("/admin/pools/revision/2/followers/")
    assert fragment["X-Pools-Done"] == "1"
    assert fragment.content.decode() == (
        "Revision 2, in force in 2 of 2 processes after 0.6 s.\n"
    )


def test_the_revisions_page_says_it_without_javascript(client, second):
    process("a:1", 2, 0.5)
    assert "Revision 2, in force in 1 of 1 process after 0.5 s." in shown(client, second)
    assert "Revision 2 came after it." in shown(client, Revision.objects.get(number=1))


def test_nobody_who_tells_of_itself_is_said_to_be_so(client, web):
    response = client.get("/admin/pools/revision/1/followers/")
    assert "no gateway or web process is running" in response.content.decode()
    assert response["X-Pools-Done"] == "1"


def test_a_restore_leaves_the_rest_of_a_draft_alone(client, second):
    pool = Pool.objects.get(name="spare")
    Draft.objects.create(pool=pool, values={"policy": "random"})
    gone = Pool.objects.get(name="more")
    Draft.objects.create(pool=gone, values={"policy": "round_robin"})
    assert "A draft waits" in text(client.get("/admin/pools/revision/1/restore/"))
    client.post("/admin/pools/revision/1/restore/", {"live": "2"})
    assert [draft.pool for draft in Draft.objects.all()] == [pool]


def test_applying_the_document_anew_is_nothing_to_restore(client, web):
    with publish.change(who="file"):
        apply(codec.parse(DOCUMENT))
    page = text(client.get("/admin/pools/revision/1/restore/"))
    assert "Nothing is different." in page


def test_the_list_reads_no_document(client, second):
    with CaptureQueriesContext(connection) as found:
        client.get("/admin/pools/revision/")
    rows = [query["sql"] for query in found if 'FROM "pools_revision"' in query["sql"]]
    assert any('"who"' in sql for sql in rows)
    assert not any('"document"' in sql for sql in rows)
