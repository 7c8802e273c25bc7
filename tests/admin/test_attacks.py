"""What somebody tries who may do less than they would like to."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from pools.control import drafts, publish
from pools.models import AuditEntry, Channel, Pool, PublishedState, Route, Team
from tests.admin import browser

SECRET = "Bearer-s3cret"


@pytest.fixture
def secrets(web):
    """A rule, a probe and a channel that hold secrets."""
    condition = {"header": "X-Api-Key", "match": "equals", "value": SECRET}
    with publish.change(who="test", why="made web-of-others"):
        Route.objects.update(
            request_headers_set={"Authorization": SECRET}, conditions=[condition]
        )
        Pool.objects.update(probe_headers={"Authorization": SECRET})
    Channel.objects.create(name="hook", kind="webhook", url=f"http://x.example/{SECRET}")


@pytest.mark.parametrize(
    "query",
    [
        "route/?request_headers_set__icontains=bearer",
        "route/?request_headers_set__Authorization__startswith=Be",
        "route/?conditions__icontains=bearer",
        "pool/?probe_headers__icontains=bearer",
        "channel/?url__contains=Bearer",
        "channel/?secret__gt=a",
        "revision/?document__icontains=bearer",
    ],
)
def test_no_list_is_filtered_by_what_it_does_not_show(viewer, secrets, query):
    response = viewer.get(f"/admin/pools/{query}")
    assert response.status_code in (302, 400), "a secret would be guessed letter by letter"


def test_lists_are_filtered_by_what_they_lead_to(viewer, web):
    for query in (
        f"backend/?pool__id__exact={Pool.objects.first().pk}",
        f"route/?pool__id__exact={Pool.objects.first().pk}",
        "revision/?number=1",
        "alert/?open=yes&pool=web",
        "route/?enabled__exact=1",
    ):
        assert viewer.get(f"/admin/pools/{query}").status_code == 200, query


def test_secrets_of_conditions_are_masked_in_lists_and_tests(viewer, client, secrets):
    for page in ("route/", "route/test/?url=http://a.example/api/x&method=GET"):
        assert SECRET not in viewer.get(f"/admin/pools/{page}").content.decode(), page


def test_secrets_of_conditions_are_masked_in_the_review(client, viewer, secrets):
    drafts.switch(on=True)
    route = Route.objects.get(name="api")
    route.conditions = [{"header": "X-Api-Key", "match": "equals", "value": f"{SECRET}2"}]
    with drafts.draft(who="ann") as draft:
        draft.keep(route)
    page = viewer.get("/admin/pools/draft/").content.decode()
    assert "X-Api-Key" in page
    assert SECRET not in page


def test_what_a_form_was_opened_with_tells_no_secret(client, secrets):
    from pools.admin import opened

    for page, column in (
        (f"route/{Route.objects.first().pk}", "request_headers_set"),
        (f"pool/{Pool.objects.first().pk}", "probe_headers"),
    ):
        form = client.get(f"/admin/pools/{page}/change/").context["opened"]
        found = opened.read(form).row[column]
        assert list(found) == ["Authorization"]
        assert SECRET not in repr(found), page


def test_a_form_that_nobody_touched_keeps_its_secrets(client, secrets):
    page = f"route/{Route.objects.get(name='api').pk}/change/"
    assert browser.send(client, page, path_prefix="/api2").status_code == 302
    route = Route.objects.get(name="api")
    assert (route.path_prefix, route.request_headers_set) == (
        "/api2",
        {"Authorization": SECRET},
    )


def test_nothing_names_what_is_another_teams(client, web, django_user_model):
    groups = {name: Group.objects.create(name=name) for name in ("oak", "elm")}
    oak, elm = (Team.objects.create(group=group) for group in groups.values())
    with publish.change(who="test", why="Changed pool elm-secret"):
        Pool.objects.filter(name="web").update(team=oak)
        web_pool = Pool.objects.get(name="web")
        Route.objects.create(name="elm-rule", pool=web_pool, path_prefix="/x", team=elm)
        mine = Route.objects.create(name="oak-rule", pool=web_pool, path_prefix="/x", team=oak)
    user = django_user_model.objects.create(username="olga", is_staff=True)
    user.groups.set([groups["oak"], Group.objects.get(name="editor")])
    client.force_login(user)
    for page in ("", "pools/pool/", "pools/route/", f"pools/route/{mine.pk}/change/"):
        response = client.get(f"/admin/{page}")
        assert response.status_code == 200
        assert "elm-" not in response.content.decode(), page
    response = browser.send(client, f"pools/route/{mine.pk}/change/"[6:], path_prefix="/x/")
    assert response.status_code == 302
    assert "elm-" not in client.get("/admin/pools/route/").content.decode()


def test_a_huge_number_of_rows_is_not_counted_out(client, web):
    pool = Pool.objects.get(name="web")
    data = {
        "name": "web",
        "backends-TOTAL_FORMS": "9" * 15,
        "backends-INITIAL_FORMS": "0",
        "_opened": "",
    }
    response = client.post(f"/admin/pools/pool/{pool.pk}/change/", data)
    assert response.status_code == 200
    (rows,) = response.context["inline_admin_formsets"]
    assert rows.formset.forms == []


def test_who_is_in_two_teams_pastes_a_pool(client, web, django_user_model):
    groups = [Group.objects.create(name=name) for name in ("oak", "elm")]
    teams = [Team.objects.create(group=group) for group in groups]
    user = django_user_model.objects.create(username="two", is_staff=True)
    user.groups.set([*groups, Group.objects.get(name="editor")])
    client.force_login(user)
    data = {"name": "new", "probe_kind": "off", "probe_path": "/", "lines": "10.0.0.9:80"}
    response = client.post("/admin/pools/pool/paste/", data)
    assert response.status_code == 200
    assert not Pool.objects.filter(name="new").exists()
    data["team"] = str(teams[1].pk)
    assert client.post("/admin/pools/pool/paste/", data).status_code == 302
    assert Pool.objects.get(name="new").team == teams[1]


def test_a_draft_whose_name_was_taken_meanwhile_is_refused_in_words(client, web):
    drafts.switch(on=True)
    pool = Pool.objects.get(name="spare")
    pool.name = "other"
    with drafts.draft(who="ann") as draft:
        draft.keep(pool)
    with publish.change(who="command"):
        Pool.objects.create(name="other")
    page = client.get("/admin/pools/draft/")
    assert page.status_code == 200
    data = {"seen": page.context["seen"]}
    response = client.post("/admin/pools/draft/publish/", data, follow=True)
    assert response.status_code == 200
    assert "Nothing was changed" in response.content.decode()
    assert Pool.objects.filter(name="spare").exists()
    assert PublishedState.objects.exists()


def test_what_becomes_of_a_draft_is_in_the_audit_log(client, ann, web):
    client.post("/admin/pools/draft/mode/", {"staged": "on"})
    pool = Pool.objects.get(name="spare")
    assert browser.send(client, f"pool/{pool.pk}/change/", name="other").status_code == 302
    seen = client.get("/admin/pools/draft/").context["seen"]
    client.post("/admin/pools/draft/discard/", {"seen": seen})
    told = AuditEntry.objects.order_by("pk").values_list("who", "action", "kind", "name")
    assert [entry for entry in told if entry[1] in ("switched", "drafted", "discarded")] == [
        ("ann", "switched", "draft", ""),
        ("ann", "drafted", "pool", "spare"),
        ("ann", "discarded", "pool", "spare"),
    ]


HUGE = str(2**64)


@pytest.mark.parametrize(
    "query",
    [
        f"pools/pool/live/?rows={HUGE},1,-1,%00,1e9,\u0663",
        f"pools/backend/?pool__id__exact={HUGE}",
        "pools/backend/?pool__id__exact=%00",
        "pools/backend/?pool=%00&health=%00&trouble=x&tag=%22",
        f"pools/route/?p={HUGE}",
        "pools/route/?for_host=%00%ff",
        f"pools/route/?for_host={'a.' * 500}",
        f"pools/revision/?number={HUGE}",
        f"pools/revision/compare/?old={HUGE}&new=%00",
        f"pools/revision/{HUGE}/followers/",
        f"pools/revision/{HUGE}/restore/",
        f"pools/pool/{HUGE}/paste/",
        f"pools/pool/{HUGE}/change/",
        f"pools/backend/{HUGE}/figures/",
        f"pools/backend/{HUGE}/change/",
        "pools/pool/dashboard/figures/?pool=%00&window=%00",
        "pools/pool/dashboard/figures/?pool=%00",
        "pools/pool/dashboard/?window=x&order=%00",
        f"pools/alert/?open=x&pool=%00&p={HUGE}",
        "pools/auditentry/?q=%00",
        "pools/route/test/?url=http://[::1&method=%00&client=%00&headers=%00",
        f"pools/route/test/?url=http://{'a' * 9000}/",
    ],
)
def test_extremes_in_an_address_are_no_error_of_the_server(client, web, query):
    response = client.get(f"/admin/{query}")
    assert response.status_code < 500
    for _hop in range(3):
        if response.status_code == 302:
            response = client.get(response["Location"])
    assert response.status_code in (200, 400, 404)


@pytest.mark.parametrize(
    "post",
    [
        f"pools/backend/{HUGE}/state/",
        f"pools/backend/{HUGE}/probe/",
        f"pools/channel/{HUGE}/test/",
        f"pools/channel/{HUGE}/secret/",
        f"pools/revision/{HUGE}/restore/",
    ],
)
def test_buttons_of_what_is_not_there_are_no_error_of_the_server(client, web, post):
    assert client.post(f"/admin/{post}").status_code in (302, 404)


def test_every_answer_has_the_policy_of_content(client, web):
    stranger = Client(enforce_csrf_checks=True)
    for response in (
        client.get("/admin/"),
        client.get("/admin/none/"),
        client.get("/admin/pools/channel/?secret__gt=a"),
        stranger.get("/admin/login/"),
        stranger.get("/admin/code/"),
        stranger.post("/admin/login/"),
        stranger.get("/admin/login/", headers={"host": "evil.example"}),
        stranger.post("/admin/language/", {"language": "ko"}),
    ):
        assert "default-src 'none'" in response["Content-Security-Policy"], response


def test_no_language_leads_to_another_host(client, web):
    for there in ("https://evil.example/", "//evil.example", "/\\evil.example"):
        answer = client.post("/admin/language/", {"language": "ko", "next": there})
        assert "evil" not in answer["Location"]


def test_devices_of_codes_have_no_pages(client, web):
    for page in ("otp_totp/totpdevice/", "otp_static/staticdevice/"):
        assert client.get(f"/admin/{page}").status_code == 404
