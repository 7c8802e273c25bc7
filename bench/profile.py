"""Where the time of a proxy goes, by samples of its stacks under the load of a scenario.

    pip install py-spy
    python -m bench.profile [--peer gateway] [--scenario small] [--seconds 10] [--lines]

Prints shares of the processor time of the worker: by place (system calls, uvloop, httptools,
a module of ours), then by function, or by line. A sample counts for the innermost frame that
is of Python, of uvloop or of httptools, or is a system call: what the interpreter does there
is that function's own. `--keep FILE` keeps the samples, for a flame graph.
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
SYSTEM = re.compile(
    r"(write|writev|read|recv|send|sendto|recvfrom|epoll_pwait|epoll_ctl|connect|accept4?|"
    r"close|socket|shutdown|getpeername|getsockname|setsockopt|clock_gettime|futex)\b"
)
NATIVE = {
    "uvloop": re.compile(r"uvloop|\(loop\.c|uv__|\(core\.c|\(linux\.c|\(stream\.c|\.pyx"),
    "httptools": re.compile(r"httptools|llhttp|\(parser\.c|\(api\.c"),
}
PYTHON = re.compile(r"(.+) \((.+\.py):(\d+)\)")


def place(stack: str) -> tuple[str, str, str] | None:
    """Where a sample belongs: place, function, line. None: in a thread that waits."""
    frames = stack.split(";")
    if any(frame.startswith("Condition.wait (") for frame in frames):
        return None
    if (leaf := frames[-1]).endswith("(libc.so.6)") and (found := SYSTEM.match(leaf)):
        return "system calls", found[0], found[0]
    for frame in reversed(frames):
        for name, pattern in NATIVE.items():
            if pattern.search(frame):
                return name, name, name
        if found := PYTHON.fullmatch(frame):
            function, file, line = found.groups()
            file = re.sub(r".*/(?:site-packages|lib/python[\d.]+)/", "", file)
            return file, f"{file}: {function}", f"{file}:{line} {function}"
    return "the interpreter", "the interpreter", "the interpreter"


def shares(counts: Counter[str]) -> str:
    total = counts.total()
    lines = [f"{count / total:6.1%}  {name}" for name, count in counts.most_common(LONGEST)]
    return "\n".join(lines)


def sampled(name: str, peer: str, seconds: int, kept: Path) -> str:
    """The line of the scenario's result while samples are taken into the file."""
    scenario = scenarios.SCENARIOS[name]
    with (
        TemporaryDirectory(prefix="proxysite-profile-") as folder,
        peers.site(Path(folder), cores()) as site,
        peers.served(
            site, next(one for one in scenario.subjects if one.peer == peer)
        ) as served,
    ):
        scenario.measure(site, served, 1.0)  # warm
        command = ["py-spy", "record", "--native", "--format", "raw", "--rate", str(RATE)]
        command += ["--duration", str(seconds), "--output", str(kept)]
        # The last of the tree is the worker.
        recorder = subprocess.Popen(
            [*command, "--pid", str(tree(served.pid)[-1])], stdout=subprocess.DEVNULL
        )
        try:
            sample = scenario.measure(site, served, seconds + 1.0)
            if recorder.wait(60):
                raise Failed("py-spy ends with an error: see above")
        finally:
            recorder.kill()
            recorder.wait()
    return ", ".join(f"{key} {value:.5g}" for key, value in sample.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer", default="gateway", choices=("gateway", "floor", "aiohttp"))
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
