"""Lines of backends, as people paste them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pools.control import pasting
from pools.core.document import AdminState, Backend, Scheme


@pytest.mark.parametrize(
    ("line", "backend"),
    [
        ("10.0.0.1:8000", Backend(host="10.0.0.1", port=8000)),
        ("  App.Example.com:80  ", Backend(host="app.example.com", port=80)),
        ("http://10.0.0.1", Backend(host="10.0.0.1", port=80)),
        ("https://a.example/", Backend(host="a.example", port=443, scheme=Scheme.HTTPS)),
        ("HTTPS://a.example:8443", Backend(host="a.example", port=8443, scheme=Scheme.HTTPS)),
        ("[::1]:80", Backend(host="::1", port=80)),
        ("http://[0::1]", Backend(host="::1", port=80)),
        ("unix:/run/app.sock", Backend(host="unix:/run/app.sock")),
        ("a:80 weight=2 backup", Backend(host="a", port=80, weight=2, backup=True)),
        ("a:80 state=drain", Backend(host="a", port=80, state=AdminState.DRAIN)),
        ("a:80 max_in_flight=20 # old", Backend(host="a", port=80, max_in_flight=20)),
        ("a:80,", Backend(host="a", port=80)),
        ("server a:80 weight=3;", Backend(host="a", port=80, weight=3)),
    ],
)
def test_a_line_is_a_backend(line, backend):
    (found,) = pasting.read(line)
    assert (found.backend, found.problem) == (backend, "")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("10.0.0.1", "'10.0.0.1' has no port: write 10.0.0.1:80"),
        ("10.0.0:80", "'10.0.0' is not an IP address: use four numbers of 0 to 255"),
        ("a:http", "'http' is not a port: use 1 to 65535"),
        ("a:70000", "port: 70000 is not a port: use 1 to 65535"),
        ("a:", "'' is not a port: use 1 to 65535"),
        ("::1", "'::1' may be an IPv6 address: put it in brackets, [::1]:80"),
        ("[::1]x:80", "'[::1]x:80' is not an address: write [::1]:80"),
        ("http://a/path", "'a/path' has a path: write host:port alone"),
        ("ftp://a", "ftp:// is not known: use http:// or https://"),
        ("unix:run/a", "'unix:run/a' is not the whole path to a socket: begin it with unix:/"),
        ("a:80 weight=x", "'weight=x' is not a number: write weight=2"),
        ("a:80 weight=300", "weight: 300 is not a weight: use 0 to 256"),
        ("a:80 weight=1 weight=2", "weight is there twice: keep one"),
        ("a:80 state=gone", "state: 'gone' is not one of 'ready', 'drain' or 'maint'"),
        (
            "a:80 check",
            "'check' is not known: after the address come weight=2, state=drain, "
            "max_in_flight=20 and backup",
        ),
        ("server", "'server' has no port: write server:80"),
    ],
)
def test_what_is_wrong_with_a_line_comes_with_the_mend(line, problem):
    (found,) = pasting.read(line)
    assert (found.backend, found.problem) == (None, problem)


def test_lines_are_counted_as_an_editor_counts_them():
    found = pasting.read("# web\r\n\r\na:80\nb\n")
    assert [(line.number, line.text) for line in found] == [(3, "a:80"), (4, "b")]
    assert str(found[1]) == "line 4: 'b' has no port: write b:80"


def test_what_is_there_twice_is_told_however_it_is_spelt():
    found = pasting.read("a:80\nA:80 weight=2\nhttp://[0::1]\nb:1", there=["[::1]:80"])
    assert [line.problem for line in found] == [
        "",
        "a:80 is on line 1 already: keep one",
        "[::1]:80 is in the pool already: leave it out",
        "",
    ]


@given(st.text())
def test_whatever_is_pasted_each_line_is_a_backend_or_a_problem(text):
    for line in pasting.read(text):
        assert (line.backend is None) == bool(line.problem)
        assert "\n" not in line.problem
