"""Channels, alerts and deliveries on the console."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Permission
from django.core import mail
from django.utils import timezone

from pools.admin import base
from pools.models import Alert, Channel, Delivery, Pool, Telling
from pools.models.channel import ChannelKind
from pools.notify import senders
from tests.admin import browser

NOW = timezone.now()
URL = "https://hooks.example.com/services/T0P/SECRETPART"


def channel(name: str = "ops", **values) -> Channel:
    return Channel.objects.create(**{"name": name, "kind": "webhook", "url": URL, **values})


def message(row: Channel, **values) -> Delivery:
    given = {"subject": "web is down", "text": "all", "payload": {}, "next_at": NOW}
    return Delivery.objects.create(channel=row, created_at=NOW, **{**given, **values})


@pytest.fixture
def sent(monkeypatch) -> list[tuple[str, str]]:
    """What webhooks and Slack are sent, by URL; nothing leaves."""
    found: list[tuple[str, str]] = []

    def keep(channel, delivery, now):
        found.append((channel.url, delivery.text))
        if "broken" in channel.url:
            raise senders.SendError("status 500: out of order")
        return "status 200"

    for kind in (ChannelKind.WEBHOOK, ChannelKind.SLACK):
        monkeypatch.setitem(senders.SENDERS, kind, keep)
    return found


def allow(viewer, django_user_model, *codenames: str) -> None:
    user = django_user_model.objects.get(username="vic")
    for codename in codenames:
        user.user_permissions.add(Permission.objects.get(codename=codename))


def test_a_channel_is_added_with_a_few_fields(client, web):
    typed = {"name": "ops", "kind": "email", "recipients": "ann@example.com\r\nbob@example.com"}
    response = browser.send(client, "channel/add/", **typed)
    assert response.status_code == 302
    row = Channel.objects.get()
    assert row.recipients == "ann@example.com\nbob@example.com"
    assert (row.enabled, row.every_pool, row.delay_s, row.digest_s) == (True, True, 30, 0)
    assert row.kinds == [
        "backend_down",
        "pool_empty",
        "pool_panic",
        "not_probed",
        "certificate",
    ]


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"kind": "email"}, "recipients", "Give at least one address."),
        ({"kind": "email", "recipients": "ann"}, "recipients", "'ann' is not an e-mail"),
        ({"kind": "slack"}, "url", "Give the URL."),
        ({"kind": "slack", "url": "hooks.example/x"}, "url", "This is not a URL to post to"),
        ({"kind": "slack", "url": "ftp://hooks.example/x"}, "url", "use http:// or https://"),
        ({"kind": "webhook", "url": "https://h:port/x"}, "url", "This is not a URL"),
        ({"kind": "webhook", "url": "https://h/a b"}, "url", "no spaces"),
        ({"kind": "apprise", "url": "topic"}, "url", "Apprise does not know this URL"),
        ({"kind": "apprise", "url": "nonsense://x"}, "url", "Apprise does not know this URL"),
        ({"kind": "slack", "url": URL, "kinds": []}, "kinds", "Choose at least one"),
        ({"kind": "slack", "url": URL, "delay_s": "-1"}, "delay_s", "greater than or equal"),
        ({"kind": "slack", "url": URL, "digest_s": "90000"}, "digest_s", "less than or equal"),
    ],
)
def test_what_does_not_hold_is_told_at_its_field(client, web, typed, field, said):
    response = browser.send(client, "channel/add/", name="ops", **typed)
    found = browser.errors(response)
    assert set(found) == {field}
    assert said in found[field][0]
    assert not Channel.objects.exists()


@pytest.mark.skipif(not base.UNFOLD, reason="Django's own admin shows all")
def test_only_what_the_kind_needs_is_shown_until_something_else_is_typed(client, web):
    page = client.get("/admin/pools/channel/add/").content.decode()
    assert "kind == &#x27;email&#x27; || recipients != &#x27;&#x27;" in page
    assert "kind != &#x27;email&#x27; || url != &#x27;&#x27;" in page
    assert "!every_pool" in page


def test_some_pools_have_to_be_chosen(client, web):
    typed = browser.form(client, "channel/add/")
    del typed["every_pool"]
    typed |= {"name": ["ops"], "kind": ["slack"], "url": [URL]}
    response = client.post("/admin/pools/channel/add/", typed)
    assert set(browser.errors(response)) == {"pools"}
    typed["pools"] = [str(web.pk)]
    assert client.post("/admin/pools/channel/add/", typed).status_code == 302
    assert list(Channel.objects.get().pools.all()) == [web]


def test_apprise_services_that_it_knows_are_taken(client, web):
    typed = {"kind": "apprise", "url": "json://127.0.0.1/x"}
    assert browser.send(client, "channel/add/", name="ops", **typed).status_code == 302


def test_a_url_is_kept_unless_another_is_typed(client, web):
    row = channel()
    url = f"channel/{row.pk}/change/"
    assert browser.form(client, url)["url"] == [""]
    assert browser.send(client, url, delay_s="5").status_code == 302
    row.refresh_from_db()
    assert (row.url, row.delay_s) == (URL, 5)
    browser.send(client, url, url="https://other.example/x")
    row.refresh_from_db()
    assert row.url == "https://other.example/x"


def test_a_url_is_not_taken_along_to_another_kind(client, web):
    row = channel()
    response = browser.send(client, f"channel/{row.pk}/change/", kind="slack")
    assert browser.errors(response) == {"url": ["Give the URL."]}
    typed = {"kind": "email", "recipients": "ann@example.com"}
    browser.send(client, f"channel/{row.pk}/change/", **typed)
    row.refresh_from_db()
    assert (row.url, row.secret) == ("", "")


def test_a_webhook_has_a_secret_of_its_own_that_can_be_made_anew(client, web):
    row = channel()
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", row.secret)
    response = client.post(f"/admin/pools/channel/{row.pk}/secret/")
    assert response.status_code == 302
    before = row.secret
    row.refresh_from_db()
    assert row.secret.startswith("whsec_") and row.secret != before
    assert channel("slack", kind="slack").secret == ""


def test_a_signing_secret_is_shown_once_to_who_made_it(client, viewer, web):
    browser.send(client, "channel/add/", name="ops", kind="webhook", url="https://h.example/x")
    row = Channel.objects.get()
    page = f"/admin/pools/channel/{row.pk}/change/"
    for shown in (True, False):
        assert ("whsec_" in client.get(page).content.decode()) is shown
    client.post(f"/admin/pools/channel/{row.pk}/secret/")
    assert "whsec_" not in viewer.get(page).content.decode()
    row.refresh_from_db()
    text = client.get(page).content.decode()
    assert row.secret in text.replace("&#x2B;", "+")
    assert "whsec_" not in client.get(page).content.decode()


def test_secrets_are_on_no_page(client, viewer, web):
    row = channel()
    message(row, state="failed", result="status 500")
    alert = Alert.objects.create(kind="pool_empty", subject="web", begun_at=NOW)
    own = f"/admin/pools/channel/{row.pk}/"
    pages = [
        f"{own}change/",
        f"{own}history/",
        f"{own}delete/",
        "/admin/pools/channel/",
        "/admin/pools/delivery/",
        f"/admin/pools/delivery/{Delivery.objects.get().pk}/change/",
        f"/admin/pools/alert/{alert.pk}/change/",
    ]
    for who in (client, viewer):
        for page in pages:
            response = who.get(page)
            if who is viewer and page.endswith("delete/"):
                assert response.status_code == 403
                continue
            assert response.status_code == 200, page
            text = response.content.decode()
            assert "SECRETPART" not in text, page
            assert "whsec_" not in text, page
    assert "https://hooks.example.com/…" in viewer.get(f"{own}change/").content.decode()


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"url": "http://[::1]:8000/x"}, "http://[::1]:8000/…"),
        ({"url": "https://ann:pw@h.example/x"}, "https://h.example/…"),
        ({"url": "https://h:port/x"}, "https://…"),
        ({"kind": "apprise", "url": "ntfy://SECRETPART"}, "ntfy://…"),
        ({"kind": "email", "recipients": "a@x.org\nb@x.org"}, "a@x.org and 1 more"),
        ({"kind": "email", "recipients": ""}, "nobody"),
    ],
)
def test_whom_a_channel_reaches_is_told_without_secrets(values, shown):
    assert Channel(**{"kind": "slack", **values}).where == shown


def test_a_test_is_sent_from_the_page_and_its_result_shown(client, web, sent):
    row = channel()
    page = f"/admin/pools/channel/{row.pk}/change/"
    text = client.get(page).content.decode()
    assert f'action="/admin/pools/channel/{row.pk}/test/"' in text
    response = client.post(f"/admin/pools/channel/{row.pk}/test/")
    assert response["Location"] == page
    assert browser.messages(response) == ["The test was sent: status 200."]
    assert sent[0][0] == URL
    Channel.objects.update(url="https://broken.example/x")
    response = client.post(f"/admin/pools/channel/{row.pk}/test/")
    assert browser.messages(response)[-1] == (
        "The test was not sent: status 500: out of order."
    )
    assert [one.state for one in Delivery.objects.all()] == ["failed", "sent"]


def test_an_e_mail_channel_is_tested_by_e_mail(client, web):
    row = channel(kind="email", recipients="ann@example.com")
    client.post(f"/admin/pools/channel/{row.pk}/test/")
    assert mail.outbox[0].to == ["ann@example.com"]


def test_a_channel_says_that_e_mail_is_not_set_up(client, web, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = ""
    typed = {"name": "ops", "kind": "email", "recipients": "ann@example.com"}
    response = browser.send(client, "channel/add/", **typed)
    assert any("EMAIL_URL" in said for said in browser.messages(response))


def test_buttons_are_pressed_by_who_may_change_and_by_post(
    client, viewer, web, sent, django_user_model
):
    row = channel()
    for name in ("test", "secret"):
        url = f"/admin/pools/channel/{row.pk}/{name}/"
        assert client.get(url).status_code == 405
        assert viewer.post(url).status_code == 403
        assert client.post(f"/admin/pools/channel/999/{name}/").status_code == 302
    assert sent == []
    page = f"/admin/pools/channel/{row.pk}/change/"
    assert "Send a test" not in viewer.get(page).content.decode()
    allow(viewer, django_user_model, "change_channel")
    viewer.post(f"/admin/pools/channel/{row.pk}/test/")
    assert len(sent) == 1


def test_a_deleted_channel_takes_its_messages_without_naming_each(client, web):
    row = channel()
    message(row)
    url = f"/admin/pools/channel/{row.pk}/delete/"
    text = client.get(url).content.decode()
    assert "channel ops" in text and "web is down" not in text
    assert client.post(url, {"post": "yes"}).status_code == 302
    assert not Delivery.objects.exists()


def test_a_pool_of_a_channel_can_be_deleted(client, web):
    row = channel(every_pool=False)
    row.pools.set([Pool.objects.get(name="spare")])
    pool = Pool.objects.get(name="spare")
    response = client.post(f"/admin/pools/pool/{pool.pk}/delete/", {"post": "yes"})
    assert response.status_code == 302
    assert not row.pools.exists()


def test_alerts_say_what_since_when_and_whom_it_was_told(client, web):
    row = channel()
    Alert.objects.create(kind="pool_empty", subject="long-ago", begun_at=NOW, ended_at=NOW)
    alert = Alert.objects.create(
        kind="backend_down",
        subject="web/10.0.0.1:80",
        detail="connection refused",
        begun_at=NOW,
    )
    Telling.objects.create(channel=row, alert=alert, phase="begun", at=NOW, since=NOW)
    text = client.get("/admin/pools/alert/").content.decode()
    for part in ("web/10.0.0.1:80", "connection refused", "ops"):
        assert part in text
    assert text.index("web/10.0.0.1:80") < text.index("long-ago")
    shown = client.get("/admin/pools/alert/?open=no").content.decode()
    assert "web/10.0.0.1:80" not in shown
    page = client.get(f"/admin/pools/alert/{alert.pk}/change/").content.decode()
    assert "Backend down web/10.0.0.1:80" in page


def test_deliveries_are_read_and_sent_again(client, viewer, web, django_user_model):
    row = message(channel(), state="failed", result="status 500", attempts=29)
    text = client.get("/admin/pools/delivery/").content.decode()
    for part in ("web is down", "status 500", "29"):
        assert part in text
    browser.act(viewer, "delivery/", "retry", row)
    row.refresh_from_db()
    assert row.state == "failed"
    response = browser.act(client, "delivery/", "retry", row)
    row.refresh_from_db()
    assert row.state == "pending"
    assert browser.messages(response) == ["To be sent within seconds: 1."]
    Delivery.objects.update(state="sent")
    response = browser.act(client, "delivery/", "retry", row)
    assert browser.messages(response)[-1] == "Nothing to do: they were sent."


def test_what_was_told_is_changed_by_nobody(client, web):
    alert = Alert.objects.create(kind="pool_empty", subject="web", begun_at=NOW)
    for row in (alert, message(channel())):
        url = f"/admin/pools/{row._meta.model_name}/"
        for rest in ("add/", f"{row.pk}/change/", f"{row.pk}/delete/"):
            assert client.post(url + rest, {"post": "yes"}).status_code == 403, rest
