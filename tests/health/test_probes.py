import socket
import ssl
import subprocess
import threading

import pytest

from pools import resolver
from pools.core.document import Backend as Spec
from tests import services
from tests.health.conftest import pool_of


def answer(status, body=b"", *fields):
    head = f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\n".encode()
    return head + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


def test_an_expected_status_is_a_success(ask, backend):
    result = ask(backend().port)
    assert (result.ok, result.code, result.reason) == (True, 200, "status 200")
    assert 0 < result.latency_ms < 5000


def test_an_unexpected_status_is_a_failure_that_says_both(ask, backend):
    result = ask(backend(answer(503)).port)
    assert (result.ok, result.code) == (False, 503)
    assert result.reason == "status 503, expected 200-399"


def test_expected_statuses_are_the_pools(ask, backend):
    assert ask(backend(answer(418)).port, statuses="200,410-420").ok
    assert not ask(backend(answer(200)).port, statuses="201").ok


def test_what_is_asked_is_what_the_pool_says(ask, backend):
    there = backend()
    ask(there.port, method="HEAD", path="/up?deep=1&a%2Fb", host="127.0.0.1")
    line, *lines = there.heads[0].decode().split("\r\n")
    assert line == "HEAD /up?deep=1&a%2Fb HTTP/1.1"
    assert f"Host: 127.0.0.1:{there.port}" in lines
    assert "Connection: close" in lines


def test_the_host_of_a_probe_may_be_another(run, backend):
    there = backend()
    result = run(
        lambda asker: asker.ask(
            pool_of(host="app.example.com"), Spec(host="127.0.0.1", port=there.port)
        )
    )
    assert result.ok
    assert b"Host: app.example.com\r\n" in there.heads[0]


def test_the_port_of_a_probe_may_be_another(run, backend):
    there = backend()
    result = run(
        lambda asker: asker.ask(pool_of(port=there.port), Spec(host="127.0.0.1", port=1))
    )
    assert result.ok
    assert f"Host: 127.0.0.1:{there.port}\r\n".encode() in there.heads[0]


def test_redirects_are_answers_and_not_followed(ask, backend):
    there = backend(answer(302, b"", b"Location: /elsewhere"))
    assert ask(there.port).code == 302
    assert len(there.heads) == 1


def test_proxies_of_the_environment_are_not_used(ask, backend, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{services.free_port()}")
    assert ask(backend().port).ok


@services.needs_ipv6
def test_ipv6_addresses_are_probed(ask, backend):
    there = backend(family=socket.AF_INET6)
    assert ask(there.port, host="::1").ok
    assert f"Host: [::1]:{there.port}\r\n".encode() in there.heads[0]


def test_unix_sockets_are_probed(ask, backend, tmp_path):
    there = backend(path=f"{tmp_path}/app.sock")
    assert ask(host=there.host, path="/up").ok
    assert there.heads[0].startswith(b"GET /up HTTP/1.1\r\n")
    assert b"Host: localhost\r\n" in there.heads[0]
    assert ask(host=there.host, kind="tcp").reason == "connected"


def test_a_unix_socket_has_no_other_port_to_be_probed_at(run, backend, tmp_path):
    there = backend(path=f"{tmp_path}/app.sock")
    assert run(lambda asker: asker.ask(pool_of(port=9), Spec(host=there.host))).ok
    assert b"Host: localhost\r\n" in there.heads[0]


@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_a_unix_socket_that_is_not_there(ask, tmp_path, kind):
    result = ask(host=f"unix:{tmp_path}/app.sock", kind=kind)
    assert (result.ok, result.reason) == (False, "no such file or directory")


def test_expected_text_is_looked_for_in_the_body(ask, backend):
    there = backend(answer(200, b"all is well"))
    assert ask(there.port, text="is well").ok
    result = ask(there.port, text="is ill")
    assert not result.ok
    assert result.reason == "status 200, but the expected text is not in it"


def test_expected_text_is_seen_before_the_body_ends(ask, backend):
    def answers(connection, ended):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\nready")
        ended.wait(5)

    assert ask(backend(answers).port, text="ready").ok


def test_no_more_than_the_bound_of_an_endless_body_is_read(ask, backend):
    sent = []

    def answers(connection, ended):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not ended.is_set():
            sent.append(connection.send(b"x" * 16384))

    result = ask(backend(answers).port, text="ready", body_bytes=1000)
    assert result.reason == "status 200, but the expected text is not in it"
    # What the kernel's buffers took, and the farewell, come on top of what was read.
    assert sum(sent) < 16 * 2**20


def test_nothing_listens(ask):
    result = ask(services.free_port())
    assert (result.ok, result.code, result.reason) == (False, None, "connection refused")


def test_a_name_that_does_not_resolve(ask, monkeypatch):
    def fails(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(resolver.socket, "getaddrinfo", fails)
    assert ask(80, host="nowhere.example").reason == "name does not resolve"


def test_a_resolver_that_hangs_is_not_waited_for(ask, monkeypatch):
    hanging = threading.Event()
    monkeypatch.setattr(resolver.socket, "getaddrinfo", lambda *a, **k: hanging.wait(30) and [])
    result = ask(80, host="nowhere.example", timeout_s=0.1)
    hanging.set()
    assert result.reason == "timed out after 0.1 s resolving the name"


def test_a_connection_closed_without_an_answer(ask, backend):
    assert ask(backend(b"").port).reason == "closed without an answer"


def test_an_answer_that_is_not_http(ask, backend):
    assert ask(backend(b"220 mail.example.com ESMTP\r\n").port).reason == (
        "the answer is not HTTP"
    )


def test_a_backend_that_never_answers_is_timed_out(ask, backend):
    there = backend(lambda connection, ended: ended.wait(5))
    assert ask(there.port, timeout_s=0.2).reason == "timed out after 0.2 s reading the answer"


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_an_answer_that_drips_is_timed_out_as_a_whole(ask, backend, start):
    def drips(connection, ended):
        connection.sendall(start)
        while not ended.wait(0.05):
            connection.sendall(b"x")

    result = ask(backend(drips).port, timeout_s=0.3, text="ready")
    assert result.reason == "timed out after 0.3 s reading the answer"


def test_tcp_asks_for_a_connection_alone(ask, backend):
    there = backend(b"")
    assert ask(there.port, kind="tcp").reason == "connected"
    assert ask(services.free_port(), kind="tcp").reason == "connection refused"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of app.example.com that signs itself; PEM paths of it and its key."""
    folder = tmp_path_factory.mktemp("tls")
    made, key = folder / "cert.pem", folder / "key.pem"
    argv = [services.program("openssl"), "req", "-x509", "-nodes", "-days", "2"]
    argv += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    argv += ["-subj", "/CN=app.example.com", "-addext", "subjectAltName=DNS:app.example.com"]
    subprocess.run([*argv, "-keyout", key, "-out", made], check=True, capture_output=True)
    return made, key


@pytest.fixture
def tls_backend(backend, certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)

    def start(*args):
        return backend(*args, wrap=lambda sock: context.wrap_socket(sock, server_side=True))

    return start


def test_https_is_verified_against_the_pools_ca_and_server_name(ask, tls_backend, certificate):
    tls = {"ca": certificate[0].read_text(), "server_name": "app.example.com"}
    assert ask(tls_backend().port, scheme="https", tls=tls).ok


def test_https_at_a_unix_socket_is_verified_too(ask, backend, certificate, tmp_path):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    there = backend(
        path=f"{tmp_path}/app.sock",
        wrap=lambda sock: context.wrap_socket(sock, server_side=True),
    )
    tls = {"ca": certificate[0].read_text(), "server_name": "app.example.com"}
    assert ask(host=there.host, scheme="https", tls=tls).ok
    refused = ask(host=there.host, scheme="https", tls={**tls, "server_name": ""})
    assert "certificate is not valid for 'localhost'" in refused.reason


def test_a_certificate_of_another_name_is_refused(ask, tls_backend, certificate):
    tls = {"ca": certificate[0].read_text()}
    reason = ask(tls_backend().port, scheme="https", tls=tls).reason
    assert reason.startswith("certificate refused: IP address mismatch")


def test_a_certificate_that_nobody_signed_is_refused(ask, tls_backend):
    reason = ask(tls_backend().port, scheme="https").reason
    assert reason.startswith("certificate refused: self")


def test_an_operator_may_leave_certificates_unverified(ask, tls_backend):
    assert ask(tls_backend().port, scheme="https", tls={"verify": False}).ok


def test_plain_http_where_tls_is_expected(ask, backend):
    reason = ask(backend(b"HTTP/1.1 400 Bad\r\n\r\n").port, scheme="https").reason
    assert reason.startswith("TLS failed: ")


def test_a_handshake_that_hangs_is_timed_out(ask, backend):
    there = backend(lambda connection, ended: ended.wait(5))
    result = ask(there.port, scheme="https", timeout_s=0.2)
    assert result.reason == "timed out after 0.2 s in the TLS handshake"


def test_an_answer_that_drips_over_tls_is_timed_out_as_a_whole(ask, tls_backend):
    def drips(connection, ended):
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not ended.wait(0.05):
            connection.sendall(b"x")

    result = ask(tls_backend(drips).port, scheme="https", tls={"verify": False}, timeout_s=0.3)
    assert result.reason == "timed out after 0.3 s reading the answer"
