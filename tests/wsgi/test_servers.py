import io
import socket
import ssl

import pytest
from django.core.handlers.wsgi import LimitedStream

from pools.wsgi import servers


@pytest.mark.parametrize(
    ("environ", "target"),
    [
        ({"RAW_URI": "/a%2Fb?c", "REQUEST_URI": "/no"}, b"/a%2Fb?c"),
        ({"REQUEST_URI": "/a%2Fb?c", "PATH_INFO": "/no"}, b"/a%2Fb?c"),
        ({"SCRIPT_NAME": "/m", "PATH_INFO": "/a b/c%d", "QUERY_STRING": "x=%20&y"},
         b"/m/a%20b/c%25d?x=%20&y"),
        ({"PATH_INFO": "/caf\xc3\xa9;v=1", "QUERY_STRING": ""}, b"/caf%C3%A9;v=1"),
        ({"PATH_INFO": "/?#"}, b"/%3F%23"),
        ({}, b"/"),
    ],
)  # fmt: skip
def test_target_as_raw_as_the_server_gives_it(environ, target):
    assert servers.raw_target(environ) == target


@pytest.mark.parametrize(
    ("environ", "scheme"),
    [
        ({"wsgi.url_scheme": "https"}, "https"),
        ({"wsgi.url_scheme": "http"}, "http"),
        ({}, "http"),
        # gunicorn believes X-Forwarded-Proto of peers that we may not trust.
        ({"wsgi.url_scheme": "https", "gunicorn.socket": socket.socket}, "http"),
    ],
)
def test_scheme_is_the_connections(environ, scheme):
    assert servers.scheme(environ) == scheme


def test_scheme_of_a_tls_socket():
    with socket.socket() as sock:
        wrapped = ssl.create_default_context().wrap_socket(sock, server_hostname="a.test")
        with wrapped:
            assert servers.scheme({"gunicorn.socket": wrapped}) == "https"


def test_client_is_watched_where_the_server_shows_it():
    with socket.socket() as sock:
        assert servers.client_fd({"gunicorn.socket": sock}) == sock.fileno()
    assert servers.client_fd({}) is None
    assert servers.client_fd({"wsgi.input": io.BytesIO()}) is None


def test_runservers_client_is_found_behind_its_input():
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("rb") as reader:
        environ = {"wsgi.input": LimitedStream(reader, 10)}
        assert servers.client_fd(environ) == ours.fileno()
        servers.cut(environ)
        assert theirs.recv(1) == b""


def test_other_servers_cut_by_themselves():
    servers.cut({"wsgi.input": io.BytesIO()})
