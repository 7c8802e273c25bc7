import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pools.gateway.proxy_protocol import V1_MOST_BYTES, V2_MOST_BYTES, Header, parse

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 203.0.113.9 192.0.2.1 40000 443\r\n"


def v2(addresses, *, command=0x21, family=0x11, tlvs=b""):
    data = addresses + tlvs
    return SIGNATURE + bytes((command, family)) + len(data).to_bytes(2) + data


def tcp(source, destination="192.0.2.1", **rest):
    source, destination = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    family = 0x11 if source.version == 4 else 0x21
    return v2(source.packed + destination.packed + bytes(4), family=family, **rest)


V2 = tcp("203.0.113.9", tlvs=b"\x03\x00\x04abcd")

GOOD = {
    V1: "203.0.113.9",
    b"PROXY TCP4 255.255.255.255 0.0.0.0 0 65535\r\n": "255.255.255.255",
    b"PROXY TCP6 2001:DB8::9 ::1 40000 443\r\n": "2001:db8::9",
    b"PROXY TCP6 ::ffff:203.0.113.9 ::1 40000 443\r\n": "203.0.113.9",
    b"PROXY TCP6 %b %b 65535 65535\r\n" % (b"ffff:" * 7 + b"ffff", b"ffff:" * 7 + b"ffff"): (
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
    ),
    b"PROXY UNKNOWN\r\n": None,
    b"PROXY UNKNOWN ffff::1 whatever it says\r\n": None,
    b"PROXY UNKNOWN".ljust(V1_MOST_BYTES - 2) + b"\r\n": None,
    tcp("203.0.113.9"): "203.0.113.9",
    tcp("2001:db8::9", "::1"): "2001:db8::9",
    tcp("::ffff:203.0.113.9", "::1"): "203.0.113.9",
    V2: "203.0.113.9",
    tcp("203.0.113.9", tlvs=bytes(V2_MOST_BYTES - 28)): "203.0.113.9",
    v2(b"", command=0x20, family=0): None,
    tcp("203.0.113.9", command=0x20): None,
    v2(bytes(9), command=0x20, family=0x99): None,  # "the family is ignored"
    v2(b"", family=0): None,
    v2(bytes(12), family=0x12): None,
    v2(bytes(216), family=0x31): None,
}


@pytest.mark.parametrize(("data", "source"), GOOD.items())
@pytest.mark.parametrize("behind", [b"", b"GET / HTTP/1.1\r\n", V1, b"\x16\x03\x01"])
def test_a_whole_header_tells_the_client_and_its_own_length(data, source, behind):
    assert parse(data + behind) == Header(len(data), source)


@pytest.mark.parametrize("data", GOOD)
def test_more_is_needed_until_the_header_is_whole(data):
    assert {parse(data[:end]) for end in range(len(data))} == {None}


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"proxy TCP4 203.0.113.9 192.0.2.1 40000 443\r\n",
        b"PROXY  TCP4 203.0.113.9 192.0.2.1 40000 443\r\n",
        b"PROXY TCP4  203.0.113.9 192.0.2.1 40000 443\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 40000 443 \r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 40000 443 \n\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 40000\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 040000 443\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 -1 443\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 65536 443\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 40000 65536\r\n",
        b"PROXY TCP4 203.0.113.09 192.0.2.1 40000 443\r\n",
        b"PROXY TCP4 203.0.113.256 192.0.2.1 40000 443\r\n",
        b"PROXY TCP4 203.0.113.9 192.0.2 40000 443\r\n",
        b"PROXY TCP4 ::1 ::1 40000 443\r\n",
        b"PROXY TCP6 203.0.113.9 192.0.2.1 40000 443\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::1 40000 443\r\n",
        b"PROXY TCP6 1::2::3 ::1 40000 443\r\n",
        b"PROXY UDP4 203.0.113.9 192.0.2.1 40000 443\r\n",
        b"PROXY UNKNOWNX\r\n",
        b"PROXY \r\n",
        b"PROXY UNKNOWN".ljust(V1_MOST_BYTES - 1) + b"\r\n",
        b"PROXY ".ljust(V1_MOST_BYTES, b"x"),
        SIGNATURE[:-1] + b"\r",
        tcp("203.0.113.9", command=0x11),
        tcp("203.0.113.9", command=0x22),
        v2(bytes(12), family=0x13),
        v2(bytes(12), family=0x41),
        v2(bytes(11)),
        v2(bytes(35), family=0x21),
        tcp("203.0.113.9", tlvs=bytes(V2_MOST_BYTES - 27)),
        (SIGNATURE + b"\x21\x11\xff\xff"),
    ],
)
def test_what_is_malformed_is_refused(data):
    with pytest.raises(ValueError, match="header"):
        parse(data)


ADDRESSES = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)),
    st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6)),
)
PORTS = st.integers(0, 65_535)


@given(ADDRESSES, PORTS, PORTS, st.binary(max_size=50), st.binary(max_size=200))
def test_both_versions_tell_the_same_of_any_addresses(addresses, one, other, behind, tlvs):
    source, destination = addresses
    line = f"PROXY TCP{source.version} {source} {destination} {one} {other}\r\n".encode()
    binary = tcp(str(source), str(destination), tlvs=tlvs)
    told = str(getattr(source, "ipv4_mapped", None) or source)
    assert parse(line + behind) == Header(len(line), told)
    assert parse(binary + behind) == Header(len(binary), told)


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=40).map(SIGNATURE.__add__)))
@example(b"PROXY TCP4 \xff \xff 1 1\r\n")
def test_bytes_of_any_kind_give_a_header_within_them_or_more_or_an_error(data):
    try:
        header = parse(data)
    except ValueError:
        return
    if header is None:
        assert len(data) < V2_MOST_BYTES
    else:
        assert 0 < header.length <= len(data)
        assert parse(data[: header.length]) == header
