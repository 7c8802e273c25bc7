import dataclasses
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pools.core import document
from pools.core.codec import parse, parse_part, to_plain
from pools.core.document import Backend, Document, HeaderEdit, Part, Pool, Probe, Route
from pools.core.errors import DocumentError
from tests.core.documents import documents


def messages(data, kind=None):
    """What is wrong, by path."""
    with pytest.raises(DocumentError) as refused:
        parse(data) if kind is None else parse_part(kind, data)
    return {problem.where: problem.message for problem in refused.value.problems}


def backend(**spec):
    return {"pools": [{"name": "web", "backends": [{"host": "b1", "port": 80, **spec}]}]}


# --- there and back


@settings(max_examples=40)
@given(documents(), st.booleans())
def test_parse_is_the_inverse_of_to_plain(made, defaults):
    assert parse(to_plain(made, defaults=defaults)) == made


@settings(max_examples=20)
@given(documents())
def test_json_carries_a_document(made):
    assert parse(json.loads(json.dumps(to_plain(made)))) == made


def test_defaults_are_left_out_unless_asked_for():
    made = parse(backend())
    assert to_plain(made) == {
        "pools": [{"name": "web", "backends": [{"host": "b1", "port": 80}]}]
    }
    full = to_plain(made, defaults=True)["pools"][0]
    assert list(full) == [spec.name for spec in dataclasses.fields(Pool)]
    assert full["backends"][0]["max_in_flight"] is None
    assert full["retry"]["on"] == ["connect", "error", "timeout"]


def test_plain_data_is_of_plain_types():
    def check(value):
        assert type(value) in (dict, list, str, int, float, bool, type(None)), value
        for item in value.values() if isinstance(value, dict) else ():
            check(item)
        for item in value if isinstance(value, list) else ():
            check(item)

    route = {"name": "r", "pool": "web", "request_headers": {"set": {"X-A": "1"}}}
    check(to_plain(parse(backend() | {"routes": [route]}), defaults=True))


@pytest.mark.parametrize("empty", [None, {}, {"pools": []}])
def test_nothing_is_the_empty_document(empty):
    assert parse(empty) == Document()


def test_headers_to_set_are_a_mapping_in_order():
    plain = {"set": {"X-B": "1", "X-A": "2"}, "remove": ["Server"]}
    edit = parse_part(HeaderEdit, plain)
    assert edit.set == (("X-B", "1"), ("X-A", "2"))
    assert list(to_plain(edit)["set"]) == ["X-B", "X-A"]


def test_headers_of_probes_are_a_mapping_too():
    plain = {"headers": {"X-B": "1", "X-A": "2"}}
    probe = parse_part(Probe, plain)
    assert probe.headers == (("X-B", "1"), ("X-A", "2"))
    assert to_plain(probe) == plain
    assert messages({"headers": {"Host": "a"}}, Probe) == {
        "headers": "Host is set by the proxy itself: remove it here"
    }


def test_one_part_alone_is_checked_for_form():
    assert parse_part(Backend, {"host": "B1.", "port": 80}) == Backend(host="b1", port=80)
    assert messages({"host": "b1", "port": -1}, Backend) == {
        "port": "-1 is not a port: use 1 to 65535"
    }


def test_a_host_needs_a_port_and_a_unix_socket_takes_none():
    socket = {"host": "unix:/run/app.sock"}
    made = parse_part(Backend, socket)
    assert made == parse_part(Backend, {**socket, "port": 0})
    assert to_plain(made) == socket
    assert messages({**socket, "port": 80}, Backend) == {
        "port": "80 with a Unix socket, which has no port: remove it"
    }
    missing = {"port": "is missing: give a port, 1 to 65535"}
    assert messages({"host": "b1"}, Backend) == messages({"host": "b1", "port": 0}, Backend)
    assert messages({"host": "b1"}, Backend) == missing


def test_a_bad_host_does_not_hide_a_bad_port_nor_make_up_one():
    assert set(messages({"host": "a b"}, Backend)) == {"host"}
    assert set(messages({"host": "a b", "port": 70_000}, Backend)) == {"host", "port"}


# --- what is wrong, and where


@pytest.mark.parametrize(
    ("data", "where", "message"),
    [
        (
            backend(port=70_000),
            "pools[0].backends[0].port",
            "70000 is not a port: use 1 to 65535",
        ),
        (backend(port="80"), "pools[0].backends[0].port", "'80' is not a whole number"),
        (backend(port=True), "pools[0].backends[0].port", "True is not a whole number"),
        (backend(port=80.5), "pools[0].backends[0].port", "80.5 is not a whole number"),
        (backend(port=None), "pools[0].backends[0].port", "None is not a whole number"),
        (backend(host=1), "pools[0].backends[0].host", "1 is not text: quote it"),
        (backend(backup="yes"), "pools[0].backends[0].backup", "'yes' is not true or false"),
        (
            backend(state="off"),
            "pools[0].backends[0].state",
            "'off' is not one of 'ready', 'drain' or 'maint'",
        ),
        (
            backend(prot=1),
            "pools[0].backends[0].prot",
            "unknown name: did you mean port?",
        ),
        (
            backend(zzz=1),
            "pools[0].backends[0].zzz",
            "unknown name: known are host, port, scheme, weight, backup, state, max_in_flight",
        ),
        ({"pool": []}, "pool", "unknown name: did you mean pools?"),
        ({"pools": [{}]}, "pools[0].name", "is missing: give a value"),
        ({"pools": {"name": "web"}}, "pools", "{'name': 'web'} is not a list"),
        ({"pools": "web"}, "pools", "'web' is not a list"),
        ({"pools": ["web"]}, "pools[0]", "'web' is not a mapping of names to values"),
        (
            {"pools": [{"name": "web", "connect_timeout_s": "5s"}]},
            "pools[0].connect_timeout_s",
            "'5s' is not a number",
        ),
        (
            {"pools": [{"name": "web", "sticky": {"mode": "cookie", "cooky": "x"}}]},
            "pools[0].sticky.cooky",
            "unknown name: did you mean cookie?",
        ),
        (
            {"routes": [{"name": "r", "pool": "web", "conditions": [{"headr": "x"}]}]},
            "routes[0].conditions[0].headr",
            "unknown name: did you mean header?",
        ),
        (
            {"routes": [{"name": "r", "pool": "web", "response_headers": {"add": {}}}]},
            "routes[0].response_headers.add",
            "unknown name: known are set, remove",
        ),
    ],
)
def test_a_mistake_is_told_by_its_path_with_the_mend(data, where, message):
    assert messages(data)[where] == message


@pytest.mark.parametrize("data", [[], "pools", 1, True])
def test_a_document_is_a_mapping(data):
    assert messages(data) == {"": f"{data!r} is not a mapping of names to values"}


def test_long_values_are_cut():
    found = messages({"pools": "x" * 1_000})["pools"]
    assert found == f"'{'x' * 56}... is not a list"


def test_all_problems_of_form_are_told_at_once():
    data = backend(port=0, weight=300)
    data["routes"] = [{"name": "-", "pool": "web"}]
    assert set(messages(data)) == {
        "pools[0].backends[0].port",
        "pools[0].backends[0].weight",
        "routes[0].name",
    }


def test_sense_is_looked_at_only_where_the_form_holds():
    route = {"name": "r", "pool": "nowhere"}
    assert set(messages({"routes": [route]})) == {"routes[0].pool"}
    assert set(messages({"routes": [route, {}]})) == {"routes[1].name", "routes[1].pool"}


# --- whatever comes


PARTS = [
    kind
    for kind in vars(document).values()
    if isinstance(kind, type) and issubclass(kind, Part) and kind is not Part
]
KEYS = [spec.name for part in PARTS for spec in dataclasses.fields(part)]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400), math.nan, math.inf])
    | st.floats()
    | st.text()
    | st.sampled_from(
        ["\ud800", "9" * 5_000, "a:" + "9" * 5_000, "[::1]:80", "*.x", "//", "200-"]
    )
    | st.binary()
    | st.dates()
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | SCALARS, inner, max_size=4)
    ),
    max_leaves=12,
)


@given(ANYTHING)
def test_parse_raises_nothing_but_document_errors(data):
    try:
        parse(data)
    except DocumentError as error:
        assert error.problems


def shaped(kind):
    """Mappings with the right names and anything for values, so that it gets deep."""
    hints = {spec.name: ANYTHING for spec in dataclasses.fields(kind)}
    return st.fixed_dictionaries({}, optional=hints)


@given(
    st.fixed_dictionaries(
        {
            "pools": st.lists(
                shaped(Pool) | st.fixed_dictionaries({"backends": st.lists(shaped(Backend))}),
                max_size=2,
            ),
            "routes": st.lists(shaped(Route), max_size=2),
        }
    )
)
def test_nor_does_it_for_data_of_nearly_the_right_shape(data):
    try:
        parse(data)
    except DocumentError as error:
        assert all(problem.message and "\n" not in str(problem) for problem in error.problems)


@pytest.mark.parametrize("kind", PARTS)
@settings(max_examples=50)
@given(data=st.data())
def test_nor_for_any_single_part(kind, data):
    try:
        parse_part(kind, data.draw(shaped(kind)))
    except DocumentError as error:
        assert error.problems


def test_documents_of_the_code_and_of_data_are_equal():
    made = document.Document(
        pools=(Pool(name="web", backends=(Backend(host="b1", port=80),)),),
        routes=(Route(name="r", pool="web"),),
    )
    plain = {**backend(), "routes": [{"name": "r", "pool": "web"}]}
    assert parse(plain) == made
    assert hash(made) == hash(parse(plain))
