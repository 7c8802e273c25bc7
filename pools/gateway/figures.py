"""What the status page tells: the figures of several workers as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pools.core.counters import KINDS, Counters, merge, quantiles_ms
from pools.core.engine import BackendStatus, Engine
from pools.core.probing import Verdict

GAUGES = ("connections", "exchanges", "tunnels")  # what is open now
STATUSES = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")
_COUNTS = ("available", *(verdict.value for verdict in Verdict), "leaving")  # of a pool


def pools(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """What one worker knows of its pools and of their backends."""
    found = engine.pools()
    return {
        "pools": [
            {
                "name": pool.name,
                "panic": pool.panic,
                "available": pool.available,
                **{verdict.value: pool.count(verdict) for verdict in Verdict},
                "leaving": pool.leaving,
            }
            for pool in found
        ],
        "backends": [_backend(backend) for pool in found for backend in pool.backends],
    }


def _backend(backend: BackendStatus) -> dict[str, Any]:
    return {
        "key": backend.key,
        "pool": backend.pool,
        "state": backend.state.value,
        "verdict": backend.verdict.value,
        "available": backend.available,
        "in_flight": backend.in_flight,
        "tunnels": backend.tunnels,
        "ejected_for_s": round(backend.ejected_for_s, 1),
        "why": backend.why,
    }


class Whole:
    """The workers added so far. `workers`: a line of each."""

    def __init__(self) -> None:
        self.workers: list[dict[str, Any]] = []
        self._gauges = dict.fromkeys(GAUGES, 0)
        self._counters = Counters().plain()
        self._pools: dict[str, dict[str, Any]] = {}
        self._backends: dict[str, dict[str, Any]] = {}

    def add(self, figures: Mapping[str, Any]) -> None:
        """Add a worker. KeyError, TypeError or ValueError: its figures are of another form,
        and nothing of them was added but perhaps states of pools and backends."""
        worker = dict(figures["worker"])
        gauges = {name: self._gauges[name] + worker[name] for name in GAUGES}
        counters = merge((self._counters, figures["counters"]))
        for pool in figures["pools"]:
            self._add_pool(pool)
        for backend in figures["backends"]:
            self._add_backend(backend)
        own = {name: value for name, value in figures["counters"].items() if name not in KINDS}
        self.workers.append(worker | {"counters": own})
        self._gauges, self._counters = gauges, counters

    def _add_pool(self, told: Mapping[str, Any]) -> None:
        """Verdicts are those of the first: all workers have the same, but for moments."""
        pool = self._pools.setdefault(
            told["name"],
            {
                "name": told["name"],
                "panic_in": 0,
                **{name: told[name] for name in _COUNTS},
            },
        )
        pool["panic_in"] += told["panic"]
        pool["available"] = min(pool["available"], told["available"])

    def _add_backend(self, told: Mapping[str, Any]) -> None:
        backend = self._backends.get(told["key"])
        if backend is None:
            self._backends[told["key"]] = {
                **{name: told[name] for name in ("key", "pool", "state", "verdict")},
                "available_in": int(told["available"]),
                "ejected_in": int(told["ejected_for_s"] > 0),
                "in_flight": told["in_flight"],
                "tunnels": told["tunnels"],
                "ejected_for_s": told["ejected_for_s"],
                "why": told["why"],
            }
        else:
            backend["available_in"] += told["available"]
            backend["ejected_in"] += told["ejected_for_s"] > 0
            backend["in_flight"] += told["in_flight"]
            backend["tunnels"] += told["tunnels"]
            backend["ejected_for_s"] = max(backend["ejected_for_s"], told["ejected_for_s"])
            backend["why"] = backend["why"] or told["why"]

    def plain(self) -> dict[str, Any]:
        """For people and their JSON tools."""
        counters = dict(self._counters)
        for kind in KINDS:
            counters[kind] = {name: _shown(one) for name, one in counters[kind].items()}
        return {
            "workers": sorted(self.workers, key=lambda worker: worker["pid"]),
            "totals": {**self._gauges, "counters": counters},
            "pools": list(self._pools.values()),
            "backends": list(self._backends.values()),
        }


def _shown(traffic: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in traffic.items() if name != "latency"}
    shown["statuses"] = dict(zip(STATUSES, traffic["statuses"], strict=True))
    return shown | quantiles_ms(traffic["latency"])
