"""Many tunnels at once. FAULTS_TUNNELS says how many."""

import os

from tests.faults import PATIENCE_S
from tests.faults.crowd import crowd, hear, say
from tests.faults.load import Load
from tests.services import eventually

TUNNELS = int(os.environ.get("FAULTS_TUNNELS", "500"))

UPGRADE = (
    b"GET /echo HTTP/1.1\r\nHost: steady.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def test_many_tunnels_carry_bytes_both_ways(gateway, site):
    """Each its own; requests are served beside them, and both sides end with them."""
    with crowd(gateway.address, TUNNELS) as socks:
        say(socks, UPGRADE)
        answers = hear(socks, b"\r\n\r\n")
        assert {answer[:13] for answer in answers} == {b"HTTP/1.1 101 "}
        assert gateway.tunnels() == TUNNELS
        for turn in range(3):
            for number, sock in enumerate(socks):
                sock.sendall(b"\xff%d in turn %d\0" % (number, turn))
            expected = [b"\xff%d in turn %d\0" % (number, turn) for number in range(TUNNELS)]
            assert hear(socks, b"\0") == expected
        with Load(gateway.address, host="steady.test") as load:
            load.wait(100)
        assert load.failed() == []
    eventually(lambda: gateway.tunnels() == 0, within_s=PATIENCE_S, saying="tunnels ended")
    eventually(
        lambda: max(each.state()["connections"] for each in site.backends) < TUNNELS // 3,
        within_s=PATIENCE_S,
        saying="backends were left",
    )
