import math

import pytest

from pools.core import fields, probe_fields

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"


@pytest.mark.parametrize(
    ("check", "value", "canonical"),
    [
        (fields.name, "web-1.a_B", "web-1.a_B"),
        (fields.port, 1, 1),
        (fields.port, 65_535, 65_535),
        (fields.port_or_zero, 0, 0),
        (fields.port_or_zero, 80, 80),
        (fields.weight, 0, 0),
        (fields.weight, 256, 256),
        (fields.not_negative, 2**31 - 1, 2**31 - 1),
        (fields.max_bytes, 2**63 - 1, 2**63 - 1),
        (fields.positive, 1_000, 1_000),
        (fields.attempts, 10, 10),
        (fields.percent, 100, 100),
        (fields.balance_factor, 0, 0),
        (fields.balance_factor, 101, 101),
        (fields.seconds, 0.001, 0.001),
        (fields.seconds_or_zero, 0.0, 0.0),
        (fields.seconds_or_zero, 1.5, 1.5),
        (fields.interval, 1.0, 1.0),
        (fields.interval_or_zero, 0.0, 0.0),
        (fields.interval_or_zero, 1.0, 1.0),
        (probe_fields.json_path, "", ""),
        (probe_fields.json_path, "checks.0.status", "checks.0.status"),
        (fields.token, "x!#$%&'*+.^_`|~-1", "x!#$%&'*+.^_`|~-1"),
        (fields.token_or_empty, "", ""),
        (fields.token_or_empty, "sid", "sid"),
        (fields.method, "get", "GET"),
        (fields.methods, ("get", "GET", "put"), ("GET", "PUT")),
        (fields.upgrades, (), ()),
        (fields.upgrades, ("WebSocket", "websocket", "mqtt"), ("websocket", "mqtt")),
        (fields.header_name, "X-A", "X-A"),
        (fields.header_value, "a\tb; é", "a\tb; é"),
        (fields.header_value, "", ""),
        (fields.header_set, (("X-A", "1"),), (("X-A", "1"),)),
        (fields.header_remove, ("X-A", "X-A", "x-a"), ("X-A", "x-a")),
        (fields.pairs_of_mapping, {"a": 1}, (("a", 1),)),
        (fields.pairs_of_mapping, [1], [1]),
        (probe_fields.text_of_int, 200, "200"),
        (probe_fields.text_of_int, True, True),
        (probe_fields.text_of_int, "200-399", "200-399"),
        (fields.hostname, "App.Example.COM.", "app.example.com"),
        (fields.hostname, "bücher.example", "xn--bcher-kva.example"),
        (fields.hostname, "my_service", "my_service"),
        (fields.hostname_or_empty, "", ""),
        (fields.hostname_or_empty, "A", "a"),
        (fields.backend_host, "10.0.0.1", "10.0.0.1"),
        (fields.backend_host, "[2001:DB8::0:1]", "2001:db8::1"),
        (fields.backend_host, "B1", "b1"),
        (fields.backend_host, "unix:/run/App.sock", "unix:/run/App.sock"),
        (fields.backend_host, "unix://run///app.sock", "unix:/run/app.sock"),
        (fields.backend_host, f"unix:/{'a' * 106}", f"unix:/{'a' * 106}"),
        (fields.host_header_or_empty, "", ""),
        (fields.host_header_or_empty, "App:8080", "app:8080"),
        (fields.host_header_or_empty, "App", "app"),
        (fields.host_header_or_empty, "[::1]:80", "[::1]:80"),
        (fields.host_header_or_empty, "[::1]", "[::1]"),
        (
            fields.route_hosts,
            ("A.example", "a.example", "*.B.example", "::1"),
            ("a.example", "*.b.example", "[::1]"),
        ),
        (fields.tags, ("b", "eu-west.1", "b"), ("b", "eu-west.1")),
        (fields.path_prefix, "/", "/"),
        (fields.path_prefix, "/api/", "/api"),
        (fields.path_prefix, "//", "/"),
        (fields.path_prefix, "/é", "/%C3%A9"),
        (fields.path_prefix_or_empty, "", ""),
        (fields.path_prefix_or_empty, "/a//", "/a"),
        (fields.target, "/health?deep=1", "/health?deep=1"),
        (probe_fields.status_ranges, "200-399, 418", ((200, 399), (418, 418))),
        (probe_fields.statuses, "200 - 399,418-418", "200-399,418"),
        (fields.pem_or_empty, "  ", ""),
        (fields.pem_or_empty, f" {PEM}\n\n", f"{PEM}\n"),
    ],
)
def test_canonical_form_and_no_other_the_second_time(check, value, canonical):
    found = check(value)
    assert (found, type(found)) == (canonical, type(canonical))
    if type(found) is type(value):
        assert check(found) == found


@pytest.mark.parametrize(
    ("check", "value", "mend"),
    [
        (fields.name, "", "1 to 63 letters"),
        (fields.name, "-web", "beginning with a letter or digit"),
        (fields.name, "a" * 64, "1 to 63 letters"),
        (fields.name, "web/1", "letters, digits"),
        (fields.port, 0, "use 1 to 65535"),
        (fields.port, 65_536, "use 1 to 65535"),
        (fields.port_or_zero, -1, "use 1 to 65535"),
        (fields.weight, 257, "use 0 to 256"),
        (fields.weight, -1, "use 0 to 256"),
        (fields.not_negative, -1, "use 0 to"),
        (fields.not_negative, 2**31, "use 0 to"),
        (fields.max_bytes, 2**63, "use 0 to"),
        (fields.positive, 0, "use 1 to 1000"),
        (fields.attempts, 11, "use 1 to 10"),
        (fields.percent, 101, "use 0 to 100"),
        (fields.balance_factor, 100, "use 101 to 1000, or 0"),
        (fields.balance_factor, 1_001, "use 101 to 1000, or 0"),
        (fields.seconds, 0.0, "use 0.001 to 86400"),
        (fields.seconds, math.nan, "use 0.001 to 86400"),
        (fields.seconds, math.inf, "use 0.001 to 86400"),
        (fields.seconds_or_zero, -1.0, "use 0.001 to 86400"),
        (fields.interval, 0.5, "use 1 to 86400"),
        (fields.interval, math.nan, "use 1 to 86400"),
        (fields.token, "a b", "use letters, digits"),
        (fields.token, "", "use letters, digits"),
        (fields.method, "connect", "remove it"),
        (fields.method, "GET ", "use letters, digits"),
        (fields.upgrades, ("H2C",), "H2C is HTTP, which would pass by all routes: remove it"),
        (fields.upgrades, ("websocket", "h2"), "remove it"),
        (fields.upgrades, ("http",), "remove it"),
        (fields.upgrades, ("web socket",), "use letters, digits"),
        (fields.header_value, "a\r\nX: y", "no control characters"),
        (fields.header_value, "a\0", "no control characters"),
        (fields.header_value, " a", "no space at either end"),
        (fields.header_set, (("Host", "x"),), "remove it here"),
        (fields.header_set, (("X-A", "1"), ("x-a", "2")), "keep one"),
        (fields.header_set, (("X-A", "a\n"),), "no control characters"),
        (fields.header_remove, ("Transfer-Encoding",), "remove it here"),
        (fields.header_remove, ("a b",), "use letters, digits"),
        (fields.hostname, "http://app", "without scheme, port or path"),
        (fields.hostname, "a..b", "use a name"),
        (fields.hostname, "-a", "use a name"),
        (fields.hostname, "a." * 127 + "a", "use a name"),
        (fields.hostname, "é" * 64, "is not a host name"),
        (fields.hostname, "", "use a name"),
        (fields.backend_host, "10.0.0.256", "use four numbers of 0 to 255"),
        (fields.backend_host, "b1:80", "use a name"),
        (fields.backend_host, "unix:", "begin it with unix:/"),
        (fields.backend_host, "unix:run/app.sock", "begin it with unix:/"),
        (fields.backend_host, "unix:@app", "begin it with unix:/"),
        (fields.backend_host, "unix:/run/", "name the socket in it"),
        (fields.backend_host, "unix:/run/my app.sock", "use another path"),
        (fields.backend_host, "unix:/run/app\n.sock", "use another path"),
        (fields.backend_host, "unix:/run/\ud800", "use another path"),
        (fields.backend_host, f"unix:/{'é' * 54}", "107 bytes at most, not 109"),
        (fields.route_hosts, ("unix:/run/app.sock",), "use a name"),
        (fields.host_header_or_empty, "a:b:c", "use name, or name:port"),
        (fields.host_header_or_empty, "app:0", "use 1 to 65535"),
        (fields.route_hosts, ("*",), "leave the list of hosts empty"),
        (fields.route_hosts, ("",), "leave the list of hosts empty"),
        (fields.route_hosts, ("a.*.example",), "such as *.example.com"),
        (fields.tags, ("EU",), "lower case letters"),
        (fields.tags, ("-a",), "beginning with a letter or digit"),
        (fields.tags, tuple(f"t{n}" for n in range(21)), "use 20 at most"),
        (fields.path_prefix, "api", "begin it with '/'"),
        (fields.path_prefix, "/*", "leave '*' out"),
        (fields.path_prefix, "/a/*", "leave '*' out"),
        (fields.path_prefix, "/a?b", "no '?'"),
        (fields.path_prefix, "/a#b", "no '?', '#'"),
        (fields.path_prefix, "/a b", "space"),
        (fields.target, "health", "begin it with '/'"),
        (fields.target, "/a b", "no space"),
        (probe_fields.status_ranges, "", "use statuses such as"),
        (probe_fields.status_ranges, "399-200", "use statuses such as"),
        (probe_fields.status_ranges, "600", "use statuses such as"),
        (probe_fields.status_ranges, "200,", "use statuses such as"),
        (probe_fields.probe_text, "é" * 524_289, "reads at most 1048576 bytes"),
        (probe_fields.escaped, "é" * 524_289, "reads at most 1048576 bytes"),
        (probe_fields.escaped, r"\q", r"'\\q' is no escape: use \r"),
        (probe_fields.escaped, r"\x1g", r"'\\x' is no escape: use \r"),
        (probe_fields.escaped, "PING\\", r"'\\' is no escape: use \r"),
        (probe_fields.probe_bytes, 0, "use 1 to 1048576"),
        (probe_fields.probe_bytes, 1_048_577, "use 1 to 1048576"),
        (probe_fields.json_path, "a..b", "join names by single dots"),
        (probe_fields.json_path, ".", "join names by single dots"),
        (fields.interval_or_zero, 0.5, "use 1 to 86400"),
        (fields.pem_or_empty, "MIIB", "no BEGIN CERTIFICATE block"),
        (fields.pem_or_empty, f"{PEM}\n-----BEGIN PRIVATE KEY-----", "not all of it"),
    ],
)
def test_a_mistake_is_one_line_with_the_mend(check, value, mend):
    with pytest.raises(ValueError) as refused:
        check(value)
    assert mend in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_expected_text_may_be_as_long_as_what_is_read():
    assert probe_fields.probe_text("a" * 1_048_576)
    assert probe_fields.probe_bytes(1_048_576)


def test_escapes_stand_for_bytes_and_the_rest_is_utf_8():
    typed = r"PING\r\n\t\0\\\x00\xfFü"
    assert probe_fields.unescaped(typed) == b"PING\r\n\t\0\\\x00\xff\xc3\xbc"
    assert probe_fields.escaped(typed) == typed
    assert probe_fields.unescaped("") == b""


def test_an_address_and_its_port():
    assert fields.host_port("::1", 80) == "[::1]:80"
    assert fields.host_port("b1", 80) == "b1:80"
    assert fields.host_port("unix:/run/app.sock", 0) == "unix:/run/app.sock"
