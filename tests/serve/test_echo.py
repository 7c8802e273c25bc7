import threading

import pytest
import requests

from pools.serve.echo import EchoServer


@pytest.fixture
def echo():
    with EchoServer("demo-1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_it_says_which_it_is_and_what_it_was_asked(echo):
    answer = requests.get(echo + "/a%2Fb?c", headers={"X-Forwarded-For": "192.0.2.1"})
    assert answer.text.startswith("This is demo-1.")
    assert "GET /a%2Fb?c HTTP/1.1" in answer.text
    assert "X-Forwarded-For: 192.0.2.1" in answer.text


def test_it_answers_json_where_that_is_accepted(echo):
    answer = requests.request(
        "PROPFIND", echo + "/x", data=b"12345", headers={"Accept": "application/json"}
    ).json()
    assert answer["backend"] == "demo-1"
    assert (answer["method"], answer["path"], answer["body_bytes"]) == ("PROPFIND", "/x", 5)


def test_chunked_bodies_are_read_to_their_end(echo):
    with requests.Session() as session:
        for _ in range(2):  # on one connection
            answer = session.post(echo, data=iter([b"abc", b"de"]))
            assert "with a body of 5 bytes" in answer.text


def test_an_answer_to_head_has_no_body(echo):
    answer = requests.head(echo)
    assert int(answer.headers["Content-Length"]) > 0
    assert answer.content == b""
