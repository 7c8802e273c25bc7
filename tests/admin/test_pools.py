"""Pools in the admin: saved whole with their backends, or not at all."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pools.admin import base
from pools.admin.pool import INLINE_MOST
from pools.control import compile
from pools.core import codec, document
from pools.models import Backend, HealthEvent, Pool, Revision, Route
from pools.models.parts import COLUMNS
from tests.admin import browser


def test_a_name_and_one_backend_are_enough(client):
    response = browser.send(
        client,
        "pool/add/",
        **{"name": "web", "backends-0-host": "10.0.0.1", "backends-0-port": "80"},
    )
    assert response.status_code == 302
    assert compile.document() == document.Document(
        pools=(
            document.Pool(name="web", backends=(document.Backend(host="10.0.0.1", port=80),)),
        )
    )


def test_a_unix_socket_needs_no_port(client):
    response = browser.send(
        client,
        "pool/add/",
        **{"name": "web", "backends-0-host": "unix://run/app.sock"},
    )
    assert response.status_code == 302
    (pool,) = compile.document().pools
    assert pool.backends == (document.Backend(host="unix:/run/app.sock"),)
    assert Revision.objects.get().why == "Added pool web; added unix:/run/app.sock"


@pytest.mark.parametrize(
    ("host", "port", "at", "said"),
    [
        ("10.0.0.3", "", "port", "is missing: give a port, 1 to 65535"),
        ("10.0.0.3", "0", "port", "is missing: give a port, 1 to 65535"),
        ("10.0.0.3", "x", "port", "Enter a whole number."),
        (
            "unix:/run/app.sock",
            "80",
            "port",
            "80 with a Unix socket, which has no port: remove it",
        ),
        (
            "unix:app.sock",
            "",
            "host",
            "'unix:app.sock' is not the whole path to a socket: begin it with unix:/",
        ),
    ],
)
def test_an_address_that_does_not_hold_is_said_at_its_field(client, web, host, port, at, said):
    typed = {"backends-0-host": host, "backends-0-port": port}
    response = browser.send(client, f"pool/{web.pk}/change/", **typed)
    assert browser.row_errors(response) == [{at: [said]}, {}]
    assert web.backends.filter(host="10.0.0.1", port=80).exists()


def test_a_unix_socket_is_in_a_pool_once(client, web):
    row = {"scheme": "http", "weight": "1", "state": "ready", "port": ""}
    typed = {"backends-TOTAL_FORMS": "4"}
    for index, host in ((2, "unix:/run/app.sock"), (3, "unix:/run//app.sock")):
        typed |= {f"backends-{index}-{name}": value for name, value in row.items()}
        typed[f"backends-{index}-host"] = host
    response = browser.send(client, f"pool/{web.pk}/change/", **typed)
    *_, last = browser.row_errors(response)
    assert last["host"] == ["unix:/run/app.sock is there twice: keep one."]
    assert web.backends.count() == 2


def test_a_save_is_one_revision_of_who_did_it_and_says_so(client, ann):
    response = browser.send(
        client,
        "pool/add/",
        **{"name": "web", "backends-0-host": "10.0.0.1", "backends-0-port": "80"},
    )
    revision = Revision.objects.get()
    assert (revision.user, revision.who) == (ann, "ann")
    assert revision.why == "Added pool web; added 10.0.0.1:80"
    (message,) = browser.messages(response)
    assert "Revision 1, " in message


def test_the_reason_of_a_revision_names_what_changed(client, web):
    browser.send(
        client,
        f"pool/{web.pk}/change/",
        **{
            "policy": "least_requests",
            "probe_path": "/up",
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
    assert Revision.objects.latest().why == (
        "Changed pool web: policy and probe path; weight of 10.0.0.1:80; "
        "added 10.0.0.3:80; removed 10.0.0.2:80"
    )
    assert Revision.objects.count() == 2


def test_saving_what_is_there_is_no_revision(client, web):
    before = compile.document()
    response = browser.send(client, f"pool/{web.pk}/change/")
    assert compile.document() == before
    assert Revision.objects.count() == 1
    (message,) = browser.messages(response)
    assert message.endswith("no new revision.")


def test_an_untouched_form_keeps_every_value(client, web):
    plain = {
        "name": "web",
        "policy": "consistent_hash",
        "hash": {"on": "header", "name": "X-User", "balance_factor": 125},
        "sticky": {
            "mode": "cookie",
            "cookie": "c",
            "ttl_s": 60,
            "same_site": "None",
            "secure": "always",
            "http_only": False,
            "while_draining": False,
        },
        "host": {"mode": "fixed", "value": "app.example.com:81"},
        "connect_timeout_s": 0.25,
        "response_timeout_s": 7.0,
        "exchange_timeout_s": 30.0,
        "tunnel_timeout_s": 90.0,
        "retry": {"attempts": 5, "on": ["connect", "http_503"], "non_idempotent": True},
        "max_in_flight": 9,
        "max_queue": 0,
        "queue_timeout_s": 0.5,
        "keepalive_connections": 2,
        "keepalive_s": 1.5,
        "tls": {"verify": False, "server_name": "inner.example.com"},
        "passive": {"failures": 0, "base_ejection_s": 2.5, "panic_percent": 10},
        "slow_start_s": 12.0,
        "probe": {
            "kind": "tcp",
            "method": "HEAD",
            "path": "/up?full=1",
            "host": "probe.example.com",
            "port": 81,
            "statuses": "200,418",
            "headers": {"X-Key": "a b", "X-Empty": ""},
            "text": " two\nlines",
            "body_bytes": 4096,
            "follow_redirects": True,
            "send": r" PING\r\n",
            "expect": "+PONG\n ",
            "certificate_days": 7,
            "fast_interval_s": 0.0,
            "down_interval_s": 60.0,
            "interval_s": 30.0,
            "timeout_s": 1.5,
            "rise": 4,
            "fall": 5,
        },
    }
    web.assign(codec.parse_part(document.Pool, plain))
    web.save()
    Backend.objects.create(pool=web, host="unix:/run/app.sock")
    before = compile.document()
    assert browser.send(client, f"pool/{web.pk}/change/").status_code == 302
    assert compile.document() == before


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "two words", "'two words' is not a name"),
        ("name", "spare", "already exists"),
        ("connect_timeout_s", "0", "0 is not a time in seconds"),
        ("probe_statuses", "9-1", "'9-1' is not a status or range"),
        ("probe_timeout_s", "9", "9 s is longer than the interval"),
        ("probe_down_interval_s", "2", "2 s is shorter than the interval"),
        ("probe_headers", "Host: a", "line 1: Host is set by the proxy itself"),
        ("probe_headers", "X-A", "line 1: 'X-A' has no colon"),
        ("probe_send", "PING", "is for probes of kind tcp: remove it"),
        ("probe_json_path", "a..b", "'a..b' has an empty step"),
        ("hash_balance_factor", "7", "7 is not a balance factor"),
        ("tls_ca", "no", "not a CA certificate"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_changes_nothing(
    client, web, field, value, said
):
    before = compile.document()
    response = browser.send(client, f"pool/{web.pk}/change/", **{field: value, "rise": "7"})
    found = browser.errors(response)
    assert list(found) == [field]
    assert said in found[field][0]
    assert compile.document() == before
    assert browser.read(response)[field] == [value]


def test_what_is_wrong_with_a_backend_is_said_in_its_row(client, web):
    response = browser.send(
        client, f"pool/{web.pk}/change/", **{"backends-1-port": "70000", "policy": "random"}
    )
    first, second = browser.row_errors(response)
    assert first == {}
    assert second == {"port": ["70000 is not a port: use 1 to 65535"]}
    assert Pool.objects.get(pk=web.pk).policy == "round_robin"


@pytest.mark.parametrize("spelt", ["10.0.0.1", "0.example.com"])
def test_a_backend_that_is_there_twice_is_refused_however_it_is_spelt(client, web, spelt):
    Backend.objects.filter(pool=web, host="10.0.0.1").update(host=spelt)
    response = browser.send(
        client, f"pool/{web.pk}/change/", **{"backends-1-host": spelt.upper()}
    )
    first, second = browser.row_errors(response)
    assert first == {}
    assert f"{spelt}:80 is there twice: keep one." in second["host"]
    assert Revision.objects.count() == 1


def test_two_new_rows_of_one_backend_are_refused_at_the_second(client):
    response = browser.send(
        client,
        "pool/add/",
        **{
            "name": "web",
            "backends-TOTAL_FORMS": "2",
            "backends-0-host": "app.example.com",
            "backends-0-port": "80",
            "backends-1-host": "APP.example.com.",
            "backends-1-port": "80",
            "backends-1-scheme": "http",
            "backends-1-weight": "1",
            "backends-1-state": "ready",
        },
    )
    first, second = browser.row_errors(response)
    assert first == {}
    assert second == {"host": ["app.example.com:80 is there twice: keep one."]}
    assert not Pool.objects.exists()


def test_what_is_tried_again_is_a_choice_of_boxes(client, web):
    shown = browser.form(client, f"pool/{web.pk}/change/")
    assert shown["retry_on"] == ["connect", "error", "timeout"]
    browser.send(client, f"pool/{web.pk}/change/", retry_on=["connect", "http_503"])
    web.refresh_from_db()
    assert web.retry_on == ["connect", "http_503"]
    values = browser.form(client, f"pool/{web.pk}/change/")
    del values["retry_on"]  # no box checked: a browser sends nothing
    assert client.post(f"/admin/pools/pool/{web.pk}/change/", values).status_code == 302
    web.refresh_from_db()
    assert web.retry_on == []


def test_a_pool_in_use_is_not_deleted_and_the_rules_are_named(client, web):
    url = f"/admin/pools/pool/{web.pk}/delete/"
    for response in (client.get(url), client.post(url, {"post": "yes"})):
        assert "routing rule api" in response.content.decode()
        assert (
            "delete it first, or lead it to another pool than web" in response.content.decode()
        )
    assert Pool.objects.filter(pk=web.pk).exists()


def test_a_choice_with_a_pool_in_use_is_not_deleted(client, web):
    rows = Pool.objects.all()
    response = browser.act(client, "pool/", "delete_selected", *rows, post="yes")
    assert "routing rule api" in response.content.decode()
    assert Pool.objects.count() == 2


def test_a_deletion_is_one_revision_with_all_that_goes_along(client, web):
    Route.objects.all().delete()
    for backend in web.backends.all():
        HealthEvent.objects.create(
            backend=backend, at="2026-01-01T00:00Z", old="unknown", new="up"
        )
    url = f"/admin/pools/pool/{web.pk}/delete/"
    shown = client.get(url).content.decode()
    assert "backend web/10.0.0.1:80" in shown
    assert "health event" not in shown.partition("content-main")[2].lower()
    response = client.post(url, {"post": "yes"})
    assert response.status_code == 302
    assert not Pool.objects.filter(pk=web.pk).exists()
    assert Revision.objects.latest().why == "Deleted pool web"
    (message,) = browser.messages(response)
    assert "Revision 2, " in message


def test_a_deletion_of_many_is_one_revision(client, web):
    Route.objects.all().delete()
    rows = Pool.objects.all()
    response = browser.act(client, "pool/", "delete_selected", *rows, post="yes")
    assert response.status_code == 302
    assert not Pool.objects.exists()
    assert Revision.objects.count() == 2
    assert Revision.objects.latest().why == "Deleted pool spare and pool web"


def test_a_pool_of_many_backends_leads_to_their_list(client, web):
    for number in range(INLINE_MOST):
        Backend.objects.create(pool=web, host="10.0.0.9", port=1000 + number)
    page = client.get(f"/admin/pools/pool/{web.pk}/change/").content.decode()
    link = f"/admin/pools/backend/?pool__id__exact={web.pk}"
    assert link in page
    assert client.get(link).context["cl"].result_count == INLINE_MOST + 2
    before = compile.document().pools[1].backends
    assert browser.send(client, f"pool/{web.pk}/change/", policy="random").status_code == 302
    assert compile.document().pools[1].policy == "random"
    assert compile.document().pools[1].backends == before


def test_rows_that_were_sent_are_saved_though_backends_became_many(client, web):
    values = browser.form(client, f"pool/{web.pk}/change/")
    for number in range(INLINE_MOST):
        Backend.objects.create(pool=web, host="10.0.0.9", port=1000 + number)
    url = f"/admin/pools/pool/{web.pk}/change/"
    told = client.post(url, {**values, "backends-0-weight": "7"})
    sent = client.post(url, {**browser.read(told), "_conflict": "overwrite"})
    assert sent.status_code == 302
    assert Backend.objects.get(pool=web, host="10.0.0.1").weight == 7


def test_more_pools_cost_the_list_no_more_queries(client, web):
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as found:
            assert client.get("/admin/pools/pool/").status_code == 200
        return len(found)

    client.get("/admin/pools/pool/")
    before = queries()
    for number in range(10):
        pool = Pool.objects.create(name=f"more{number}")
        Backend.objects.create(pool=pool, host="10.0.0.9", port=80 + number)
        Route.objects.create(name=f"more{number}", pool=pool, path_prefix=f"/{number}")
    assert queries() == before


def test_more_backends_cost_the_form_no_more_queries(client, web):
    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert client.get(f"/admin/pools/pool/{web.pk}/change/").status_code == 200
        return len(found)

    client.get("/admin/pools/pool/")
    before = queries()
    for number in range(10):
        Backend.objects.create(pool=web, host="10.0.0.9", port=80 + number)
    assert queries() == before


def test_json_for_an_http_probe_is_typed_as_it_is_kept(client, web):
    typed = {"probe_json_path": "checks.0", "probe_json_value": '{"a": 1}'}
    assert browser.send(client, f"pool/{web.pk}/change/", **typed).status_code == 302
    probe = compile.document().pools[1].probe
    assert (probe.json_path, probe.json_value) == ("checks.0", '{"a": 1}')


@pytest.mark.skipif(not base.UNFOLD, reason="Django's own admin shows all")
def test_fields_of_another_kind_of_probe_are_shown_only_where_something_is_in_them(client, web):
    page = client.get(f"/admin/pools/pool/{web.pk}/change/").content.decode()
    shown = "probe_kind == &#x27;tcp&#x27; || probe_send != &quot;&quot;"
    assert f'x-show="{shown}"' in page
    assert "probe_kind == &#x27;http&#x27; || probe_statuses != &quot;200-399&quot;" in page
    assert "probe_kind == &#x27;tls&#x27; || probe_certificate_days != 14" in page
    assert 'x-show="probe_interval_s' not in page


def test_every_field_of_a_probe_is_on_the_page(client, web):
    form = browser.form(client, f"pool/{web.pk}/change/")
    columns = {name for name in COLUMNS[document.Pool] if name.startswith("probe_")}
    unchecked = {"probe_follow_redirects"}
    assert columns - unchecked <= form.keys()


def test_who_only_reads_gets_no_conditions_on_fields_that_are_not_there(viewer, web):
    page = viewer.get(f"/admin/pools/pool/{web.pk}/change/").content.decode()
    assert "Consistent hash" in page or "Round robin" in page
    assert "probe_kind ==" not in page


def test_to_who_only_reads_an_empty_list_is_a_dash(viewer, web):
    page = viewer.get(f"/admin/pools/pool/{web.pk}/change/").content.decode()
    assert '<div class="readonly">-</div>' in page and ">[]<" not in page
