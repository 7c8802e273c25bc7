"""Lists and mappings typed one value a line."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from pools.admin import lines
from pools.core import codec
from pools.core.document import Condition, Match

TOKENS = st.text(st.sampled_from("Xx-_09~"), min_size=1, max_size=8).map(
    lambda text: f"X{text}"
)
VALUES = st.text(
    st.characters(
        exclude_categories=["Cs"], exclude_characters=[chr(n) for n in (*range(32), 127)]
    ),
    max_size=20,
).filter(lambda text: text == text.strip())


def conditions(match: Match):
    bare = match in (Match.PRESENT, Match.ABSENT)
    values = st.just("") if bare else VALUES.filter(bool)
    return st.builds(Condition, header=TOKENS, match=st.just(match), value=values)


def said(field: lines.LinesField, text: str) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        field.clean(text)
    return caught.value.messages


@given(st.lists(st.sampled_from(list(Match)).flatmap(conditions)))
def test_conditions_come_back_as_they_are_stored(found):
    stored = [codec.to_plain(condition, defaults=True) for condition in found]
    field = lines.ConditionsField(required=False)
    text = field.prepare_value(stored)
    assert field.clean(text) == stored
    assert not field.has_changed(stored, text.replace("\n", "\r\n"))


@given(st.dictionaries(TOKENS.map(str.lower), VALUES))
def test_header_sets_come_back_as_they_are_stored(stored):
    field = lines.HeaderSetField(required=False)
    text = field.prepare_value(stored)
    assert field.clean(text) == stored
    assert not field.has_changed(stored, text.replace("\n", "\r\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("X-A", "line 1: 'X-A' has no test: after the header write one of equals, prefix, "
         "contains, present, absent"),
        ("X-A like 2", "line 1: 'like' is not a test: after the header write one of equals, "
         "prefix, contains, present, absent"),
        ("X-A equals", "line 1: equals needs a value: write X-A equals VALUE"),
        ("X-A present 2", "line 1: present takes no value: remove '2', or use equals"),
        ("X(A equals 2", "line 1: 'X(A' is not a name on the wire: use letters, digits and "
         "!#$%&'*+.^_`|~-"),
    ],
)  # fmt: skip
def test_a_condition_that_cannot_be_read_says_the_mend(text, message):
    assert said(lines.ConditionsField(required=False), text) == [message]


def test_every_bad_line_is_named():
    text = "X-A equals 1\nX-B\n\nX-C"
    found = said(lines.ConditionsField(required=False), text)
    assert [message.partition(":")[0] for message in found] == ["line 2", "line 4"]


def test_the_word_of_a_test_may_be_in_capitals():
    field = lines.ConditionsField(required=False)
    assert field.clean("X-A  EQUALS  2") == [{"header": "X-A", "match": "equals", "value": "2"}]


@pytest.mark.parametrize(
    ("field", "empty"),
    [(lines.HostsField, []), (lines.ConditionsField, []), (lines.HeaderSetField, {})],
)
def test_no_lines_are_the_empty_value(field, empty):
    for text in ("", "\r\n  \r\n", None):
        assert field(required=False).clean(text) == empty


def test_a_text_keeps_its_spaces_and_gets_plain_line_ends():
    field = lines.TextField(required=False)
    assert field.clean(" one\r\ntwo ") == " one\ntwo "
