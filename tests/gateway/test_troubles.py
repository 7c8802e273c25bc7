"""Failures in the log."""

from __future__ import annotations

import logging

import pytest

from pools.gateway.troubles import MOST, REPEAT_S, Troubles


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "pools.gateway")
    return lambda: [record.getMessage() for record in caplog.records]


def test_trouble_is_said_when_it_begins(said):
    troubles = Troubles()
    for _ in range(1000):
        troubles.add("app/a:1", "refused")
    troubles.add("app/a:1", "timed out")
    assert said() == ["app/a:1: refused", "app/a:1: timed out"]


def test_repetition_is_counted_and_said_now_and_then(said):
    troubles = Troubles()
    for _ in range(4):
        troubles.add("app/a:1", "refused")
    troubles.sweep(REPEAT_S)
    troubles.sweep(REPEAT_S + 1)
    assert said() == ["app/a:1: refused", "app/a:1: refused (3 more times)"]


def test_trouble_that_was_over_is_said_again(said):
    troubles = Troubles()
    for turn in (1, 2):
        troubles.add("app/a:1", "refused")
        troubles.sweep(REPEAT_S * turn)
    assert said() == ["app/a:1: refused"] * 2


def test_kinds_are_bounded(said):
    troubles = Troubles()
    for number in range(MOST + 10):
        troubles.add(f"app/a:{number}", "refused")
    assert len(said()) == MOST
