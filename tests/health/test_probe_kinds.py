"""Probes by TCP and TLS, certificates, and the steps of each kind."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest

from pools.health.asking import certificates
from tests import services
from tests.gateway import certs


@pytest.fixture
def tls_backend(backend, tmp_path):
    """tls_backend(days=…) -> Backend that shows a certificate with so many days left."""

    def start(*args, days=30.0, path=None):
        certs.put(tmp_path / "backend.pem", "app.example.com", days=days)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tmp_path / "backend.pem")
        return backend(
            *args, path=path, wrap=lambda sock: context.wrap_socket(sock, server_side=True)
        )

    return start


UNVERIFIED = {"verify": False}


# --- TCP


def test_what_tcp_sends_and_expects_may_be_any_bytes(ask, backend):
    there = backend(b"\x00+PONG\r\n")
    result = ask(there.port, kind="tcp", send=r"PING\r\n\xff\0", expect=r"+PONG\x0d")
    assert (result.ok, result.reason) == (True, "answered as expected")
    assert there.heads == [b"PING\r\n\xff\0"]


def test_tcp_may_send_and_expect_nothing(ask, backend):
    there = backend(b"bye")
    assert ask(there.port, kind="tcp", send="QUIT").reason == "connected"
    assert there.heads == [b"QUIT"]


def test_an_expected_answer_may_come_in_pieces(ask, backend):
    def drips(connection, ended):
        for byte in b"-ERR\r\n+PONG\r\n":
            connection.send(bytes([byte]))

    assert ask(backend(drips).port, kind="tcp", send="x", expect="+PONG").ok


def test_an_answer_that_is_not_the_expected_one(ask, backend):
    spec = {"kind": "tcp", "send": "x", "expect": "+PONG"}
    there = backend(b"-NOAUTH\r\n")
    assert ask(there.port, **spec).reason == "closed before the expected answer"
    assert ask(backend(b"").port, **spec).reason == "closed without an answer"
    result = ask(backend(b"y" * 100).port, body_bytes=50, **spec)
    assert result.reason == "the expected answer is not in the first 50 bytes"


def test_an_expected_answer_beyond_what_is_read_does_not_count(ask, backend):
    there = backend(b"y" * 46 + b"+PONG")
    spec = {"kind": "tcp", "send": "x", "expect": "+PONG"}
    assert ask(there.port, body_bytes=51, **spec).ok
    assert not ask(there.port, body_bytes=50, **spec).ok


def test_an_answer_that_never_comes_is_timed_out(ask, backend):
    def mute(connection, ended):
        ended.wait(5)

    result = ask(backend(mute).port, kind="tcp", send="x", expect="+PONG", timeout_s=0.2)
    assert (result.timed_out, result.reason) == (
        True,
        "timed out after 0.2 s reading the answer",
    )


def test_another_answer_than_the_expected_one_is_told_when_the_time_is_over(ask, backend):
    def loading(connection, ended):
        connection.send(b"-LOADING\r\n")
        ended.wait(5)

    spec = {"kind": "tcp", "send": "x", "expect": "+PONG", "timeout_s": 0.2}
    steps = []
    result = ask(backend(loading).port, steps=steps, **spec)
    assert (steps[-1].name, steps[-1].detail) == ("answer", r"10 bytes: -LOADING\r\n")
    assert (result.timed_out, result.reason) == (
        True,
        "timed out after 0.2 s waiting for the expected answer: another came",
    )


def test_a_backend_that_reads_nothing_is_timed_out(ask, backend):
    there = backend(lambda connection, ended: ended.wait(5))
    result = ask(there.port, kind="tcp", send="x" * 2**20, timeout_s=0.3)
    # Its kernel may take all of it.
    assert result.reason in ("timed out after 0.3 s sending", "connected")


def test_redis_is_probed(ask):
    with services.redis_server() as url:
        port = int(url.rpartition(":")[2].partition("/")[0])
        assert ask(port, kind="tcp", send=r"PING\r\n", expect="+PONG").ok


def test_postgres_is_probed(ask):
    """By its SSLRequest: S or N is the answer of a server that takes connections."""
    with services.postgres_server() as url:
        port = int(url.rpartition(":")[2].partition("/")[0])
        asked = r"\0\0\0\x08\x04\xd2\x16\x2f"
        assert ask(port, kind="tcp", send=asked, expect="N").ok


# --- TLS


def test_tls_asks_for_a_handshake_whatever_the_scheme(ask, tls_backend, tmp_path):
    there = tls_backend(b"")
    result = ask(there.port, kind="tls", tls=UNVERIFIED)
    assert (result.ok, result.reason) == (True, "TLSv1.3 handshake passed")
    unix = tls_backend(b"", path=f"{tmp_path}/app.sock")
    assert ask(host=unix.host, kind="tls", tls=UNVERIFIED).ok
    assert there.heads == []


def test_tls_goes_by_the_settings_of_the_pool(ask, tls_backend):
    assert ask(tls_backend(b"").port, kind="tls").reason.startswith("certificate refused: self")


def test_a_handshake_that_is_cut_or_answered_in_plain_text(ask, backend):
    assert ask(backend(b"").port, kind="tls").reason == "closed in the TLS handshake"
    said = ask(backend(b"HTTP/1.1 400 Bad\r\n\r\n").port, kind="tls").reason
    assert said.startswith("TLS failed: ")


# --- Certificates


@pytest.mark.parametrize(("kind", "scheme"), [("tls", "http"), ("http", "https")])
def test_the_end_of_the_certificate_is_told_verified_or_not(ask, tls_backend, kind, scheme):
    result = ask(tls_backend(days=60).port, kind=kind, scheme=scheme, tls=UNVERIFIED)
    left = result.certificate_until - datetime.now(UTC)
    assert timedelta(days=59) < left < timedelta(days=60)
    assert "certificate" not in result.reason


def test_a_certificate_that_ends_soon_is_a_warning_and_no_failure(ask, tls_backend):
    result = ask(tls_backend(days=5.5).port, scheme="https", tls=UNVERIFIED)
    assert (result.ok, result.reason) == (
        True,
        "status 200; the certificate ends in 5 days",
    )
    assert ask(
        tls_backend(days=5.5).port, kind="tls", tls=UNVERIFIED, certificate_days=5
    ).reason == ("TLSv1.3 handshake passed")


def test_an_expired_certificate_is_refused_where_it_is_verified(ask, tls_backend, tmp_path):
    there = tls_backend(days=-1)
    ca = (tmp_path / "backend.pem").read_text().partition("-----BEGIN EC")[0]
    ca = ca.partition("-----BEGIN PRIVATE")[0]
    result = ask(there.port, kind="tls", tls={"ca": ca, "server_name": "app.example.com"})
    assert result.reason == "certificate refused: certificate has expired"
    result = ask(there.port, kind="tls", tls=UNVERIFIED)
    assert result.ok
    assert "; the certificate expired on 20" in result.reason


@pytest.mark.parametrize(
    ("left", "days", "said"),
    [
        (timedelta(days=14), 14, ""),
        (timedelta(days=13, hours=23), 14, "the certificate ends in 13 days"),
        (timedelta(days=13), 14, "the certificate ends in 13 days"),
        (timedelta(days=1), 14, "the certificate ends in 1 day"),
        (timedelta(hours=23), 14, "the certificate ends within a day"),
        (timedelta(seconds=-1), 14, "the certificate expired on 2030-01-01"),
        (timedelta(days=1), 0, ""),
        (timedelta(days=-9), 0, ""),
    ],
)
def test_a_warning_says_the_same_for_a_day(left, days, said):
    end = datetime(2030, 1, 1, 12, tzinfo=UTC)
    assert certificates.warning(end, days, end - left) == said


def test_what_is_no_certificate_has_no_end():
    assert certificates.until(b"nonsense") is None
    assert certificates.until(None) is None


def test_the_ends_of_certificates_are_kept_up_to_a_number(monkeypatch):
    monkeypatch.setattr(certificates, "_KEPT", 2)
    for text in (b"a", b"b", b"c"):
        certificates.until(text)
    assert len(certificates._until) <= 2


# --- Steps


def names(steps):
    assert [step.at_ms for step in steps] == sorted(step.at_ms for step in steps)
    assert all(0 <= step.took_ms <= step.at_ms for step in steps)
    return [step.name for step in steps]


def test_the_steps_of_each_kind(ask, backend, tls_backend):
    steps = []
    ask(backend().port, text="hello", steps=steps)
    assert names(steps) == ["connect", "send", "first byte", "status", "body"]
    assert [step.detail for step in steps][1:] == [
        "GET / HTTP/1.1",
        "43 bytes",
        "200 OK, 1 header fields",
        "5 bytes",
    ]
    steps = []
    ask(tls_backend(days=40).port, scheme="https", tls=UNVERIFIED, steps=steps)
    assert names(steps) == ["connect", "tls handshake", "send", "first byte", "status"]
    assert steps[1].detail.startswith("TLSv1.3, certificate until 20")
    steps = []
    ask(backend(b"+PONG\xff").port, kind="tcp", send="x", expect="+PONG", steps=steps)
    assert names(steps) == ["connect", "send", "answer"]
    assert steps[-1].detail == r"6 bytes: +PONG\xff"


def test_the_step_that_failed_says_why(ask, backend):
    steps = []
    port = services.free_port()
    ask(port, steps=steps)
    assert [(step.name, step.detail) for step in steps] == [("connect", "connection refused")]
    steps = []
    ask(backend(b"").port, steps=steps)
    assert (steps[-1].name, steps[-1].detail) == ("first byte", "closed without an answer")
