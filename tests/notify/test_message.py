"""What people and programs read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from pools.models.alert import AlertKind
from pools.notify import message, words
from pools.notify.message import Item

BEGUN = datetime(2026, 11, 23, 13, 0, 1, tzinfo=timezone(timedelta(hours=1)))
ENDED = datetime(2026, 11, 23, 12, 3, 11, tzinfo=UTC)


def item(**values) -> Item:
    given = {
        "kind": "backend_down",
        "subject": "web/10.0.0.1:80",
        "pool": "web",
        "detail": "connection refused",
        "begun_at": BEGUN,
    }
    return Item(**{**given, **values})


def test_one_alert_is_one_line():
    found = message.compose([item()], ENDED)
    assert found.subject == "web/10.0.0.1:80 is down"
    assert found.text == (
        "web/10.0.0.1:80 is down: connection refused (since 2026-11-23 12:00:01 UTC)"
    )


def test_its_end_says_how_long_it_was_and_why_it_ended():
    found = message.compose([item(ended_at=ENDED, ending="it is in drain")], ENDED)
    assert found.subject == "over: web/10.0.0.1:80 was down for 3 min 10 s"
    assert found.text == (
        "over: web/10.0.0.1:80 was down for 3 min 10 s: connection refused "
        "(2026-11-23 12:00:01 UTC to 2026-11-23 12:03:11 UTC; it is in drain)"
    )


def test_several_are_listed_by_what_became_of_them():
    others = [item(subject="b"), item(subject="c", ended_at=ENDED), item(subject="c")]
    found = message.compose([item(), *others], ENDED)
    assert found.subject == "3 alerts: 2 begun, 1 over"
    first, *lines = found.text.splitlines()
    assert first == "begun:"
    assert [line[:5] for line in lines] == ["- web", "- b i", "over:", "- c w"]


def test_each_kind_has_its_words():
    for kind in AlertKind:
        begun, over = item(kind=kind.value), item(kind=kind.value, ended_at=ENDED)
        assert "web/10.0.0.1:80" in begun.short
        assert over.short.endswith(" for 3 min 10 s")


def test_programs_get_the_same_with_times_in_utc():
    found = message.compose([item(), item(subject="b", ended_at=ENDED)], ENDED)
    assert found.payload == {
        "type": "proxysite.alerts",
        "timestamp": "2026-11-23T12:03:11Z",
        "data": {
            "alerts": [
                {
                    "kind": "backend_down",
                    "phase": "begun",
                    "subject": "web/10.0.0.1:80",
                    "pool": "web",
                    "detail": "connection refused",
                    "begun_at": "2026-11-23T12:00:01Z",
                    "ended_at": None,
                    "ending": "",
                },
                {
                    "kind": "backend_down",
                    "phase": "ended",
                    "subject": "b",
                    "pool": "web",
                    "detail": "connection refused",
                    "begun_at": "2026-11-23T12:00:01Z",
                    "ended_at": "2026-11-23T12:03:11Z",
                    "ending": "",
                },
            ],
            "more": 0,
        },
    }


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-1, "0 s"),
        (0, "0 s"),
        (45, "45 s"),
        (60, "1 min"),
        (190, "3 min 10 s"),
        (3600, "1 h"),
        (3601, "1 h"),
        (7500, "2 h 5 min"),
        (273_700, "3 d 4 h"),
    ],
)
def test_a_duration_is_told_by_its_two_largest_units(seconds, said):
    assert words.duration(timedelta(seconds=seconds)) == said
