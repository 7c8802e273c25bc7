"""Load at a constant rate. python -m bench.compare.steady PORT RATE SECONDS CONNECTIONS

The times of all requests are fixed before the start, and each latency counts from the time
when its request was due, so that a proxy that stops for a while is charged with every request
that it kept from being sent ("coordinated omission"). A request that is due takes the
connection that is free for the longest time, or waits for the next.

Prints the rate that was reached, all requests with those of warming up, percentiles of the
others, and how late requests were for want of this process alone: due, with a connection
free, and not yet sent.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections import deque
from itertools import islice

from bench.compare.held import length

REQUEST = b"GET /some/path?a=1&b=2 HTTP/1.1\r\nHost: localhost\r\n\r\n"
WARM_S = 0.5
GRACE_S = 10.0


class Steady:
    """Connections by descriptor; those that are free; what is due and waits for one."""

    def __init__(self, port: int, connections: int) -> None:
        self.poller = select.epoll()
        self.socks: dict[int, socket.socket] = {}
        self.left: dict[int, int] = {}  # bytes of the body to come; absent: no head yet
        self.data: dict[int, bytes] = {}
        self.due: dict[int, float] = {}
        self.free: deque[int] = deque()
        self.waiting: deque[float] = deque()
        self.latencies: list[float] = []
        self.late: list[float] = []
        for _ in range(connections):
            sock = socket.create_connection(("127.0.0.1", port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setblocking(False)
            self.socks[sock.fileno()] = sock
            self.free.append(sock.fileno())
            self.poller.register(sock, select.EPOLLIN)

    def run(self, rate: float, seconds: float) -> float:
        """Sends at that rate and waits for all answers; the seconds that it took."""
        count = int(rate * seconds)
        start = time.perf_counter() + 0.01
        schedule = islice(((start + number / rate) for number in range(count)), count)
        following = next(schedule, None)
        give_up = start + seconds + GRACE_S
        while following is not None or self.due or self.waiting:
            now = time.perf_counter()
            if now > give_up:
                raise SystemExit(f"{len(self.due)} requests have no answer {GRACE_S:.0f} s on")
            while following is not None and following <= now:
                if self.free:
                    self.late.append(time.perf_counter() - following)
                    self.send(self.free.popleft(), following)
                else:
                    self.waiting.append(following)
                following = next(schedule, None)
            pause = 0.1 if following is None else max(0.0, following - time.perf_counter())
            # select, as epoll's own time-out is of whole milliseconds.
            if select.select([self.poller], [], [], pause)[0]:
                for descriptor, _ in self.poller.poll(0):
                    self.receive(descriptor)
        return time.perf_counter() - start

    def send(self, descriptor: int, due: float) -> None:
        self.due[descriptor] = due
        self.socks[descriptor].send(REQUEST)

    def receive(self, descriptor: int) -> None:
        data = self.socks[descriptor].recv(65536)
        if not data:
            raise SystemExit("a connection was closed")
        left = self.left.get(descriptor)
        if left is None:
            data = self.data.pop(descriptor, b"") + data
            head, end, body = data.partition(b"\r\n\r\n")
            if not end:
                self.data[descriptor] = data
                return
            if not head.startswith(b"HTTP/1.1 200 "):
                raise SystemExit(f"no 200: {head[:100]!r}")
            left = length(head) - len(body)
        else:
            left -= len(data)
        if left:
            self.left[descriptor] = left
            return
        self.left.pop(descriptor, None)
        self.latencies.append(time.perf_counter() - self.due.pop(descriptor))
        if self.waiting:
            self.send(descriptor, self.waiting.popleft())
        else:
            self.free.append(descriptor)


def percentile_ms(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e3


def main(port: int, rate: float, seconds: float, connections: int) -> None:
    steady = Steady(port, connections)
    steady.run(rate, WARM_S)
    warm = len(steady.latencies)
    steady.latencies.clear()
    steady.late.clear()
    took = steady.run(rate, seconds)
    print(
        json.dumps(
            {
                "rate": len(steady.latencies) / took,
                "requests": len(steady.latencies) + warm,
                "p50_ms": percentile_ms(steady.latencies, 0.5),
                "p99_ms": percentile_ms(steady.latencies, 0.99),
                "p999_ms": percentile_ms(steady.latencies, 0.999),
                "late_p99_ms": percentile_ms(steady.late or [0.0], 0.99),
            }
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
