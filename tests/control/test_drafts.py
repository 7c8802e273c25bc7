"""Drafts: kept beside what is in force, and put into force together."""

from __future__ import annotations

import pytest

from pools.control import compile, drafts, publish, verdicts
from pools.control.apply import apply
from pools.core import codec
from pools.core.errors import DocumentError
from pools.models import Backend, Draft, Pool, PublishedState, Revision, Route
from pools.models.draft import DraftKind

pytestmark = pytest.mark.django_db

DOCUMENT = {
    "pools": [
        {
            "name": "web",
            "backends": [{"host": "10.0.0.1", "port": 80}, {"host": "10.0.0.2", "port": 80}],
        },
        {"name": "spare"},
    ],
    "routes": [{"name": "api", "pool": "web", "path_prefix": "/api"}],
}


@pytest.fixture(autouse=True)
def in_force():
    with publish.change(who="test"):
        apply(codec.parse(DOCUMENT))


def drafted(model, **which):
    return model.drafted.overlaid().get(**which)


def edit(model, which, **values) -> None:
    row = drafted(model, **which)
    for name, value in values.items():
        setattr(row, name, value)
    with drafts.draft(who="ann", comment="why not") as draft:
        draft.keep(row)


def add(row) -> None:
    with drafts.draft(who="ann") as draft:
        draft.keep(row)


def remove(*rows) -> None:
    with drafts.draft(who="ann") as draft:
        for row in rows:
            draft.remove(row)


def published(**options):
    return drafts.publish_draft(list(drafts.waiting()), who="bob", **options)


def test_an_edit_is_kept_beside_what_is_in_force():
    before = compile.document()
    edit(Pool, {"name": "web"}, policy="random")
    assert compile.document() == before
    assert Pool.objects.get(name="web").policy == "round_robin"
    assert drafted(Pool, name="web").policy == "random"
    (draft,) = drafts.waiting()
    assert (draft.kind, draft.values, draft.who, draft.comment) == (
        DraftKind.EDITED,
        {"policy": "random"},
        "ann",
        "why not",
    )
    assert Revision.objects.count() == 1


def test_an_edit_that_is_taken_back_leaves_no_draft():
    edit(Pool, {"name": "web"}, policy="random")
    edit(Pool, {"name": "web"}, policy="round_robin")
    assert not Draft.objects.exists()


def test_what_is_new_is_known_to_nobody_but_the_draft():
    pool = Pool(name="more")
    add(pool)
    add(Backend(pool=pool, host="10.0.0.9", port=80))
    add(Backend(pool=Pool.objects.get(name="web"), host="10.0.0.9", port=80))
    add(Route(name="more", pool=pool))
    web = Pool.objects.get(name="web")
    assert web.backends.count() == 2
    assert "web/10.0.0.9:80" not in verdicts.health_map()
    assert not Route.objects.filter(name="more").exists()
    assert publish.publish_pending() is None
    assert len(drafts.document().pools) == 3


def test_publishing_puts_all_of_it_into_force_as_one_revision():
    pool = Pool(name="more")
    add(pool)
    add(Backend(pool=pool, host="10.0.0.9", port=80))
    edit(Route, {"name": "api"}, path_prefix="/v2", pool=pool)
    edit(Backend, {"host": "10.0.0.1"}, weight=7)
    remove(Backend.objects.get(host="10.0.0.2"), Pool.objects.get(name="spare"))
    wanted = drafts.document()
    outcome = published(comment="as reviewed")
    assert outcome.revision is not None
    assert compile.document() == wanted == publish.published(outcome.revision.number)
    assert (outcome.revision.number, outcome.revision.who, outcome.revision.comment) == (
        2,
        "bob",
        "as reviewed",
    )
    assert outcome.revision.why.startswith("Published the draft (6 changes): ")
    assert not Draft.objects.exists()
    assert not Pool.drafted.filter(published=False).exists()


def test_names_may_be_swapped():
    edit(Pool, {"name": "web"}, name="aside")
    edit(Pool, {"name": "spare"}, name="web")
    edit(Pool, {"pk": Pool.objects.get(name="web").pk}, name="spare")
    edit(Backend, {"host": "10.0.0.1"}, host="10.0.0.3")
    edit(Backend, {"host": "10.0.0.2"}, host="10.0.0.1")
    edit(Backend, {"pk": Backend.objects.get(host="10.0.0.1").pk}, host="10.0.0.2")
    wanted = drafts.document()
    published()
    assert compile.document() == wanted
    assert Pool.objects.get(name="spare").backends.count() == 2


def test_a_draft_that_does_not_hold_is_refused_and_leaves_no_trace():
    with pytest.raises(DocumentError) as caught:
        edit(Pool, {"name": "web"}, policy="luck")
    assert str(caught.value).startswith("pools[web].policy: 'luck' is not")
    assert not Draft.objects.exists()


def test_two_drafts_that_hold_each_alone_are_refused_together():
    edit(Pool, {"name": "web"}, name="site")
    with pytest.raises(DocumentError) as caught:
        edit(Pool, {"name": "spare"}, name="site")
    assert "site" in str(caught.value)
    assert drafts.count() == 1


def test_a_pool_that_a_rule_leads_to_is_not_removed():
    with pytest.raises(DocumentError) as caught:
        remove(Pool.objects.get(name="web"))
    assert str(caught.value).startswith("routes[api].pool")
    pool = Pool(name="more")
    add(pool)
    add(Route(name="more", pool=pool, path_prefix="/more"))
    with pytest.raises(DocumentError) as caught:
        remove(pool)
    assert "leads in the draft to pool more" in str(caught.value)


def test_a_single_change_is_thrown_away():
    edit(Pool, {"name": "web"}, policy="random")
    edit(Pool, {"name": "spare"}, policy="random")
    drafts.discard([Draft.objects.get(pool__name="web")])
    assert drafted(Pool, name="web").policy == "round_robin"
    assert drafted(Pool, name="spare").policy == "random"


def test_what_the_rest_of_the_draft_needs_is_not_thrown_away_alone():
    pool = Pool(name="more")
    add(pool)
    edit(Route, {"name": "api"}, pool=pool)
    with pytest.raises(DocumentError):
        drafts.discard([Draft.objects.get(pool=pool)])
    assert drafts.count() == 2
    drafts.discard(list(drafts.waiting()))
    assert not Draft.objects.exists()
    assert not Pool.drafted.filter(name="more").exists()


def test_a_part_of_a_draft_is_not_published_without_what_it_needs():
    pool = Pool(name="more")
    add(pool)
    add(Route(name="more", pool=pool, path_prefix="/more"))
    (part,) = drafts.waiting().filter(route__name="more")
    with pytest.raises(DocumentError) as caught:
        drafts.publish_draft([part], who="bob")
    assert "is new and not published with it" in str(caught.value)
    assert drafts.count() == 2
    assert publish.revision() == 1


def test_a_file_that_is_applied_takes_over_what_a_draft_adds_and_leaves_the_rest():
    pool = Pool(name="more", policy="random")
    add(pool)
    edit(Pool, {"name": "web"}, policy="random")
    wanted = codec.parse({**DOCUMENT, "pools": [*DOCUMENT["pools"], {"name": "more"}]})
    with publish.change(who="file"):
        apply(wanted)
    assert Pool.objects.get(name="more").policy == "round_robin"
    assert [str(draft) for draft in drafts.waiting()] == ["edited pool web"]


def test_a_file_does_not_remove_the_pool_of_a_rule_that_waits():
    spare = Pool.objects.get(name="spare")
    add(Route(name="more", pool=spare, path_prefix="/more"))
    wanted = codec.parse({**DOCUMENT, "pools": DOCUMENT["pools"][:1]})
    with pytest.raises(DocumentError) as caught, publish.change(who="file"):
        apply(wanted)
    assert str(caught.value).startswith("routes[more].pool: leads in the draft to pool spare")
    assert Pool.objects.filter(name="spare").exists()


def test_the_mode_is_as_switched_else_as_the_setting_says(settings):
    assert not drafts.staged()
    settings.POOLS_STAGED = True
    assert drafts.staged()
    drafts.switch(on=False)
    assert not drafts.staged()
    drafts.switch(on=True)
    settings.POOLS_STAGED = False
    assert drafts.staged()


def test_the_mode_is_not_switched_off_while_a_draft_waits():
    drafts.switch(on=True)
    edit(Pool, {"name": "web"}, policy="random")
    with pytest.raises(drafts.SwitchError) as caught:
        drafts.switch(on=False)
    assert "1 change" in str(caught.value)
    assert PublishedState.objects.get().staged


def test_a_name_that_the_draft_adds_is_taken():
    add(Pool(name="more"))
    with pytest.raises(Exception, match="The draft adds one"):
        Pool(name="more").full_clean()


def test_a_draft_of_hundreds_of_objects_costs_a_bounded_number_of_queries(
    django_assert_max_num_queries,
):
    web = Pool.objects.get(name="web")
    rows = [Backend(pool=web, host=f"10.1.0.{n}", port=80) for n in range(200)]
    with drafts.draft(who="ann") as draft:
        for row in rows:
            draft.keep(row)
    with django_assert_max_num_queries(12):
        assert len([each.kind for each in drafts.waiting()]) == 200
        drafts.document()
