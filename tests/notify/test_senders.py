"""Each kind of channel, against servers as they are and as they fail."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import re
import socket
import ssl
import threading
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest
from django.core import mail
from django.utils import timezone

from pools.models import Channel, Delivery
from pools.notify import senders
from pools.notify.senders import SendError, email, posting, services, slack
from tests.gateway import certs
from tests.notify.site import NOW
from tests.services import free_port

TEXT = "web/10.0.0.1:80 is down: status 503 <b> & @here"
PAYLOAD = {"type": "proxysite.alerts", "data": {"alerts": [], "more": 0}, "timestamp": "ü"}
HUSH = "T0P/SECRETPART/hush-hush"


def delivery(**values) -> Delivery:
    return Delivery(**{"subject": "web is down", "text": TEXT, "payload": PAYLOAD, **values})


def send(kind: str, url: str = "", at: datetime = NOW, **values) -> str:
    return senders.send(Channel(name="ops", kind=kind, url=url, **values), delivery(), at)


def failure(kind: str, url: str = "", **values) -> str:
    with pytest.raises(SendError) as error:
        send(kind, url, **values)
    return str(error.value)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(posting, "TIMEOUT_S", 0.2)


def test_every_kind_has_its_sender():
    assert set(senders.SENDERS) == set(senders.ChannelKind)


# --- Webhooks ----------------------------------------------------------------------


SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


def test_a_webhook_is_signed_as_standard_webhooks_has_it(receiver):
    there = receiver()
    one = delivery()
    channel = Channel(name="ops", kind="webhook", url=f"{there.url}/hook?x=1", secret=SECRET)
    assert senders.send(channel, one, NOW) == "status 200"
    ((path, headers, body),) = there.got
    assert path == "/hook?x=1"
    assert headers["Content-Type"] == "application/json"
    assert headers["Webhook-Id"] == one.uid
    assert headers["Webhook-Timestamp"] == str(int(NOW.timestamp()))
    assert json.loads(body) == PAYLOAD
    signed = f"{one.uid}.{headers['Webhook-Timestamp']}.".encode() + body
    digest = base64.b64encode(hmac.new(b"k" * 32, signed, hashlib.sha256).digest()).decode()
    assert headers["Webhook-Signature"] == f"v1,{digest}"


def test_the_example_of_the_docs_verifies(receiver):
    page = Path(__file__).parents[2].joinpath("docs", "notifications.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    there = receiver()
    send("webhook", there.url, timezone.now(), secret=SECRET)  # old ones are refused
    ((_, headers, body),) = there.got
    space: dict = {}
    exec(example, space)
    assert space["genuine"](SECRET, headers, body)
    assert not space["genuine"](SECRET, headers, body + b" ")
    assert not space["genuine"]("whsec_AAAA", headers, body)
    old = {**headers, "Webhook-Timestamp": "1"}
    assert not space["genuine"](SECRET, old, body)


def test_id_and_body_are_the_same_in_each_attempt(receiver):
    there = receiver((500, {}, b""), (200, {}, b""))
    one = delivery()
    channel = Channel(name="ops", kind="webhook", url=there.url, secret=SECRET)
    with pytest.raises(SendError):
        senders.send(channel, one, NOW)
    senders.send(channel, delivery(uid=one.uid, payload=dict(reversed(PAYLOAD.items()))), NOW)
    first, second = there.got
    assert first[1]["Webhook-Id"] == second[1]["Webhook-Id"]
    assert first[2] == second[2]


def test_a_secret_that_cannot_be_read_is_told(receiver):
    assert failure("webhook", receiver().url, secret="whsec_%") == (
        "the signing secret cannot be read: make a new one"
    )


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((500, {}, b"out\nof   order"), "status 500: out of order"),
        ((404, {}, b""), "status 404"),
        ((403, {}, b"\x00\xff" + b"x" * 500), "status 403: \N{REPLACEMENT CHARACTER}xxx"),
        (
            (302, {"Location": "http://127.0.0.1:9/other"}, b""),
            "status 302: redirects are not followed, give the URL that it leads to",
        ),
    ],
)
def test_an_answer_that_is_no_success_is_told(receiver, answer, said):
    there = receiver(answer)
    assert failure("webhook", there.url, secret=SECRET).startswith(said)
    assert len(there.got) == 1


def test_what_the_other_side_asks_to_wait_is_told(receiver):
    there = receiver((429, {"Retry-After": "77"}, b""), (503, {"Retry-After": "soon"}, b""))
    waits = []
    for _ in range(2):
        with pytest.raises(SendError) as error:
            send("slack", there.url)
        waits.append(error.value.wait_s)
    assert waits == [77.0, 0.0]


def test_a_server_that_hangs_is_told(receiver, impatient):
    there = receiver()
    there.script = [there.hangs]
    assert failure("slack", f"{there.url}/{HUSH}") == (
        "timed out after 0.2 s waiting for the answer"
    )


def test_a_server_that_is_not_there_is_told():
    assert failure("slack", f"http://127.0.0.1:{free_port()}/{HUSH}") == "connection refused"


def test_a_connection_that_breaks_is_told(receiver):
    there = receiver(lambda handler: handler.connection.shutdown(socket.SHUT_RDWR))
    assert failure("slack", f"{there.url}/{HUSH}") in (
        "the connection broke before an answer came",
        "connection reset by peer",
    )


def test_tls_that_cannot_be_had_is_told(receiver):
    there = receiver()
    said = failure("slack", there.url.replace("http:", "https:") + f"/{HUSH}")
    assert re.fullmatch("TLS failed: [a-z ]+", said)


def test_a_certificate_that_does_not_verify_is_told(tmp_path):
    certs.put(tmp_path / "own.pem", "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "own.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                context.wrap_socket(listener.accept()[0], server_side=True).close()

        thread = threading.Thread(target=serve)
        thread.start()
        said = failure("slack", f"https://127.0.0.1:{listener.getsockname()[1]}/{HUSH}")
        thread.join()
    assert said == "TLS failed: self-signed certificate"


def test_a_name_that_is_no_name_is_told(monkeypatch):
    def no_such_name(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
    assert failure("slack", f"http://nowhere.invalid:1/{HUSH}") == (
        "the host's name cannot be resolved"
    )


def test_name_and_password_of_the_url_are_sent_and_netrc_is_not(
    receiver, tmp_path, monkeypatch
):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login root password toor\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    there = receiver()
    send("slack", there.url.replace("//", "//ann:pass%40word@"))
    send("slack", there.url)
    first, second = (headers.get("Authorization") for _, headers, _ in there.got)
    assert base64.b64decode(first.removeprefix("Basic ")) == b"ann:pass@word"
    assert second is None


def test_the_proxy_of_the_environment_is_used(receiver, monkeypatch):
    proxy = receiver()
    monkeypatch.setenv("http_proxy", proxy.url)
    assert send("slack", "http://hooks.example/x") == "status 200"
    assert proxy.got[0][0] == "http://hooks.example/x"


# --- Slack -------------------------------------------------------------------------


def test_slack_gets_a_text_that_calls_nobody(receiver):
    there = receiver()
    assert send("slack", f"{there.url}/services/{HUSH}") == "status 200"
    ((path, _, body),) = there.got
    assert path == f"/services/{HUSH}"
    assert json.loads(body) == {
        "text": "web/10.0.0.1:80 is down: status 503 &lt;b&gt; &amp; @\u200bhere"
    }
    assert slack.escaped("<!channel>") == "&lt;!channel&gt;"


# --- Secrets -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["slack", "webhook", "apprise"])
def test_secrets_are_neither_logged_nor_in_results(receiver, caplog, kind):
    """Not at debug either, and not when the other side repeats them."""
    caplog.set_level(logging.NOTSET)
    echo = (500, {}, f"no such hook: /{HUSH} SECRETPART {SECRET}".encode())
    there = receiver(echo, (200, {}, b""))
    url = f"{there.url}/{HUSH}?token=QUERYTOKEN"
    url = url.replace("http:", "json:") if kind == "apprise" else url
    gone = f"http://127.0.0.1:{free_port()}/{HUSH}?token=QUERYTOKEN"
    gone = gone.replace("http:", "json:") if kind == "apprise" else gone
    said = [failure(kind, url, secret=SECRET), send(kind, url, secret=SECRET)]
    said.append(failure(kind, gone, secret=SECRET))
    for text in (*said, caplog.text):
        for secret in ("SECRETPART", "hush-hush", "QUERYTOKEN", SECRET):
            assert secret not in text
    assert len(there.got) == 2


def test_other_users_of_the_libraries_are_logged_as_before(receiver, caplog):
    caplog.set_level(logging.DEBUG, "urllib3.connectionpool")
    posting.post(receiver().url, b"{}")
    assert "POST" in caplog.text


def test_an_error_that_nobody_foresaw_is_told_by_its_name_alone(monkeypatch, caplog):
    def broken(*args):
        raise RuntimeError(HUSH)

    monkeypatch.setitem(senders.SENDERS, senders.ChannelKind.SLACK, broken)
    assert failure("slack", "http://x/y") == "it could not be sent (RuntimeError)"
    assert caplog.messages == ["channel ops: sending failed by RuntimeError"]


# --- E-mail ------------------------------------------------------------------------


def test_an_e_mail_goes_to_all_recipients(settings):
    settings.DEFAULT_FROM_EMAIL = "Proxy <proxy@example.com>"
    said = send("email", recipients="ann@example.com, bob@example.com\nann@example.com")
    assert said == "the mail server took it, for 2 addresses"
    (message,) = mail.outbox
    assert message.to == ["ann@example.com", "bob@example.com"]
    assert message.from_email == "Proxy <proxy@example.com>"
    assert message.subject == "[proxysite] web is down"
    assert message.body == f"{TEXT}\n"
    assert message.extra_headers["Auto-Submitted"] == "auto-generated"


def test_a_subject_is_one_short_line():
    channel = Channel(name="ops", kind="email", recipients="ann@example.com")
    senders.send(channel, delivery(subject="web\nBcc: eve@example.com " + "x" * 300), NOW)
    subject = mail.outbox[0].subject
    assert subject.startswith("[proxysite] web Bcc: eve@example.com xxx")
    assert len(subject) == 150


@pytest.mark.parametrize(
    ("backend", "host", "lacks"),
    [
        ("smtp", "", True),
        ("smtp", "localhost", False),
        ("dummy", "localhost", True),
        ("console", "", False),
    ],
)
def test_a_project_without_a_mail_server_is_told_so(settings, backend, host, lacks):
    settings.EMAIL_BACKEND = f"django.core.mail.backends.{backend}.EmailBackend"
    settings.EMAIL_HOST = host
    assert bool(email.lacking()) is lacks
    if lacks:
        assert "EMAIL_URL" in failure("email", recipients="ann@example.com")


class MailServer:
    """Says these lines, one after each that it reads, and then nothing more."""

    def __init__(self, *lines: str, hangs: bool = False) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._lines, self._hangs = lines, hangs
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, connection.makefile("rwb") as stream:
            for line in self._lines:
                stream.write(f"{line}\r\n".encode())
                stream.flush()
                stream.readline()
            if self._hangs:
                self._ended.wait(30)

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._listener.close()


@pytest.mark.parametrize(
    ("lines", "hangs", "said"),
    [
        (("554 go away",), False, "the mail server says 554 go away"),
        (
            ("220 hello", "250 hello", "550 not you"),
            False,
            "the mail server says 550 not you",
        ),
        (
            ("220 hello", "250 hello", "250 ok", "550 nobody here", "250 ok"),
            False,
            "the mail server refuses ann@example.com: 550 nobody here",
        ),
        (("220 hello",), False, "the mail server hung up"),
        ((), True, "timed out talking to the mail server"),
    ],
)
def test_a_mail_server_that_fails_is_told(settings, lines, hangs, said):
    server = MailServer(*lines, hangs=hangs)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
    settings.EMAIL_TIMEOUT = 0.3 if hangs else 5
    try:
        assert failure("email", recipients="ann@example.com") == said
    finally:
        server.close()


def test_a_mail_server_that_is_not_there_is_told(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    assert failure("email", recipients="ann@example.com") == (
        "the mail server cannot be reached: connection refused"
    )


# --- Apprise -----------------------------------------------------------------------


def test_apprise_carries_it_to_other_services(receiver):
    there = receiver()
    assert send("apprise", f"{there.url.replace('http:', 'json:')}/x") == "JSON took it"
    body = json.loads(there.got[0][2])
    assert (body["title"], body["message"]) == ("web is down", TEXT)


def test_what_apprise_warns_of_is_the_result(receiver):
    there = receiver((500, {}, b""))
    said = failure("apprise", f"{there.url.replace('http:', 'json:')}/x")
    assert said.startswith("JSON did not take it: ")
    assert "500" in said


def test_a_url_that_apprise_does_not_know_is_told():
    assert failure("apprise", "nonsense://x") == "Apprise does not know this URL"
    assert not services.known("nonsense://x")
    assert services.known("json://127.0.0.1/x")
