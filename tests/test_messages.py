"""The catalogues of translations hold all that the console says."""

from __future__ import annotations

import re
import shutil
from collections import Counter

import polib
import pytest
from django.apps import apps

from pools.core.document import RetryOn
from pools.health.asking.course import Phase
from pools.models import labels
from pools.models.parts import choices
from scripts import messages
from tests import services

PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[a-z]|\{\w*\}")
CATALOGUES = messages.catalogues(messages.ROOT)


def texts(path) -> set[str]:
    return {entry.msgid for entry in polib.pofile(str(path))}


def test_each_text_of_the_sources_is_in_the_catalogues(tmp_path):
    """Otherwise: `make messages`, and translate what it lists."""
    services.program("xgettext")
    services.program("msgmerge")
    for holder in messages.HOLDERS:
        unread = shutil.ignore_patterns("__pycache__", "migrations", "static", "*.mo")
        shutil.copytree(messages.ROOT / holder, tmp_path / holder, ignore=unread)
    messages.collect(tmp_path)
    for ours, anew in zip(CATALOGUES, messages.catalogues(tmp_path), strict=True):
        assert texts(anew) == texts(ours), ours


def test_each_text_is_translated():
    assert list(messages.missing(messages.ROOT)) == []


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-5])
def test_no_translation_is_a_guess(path):
    assert [entry.msgid for entry in polib.pofile(str(path)) if entry.fuzzy] == []


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-5])
def test_translations_keep_the_places_of_values(path):
    for entry in polib.pofile(str(path)):
        for text in [entry.msgstr, *entry.msgstr_plural.values()]:
            if text:
                held = Counter(PLACEHOLDER.findall(entry.msgid_plural or entry.msgid))
                # A language may say a value twice.
                assert set(PLACEHOLDER.findall(text)) == set(held), entry.msgid


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-5])
def test_what_is_compiled_is_what_is_written(path):
    compiled = polib.mofile(str(path.with_suffix(".mo")))
    written = {
        entry.msgid: (entry.msgstr, entry.msgstr_plural) for entry in polib.pofile(str(path))
    }
    assert {e.msgid: (e.msgstr, e.msgstr_plural) for e in compiled} == written


def test_labels_that_are_made_of_values_are_named_for_translation():
    made = {str(label) for _, label in choices(RetryOn)}
    for model in apps.get_app_config("pools").get_models():
        for field in model._meta.fields:
            made |= {str(label) for _, label in field.flatchoices}
    assert made - labels.SAME_EVERYWHERE == labels.LABELS


def test_the_steps_of_a_probe_are_named_for_translation():
    assert {phase.value[0] for phase in Phase} == labels.STEPS
