"""Staged mode: edits gather as a draft, which is reviewed and published or thrown away."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission

from pools.control import compile, drafts, publish
from pools.models import Backend, Draft, Pool, Revision, Route
from tests.admin import browser
from tests.admin.test_revisions import text

DRAFT = "/admin/pools/draft/"


@pytest.fixture(autouse=True)
def staged(web):
    drafts.switch(on=True)


def press(client, button: str, **more: str):
    seen = client.get(DRAFT).context["seen"]
    return client.post(f"{DRAFT}{button}/", {"seen": seen, **more})


def test_a_save_goes_into_the_draft_and_says_so(client, web):
    before = compile.document()
    response = browser.send(
        client,
        f"pool/{web.pk}/change/",
        **{
            "policy": "random",
            "_comment": "a try",
            "backends-0-weight": "5",
            "backends-1-DELETE": "on",
            "backends-2-host": "10.0.0.3",
            "backends-2-port": "80",
            "backends-2-scheme": "http",
            "backends-2-weight": "1",
            "backends-2-state": "ready",
            "backends-TOTAL_FORMS": "3",
        },
    )
    assert response.status_code == 302
    assert compile.document() == before
    assert publish.revision() == 1
    (message,) = browser.messages(response)
    assert "So far it is in the draft alone" in message
    assert sorted(str(each) for each in drafts.waiting()) == [
        "edited backend web/10.0.0.1:80",
        "edited pool web",
        "new backend web/10.0.0.3:80",
        "removed backend web/10.0.0.2:80",
    ]


def test_the_form_shows_the_draft_and_lists_mark_it(client, web):
    browser.send(
        client,
        f"pool/{web.pk}/change/",
        **{"policy": "random", "backends-0-weight": "5", "backends-1-DELETE": "on"},
    )
    shown = browser.form(client, f"pool/{web.pk}/change/")
    assert shown["policy"] == ["random"]
    assert shown["backends-0-weight"] == ["5"]
    assert shown["backends-TOTAL_FORMS"] == ["1"]
    pools = text(client.get("/admin/pools/pool/"))
    assert "Round robin" in pools  # what is in force
    assert "edited" in pools
    backends = text(client.get("/admin/pools/backend/"))
    assert "to be removed" in backends


def test_what_is_new_is_in_lists_and_can_be_edited_and_led_to(client, web):
    browser.send(
        client,
        "pool/add/",
        **{"name": "more", "backends-0-host": "10.0.0.9", "backends-0-port": "80"},
    )
    more = Pool.drafted.get(name="more")
    assert not more.published
    assert "more" in text(client.get("/admin/pools/pool/"))
    route = Route.objects.get()
    response = browser.send(client, f"route/{route.pk}/change/", pool=str(more.pk))
    assert response.status_code == 302
    browser.send(client, f"pool/{more.pk}/change/", **{"backends-0-weight": "7"})
    assert Backend.drafted.get(pool=more).weight == 7
    assert drafts.document().routes[0].pool == "more"
    assert compile.document().routes[0].pool == "web"


def test_a_name_that_is_taken_in_the_draft_is_refused_at_its_field(client, web):
    values = {"name": "more", "backends-TOTAL_FORMS": "0"}
    browser.send(client, "pool/add/", **values)
    response = browser.send(client, "pool/add/", **values)
    assert browser.errors(response) == {"name": ["The draft adds one of this name already."]}
    typed = {
        "backends-2-host": "10.0.0.9",
        "backends-2-port": "80",
        "backends-2-scheme": "http",
        "backends-2-weight": "1",
        "backends-2-state": "ready",
        "backends-TOTAL_FORMS": "3",
    }
    url = f"pool/{web.pk}/change/"
    assert browser.send(client, url, **typed).status_code == 302
    row = {name.replace("-2-", "-3-"): value for name, value in typed.items() if "-2-" in name}
    response = browser.send(client, url, **row, **{"backends-TOTAL_FORMS": "4"})
    assert response.status_code == 200


def test_a_draft_that_does_not_hold_is_refused_with_its_reason(client, web):
    Route.objects.filter(name="api").update(path_prefix="/api")
    response = browser.send(client, f"pool/{web.pk}/change/", sticky_mode="nonsense")
    assert "sticky_mode" in browser.errors(response)
    deleted = client.post(f"/admin/pools/pool/{web.pk}/delete/", {"post": "yes"})
    assert deleted.status_code in (200, 302)
    assert not Draft.objects.exists()


def test_every_page_says_that_a_draft_waits(client, viewer, web):
    pages = ("/admin/", "/admin/pools/route/", f"/admin/pools/pool/{web.pk}/change/")
    assert "A draft of" not in text(client.get(pages[0]))
    browser.send(client, f"pool/{web.pk}/change/", policy="random")
    client.get("/admin/pools/pool/")  # shows what was said of the save
    for page in pages:
        assert "A draft of 1 change waits to be published. Review it" in text(client.get(page))
    assert "A draft of" not in text(client.get("/admin/pools/route/?_popup=1"))


def test_the_review_says_who_changes_what(client, web):
    browser.send(client, f"pool/{web.pk}/change/", policy="random", _comment="a try")
    browser.send(
        client, "pool/add/", name="more", policy="random", **{"backends-TOTAL_FORMS": "0"}
    )
    page = text(client.get(DRAFT))
    assert "pool web edited" in page
    assert "ann" in page and "a try" in page
    assert "policy round_robin → becomes random" in page
    assert "pool more new" in page
    assert "Publish 2 changes" in page


def test_publishing_is_one_revision_with_a_comment(client, web):
    browser.send(client, f"pool/{web.pk}/change/", policy="random")
    browser.send(client, f"backend/{web.backends.first().pk}/change/", weight="5")
    response = press(client, "publish", _comment="reviewed by two")
    assert response.status_code == 302
    newest = Revision.objects.latest()
    assert (newest.number, newest.who, newest.comment) == (2, "ann", "reviewed by two")
    assert newest.changes == 2
    web.refresh_from_db()
    assert web.policy == "random"
    assert not Draft.objects.exists()
    assert any("Revision 2, " in message for message in browser.messages(response))


def test_single_changes_and_all_are_thrown_away(client, web):
    browser.send(client, f"pool/{web.pk}/change/", policy="random")
    browser.send(client, "pool/add/", name="more", **{"backends-TOTAL_FORMS": "0"})
    one = Draft.objects.get(pool=web)
    press(client, "discard", one=str(one.pk))
    assert [each.target.name for each in drafts.waiting()] == ["more"]
    press(client, "discard")
    assert not Draft.objects.exists()
    assert not Pool.drafted.filter(name="more").exists()
    assert publish.revision() == 1


@pytest.mark.parametrize("button", ["publish", "discard"])
def test_what_was_not_seen_is_neither_published_nor_thrown_away(client, web, button):
    browser.send(client, f"pool/{web.pk}/change/", policy="random")
    seen = client.get(DRAFT).context["seen"]
    browser.send(client, f"pool/{web.pk}/change/", policy="power_of_two")
    response = client.post(f"{DRAFT}{button}/", {"seen": seen})
    assert any("look at it again" in message for message in browser.messages(response))
    assert drafts.count() == 1
    assert publish.revision() == 1


def test_what_an_operator_does_is_in_force_at_once(client, web):
    browser.act(client, "backend/", "drain", web.backends.first())
    assert publish.revision() == 2
    assert not Draft.objects.exists()


def test_a_draft_that_no_longer_holds_says_why_and_stays(client, web):
    browser.send(client, f"route/{Route.objects.get().pk}/change/", path_prefix="/v2")
    Pool.objects.filter(name="spare").update(policy="luck")
    response = press(client, "publish")
    assert any(
        message.startswith("Nothing was changed: pools[spare].policy")
        for message in browser.messages(response)
    )
    assert drafts.count() == 1


def test_what_the_draft_removes_can_be_kept_by_saving_it(client, web):
    backend = web.backends.first()
    client.post(f"/admin/pools/backend/{backend.pk}/delete/", {"post": "yes"})
    assert Draft.objects.get().removed
    assert "The draft removes this object" in text(
        client.get(f"/admin/pools/backend/{backend.pk}/change/")
    )
    browser.send(client, f"backend/{backend.pk}/change/", weight="3")
    assert Draft.objects.get().values == {"weight": 3}


def test_a_deletion_of_what_is_new_removes_it(client, web):
    browser.send(client, "pool/add/", name="more", **{"backends-TOTAL_FORMS": "0"})
    browser.act(client, "pool/", "delete_selected", Pool.drafted.get(name="more"), post="yes")
    assert not Pool.drafted.filter(name="more").exists()
    assert not Draft.objects.exists()


def test_the_mode_is_switched_by_who_may_and_not_off_while_a_draft_waits(
    client, viewer, web, django_user_model
):
    assert viewer.post(f"{DRAFT}mode/", {"staged": "off"}).status_code == 403
    browser.send(client, f"pool/{web.pk}/change/", policy="random")
    response = client.post(f"{DRAFT}mode/", {"staged": "off"})
    assert any("stays on, as a draft waits" in said for said in browser.messages(response))
    press(client, "discard")
    client.post(f"{DRAFT}mode/", {"staged": "off"})
    assert not drafts.staged()
    browser.send(client, f"pool/{web.pk}/change/", policy="random")
    assert publish.revision() == 2


def test_who_may_not_publish_sees_the_draft_alone(client, viewer, web, django_user_model):
    browser.send(client, f"pool/{web.pk}/change/", policy="random")
    page = text(viewer.get(DRAFT))
    assert "policy round_robin → becomes random" in page
    assert "Publish" not in page
    assert "Throw away" not in page
    for button in ("publish", "discard"):
        assert viewer.post(f"{DRAFT}{button}/", {}).status_code == 403
    vic = django_user_model.objects.get(username="vic")
    vic.user_permissions.add(Permission.objects.get(codename="publish_draft"))
    assert "1 change is not yours to publish" not in page  # nothing is his at all
    press(viewer, "publish")
    assert drafts.count() == 1  # he may not change pools


def test_secrets_are_masked_in_the_review(client, web):
    route = Route.objects.get()
    browser.send(
        client, f"route/{route.pk}/change/", request_headers_set="Authorization: Bearer x1y2"
    )
    page = text(client.get(DRAFT))
    assert "x1y2" not in page
    assert "Authorization" in page


def test_many_changes_cost_the_pages_no_more_queries(
    client, web, django_assert_max_num_queries
):
    with drafts.draft(who="ann") as draft:
        for number in range(100):
            draft.keep(Backend(pool=web, host=f"10.1.0.{number}", port=80))
        for backend in web.backends.all():
            backend.weight = 9
            draft.keep(backend)
    client.get(DRAFT)
    with django_assert_max_num_queries(20):
        assert "102 objects" in text(client.get(DRAFT))
    with django_assert_max_num_queries(30):
        client.get("/admin/pools/backend/")


def test_pasted_backends_go_into_the_draft(client, web):
    before = compile.document()
    for lines in ("10.0.0.3:80 weight=2", "10.0.0.4:80"):
        client.post(f"/admin/pools/pool/{web.pk}/paste/", {"lines": lines, "_save": "1"})
    new = {"name": "new", "probe_kind": "tcp", "lines": "a:80", "_save": "1"}
    client.post("/admin/pools/pool/paste/", new)
    again = client.post(
        f"/admin/pools/pool/{web.pk}/paste/", {"lines": "10.0.0.3:80", "_save": "1"}
    )
    assert "is in the pool already" in again.content.decode()
    assert compile.document() == before
    assert {str(each) for each in drafts.waiting()} == {
        "new backend web/10.0.0.3:80",
        "new backend web/10.0.0.4:80",
        "new pool new",
        "new backend new/a:80",
    }
    press(client, "publish")
    assert {row.key for row in Backend.objects.filter(pool__name="new")} == {"new/a:80"}


def test_a_new_backend_of_the_draft_is_drained_in_the_draft(client, web):
    client.post(f"/admin/pools/pool/{web.pk}/paste/", {"lines": "10.0.0.3:80", "_save": "1"})
    row = Backend.drafted.get(host="10.0.0.3")
    browser.act(client, "backend/", "drain", row)
    row.refresh_from_db(from_queryset=Backend.drafted)
    assert (row.state, row.published) == ("drain", False)
    assert publish.revision() == 1
