import dataclasses

import pytest

from pools.core.document import Backend, Document, Pool, Probe, Route


@pytest.mark.parametrize(
    ("host", "address"), [("b1", "b1:80"), ("10.0.0.1", "10.0.0.1:80"), ("::1", "[::1]:80")]
)
def test_a_backend_is_named_by_its_address(host, address):
    assert Backend(host=host, port=80).address == address


def test_a_unix_socket_is_its_own_address_and_goes_by_the_name_of_localhost():
    unix = Backend(host="unix:/run/app.sock")
    assert (unix.address, unix.unix) == ("unix:/run/app.sock", "/run/app.sock")
    assert unix.hostname == "localhost"
    tcp = Backend(host="b1", port=80)
    assert (tcp.unix, tcp.hostname) == ("", "b1")


@pytest.mark.parametrize(
    ("fast", "down", "found"),
    [(0.0, 0.0, (5.0, 5.0)), (1.0, 60.0, (1.0, 60.0)), (9.0, 0.0, (5.0, 5.0))],
)
def test_the_intervals_between_up_and_down_and_while_down(fast, down, found):
    probe = Probe(interval_s=5.0, fast_interval_s=fast, down_interval_s=down)
    assert (probe.fast_s, probe.down_s) == found


def test_a_document_is_immutable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Document().pools = ()


def test_name_host_and_pool_are_all_that_is_asked_for():
    def required(kind):
        return [
            spec.name
            for spec in dataclasses.fields(kind)
            if spec.default is spec.default_factory is dataclasses.MISSING
        ]

    assert (required(Pool), required(Backend), required(Route)) == (
        ["name"],
        ["host"],
        ["name", "pool"],
    )
