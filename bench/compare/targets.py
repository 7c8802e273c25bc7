"""What the gateway is to reach, and whether it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bench.compare.peers import TITLES
from bench.compare.results import Results, middle, ratio
from bench.compare.scenarios import RATES

OWN = TITLES["gateway"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`find` gives None where it was not measured. `most`: no more than the bound is allowed;
    else no less."""

    what: str
    bound: float
    find: Callable[[Results], float | None]
    most: bool = False
    unit: str = ""

    def met(self, found: float) -> bool:
        return found <= self.bound if self.most else found >= self.bound


def _to(scenario: str, peer: str, key: str, results: Results) -> float | None:
    return ratio(results, scenario, OWN, TITLES[peer], key)


def _itself(scenario: str, label: str, first: str, results: Results) -> float | None:
    return ratio(results, scenario, f"{OWN}, {label}", f"{OWN}, {first}", "rate")


def _cost(scenario: str, label: str, first: str, results: Results) -> float | None:
    """In percent of the rate."""
    found = _itself(scenario, label, first, results)
    return None if found is None else (1 - found) * 100


TARGETS = (
    Target(
        what="small answers, of nginx's requests/s",
        bound=0.5,
        find=partial(_to, "small", "nginx", "rate"),
    ),
    Target(
        what="small answers, times django-revproxy's requests/s",
        bound=12,
        find=partial(_to, "small", "revproxy", "rate"),
    ),
    Target(
        what="small answers, times the aiohttp forwarder's requests/s",
        bound=2,
        find=partial(_to, "small", "aiohttp", "rate"),
    ),
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
    ),
    Target(
        what="10,000 routes, cost",
        bound=5,
        find=partial(_cost, "routes", "10,000 routes", "1 route"),
        most=True,
        unit=" %",
    ),
    Target(
        what="two workers, times one",
        bound=1.7,
        find=partial(_itself, "workers", "2 workers, 2 cores", "1 worker, 1 core"),
    ),
    Target(
        what="an idle keep-alive connection, of 10,000 that are then served",
        bound=10,
        find=lambda results: middle(results, "held", OWN, "rss_kib_each"),
        most=True,
        unit=" KiB",
    ),
    Target(
        what="access log, combined, cost",
        bound=5,
        find=partial(_cost, "log", "combined", "log off"),
        most=True,
        unit=" %",
    ),
    Target(
        what="access log, JSON, cost",
        bound=5,
        find=partial(_cost, "log", "JSON", "log off"),
        most=True,
        unit=" %",
    ),
)


def table(results: Results) -> str:
    """A line for each target that was measured."""
    lines = ["| the gateway | to reach | measured | met |", "|---|--:|--:|---|"]
    for target in TARGETS:
        found = target.find(results)
        if found is not None:
            bound = f"{'at most' if target.most else 'at least'} {target.bound:g}{target.unit}"
            met = "yes" if target.met(found) else "no"
            lines.append(f"| {target.what} | {bound} | {found:.2f}{target.unit} | {met} |")
    return "\n".join(lines)
