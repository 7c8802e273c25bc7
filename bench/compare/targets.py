"""What the gateway is to reach, and whether it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bench.compare.peers import TITLES
from bench.compare.processes import Cores
from bench.compare.results import Results, middle, ratio
from bench.compare.scenarios import RATES

OWN = TITLES["gateway"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`find` gives None where it was not measured. `steadier`: the same by processor time for
    each request, which other work on the machine moves less. `most`: no more than the bound
    is allowed; else no less."""

    what: str
    bound: float
    find: Callable[[Results], float | None]
    steadier: Callable[[Results], float | None] = lambda results: None
    most: bool = False
    unit: str = ""

    def met(self, found: float) -> bool:
        return found <= self.bound if self.most else found >= self.bound


def _to(scenario: str, peer: str, key: str, results: Results) -> float | None:
    return ratio(results, scenario, OWN, TITLES[peer], key)


def _rate_to(what: str, bound: float, peer: str) -> Target:
    return Target(
        what=f"small answers, {what} requests/s",
        bound=bound,
        find=partial(_to, "small", peer, "rate"),
        steadier=lambda results: ratio(results, "small", TITLES[peer], OWN, "cpu_s"),
    )


def _cost(what: str, scenario: str, label: str, first: str) -> Target:
    """In percent of the rate; by processor time, of what a request takes with it."""
    one, other = f"{OWN}, {label}", f"{OWN}, {first}"

    def percent(found: float | None) -> float | None:
        return None if found is None else (1 - found) * 100

    return Target(
        what=f"{what}, cost",
        bound=5,
        find=lambda results: percent(ratio(results, scenario, one, other, "rate")),
        steadier=lambda results: percent(ratio(results, scenario, other, one, "cpu_s")),
        most=True,
        unit=" %",
    )


def _workers(results: Results) -> float | None:
    two, one = f"{OWN}, 2 workers, 2 cores", f"{OWN}, 1 worker, 1 core"
    return ratio(results, "workers", two, one, "rate")


TARGETS = (
    _rate_to("of nginx's", 0.5, "nginx"),
    _rate_to("times django-revproxy's", 12, "revproxy"),
    _rate_to("times the aiohttp forwarder's", 2, "aiohttp"),
    *(
        Target(
            what=f"p99 at {rate:,} requests/s, times nginx's",
            bound=2,
            find=partial(_to, f"steady-{rate}", "nginx", "p99_ms"),
            most=True,
        )
        for rate in RATES
    ),
    Target(
        what="a large download, of nginx's bytes/s",
        bound=0.7,
        find=partial(_to, "download", "nginx", "mb_s"),
        steadier=lambda results: ratio(results, "download", TITLES["nginx"], OWN, "cpu_gb_s"),
    ),
    _cost("10,000 routes", "routes", "10,000 routes", "1 route"),
    Target(what="two workers, times one", bound=1.7, find=_workers),
    Target(
        what="an idle keep-alive connection, of 10,000 that are then served",
        bound=10,
        find=lambda results: middle(results, "held", OWN, "last_kib_each"),
        most=True,
        unit=" KiB",
    ),
    _cost("access log, combined", "log", "combined", "log off"),
    _cost("access log, JSON", "log", "JSON", "log off"),
)


def _met(target: Target, found: float, cores: Cores) -> str:
    if target.find is _workers and not cores.spare:
        return "no core to spare for it here"
    return "yes" if target.met(found) else "no"


def table(results: Results, cores: Cores) -> str:
    """A line for each target that was measured."""
    lines = [
        "| the gateway | to reach | measured | by processor time | met |",
        "|---|--:|--:|--:|---|",
    ]
    for target in TARGETS:
        found = target.find(results)
        if found is not None:
            bound = f"{'at most' if target.most else 'at least'} {target.bound:g}{target.unit}"
            other = target.steadier(results)
            cells = (
                *(target.what, bound, f"{found:.2f}{target.unit}"),
                "" if other is None else f"{other:.2f}{target.unit}",
                _met(target, found, cores),
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
