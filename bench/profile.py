"""Where the time of a proxy goes, by samples of its stacks under the load of a scenario.

    pip install py-spy
    python -m bench.profile [--peer gateway] [--scenario small] [--seconds 10] [--lines]

Prints how much of the worker's processor time is the kernel's (proc(5), exact), then shares of
all of it by module and by function, or by line. A sample counts for the innermost function of
Python: what uvloop, httptools and system calls do for it is its own, and `Runner.run` is
uvloop's loop with its reads and waits. The worker is not stopped for a sample: that would
find it in system calls far too often. Samples that are torn for that reason are dropped.
`--keep FILE` keeps them, for a flame graph.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.compare import peers, scenarios
from bench.compare.processes import Failed, cores, raise_file_limit, tree
from bench.gateway import FILES

RATE = 500  # samples a second
LONGEST = 30  # lines of a table
FRAME = re.compile(r"(.+) \((.+\.py):(\d+)\)")


def place(stack: str) -> tuple[str, str, str] | None:
    """Module, function and line of a sample. None: torn, or in a thread that waits."""
    found = FRAME.fullmatch(stack.rpartition(";")[2])
    if found is None or "Condition.wait (" in stack:
        return None
    function, file, line = found.groups()
    file = re.sub(r".*/(?:site-packages|lib/python[\d.]+)/", "", file)
    return file, f"{file}: {function}", f"{file}:{line} {function}"


def kernel_share(pid: int, before: tuple[int, int]) -> float:
    user, kernel = (now - then for now, then in zip(times(pid), before, strict=True))
    return kernel / max(user + kernel, 1)


def times(pid: int) -> tuple[int, int]:
    """Ticks of the process in user mode and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]), int(fields[12])


def shares(counts: Counter[str]) -> str:
    total = counts.total()
    lines = [f"{count / total:6.1%}  {name}" for name, count in counts.most_common(LONGEST)]
    return "\n".join(lines)


def sampled(name: str, peer: str, seconds: int, kept: Path) -> str:
    """The scenario's result and the kernel's share; samples are taken into the file."""
    scenario, at = scenarios.SCENARIOS[name], cores()
    with (
        TemporaryDirectory(prefix="proxysite-profile-") as folder,
        peers.site(Path(folder), at) as site,
        peers.served(
            site, next(one for one in scenario.subjects if one.peer == peer)
        ) as served,
    ):
        scenario.measure(site, served, 1.0)  # warm
        worker = tree(served.pid)[-1]  # the last one: masters stand before it
        command = ["py-spy", "record", "--nonblocking", "--format", "raw", "--rate", str(RATE)]
        command += ["--duration", str(seconds), "--output", str(kept), "--pid", str(worker)]
        before = times(worker)
        recorder = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            sample = scenario.measure(site, served, seconds + 1.0)
            share = kernel_share(worker, before)
            if recorder.wait(60):
                raise Failed("py-spy ends with an error: see above")
        finally:
            recorder.kill()
            recorder.wait()
    found = ", ".join(f"{key} {value:.5g}" for key, value in sample.items())
    return f"{found}\n\n{share:6.1%}  in the kernel, whoever asked for it"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--peer", default="gateway", choices=("gateway", "source", "floor", "aiohttp")
    )
    parser.add_argument("--scenario", default="small", choices=list(scenarios.SCENARIOS))
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--lines", action="store_true", help="by line, not by function")
    parser.add_argument("--keep", metavar="FILE", help="keep the samples there")
    options = parser.parse_args()
    if not shutil.which("py-spy"):
        raise Failed("py-spy is needed: pip install py-spy, with the environment's bin in PATH")
    raise_file_limit(FILES)
    with TemporaryDirectory() as folder:
        kept = Path(options.keep or Path(folder) / "samples")
        print(sampled(options.scenario, options.peer, options.seconds, kept))
        places: Counter[str] = Counter()
        parts: Counter[str] = Counter()
        for text in kept.read_text().splitlines():
            stack, _, count = text.rpartition(" ")
            if (found := place(stack)) is None:
                continue
            places[found[0]] += int(count)
            parts[found[2 if options.lines else 1]] += int(count)
    print(f"\n{shares(places)}\n\n{shares(parts)}")


if __name__ == "__main__":
    main()
