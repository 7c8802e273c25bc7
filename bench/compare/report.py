"""Medians, ratios, targets and tables of what was measured."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from statistics import median

from bench.compare import targets
from bench.compare.peers import TITLES
from bench.compare.processes import Cores
from bench.compare.results import Results, middle, ratio
from bench.compare.scenarios import SCENARIOS, Scenario

FULL = 0.9
NOISE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """`ratio` is given beside it where it says something."""

    head: str
    digits: int
    ratio: bool = False
    scale: float = 1.0


COLUMNS = {
    "rate": Column(head="requests/s", digits=0, ratio=True),
    "reached": Column(head="reached/s", digits=0),
    "again_rate": Column(head="served again/s", digits=0),
    "mb_s": Column(head="MB/s", digits=0, ratio=True),
    "p50_ms": Column(head="p50 ms", digits=2),
    "p99_ms": Column(head="p99 ms", digits=2, ratio=True),
    "p999_ms": Column(head="p99.9 ms", digits=2),
    "late_p99_ms": Column(head="sent late, p99 ms", digits=2),
    "cpu_s": Column(head="CPU s/1,000", digits=4, ratio=True),
    "cpu_gb_s": Column(head="CPU s/GB", digits=2, ratio=True),
    "last_kib_each": Column(head="RSS KiB each of the last half", digits=1, ratio=True),
    "rss_kib_each": Column(head="RSS KiB each", digits=1),
    "pss_kib_each": Column(head="PSS KiB each", digits=1),
    "rss_mib": Column(head="RSS MiB", digits=0),
    "pss_mib": Column(head="PSS MiB", digits=0),
    "core": Column(head="core busy %", digits=0, scale=100),
}


def _baseline(scenario: Scenario, subject: str) -> str:
    if scenario.against:
        return TITLES[scenario.against]
    peers = {one.name: one.peer for one in scenario.subjects}
    return next(one.name for one in scenario.subjects if one.peer == peers[subject])


def table(results: Results, scenario: Scenario) -> str:
    heads, rule = [""], ["---"]
    for key in scenario.columns:
        heads += [COLUMNS[key].head, *(["ratio"] if COLUMNS[key].ratio else [])]
        rule += ["--:", *(["--:"] if COLUMNS[key].ratio else [])]
    first = scenario.columns[0]
    lines = [_row([*heads, "rounds"]), _row([*rule, "---"]).replace(" ", "")]
    for subject, rounds in results[scenario.name].items():
        cells = [subject]
        for key in scenario.columns:
            column = COLUMNS[key]
            cells.append(_number(middle(results, scenario.name, subject, key), column))
            if column.ratio:
                to = _baseline(scenario, subject)
                found = ratio(results, scenario.name, subject, to, key)
                cells.append("" if found is None else f"{found:.2f}")
        column = COLUMNS[first]
        cells.append(" ".join(_number(one[first], column) for one in rounds))
        lines.append(_row(cells))
    return "\n".join(lines)


def _number(value: float | None, column: Column) -> str:
    return "" if value is None else f"{value * column.scale:,.{column.digits}f}"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def report(results: Results, cores: Cores, *, rounds: int, seconds: float) -> str:
    """The page that is kept in bench/results."""
    parts = [
        "# The gateway, compared",
        f"Made by `python -m bench.gateway --rounds {rounds} --seconds {seconds:g} --write`: "
        f"{cores}; medians of alternating rounds, ratios to nginx's (or, where a table has one "
        "peer several times, to its first line). docs/performance.md has the method.",
        "## Targets",
        targets.table(results, cores),
        _machine(),
        *_disturbed(results),
    ]
    for name in results:
        parts += [f"## {SCENARIOS[name].title[0].upper()}{SCENARIOS[name].title[1:]}"]
        parts += [table(results, SCENARIOS[name])]
        parts += [note for note in _notes(results, SCENARIOS[name], cores) if note]
    parts.append(_versions())
    return "\n\n".join(parts) + "\n"


def _notes(results: Results, scenario: Scenario, cores: Cores) -> list[str]:
    notes = []
    if "core" in scenario.columns:
        idle = [
            subject
            for subject in results[scenario.name]
            if (middle(results, scenario.name, subject, "core") or 0) < FULL
        ]
        if idle:
            notes.append(
                f"Not the limit here, as its core was less than {FULL:.0%} busy: "
                f"{'; '.join(idle)}. Load and backend set the pace then, and processor time "
                "for each request compares better than the rate."
            )
    if scenario.name == "workers":
        notes.append(_of_workers(cores))
    return notes


def _machine() -> str:
    return f"{len(os.sched_getaffinity(0))} cores: {_model()}; Linux {platform.release()}."


def _disturbed(results: Results) -> list[str]:
    """Nothing where the machine was quiet."""
    found = [
        sample["others"]
        for rounds in results.values()
        for samples in rounds.values()
        for sample in samples
        if "others" in sample
    ]
    share = median(found) if found else 0.0
    if share < NOISE:
        return []
    return [
        f"**Not figures to quote**: other work had {share:.0%} of the proxies' core meanwhile."
    ]


def _of_workers(cores: Cores) -> str:
    if not cores.spare:
        return (
            "The second core is that of the load: this machine has none to spare, so that two "
            "workers cannot show twice the rate; nginx's lines tell what it allows."
        )
    return f"Two workers had cores {cores.peer} and {cores.second} for themselves."


def _model() -> str:
    with open("/proc/cpuinfo") as file:
        names = [
            line.partition(":")[2].strip() for line in file if line.startswith("model name")
        ]
    return names[0] if names else platform.machine()


def _versions() -> str:
    own = ("uvloop", "httptools", "aiohttp", "gunicorn", "django", "django-revproxy", "flask")
    found = [f"{name} {version(name)}" for name in own]
    for command, pattern in (
        ("nginx -v", r"nginx/([\d.]+)"),
        ("haproxy -v", r"version ([\d.]+)"),
    ):
        done = subprocess.run(command.split(), capture_output=True, text=True)
        if number := re.search(pattern, done.stdout + done.stderr):
            found.append(f"{command.split()[0]} {number[1]}")
    return f"Python {platform.python_version()}, {', '.join(found)}."
