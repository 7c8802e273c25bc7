"""The gateway against nginx, HAProxy and the forwarders that people write.

Each proxy runs on a core of its own, the backend (an nginx that answers out of memory) and
the load (wrk, and readers and a constant-rate load of ours) on another, or on two where there
are more. Rounds alternate, so that a slow minute of the machine meets each alike; the tables
have the medians of the rounds and their ratios to nginx's.

    python -m bench.gateway [--rounds 5] [--seconds 3] [--peers gateway,nginx]
        [--scenarios small,download] [--json] [--write]

An answer other than 2xx or a broken connection ends it with one line. `--write` keeps the
tables in bench/results/gateway.md. bench/compare has the parts; docs/performance.md the
method.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.compare import peers, report, targets
from bench.compare.processes import ROOT, Cores, Failed, cores, raise_file_limit, step_aside
from bench.compare.results import Results
from bench.compare.scenarios import HELD, SCENARIOS, Sample, Scenario
from pools import native

RESULTS = ROOT / "bench" / "results" / "gateway.md"
FRESH_ROUNDS = 3
WARM_S = 1.0
FILES = HELD + 5_000


class Wrong(Exception):
    """An option that cannot be meant. Not a ValueError, of which argparse would say how the
    program is used."""


def run(
    names: Sequence[str], wanted: Sequence[str], at: Cores, *, rounds: int, seconds: float
) -> dict[str, dict[str, list[Sample]]]:
    """The rounds of the scenarios, of the peers that are wanted."""
    results = {}
    with (
        TemporaryDirectory(prefix="proxysite-bench-") as folder,
        peers.site(Path(folder), at) as site,
    ):
        for name in names:
            subjects = [one for one in SCENARIOS[name].subjects if one.peer in wanted]
            if subjects:
                results[name] = _rounds(site, SCENARIOS[name], subjects, rounds, seconds)
    return results


def _rounds(
    site: peers.Site,
    scenario: Scenario,
    subjects: list[peers.Subject],
    rounds: int,
    seconds: float,
) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {subject.name: [] for subject in subjects}
    with ExitStack() as stack:
        servers: dict[str, peers.Served] = {}
        if not scenario.fresh:
            for subject in subjects:
                servers[subject.name] = stack.enter_context(peers.served(site, subject))
            for subject in subjects:
                _round(site, scenario, servers[subject.name], WARM_S)
        for server in servers.values():
            step_aside(server.pid, True)
        for number in range(min(rounds, FRESH_ROUNDS) if scenario.fresh else rounds):
            for subject in subjects:
                with ExitStack() as own:
                    server = servers.get(subject.name) or own.enter_context(
                        peers.served(site, subject)
                    )
                    step_aside(server.pid, False)
                    sample = _round(site, scenario, server, seconds)
                    step_aside(server.pid, True)
                found[subject.name].append(sample)
                _say(f"{scenario.name} {number + 1}/{rounds} {subject.name}: {_brief(sample)}")
    return found


def _round(
    site: peers.Site, scenario: Scenario, server: peers.Served, seconds: float
) -> Sample:
    try:
        return scenario.measure(site, server, seconds)
    except Failed as error:
        raise Failed(f"{scenario.name}, {server.name}: {error}") from None


def _brief(sample: Sample) -> str:
    return ", ".join(f"{key} {value:.5g}" for key, value in sample.items())


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def printed(results: Results, at: Cores) -> str:
    tables = [
        f"{SCENARIOS[name].title}\n\n{report.table(results, SCENARIOS[name])}"
        for name in results
    ]
    return "\n\n".join([*tables, targets.table(results, at)])


def _names(option: str, known: Sequence[str]) -> Callable[[str], list[str]]:
    """What reads a list of some of them."""

    def read(text: str) -> list[str]:
        names = [name.strip() for name in text.split(",")]
        for name in names:
            if name not in known:
                raise Wrong(f"{option}: {name!r} is none of {', '.join(known)}")
        return names

    return read


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise Wrong(f"--rounds and --seconds are numbers of 1 or more, and not {text!r}")
    return int(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=_positive, default=5)
    parser.add_argument("--seconds", type=_positive, default=3, help="of each round")
    for option, known in (("--peers", list(peers.PEERS)), ("--scenarios", list(SCENARIOS))):
        parser.add_argument(
            option, type=_names(option, known), default=known, help=f"of {','.join(known)}"
        )
    parser.add_argument("--json", action="store_true", help="print the rounds as JSON")
    parser.add_argument("--write", action="store_true", help=f"keep it in {RESULTS.name}")
    try:
        return parser.parse_args()
    except Wrong as error:
        parser.exit(2, f"{error}\n")


def main() -> None:
    options = _options()
    haproxy = ["haproxy"] if "haproxy" in options.peers else []
    for program in ("wrk", "taskset", "nginx", *haproxy):
        if not shutil.which(program):
            raise Failed(f"{program} is needed for this benchmark: install it")
    if not (find_spec("flask") and find_spec("aiohttp")):
        raise Failed("flask and aiohttp are needed: pip install -r requirements-bench.txt")
    if "gateway" in options.peers and native.unfit():
        raise Failed(native.unfit())
    raise_file_limit(FILES)
    at = cores()
    try:
        results = run(
            options.scenarios,
            options.peers,
            at,
            rounds=options.rounds,
            seconds=options.seconds,
        )
    except KeyboardInterrupt:
        raise Failed("stopped") from None
    print(json.dumps(results, indent=2) if options.json else printed(results, at))
    if options.write:
        RESULTS.parent.mkdir(exist_ok=True)
        page = report.report(results, at, rounds=options.rounds, seconds=options.seconds)
        RESULTS.write_text(page)


if __name__ == "__main__":
    main()
