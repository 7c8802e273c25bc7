"""What a probe by HTTP sends, follows and expects."""

import json

import pytest

from pools.core.document import Backend as Spec
from pools.health.asking import http
from tests.health.conftest import pool_of


def answer(status, body=b"", *fields):
    head = f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\n".encode()
    return head + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


def chunked(*pieces):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    framed = (b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return head + b"".join(framed) + b"0\r\n\r\n"


def redirects(backend, *locations):
    """A backend whose answers lead to these places, one after another, and then nowhere."""
    left = [location.encode() for location in locations]

    def answers(connection, ended):
        if left:
            connection.sendall(answer(302, b"", b"Location: " + left.pop(0)))
        else:
            connection.sendall(answer(200, b"there"))

    return backend(answers)


def lines(there, index=0):
    return there.heads[index].decode().split("\r\n")


# --- The request


def test_a_request_names_the_prober_and_ends_its_connection(ask, backend):
    there = backend()
    ask(there.port)
    assert lines(there) == [
        "GET / HTTP/1.1",
        f"Host: 127.0.0.1:{there.port}",
        "User-Agent: proxysite-probe",
        "Accept: */*",
        "Connection: close",
        "",
        "",
    ]


def test_headers_of_the_pool_are_sent_and_go_before_the_usual_ones(ask, backend):
    there = backend()
    ask(there.port, headers={"X-Key": "a b", "user-agent": "mine"})
    assert "X-Key: a b" in lines(there)
    assert "user-agent: mine" in lines(there)
    assert "User-Agent: proxysite-probe" not in lines(there)


def test_a_method_that_carries_a_body_says_that_there_is_none(ask, backend):
    there = backend()
    ask(there.port, method="POST")
    assert "Content-Length: 0" in lines(there)


def test_host_leaves_out_the_port_that_the_scheme_implies():
    def authority(**spec):
        return http.own_authority(pool_of(), Spec(**spec))

    assert authority(host="app", port=80) == "app"
    assert authority(host="app", port=443, scheme="https") == "app"
    assert authority(host="app", port=443) == "app:443"
    assert authority(host="::1", port=80) == "[::1]"
    assert authority(host="::1", port=81) == "[::1]:81"


# --- The answer's framing


def test_interim_answers_are_passed_over(ask, backend):
    there = backend(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(204))
    assert ask(there.port).code == 204


@pytest.mark.parametrize("status", [204, 304])
def test_answers_that_have_no_body_are_not_waited_on(ask, backend, status):
    there = backend(f"HTTP/1.1 {status} Said\r\nContent-Length: 9\r\n\r\n".encode())
    result = ask(there.port, text="ready")
    assert result.reason == f"status {status}, but the expected text is not in it"


def test_an_answer_to_head_has_no_body(ask, backend):
    assert ask(backend(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n").port, method="HEAD").ok


def test_text_is_found_across_chunks_and_reads(ask, backend):
    assert ask(backend(chunked(b"all is re", b"ady now")).port, text="ready").ok

    def drips(connection, ended):
        for byte in answer(200, b"all is ready now"):
            connection.send(bytes([byte]))

    assert ask(backend(drips).port, text="ready").ok


def test_text_must_be_in_the_part_that_is_read(ask, backend):
    there = backend(answer(200, b"x" * 10 + b"ready"))
    assert ask(there.port, text="ready", body_bytes=15).ok
    assert not ask(there.port, text="ready", body_bytes=14).ok


def test_a_body_that_ends_with_its_connection_is_read_to_its_end(ask, backend):
    assert ask(backend(b"HTTP/1.1 200 OK\r\n\r\nready").port, text="ready").ok


def test_a_body_that_is_cut_short(ask, backend):
    there = backend(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nrea")
    result = ask(there.port, text="ready")
    assert (result.code, result.reason) == (200, "the answer was cut short")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "the answer is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: 1", "the answer was cut short"),
        (
            b"HTTP/2.0 200 OK\r\n\r\n",
            "the answer is malformed: ",
        ),
        (
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
            "the answer is malformed: has a head too large",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "the answer is malformed: ",
        ),
        (
            b"HTTP/1.1 100 Continue\r\n\r\n" * 5000,
            "the answer is malformed: has a head too large",
        ),
    ],
)
def test_what_is_no_answer_is_told_from_what_is(ask, backend, said, reason):
    result = ask(backend(said).port)
    assert not result.ok
    assert result.reason.startswith(reason)


# --- JSON

HEALTH = {
    "status": "ok",
    "ready": True,
    "queue": {"length": 3, "oldest": None},
    "checks": [{"status": "ok"}, {"status": "failing", "seen": 17}],
    "three": "3",
    "big": "x" * 100,
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("status", "ok"),
        ("status", '"ok"'),
        ("ready", "true"),
        ("queue.length", "3"),
        ("queue.length", "3.0"),
        ("queue.oldest", "null"),
        ("queue", '{"oldest": null, "length": 3}'),
        ("checks.0.status", "ok"),
        ("checks.1.status", "failing"),
        ("checks.0", '{"status": "ok"}'),
        ("checks", '[{"status": "ok"}, {"status": "failing", "seen": 17}]'),
        ("three", "3"),
        ("three", '"3"'),
        ("checks", ""),
        ("queue.oldest", ""),
    ],
)
def test_a_json_value_is_as_expected(ask, backend, path, value):
    there = backend(answer(200, json.dumps(HEALTH).encode()))
    result = ask(there.port, json_path=path, json_value=value)
    assert result.ok, result.reason


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("status", "up", 'status is "ok", expected up'),
        ("ready", "1", "ready is true, expected 1"),
        ("queue.length", "0", "queue.length is another number, expected 0"),
        ("queue.length", '"3"', 'queue.length is another number, expected "3"'),
        ("queue.oldest", "0", "queue.oldest is null, expected 0"),
        ("queue", "3", "queue is an object, expected 3"),
        ("queue", '{"length": 3}', 'queue is an object, expected {"length": 3}'),
        ("checks", "[1]", "checks is a list, expected [1]"),
        ("big", "y" * 41, f'big is "{"x" * 40}...", expected {"y" * 40}...'),
        ("checks.2.status", "ok", "there is no checks.2.status in its JSON"),
        ("checks.first", "ok", "there is no checks.first in its JSON"),
        ("status.deeper", "ok", "there is no status.deeper in its JSON"),
        ("nowhere", "", "there is no nowhere in its JSON"),
    ],
)
def test_a_json_value_that_is_another_is_told(ask, backend, path, value, reason):
    there = backend(answer(200, json.dumps(HEALTH).encode()))
    result = ask(there.port, json_path=path, json_value=value)
    assert (result.ok, result.reason) == (False, f"status 200, but {reason}")


def test_what_a_backend_says_is_told_without_what_no_database_takes(ask, backend):
    there = backend(answer(200, b'{"a": "\\ud800\\u009b2J\\u202e na\xc3\xafve"}'))
    steps = []
    result = ask(there.port, json_path="a", json_value="ok", steps=steps)
    said = r'a is "\ud800\x9b2J\u202e naïve", expected ok'
    assert result.reason == f"status 200, but {said}"
    assert all(step.detail.isprintable() for step in steps)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"status": "ok"', b"[" * 60_000, b"\xff"])
def test_a_body_that_is_not_json(ask, backend, body):
    result = ask(backend(answer(200, body)).port, json_path="status", json_value="ok")
    assert result.reason == "status 200, but the answer is not JSON"


def test_json_is_read_whole_or_not_at_all(ask, backend):
    there = backend(answer(200, b'{"a": 1}'))
    assert ask(there.port, json_path="a", json_value="1", body_bytes=8).ok
    result = ask(there.port, json_path="a", json_value="1", body_bytes=7)
    assert result.reason == "status 200, but its JSON is longer than 7 bytes"


def test_text_and_json_must_both_be_there(ask, backend):
    there = backend(answer(200, b'{"a": 1, "b": "ready"}'))
    both = {"json_path": "a", "json_value": "1"}
    assert ask(there.port, text="ready", **both).ok
    assert "expected text" in ask(there.port, text="steady", **both).reason
    assert (
        "a is another number"
        in ask(there.port, text="ready", **both | {"json_value": "2"}).reason
    )


def test_the_status_is_judged_first(ask, backend):
    result = ask(backend(answer(503, b"not json")).port, json_path="a")
    assert result.reason == "status 503, expected 200-399"


# --- Redirects


def test_redirects_are_followed_where_the_pool_says_so(ask, backend):
    there = redirects(backend, "/a?b=1", "c")
    assert ask(there.port, follow_redirects=True, path="/x/y", text="there").ok
    assert [lines(there, index)[0] for index in range(3)] == [
        "GET /x/y HTTP/1.1",
        "GET /a?b=1 HTTP/1.1",
        "GET /c HTTP/1.1",
    ]


def test_a_redirect_by_the_host_that_was_sent_stays_there(run, backend):
    there = redirects(backend, "http://APP.example.com/a", "//app.example.com:80/b")
    spec = Spec(host="127.0.0.1", port=there.port)
    named = pool_of(follow_redirects=True, host="app.example.com")
    assert run(lambda asker: asker.ask(named, spec)).ok
    assert "Host: app.example.com" in lines(there, 2)


def test_a_redirect_by_the_backends_address_stays_there_whatever_host_is_sent(run, backend):
    there = backend()
    there.answer = lambda connection, _: connection.sendall(
        answer(200)
        if len(there.heads) > 1
        else answer(302, b"", f"Location: http://127.0.0.1:{there.port}/a".encode())
    )
    spec = Spec(host="127.0.0.1", port=there.port)
    named = pool_of(follow_redirects=True, host="app.example.com")
    assert run(lambda asker: asker.ask(named, spec)).ok


def test_a_redirect_without_a_place_is_an_answer_like_others(ask, backend):
    there = backend(answer(302))  # without a place it is an answer like others
    assert ask(there.port, follow_redirects=True).reason == "status 302"


def test_a_redirect_to_elsewhere_is_a_failure_that_says_where(ask, backend):
    for location, place in (
        ("https://app.example.com/login?next=1", "https://app.example.com"),
        ("//user:pass@evil.example:81/", "http://evil.example:81"),
        ("ftp://127.0.0.1/", "ftp://127.0.0.1"),
        ("mailto:a@b", "mailto://"),
    ):
        there = redirects(backend, location)
        result = ask(there.port, follow_redirects=True)
        assert (result.ok, result.code) == (False, 302)
        assert result.reason == f"status 302 redirects elsewhere: {place}"
        assert len(there.heads) == 1


def test_what_a_redirect_names_may_be_odd(ask, backend):
    there = redirects(backend, "http://[::1/")
    assert ask(there.port, follow_redirects=True).reason == (
        "status 302 redirects to what is no address"
    )
    there = redirects(backend, "/a b\xe9?c d#e")
    assert ask(there.port, follow_redirects=True).ok
    assert lines(there, 1)[0] == "GET /a%20b%C3%A9?c%20d HTTP/1.1"


def test_redirects_end(ask, backend):
    there = backend(answer(307, b"", b"Location: /again"))
    result = ask(there.port, follow_redirects=True)
    assert result.reason == "status 307, and more than 5 redirects"
    assert len(there.heads) == 6


def test_a_redirect_to_see_another_is_followed_by_get(ask, backend):
    left = [answer(303, b"", b"Location: /seen")]
    there = backend(
        lambda connection, _: connection.sendall(left.pop() if left else answer(200))
    )
    assert ask(there.port, follow_redirects=True, method="POST").ok
    assert lines(there, 1)[0] == "GET /seen HTTP/1.1"


def test_redirects_share_the_time(ask, backend):
    left = [answer(302, b"", b"Location: /slow")]

    def answers(connection, ended):
        if left:
            connection.sendall(left.pop())
        else:
            ended.wait(5)

    result = ask(backend(answers).port, follow_redirects=True, timeout_s=0.3)
    assert result.reason == "timed out after 0.3 s reading the answer"
