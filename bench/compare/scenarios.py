"""What is measured: each scenario with its subjects, and how one round of it goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bench.compare import configs, load
from bench.compare.peers import PEERS, Served, Site, Subject, subject, variant
from bench.compare.processes import Failed, core_s

IDLE = 1_000
HELD = 10_000
ROUTES = 10_000
RATES = (4_000, 8_000)
STEADY_CONNECTIONS = 64
GB = 1e9
# Pools and caches get their size before anything counts.
WARM_S = 1.0

Sample = dict[str, float]
Measure = Callable[[Site, Served, float], Sample]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`against`: the peer that ratios are of; empty: the subject's peer as it is first in the
    list. `fresh`: the subject is started anew for each round, of which there are three at
    most."""

    name: str
    title: str
    subjects: tuple[Subject, ...]
    measure: Measure
    columns: tuple[str, ...]
    against: str = "nginx"
    fresh: bool = False


def measured(served: Served, run: Callable[[], Sample], unit: str = "cpu_s") -> Sample:
    """What the run says, with processor time, use of the core and memory. The run says how
    many `units` the processor time is for, and `unit` what that is called. `others`: the
    share of the core that other processes had."""
    cpu, core, began = served.cpu_s(), core_s(served.core), time.monotonic()
    sample = run()
    own, took = served.cpu_s() - cpu, time.monotonic() - began
    busy, spent = core_s(served.core)
    sample[unit] = own / sample.pop("units")
    sample["core"] = (busy - core[0]) / max(spent - core[1], 1e-9)
    sample["others"] = max(0.0, sample["core"] - own / took)
    rss, pss = served.memory_kib()
    return {**sample, "rss_mib": rss / 1024, "pss_mib": pss / 1024}


def _wrk(what: load.Load, site: Site, served: Served, seconds: float) -> Sample:
    def run() -> Sample:
        found = load.wrk(
            what, served.url, core=site.cores.load, seconds=seconds, folder=site.folder
        )
        return {
            "rate": found.rate,
            "mb_s": found.bytes_s / 1e6,
            "p50_ms": found.p50_ms,
            "p99_ms": found.p99_ms,
            "units": found.requests / 1000,
        }

    return measured(served, run)


def _beside_idle(site: Site, served: Served, seconds: float) -> Sample:
    with load.held(served.port, IDLE, core=site.cores.load) as held:
        sample = _wrk(load.Load(connections=100), site, served, seconds)
        held.ask_again(IDLE)  # they were there all the time
        return sample


def _download(site: Site, served: Served, seconds: float) -> Sample:
    def run() -> Sample:
        found = load.python("download", served.port, "/download", core=site.cores.load)
        if found["bytes"] != configs.DOWNLOAD_BYTES:
            raise Failed(f"{found['bytes']} bytes came of {configs.DOWNLOAD_BYTES}")
        rate = found["bytes"] / found["seconds"]
        return {"mb_s": rate / 1e6, "units": found["bytes"] / GB}

    return measured(served, run, "cpu_gb_s")


def _steady(rate: int, site: Site, served: Served, seconds: float) -> Sample:
    def run() -> Sample:
        found = load.python(
            *("steady", served.port, rate, seconds, STEADY_CONNECTIONS), core=site.cores.load
        )
        units = found.pop("requests") / 1000
        return {"reached": found.pop("rate"), **found, "units": units}

    return measured(served, run)


def _held(site: Site, served: Served, seconds: float) -> Sample:
    """`seconds` is of no use here: it takes as long as it takes. What a process had freed
    before is used first and does not show; so the second half is measured by itself too."""
    _wrk(load.Load(), site, served, WARM_S)
    before, half = served.memory_kib(), HELD // 2
    with load.held(served.port, half, core=site.cores.load) as first:
        between = served.memory_kib()
        with load.held(served.port, half, core=site.cores.load) as second:
            after = served.memory_kib()
            again_s = first.ask_again(half) + second.ask_again(half)
    return {
        "rss_kib_each": (after[0] - before[0]) / HELD,
        "pss_kib_each": (after[1] - before[1]) / HELD,
        "last_kib_each": (after[0] - between[0]) / half,
        "again_rate": HELD / again_s,
        "rss_mib": after[0] / 1024,
        "pss_mib": after[1] / 1024,
    }


_REQUESTS = ("rate", "p50_ms", "p99_ms", "cpu_s", "rss_mib", "pss_mib", "core")
_ALL = tuple(subject(peer) for peer in PEERS)
_BY_EVENTS = tuple(subject(peer) for peer in ("gateway", "source", "nginx", "haproxy", "floor"))
_GATEWAY, _NGINX = subject("gateway"), subject("nginx")


def _requests(name: str, title: str, what: load.Load) -> Scenario:
    columns = ("rate", "mb_s", *_REQUESTS[1:]) if name == "large" else _REQUESTS
    measure = partial(_wrk, what)
    return Scenario(name=name, title=title, subjects=_ALL, measure=measure, columns=columns)


def _against_itself(
    name: str, title: str, subjects: tuple[Subject, ...], what: load.Load
) -> Scenario:
    return Scenario(
        name=name,
        title=title,
        subjects=subjects,
        measure=partial(_wrk, what),
        columns=_REQUESTS,
        against="",
    )


def _two_workers(base: Subject) -> tuple[Subject, ...]:
    """The same cores for all, so that one worker is not helped by having one of its own."""
    return (
        variant(base, "1 worker, 1 core"),
        variant(base, "2 workers, 1 core", workers=2),
        variant(base, "2 workers, 2 cores", workers=2, on_two=True),
    )


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        _requests(
            "small",
            "1 KiB answers, 64 keep-alive connections",
            load.Load(),
        ),
        _requests(
            "large",
            "100 KiB answers, 64 keep-alive connections",
            load.Load(path="/large"),
        ),
        _requests(
            "upload",
            "POST of 10 KiB, 64 keep-alive connections",
            load.Load(path="/upload", script=load.UPLOAD),
        ),
        _requests(
            "connect",
            "1 KiB answers, a new connection for each, 64 at once",
            load.Load(close=True),
        ),
        Scenario(
            name="idle",
            title=f"1 KiB answers, {IDLE:,} idle and 100 active connections",
            subjects=_ALL,
            measure=_beside_idle,
            columns=_REQUESTS,
        ),
        _against_itself(
            "routes",
            f"1 KiB answers by 1 route and by {ROUTES:,}, asked for in turn",
            (
                variant(_GATEWAY, "1 route"),
                variant(_GATEWAY, f"{ROUTES:,} routes", routes=ROUTES),
                variant(_NGINX, "1 location"),
                variant(_NGINX, f"{ROUTES:,} locations", routes=ROUTES),
            ),
            load.Load(script=load.ROUTES),
        ),
        Scenario(
            name="download",
            title="one answer of 1 GiB, read as it comes",
            # Flask with requests holds the whole of it in memory before the first byte.
            subjects=tuple(one for one in _ALL if one.peer != "flask"),
            measure=_download,
            columns=("mb_s", "cpu_gb_s", "rss_mib", "pss_mib", "core"),
        ),
        Scenario(
            name="held",
            title=f"{HELD:,} idle keep-alive connections, then served again",
            subjects=_BY_EVENTS,
            measure=_held,
            columns=(
                *("last_kib_each", "rss_kib_each", "pss_kib_each"),
                *("again_rate", "rss_mib", "pss_mib"),
            ),
            fresh=True,
        ),
        _against_itself(
            "workers",
            "1 KiB answers, two workers against one",
            (*_two_workers(_GATEWAY), *_two_workers(_NGINX)),
            load.Load(),
        ),
        _against_itself(
            "log",
            "1 KiB answers, with an access log",
            (
                variant(_GATEWAY, "log off"),
                variant(_GATEWAY, "combined", log="combined"),
                variant(_GATEWAY, "JSON", log="json"),
                variant(_NGINX, "log off"),
                variant(_NGINX, "combined", log="combined"),
            ),
            load.Load(),
        ),
        *(
            Scenario(
                name=f"steady-{rate}",
                title=f"1 KiB answers at {rate:,} requests/s, whatever comes back",
                subjects=_BY_EVENTS,
                measure=partial(_steady, rate),
                columns=(
                    *("reached", "p50_ms", "p99_ms", "p999_ms", "late_p99_ms"),
                    *("cpu_s", "rss_mib", "pss_mib"),
                ),
            )
            for rate in RATES
        ),
    )
}
