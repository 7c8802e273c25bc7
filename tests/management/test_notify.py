"""`manage.py notify`."""

from __future__ import annotations

import io
import json

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone

from pools.models import Alert, Channel, Delivery
from tests.services import free_port

pytestmark = pytest.mark.django_db(transaction=True)

NOW = timezone.now()


def run(*words: str) -> tuple[int, str]:
    out = io.StringIO()
    try:
        call_command("notify", *words, stdout=out, stderr=out)
    except SystemExit as ended:
        return int(str(ended.code)), out.getvalue()
    return 0, out.getvalue()


def test_a_test_says_what_came_of_it():
    Channel.objects.create(name="ops", kind="email", recipients="ann@example.com")
    code, said = run("test", "ops")
    assert (code, said) == (
        0,
        "ops (ann@example.com): sent, the mail server took it, for 1 address\n",
    )
    assert len(mail.outbox) == 1


def test_a_test_that_fails_ends_with_1_and_names_no_secret():
    url = f"http://127.0.0.1:{free_port()}/SECRETPART"
    Channel.objects.create(name="ops", kind="slack", url=url)
    code, said = run("test", "ops")
    where = url.replace("SECRETPART", "…")
    assert (code, said) == (1, f"ops ({where}): not sent, connection refused\n")


def test_a_channel_that_is_not_there_is_one_line():
    Channel.objects.create(name="ops", kind="email", recipients="ann@example.com")
    with pytest.raises(CommandError, match=r"no channel 'op': use one .* \(ops\)") as error:
        run("test", "op")
    assert error.value.returncode == 2


def test_a_name_that_is_no_text_is_one_line():
    with pytest.raises(CommandError, match=r"no channel 'op\\udcff'"):
        run("test", "op\udcff")


def test_what_is_wrong_and_what_was_not_sent_is_listed():
    assert run("list") == (0, "No alert is open.\n")
    Alert.objects.create(
        kind="backend_down", subject="web/10.0.0.1:80", detail="refused", begun_at=NOW
    )
    Alert.objects.create(kind="pool_empty", subject="old", begun_at=NOW, ended_at=NOW)
    channel = Channel.objects.create(name="ops", kind="slack", url="http://127.0.0.1:9/SECRET")
    given = {"channel": channel, "text": "", "payload": {}, "created_at": NOW, "next_at": NOW}
    Delivery.objects.create(subject="fresh", **given)
    Delivery.objects.create(subject="done", state="sent", attempts=1, **given)
    Delivery.objects.create(subject="stuck", attempts=3, result="status 500", **given)
    Delivery.objects.create(
        subject="over", state="failed", attempts=29, result="timed out", **given
    )
    code, said = run("list")
    alert, *others = said.splitlines()
    assert code == 0
    assert alert.startswith("web/10.0.0.1:80 is down: refused (since ")
    assert others[0] == "not sent to ops: timed out (attempts: 29, given up): over"
    assert others[1].startswith("not sent to ops: status 500 (attempts: 3, again at ")
    assert others[1].endswith(" UTC): stuck")
    assert len(others) == 2
    plain = json.loads(run("list", "--json")[1])
    assert [found["subject"] for found in plain["alerts"]] == ["web/10.0.0.1:80"]
    assert [(one["channel"], one["state"]) for one in plain["deliveries"]] == [
        ("ops", "failed"),
        ("ops", "pending"),
    ]


def test_a_database_that_is_away_is_one_line(monkeypatch):
    def away(*args, **kwargs):
        raise OperationalError("connection refused\nIs the server running?")

    monkeypatch.setattr(Alert.objects, "filter", away)
    with pytest.raises(CommandError, match="the database: connection refused Is") as error:
        run("list")
    assert error.value.returncode == 2
