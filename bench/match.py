"""What a match costs, and that the number of routes does not matter.

Tables of 10 and of 10,000 routes: a fifth for any host, a fifth under wildcards, the rest
on exact hosts, with prefixes of one to three segments. Each of 200 requests, of which
a tenth fits nothing, is matched in turn; the best of several rounds counts, as whatever
else runs on the machine only adds.

    python bench/match.py [--json] [--write]
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pools.core.document import Document, Pool, Route  # noqa: E402
from pools.core.request import RequestHead  # noqa: E402
from pools.core.routing import RouteTable  # noqa: E402
from pools.core.snapshot import compile_snapshot  # noqa: E402

SIZES = (10, 10_000)
REQUESTS = 200
ROUNDS = 30
RESULT = ROOT / "bench" / "results" / "match.md"


def table(size: int) -> tuple[RouteTable, list[RequestHead]]:
    """A table of so many routes, and requests for it."""
    chance = random.Random(size)
    routes = []
    for number in range(size):
        host = f"app{number % max(size // 10, 1)}.example.com"
        hosts = {0: (), 1: (f"*.{host}",)}.get(number % 5, (host,))
        segments = [f"s{chance.randrange(size)}" for _ in range(1 + number % 3)]
        routes.append(
            Route(
                name=f"r{number}",
                pool="web",
                hosts=hosts,
                path_prefix="/" + "/".join(segments),
            )
        )
    document = Document(pools=(Pool(name="web"),), routes=tuple(routes))
    requests = []
    for number in range(REQUESTS):
        route = chance.choice(routes)
        host = route.hosts[0].replace("*", "www") if route.hosts else "any.example.org"
        path = "/none" if number % 10 == 0 else route.path_prefix + "/a/b/c"
        requests.append(
            RequestHead(
                method=b"GET", host=host, path=path.encode(), headers=(), client="192.0.2.1"
            )
        )
    return compile_snapshot(document, revision=1, secret=b"").routes, requests


def cost_us(size: int) -> float:
    """Microseconds for one match among so many routes."""
    routes, requests = table(size)
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for request in requests:
            routes.match(request)
        best = min(best, time.perf_counter() - start)
    return best / len(requests) * 1e6


def markdown(costs: dict[int, float]) -> str:
    small, large = SIZES
    rows = "\n".join(f"| {size:,} | {cost:.2f} |" for size, cost in costs.items())
    return (
        "# Cost of a match\n\n"
        f"| routes | µs a match |\n|---:|---:|\n{rows}\n\n"
        f"{large:,} routes cost {costs[large] / costs[small]:.2f} times what {small} do "
        f"(CPython {platform.python_version()}, one core). "
        "Method: the head of `bench/match.py`.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the cost of a match.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.name} too")
    options = parser.parse_args()
    costs = {size: cost_us(size) for size in SIZES}
    if options.write:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(markdown(costs))
    if options.json:
        ratio = costs[SIZES[1]] / costs[SIZES[0]]
        print(json.dumps({"match_us": costs, "ratio": ratio}))
    else:
        print(markdown(costs), end="")


if __name__ == "__main__":
    main()
