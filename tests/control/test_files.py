"""files: plain data from what people write, or one line that says why not."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pools.control import compile, files
from pools.core import codec
from tests.control.site import FULL

NINE = b"".join(
    b"%c: &%c [%s]\n" % (letter + 1, letter + 1, b",".join([b"*%c" % letter] * 9))
    for letter in range(ord("a"), ord("m"))
)
MERGES = NINE.replace(b"[", b"{<<: [").replace(b"]", b"]}")


@pytest.mark.parametrize("defaults", [False, True])
def test_dump_and_load_are_inverse(defaults):
    document = compile.checked(FULL)
    text = files.dump(document, defaults=defaults)
    assert codec.parse(files.load(text.encode())) == document


def test_files_are_read_without_libyaml_too():
    program = """
import yaml
del yaml.CSafeLoader
from pools.control import files
print(files.load(b"pools: [{name: on}]"))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "{'pools': [{'name': 'on'}]}\n"


def test_nothing_is_dumped_as_nothing_meant():
    text = files.dump(compile.checked({}))
    assert text == "pools: []\n"
    assert codec.parse(files.load(text.encode())) == compile.checked({})


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_text_survives(text):
    document = compile.checked({"pools": [{"name": "a", "probe": {"text": text}}]})
    assert codec.parse(files.load(files.dump(document).encode())) == document


def test_text_of_several_lines_is_written_as_such():
    document = compile.checked({"pools": [{"name": "a", "probe": {"text": "up\nok\n"}}]})
    assert "text: |\n      up\n      ok\n" in files.dump(document)


@pytest.mark.parametrize("word", ["on", "off", "no", "12:30", "1e3", "0x1f", "2020-01-01", "="])
def test_a_plain_word_is_text(word):
    assert files.load(f"pools: {word}".encode()) == {"pools": word}
    document = compile.checked({"pools": [{"name": "a", "probe": {"text": word}}]})
    assert codec.parse(files.load(files.dump(document).encode())) == document


def test_words_of_the_configuration_need_no_quotes():
    found = files.load(b"pools: [{name: a, retry: {on: [error]}, probe: {kind: off}}]")
    pool = codec.parse(found).pools[0]
    assert [*pool.retry.on] == ["error"]
    assert pool.probe.kind == "off"


def test_scalars_anchors_and_merges_are_read():
    content = b"""
x: &defaults {port: 80, backup: true}
pools: [{<<: *defaults, port: 81, weight: -1.5, state: ~, scheme: "80"}]
"""
    assert files.load(content)["pools"] == [
        {"port": 81, "backup": True, "weight": -1.5, "state": None, "scheme": "80"}
    ]


def test_json_is_read():
    assert files.load(b'\xef\xbb\xbf{"pools": [{"name": "\\u00fc\\n", "n": 1}]}') == {
        "pools": [{"name": "ü\n", "n": 1}]
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"",
            "is empty: it would remove every pool and route; write `pools: []`",
        ),
        (b"# nothing\n", "is empty"),
        (b"routes: []", "names no pools: it would remove every pool and route"),
        (b"\x7fELF\xff", "is not text in UTF-8 (byte 4)"),
        (b"pools: \x01", "control characters are not allowed"),
        (b"pools:\n- name: a\n  name: b", "line 3, column 3: 'name' is there twice: keep one"),
        (b"pools: [}", "line 1, column 9: did not find expected node content"),
        (b"pools:\n\t- a", "line 2, column 1: found character that cannot start any token"),
        (b"pools: *x", "line 1, column 8: found undefined alias"),
        (b"pools: []\n---\npools: []", "in the stream, but found another document"),
        (b"pools: " + b"9" * 5_000, "4300 digits"),
        (b"~", "holds nothing: it would remove every pool and route"),
        (b"null\n", "holds nothing"),
        (b"1: 2", "line 1, column 1: the name 1 is not text: quote it"),
        (b"[a]: 2", "line 1, column 1: a name is text"),
        (b"pools: !!python/name:os.system x", "line 1, column 8: the tag"),
        (b"pools: !!timestamp x", "line 1, column 8: the tag"),
        (b"pools: !!int x", "line 1, column 8: the tag"),
        (b"pools: <<", "line 1, column 8: could not determine a constructor"),
        (b'pools: "\\0"', "line 1, column 8: holds NUL"),
        (b'pools: "\\ud800"', "line 1, column 11: found invalid Unicode"),
        (b"pools: &a [*a]", "line 1, column 8: holds itself"),
        (b"pools: " + b"[" * 100_000, "line 1, column 39: is nested more than 32 deep"),
        (b"a: &a [x]\n" + NINE + b"pools: *m", "values by aliases"),
        (b"a: &a {x: 1}\n" + MERGES + b"pools: *m", "values by aliases"),
        (b"#" * (files.MAX_BYTES + 1), "is larger than 32 MiB"),
    ],
)
def test_what_is_no_plain_data_is_one_line(content, message):
    with pytest.raises(files.FileError) as caught:
        files.load(content)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
