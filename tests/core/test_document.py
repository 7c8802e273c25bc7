import dataclasses

import pytest

from pools.core.document import Backend, Document, Pool, Route


@pytest.mark.parametrize(
    ("host", "address"), [("b1", "b1:80"), ("10.0.0.1", "10.0.0.1:80"), ("::1", "[::1]:80")]
)
def test_a_backend_is_named_by_its_address(host, address):
    assert Backend(host=host, port=80).address == address


def test_a_document_is_immutable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Document().pools = ()


def test_name_host_port_and_pool_are_all_that_is_asked_for():
    def required(kind):
        return [
            spec.name
            for spec in dataclasses.fields(kind)
            if spec.default is spec.default_factory is dataclasses.MISSING
        ]

    assert (required(Pool), required(Backend), required(Route)) == (
        ["name"],
        ["host", "port"],
        ["name", "pool"],
    )
