import pytest

from pools.core.keepalive import idle_s


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"timeout=5", 4.0),
        (b"timeout=5, max=100", 4.0),
        (b"max=100,Timeout = 5", 4.0),
        (b'max=100; timeout="5"', 4.0),
        (b"timeout=1", 0.0),
        (b"timeout=0", 0.0),
        (b"timeout=3600", 10.0),
        (b"timeout=" + b"9" * 5_000, 10.0),
        (b"max=100", 10.0),
        (b"notimeout=5", 10.0),
        (b"timeout=-5", 10.0),
        (b"timeout=", 10.0),
        (b"", 10.0),
    ],
)
def test_a_connection_waits_for_less_than_its_backend_allows(value, expected):
    fields = [(b"Server", b"s"), (b"keep-Alive", value), (b"Connection", b"keep-alive")]
    assert idle_s(fields, 10.0) == expected


def test_the_shortest_of_repeated_hints_counts():
    fields = [(b"keep-alive", b"timeout=%d" % timeout) for timeout in (7, 3, 9)]
    assert idle_s(fields, 10.0) == 2.0


def test_without_a_hint_it_waits_as_long_as_the_pool_says():
    assert idle_s([(b"X-Keep-Al", b"timeout=1")], 4.0) == 4.0
