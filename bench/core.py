"""What the core costs a request: everything a gateway computes between two sockets.

Two requests: a small one, as wrk sends it (Host alone, an answer of 4 fields), and a
browser's (15 fields with cookies, an answer of 10 fields of which one is a Set-Cookie).
Each comes in 200 kinds that differ in path, client and cookies, so that no cache serves
better here than it would outside. The route is one of ten; its pool has three backends.
The steps are those of a gateway in their order, each is timed alone; the best of several
rounds counts, as whatever else runs on the machine only adds.

    python -m bench.core [--json] [--write]
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pools.core.document import Backend, Document, Pool, Route
from pools.core.engine import Engine
from pools.core.headers import HeaderRules, Origin, Pairs, block, host_for
from pools.core.request import RequestHead
from pools.core.snapshot import compile_snapshot
from pools.core.target import parse_authority, parse_target
from pools.wire.ids import make_id
from pools.wire.parser import ResponseParser

KINDS = 200
ROUNDS = 100
RESULT = Path(__file__).resolve().parent / "results" / "core.md"

PAGE = b"x" * 1024
SMALL_ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 23 Nov 2026 09:00:00 GMT\r\n"
    b"Content-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" + PAGE
)
BROWSERS_ANSWER = (
    b"HTTP/1.1 200 OK\r\nServer: gunicorn\r\nDate: Mon, 23 Nov 2026 09:00:00 GMT\r\n"
    b"Content-Type: text/html; charset=utf-8\r\nContent-Length: 1024\r\n"
    b"Vary: Accept-Encoding, Cookie\r\nCache-Control: private, max-age=0\r\n"
    b"X-Frame-Options: DENY\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: same-origin"
    b"\r\nSet-Cookie: basket=4711; Path=/; Max-Age=1209600; HttpOnly; SameSite=Lax\r\n\r\n"
) + PAGE


@dataclass
class Asked:
    """A request, and what the steps before give the steps after."""

    target: bytes
    host: bytes
    peer: str
    headers: Pairs
    origin: Origin
    head: RequestHead
    answer: Pairs
    sent: Pairs
    relayed: Pairs


def browsers_fields(number: int) -> Pairs:
    text = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    return [
        (b"host", b"app3.example.com"),
        (b"user-agent", text.encode()),
        (b"accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        (b"accept-language", b"en-GB,en;q=0.7,de;q=0.3"),
        (b"accept-encoding", b"gzip, deflate, br, zstd"),
        (b"referer", b"https://app3.example.com/catalogue/%d" % (number - 1)),
        (b"connection", b"keep-alive"),
        (b"cookie", b"_ga=GA1.1.%d.1700000000; basket=%d; theme=dark" % (number, number)),
        (b"upgrade-insecure-requests", b"1"),
        (b"sec-fetch-dest", b"document"),
        (b"sec-fetch-mode", b"navigate"),
        (b"sec-fetch-site", b"same-origin"),
        (b"sec-fetch-user", b"?1"),
        (b"priority", b"u=0, i"),
        (b"if-none-match", b'"%x"' % number),
    ]


class Measured:
    """The steps of one kind of request."""

    def __init__(self, fields: Callable[[int], Pairs], answer: bytes) -> None:
        backends = tuple(Backend(host=f"10.0.0.{number}", port=8000) for number in range(1, 4))
        document = Document(
            pools=(Pool(name="web", backends=backends),),
            routes=tuple(
                Route(name=f"r{number}", pool="web", hosts=(f"app{number}.example.com",))
                for number in range(10)
            ),
        )
        self.engine = Engine(
            clock=time.monotonic,
            random=random.Random(1),
            snapshot=compile_snapshot(document, revision=1, secret=b"secret"),
        )
        self.rules = HeaderRules(
            via="proxysite",
            private_cookies=("proxysite_session", "proxysite_csrf"),
            make_id=lambda: b"0123456789abcdef0123456789abcdef",
        )
        self.answer = answer
        self.parser = ResponseParser(b"")
        parser = ResponseParser(b"GET")
        parser.feed(answer)
        assert parser.head is not None
        self.requests = []
        for number in range(KINDS):
            headers = fields(number)
            peer = f"192.0.2.{number}"
            host = b"app3.example.com"
            origin = self.rules.origin(peer=peer, scheme="http", host=host, headers=headers)
            path = b"/catalogue/%d/offers" % number
            head = RequestHead(b"GET", host.decode(), path, headers, peer)
            target = path + b"?page=%d&sort=price" % number
            asked = Asked(
                target, host, peer, headers, origin, head, parser.head.headers, [], []
            )
            asked.sent = self.request(asked)
            asked.relayed = self.response(asked)
            self.requests.append(asked)

    def steps(self) -> dict[str, Callable[[Asked], object]]:
        return {
            "parse_target, parse_authority": self.target,
            "make_id": lambda asked: make_id(),
            "HeaderRules.origin": self.origin,
            "RequestHead, Engine.match": self.match,
            "Engine.begin, acquire, respond, sticky_cookie, close": self.exchange,
            "HeaderRules.request": self.request,
            "host_for": self.host,
            "block, of the request": lambda asked: block(asked.sent),
            "ResponseParser": self.parse,
            "HeaderRules.response": self.response,
            "block, of the answer": lambda asked: block(asked.relayed),
        }

    def target(self, asked: Asked) -> None:
        parse_target(asked.target)
        parse_authority(asked.host)

    def origin(self, asked: Asked) -> None:
        self.rules.origin(
            peer=asked.peer, scheme="http", host=asked.host, headers=asked.headers
        )

    def match(self, asked: Asked) -> None:
        head = asked.head
        self.engine.match(
            RequestHead(head.method, head.host, head.path, asked.headers, asked.peer)
        )

    def exchange(self, asked: Asked) -> None:
        route = self.engine.snapshot.routes.routes[3]
        exchange = self.engine.begin(route, asked.head)
        exchange.acquire()
        exchange.respond(200, replayable=True)
        exchange.sticky_cookie(https=False)
        exchange.close()

    def request(self, asked: Asked) -> Pairs:
        route = self.engine.snapshot.routes.routes[3]
        return self.rules.request(asked.headers, origin=asked.origin, route=route)

    def host(self, asked: Asked) -> None:
        route = self.engine.snapshot.routes.routes[3]
        host_for(route, route.pool.backends[0], asked.host)

    def parse(self, asked: Asked) -> None:
        self.parser.begin(b"GET")
        self.parser.feed(self.answer)
        self.parser.take()

    def response(self, asked: Asked) -> Pairs:
        route = self.engine.snapshot.routes.routes[3]
        return self.rules.response(
            asked.answer,
            origin=asked.origin,
            route=route,
            backend=route.pool.backends[0],
            sent_host=asked.host,
        )

    def costs_us(self) -> dict[str, float]:
        """Microseconds for each step, and the sum."""
        costs = {name: self._cost_us(step) for name, step in self.steps().items()}
        return costs | {"sum": sum(costs.values())}

    def _cost_us(self, step: Callable[[Asked], object]) -> float:
        best = float("inf")
        for _ in range(ROUNDS):
            start = time.perf_counter()
            for asked in self.requests:
                step(asked)
            best = min(best, time.perf_counter() - start)
        return best / len(self.requests) * 1e6


def markdown(small: dict[str, float], browsers: dict[str, float]) -> str:
    rows = "\n".join(f"| {step} | {small[step]:.2f} | {browsers[step]:.2f} |" for step in small)
    return (
        "# What the core costs a request\n\n"
        f"| step | small request, µs | browser's, µs |\n|---|---:|---:|\n{rows}\n\n"
        f"CPython {platform.python_version()}, one core. "
        "Method: the head of `bench/core.py`.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what the core costs a request.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.name} too")
    options = parser.parse_args()
    small = Measured(lambda _: [(b"host", b"app3.example.com")], SMALL_ANSWER).costs_us()
    browsers = Measured(browsers_fields, BROWSERS_ANSWER).costs_us()
    if options.write:
        RESULT.write_text(markdown(small, browsers))
    if options.json:
        print(json.dumps({"small_us": small, "browsers_us": browsers}))
    else:
        print(markdown(small, browsers), end="")


if __name__ == "__main__":
    main()
