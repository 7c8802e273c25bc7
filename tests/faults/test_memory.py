"""Large bodies against a side that stalls: the gateway holds a little of them, not all.

FAULTS_BYTES says how large; 1000000000 is the promise.
"""

import os
import socket
import threading

import pytest

from tests.faults import PATIENCE_S
from tests.faults.gateway import forget_peaks, resident_kb
from tests.faults.load import Load
from tests.services import eventually

BYTES = int(os.environ.get("FAULTS_BYTES", "200000000"))
BOUND_KB = 20_000
EACH_KB = 1_000  # of many: about half of it is what is read of a socket at a time, and kept
PIECE = bytes(1 << 18)


@pytest.fixture
def peak(gateway):
    """How far the workers' memory rose above that of a gateway that has served already."""
    with Load(gateway.address, host="first.test") as load:
        load.wait(50)
    eventually(gateway.rests, within_s=PATIENCE_S)
    workers = gateway.workers()
    before = resident_kb(workers)
    forget_peaks(workers)
    return lambda: resident_kb(workers, peak=True) - before


def steady(count, *, looks=15):
    """A condition: the number is above 0 and has not changed for so many looks at it."""
    seen = []

    def condition():
        seen.append(count())
        return len(seen) > looks and seen[-1] > 0 and len(set(seen[-looks:])) == 1

    return condition


def stalls(count, what):
    """Waits until it does. Looks push it on, and so they stay frequent."""
    eventually(steady(count), within_s=PATIENCE_S, saying=f"{what} stalls", slowest_s=0.02)


def request(sock, head, sent, count):
    """Sends a request of so many bytes of body; sent[0] says how many went out."""
    sock.sendall(head)
    while sent[0] < count:
        sent[0] += sock.send(PIECE[: count - sent[0]])


def upload(sock, framing, count):
    """In a thread, as it is to stall; returns it, and the list with what went out."""
    sent = [0]
    head = b"POST /sink HTTP/1.1\r\nHost: first.test\r\n%b\r\n\r\n" % framing
    thread = threading.Thread(target=request, args=(sock, head, sent, count), daemon=True)
    thread.start()
    return thread, sent


def test_upload_to_a_backend_that_does_not_read(gateway, site, peak):
    ash = site.backends[0]
    received = ash.state()["received"]
    ash.hold()
    with socket.create_connection(gateway.address, 2 * PATIENCE_S) as sock:
        thread, sent = upload(sock, b"Content-Length: %d" % BYTES, BYTES)
        stalls(lambda: sent[0], "the upload")
        assert sent[0] < BYTES
        ash.release()
        thread.join(2 * PATIENCE_S)
        assert sock.recv(65_536).startswith(b"HTTP/1.1 200 ")
    assert ash.state()["received"] - received == BYTES
    assert peak() < BOUND_KB


def test_download_by_a_client_that_does_not_read(gateway, site, peak):
    ash = site.backends[0]
    before = ash.state()["sent"]
    with socket.create_connection(gateway.address, 2 * PATIENCE_S) as sock:
        sock.sendall(b"GET /bytes/%d HTTP/1.1\r\nHost: first.test\r\n\r\n" % BYTES)
        stalls(lambda: ash.state()["sent"] - before, "the download")
        assert ash.state()["sent"] - before < BYTES
        data = b""
        while b"\r\n\r\n" not in data:
            data += sock.recv(65_536)
        got = len(data.partition(b"\r\n\r\n")[2])
        buffer = bytearray(1 << 18)
        while got < BYTES and (count := sock.recv_into(buffer)):
            got += count
    assert got == BYTES
    assert peak() < BOUND_KB


def test_many_uploads_that_nobody_reads(gateway, site, peak):
    """Each holds what sockets hold; then the clients leave."""
    site.backends[0].hold()
    socks = [socket.create_connection(gateway.address, 2 * PATIENCE_S) for _ in range(40)]
    head = b"POST /sink HTTP/1.1\r\nHost: first.test\r\nContent-Length: %d\r\n\r\n" % BYTES
    sent = 0
    for sock in socks:
        sock.sendall(head)
        sock.setblocking(False)

    def push():
        nonlocal sent
        for sock in socks:
            try:
                sent += sock.send(PIECE)
            except BlockingIOError:
                continue
        return sent

    stalls(push, "the uploads")
    for sock in socks:
        sock.close()
    assert sent < BYTES * len(socks)
    assert peak() < EACH_KB * len(socks)


def test_pipeline_of_requests_whose_answers_nobody_takes(gateway, site, peak):
    """A client that asks on and on, and reads nothing, is not read either."""
    ask = b"GET /bytes/100000 HTTP/1.1\r\nHost: first.test\r\n\r\n" * 10_000
    sent = 0
    with socket.create_connection(gateway.address, PATIENCE_S) as sock:
        sock.setblocking(False)

        def push():
            nonlocal sent
            try:
                sent += sock.send(ask)
            except BlockingIOError:
                return sent
            assert sent < BYTES, "all of it was taken"
            return sent

        stalls(push, "the pipeline")
    assert peak() < BOUND_KB
