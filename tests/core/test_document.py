import dataclasses

import pytest

from pools.core.document import Backend, Document, Pool, Route


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
