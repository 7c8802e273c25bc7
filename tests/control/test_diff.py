"""diff: changes by name, in one order."""

from __future__ import annotations

import copy

import pytest

from pools.control import compile
from pools.control.diff import diff, diff_plain
from pools.core import codec
from pools.core.document import Document
from pools.core.errors import DocumentError
from tests.control.site import FULL


def lines(old: object, new: object) -> list[str]:
    return [str(change) for change in diff(compile.checked(old), compile.checked(new))]


def test_the_same_has_no_changes():
    assert lines(FULL, copy.deepcopy(FULL)) == []


def test_each_kind_of_change_has_its_line():
    new = copy.deepcopy(FULL)
    web, api = new["pools"][0], new["routes"][0]
    web["backends"][2]["weight"] = 5
    web["backends"][1]["port"] = 81
    web["backends"][3]["weight"] = 2
    web["backends"].append({"host": "unix:/run/new.sock"})
    web["probe"]["text"] = "x" * 200
    web["probe"]["headers"] = {"X-A": "2", "X-B": "yes"}
    web["retry"]["on"] = ["timeout"]
    web["tls"]["verify"] = True
    del new["pools"][1], new["routes"][1]
    new["pools"].append({"name": "api", "backends": [{"host": "a", "port": 1}]})
    api["request_headers"]["set"] = {"X-A": "2", "X-C": "3"}
    api["connect_timeout_s"] = None
    assert lines(FULL, new) == [
        "+ pools[api]",
        "+ pools[api].backends[a:1]",
        "- pools[empty]",
        '~ pools[web].retry.on: ["connect", "http_502"] -> ["timeout"]',
        "~ pools[web].tls.verify: false -> true",
        '~ pools[web].probe.headers[X-A]: "1" -> "2"',
        '~ pools[web].probe.text: "it\'s \\"up\\": ü\\n" -> "'
        + "x" * 119
        + "... (202 characters)",
        "~ pools[web].backends[10.0.0.1:80].weight: 1 -> 5",
        "- pools[web].backends[10.0.0.2:80]",
        "+ pools[web].backends[10.0.0.2:81]",
        "~ pools[web].backends[unix:/run/app.sock].weight: 1 -> 2",
        "+ pools[web].backends[unix:/run/new.sock]",
        "- routes[all]",
        '~ routes[api].request_headers.set[X-A]: "1" -> "2"',
        '- routes[api].request_headers.set[X-B]: "yes"',
        '+ routes[api].request_headers.set[X-C]: "3"',
        "~ routes[api].connect_timeout_s: 0.5 -> null",
    ]


def test_order_is_no_difference_even_between_documents_that_are_not_canonical():
    document = compile.checked(FULL)
    turned = Document(pools=document.pools[::-1], routes=document.routes[::-1])
    assert diff(document, turned) == ()


def test_a_change_holds_its_values():
    change = diff(Document(), compile.checked({"pools": [{"name": "a"}]}))[0]
    assert (change.kind, change.path, change.old) == ("+", "pools[a]", None)
    assert change.new["name"] == "a"


PLAIN = {
    "pools": [
        {"name": "web", "backends": [{"host": "10.0.0.1", "port": 80}]},
        {"name": "spare"},
    ],
    "routes": [{"name": "api", "pool": "web", "request_headers": {"set": {"X-A": "1"}}}],
}


def full(plain):
    return codec.to_plain(compile.canonical(codec.parse(plain)), defaults=True)


@pytest.mark.parametrize(
    "changed",
    [
        PLAIN,
        {"pools": []},
        {**PLAIN, "routes": []},
        {**PLAIN, "routes": [{"name": "api", "pool": "spare"}]},
        {
            **PLAIN,
            "pools": [
                {
                    "name": "web",
                    "policy": "random",
                    "probe": {"headers": {"X-B": "2"}},
                    "backends": [
                        {"host": "10.0.0.1", "port": 80, "weight": 2},
                        {"host": "::1", "port": 80},
                    ],
                }
            ],
            "routes": [{"name": "new", "pool": "web"}],
        },
    ],
)
def test_kept_documents_differ_as_parsed_ones_do(changed):
    old, new = codec.parse(PLAIN), codec.parse(changed)
    assert diff_plain(full(PLAIN), full(changed)) == diff(old, new)
    assert diff_plain({}, full(changed)) == diff(codec.parse({}), new)


def test_what_an_older_version_did_not_know_has_its_default():
    older = full(PLAIN)
    for pool in older["pools"]:
        del pool["slow_start_s"], pool["probe"]["fall"]
    for backend in older["pools"][1]["backends"]:
        del backend["max_in_flight"]
    newer = full({**PLAIN, "routes": []})
    assert [change.path for change in diff_plain(older, newer)] == ["routes[api]"]


@pytest.mark.parametrize("what", [[], {"pools": "none"}, {"pools": [{}]}, {"pools": [1]}])
def test_what_is_no_document_is_said_to_be_none(what):
    with pytest.raises(DocumentError):
        diff_plain(what, full(PLAIN))
