"""The loads, each run on the load's core, and what they say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.compare import configs
from bench.compare.processes import Failed, pinned, running

WRK_TIMEOUT_S = 20
ANSWER_S = 120.0
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}

UPLOAD = f"""
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/octet-stream"
wrk.body = string.rep("x", {configs.UPLOAD_BYTES})
"""

# A thousand requests that are made before the start, over all of ten thousand routes.
ROUTES = f"""
local requests, turn = {{}}, 0
function init(args)
    for number = 0, 999 do
        local route = number * 7919 % 10000
        requests[number] = wrk.format(
            "GET", "/s" .. route % {configs.ROUTES_A_HOST} .. "/some/path?a=1&b=2",
            {{Host = "app" .. math.floor(route / {configs.ROUTES_A_HOST}) .. ".example.com"}})
    end
end
function request()
    turn = (turn + 1) % 1000
    return requests[turn]
end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """`script`: Lua for wrk. `close`: a new connection for each request."""

    path: str = "/some/path?a=1&b=2"
    connections: int = 64
    script: str = ""
    close: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    requests: int
    rate: float
    bytes_s: float
    p50_ms: float
    p99_ms: float


def wrk(load: Load, url: str, *, core: int, seconds: float, folder: Path) -> Answered:
    """Failed where an answer is no 2xx or a connection breaks."""
    command = pinned(
        core, "wrk", "-t1", f"-c{load.connections}", f"-d{max(1, round(seconds))}s"
    )
    command += ["--latency", "--timeout", f"{WRK_TIMEOUT_S}s"]
    if load.close:
        command += ["-H", "Connection: close"]
    if load.script:
        script = folder / "load.lua"
        script.write_text(load.script)
        command += ["-s", str(script)]
    done = subprocess.run([*command, url + load.path], capture_output=True, text=True)
    return _answered(done.stdout, done.stderr)


def _answered(text: str, errors: str) -> Answered:
    for trouble in ("Non-2xx", "Socket errors"):
        if found := re.search(rf"{trouble}.*", text):
            raise Failed(f"it fails under load: {found[0]}")
    requests = re.search(r"(\d+) requests in ([\d.]+)(\w+), ([\d.]+)(\w?)B read", text)
    percentiles = dict(re.findall(r"(\d+)%\s+([\d.]+\w+)", text))
    if requests is None or not int(requests[1]):
        raise Failed(f"wrk had no answers: {' '.join((errors or text).split())}")
    seconds = _ms(requests[2] + requests[3]) / 1e3
    scale = 1024 ** " KMGT".index(requests[5] or " ")
    return Answered(
        requests=int(requests[1]),
        rate=int(requests[1]) / seconds,
        bytes_s=float(requests[4]) * scale / seconds,
        p50_ms=_ms(percentiles["50"]),
        p99_ms=_ms(percentiles["99"]),
    )


def _ms(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(\w+)", text).groups()  # type: ignore[union-attr]
    return float(number) * _UNITS[unit]


def python(module: str, *arguments: str | int | float, core: int) -> dict[str, float]:
    """What a load of ours printed: one line of JSON."""
    command = [sys.executable, "-m", f"bench.compare.{module}", *map(str, arguments)]
    done = subprocess.run(
        pinned(core, *command), stdout=subprocess.PIPE, text=True, timeout=ANSWER_S
    )
    if done.returncode:
        raise Failed(f"{module} fails: see above")
    found: dict[str, float] = json.loads(done.stdout)
    return found


class Held:
    """Connections that are open and idle, in a process of their own (bench.compare.held)."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def expect(self, count: int) -> float:
        """The seconds that it took until so many had an answer."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise Failed("the idle connections are gone: see above")
        found = json.loads(line)
        if found["served"] != count:
            raise Failed(f"{found['served']} of {count} connections were served")
        return float(found["seconds"])

    def ask_again(self, count: int) -> float:
        """One more request on each of them; the seconds that all took."""
        assert self._process.stdin
        self._process.stdin.write("again\n")
        self._process.stdin.flush()
        return self.expect(count)


@contextmanager
def held(port: int, count: int, *, core: int) -> Iterator[Held]:
    """So many connections, each of which has had an answer and is idle."""
    command = [sys.executable, "-m", "bench.compare.held", str(port), str(count)]
    with running(pinned(core, *command)) as process:
        holder = Held(process)
        holder.expect(count)
        yield holder
