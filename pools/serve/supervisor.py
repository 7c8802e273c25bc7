"""Child processes under one foreground process.

Rules:
- One thread: it waits for output, for signals and for the time to start a child again.
- A child that ends is started again, after a delay that doubles while starts don't last;
  one line says so.
- While it runs, the first SIGINT, SIGTERM or SIGHUP drains: stage by stage, children get
  SIGTERM and the time to finish what they are at. A second one ends all at once.
- Children have process groups of their own, so that a terminal's Ctrl-C comes here
  alone, and a child is ended with what it started.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, BinaryIO

LASTING_S = 10.0  # a start that lasts so long is a good one: delays begin anew
MAX_LINE_BYTES = 65_536
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OWN_NAME = "serve"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run. Lower stages are stopped first; `stop_within_s` is the time to drain."""

    name: str
    argv: tuple[str, ...]
    stage: int = 0
    first_delay_s: float = 0.5
    last_delay_s: float = 30.0
    stop_within_s: float = 10.0
    pass_fds: tuple[int, ...] = ()


@dataclass(slots=True)
class _Child:
    program: Program
    delay_s: float
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float | None = None  # when to start it again
    partial: bytes = b""  # of a line of output


@dataclass(slots=True)
class Supervisor:
    """Runs programs until it is told to stop. Use it as a context manager, in the main
    thread; leaving it leaves no child behind. Until `run` signals do what they did."""

    env: Mapping[str, str]
    output: BinaryIO = field(default_factory=lambda: sys.stdout.buffer)
    _children: list[_Child] = field(default_factory=list)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _signals: int = 0
    _draining: bool = False
    _handlers_before: dict[signal.Signals, Any] = field(default_factory=dict)
    _wake: tuple[socket.socket, socket.socket] = field(default_factory=socket.socketpair)
    _width: int = len(OWN_NAME)

    def __enter__(self) -> Supervisor:
        for end in self._wake:
            end.setblocking(False)
        self._selector.register(self._wake[0], selectors.EVENT_READ)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._kill(self._children)
        if self._handlers_before:
            signal.set_wakeup_fd(-1)
            for number, handler in self._handlers_before.items():
                signal.signal(number, handler)
        self._selector.close()
        for end in self._wake:
            end.close()

    @property
    def stopping(self) -> bool:
        return self._signals > 0

    def start(self, programs: Iterable[Program]) -> None:
        """Start programs, beside those that run already."""
        for program in programs:
            self._width = max(self._width, len(program.name))
            child = _Child(program, program.first_delay_s)
            self._children.append(child)
            self._start(child)

    def pid(self, program: Program) -> int | None:
        """The process of a program, while it runs."""
        for child in self._children:
            if child.program is program and child.process:
                return child.process.pid
        return None

    def say(self, text: str) -> None:
        """A line for the operator."""
        self._write(OWN_NAME, text.encode())

    def heed_signals(self) -> None:
        """From now on they tell to stop."""
        signal.set_wakeup_fd(self._wake[1].fileno(), warn_on_full_buffer=False)
        handlers = dict.fromkeys(STOP_SIGNALS, self._told_to_stop)
        # Ignored by default; with a handler it interrupts the wait.
        handlers[signal.SIGCHLD] = lambda number, frame: None
        for number, handler in handlers.items():
            self._handlers_before[number] = signal.signal(number, handler)

    def run(self) -> None:
        """Look after the children until told to stop."""
        self.heed_signals()
        while not self.stopping:
            self._turn(self._next_start())

    def drain(self) -> None:
        """End the children, stage by stage; at once when told to stop a second time."""
        self._draining = True
        for child in self._children:
            child.start_at = None
        told = self._signals
        for stage in sorted({child.program.stage for child in self._children}):
            ending = [child for child in self._children if child.program.stage == stage]
            for child in ending:
                if child.process:
                    child.process.terminate()
            until = time.monotonic() + max(child.program.stop_within_s for child in ending)
            while self._running(ending) and self._signals == told:
                if (left := until - time.monotonic()) <= 0:
                    names = ", ".join(child.program.name for child in self._running(ending))
                    self.say(f"{names} did not end in time and is killed")
                    self._kill(ending)
                self._turn(max(left, 0))
        self._kill(self._children)

    # --- one turn ------------------------------------------------------------------------

    def _turn(self, wait_s: float | None) -> None:
        """Wait for something to happen, and deal with all that has."""
        for key, _ in self._selector.select(wait_s):
            if key.fileobj is self._wake[0]:
                self._wake[0].recv(4096)
            else:
                self._read(key.data)
        for child in self._children:
            if child.process and child.process.poll() is not None:
                self._ended(child)
            if child.start_at is not None and child.start_at <= time.monotonic():
                self._start(child)

    def _next_start(self) -> float | None:
        times = [child.start_at for child in self._children if child.start_at is not None]
        return max(min(times) - time.monotonic(), 0) if times else None

    def _start(self, child: _Child) -> None:
        launch = (sys.executable, "-m", "pools.serve.launch", str(os.getpid()))
        child.start_at, child.started_at = None, time.monotonic()
        child.process = subprocess.Popen(
            (*launch, *child.program.argv),
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=child.program.pass_fds,
            process_group=0,
            bufsize=0,
        )
        assert child.process.stdout
        os.set_blocking(child.process.stdout.fileno(), False)
        self._selector.register(child.process.stdout, selectors.EVENT_READ, child)

    def _ended(self, child: _Child) -> None:
        process, program = child.process, child.program
        assert process
        while self._read(child):
            pass
        self._forget(child)
        if self._draining:
            return
        if time.monotonic() - child.started_at >= LASTING_S:
            child.delay_s = program.first_delay_s
        child.start_at = time.monotonic() + child.delay_s
        self.say(
            f"{program.name} ended ({_how(process.returncode)}): "
            f"it starts again in {child.delay_s:g} s"
        )
        child.delay_s = min(child.delay_s * 2, program.last_delay_s)

    def _forget(self, child: _Child) -> None:
        assert child.process and child.process.stdout
        # What a child started and left behind, such as gunicorn's workers, ends with it.
        _signal_group(child.process.pid, signal.SIGTERM)
        if child.process.stdout in self._selector.get_map():
            self._selector.unregister(child.process.stdout)
        child.process.stdout.close()
        child.process = None
        if child.partial:
            self._write(child.program.name, child.partial)
        child.partial = b""

    def _running(self, children: Iterable[_Child]) -> list[_Child]:
        return [child for child in children if child.process]

    def _kill(self, children: Iterable[_Child]) -> None:
        for child in self._running(children):
            assert child.process
            _signal_group(child.process.pid, signal.SIGKILL)
            child.process.wait()
            self._forget(child)

    def _told_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1

    # --- output --------------------------------------------------------------------------

    def _read(self, child: _Child) -> bool:
        """Pass on what a child has written, by lines, each with the child's name; whether
        there was anything."""
        assert child.process and child.process.stdout
        output = child.process.stdout
        piece: bytes | None = output.read(MAX_LINE_BYTES)
        if piece == b"" and output in self._selector.get_map():
            self._selector.unregister(output)  # closed, or it would be ready for ever
        if not piece:
            return False
        *lines, child.partial = (child.partial + piece).split(b"\n")
        if len(child.partial) >= MAX_LINE_BYTES:
            lines, child.partial = [*lines, child.partial], b""
        for line in lines:
            self._write(child.program.name, line)
        return True

    def _write(self, name: str, line: bytes) -> None:
        with suppress(OSError):  # whoever read it is gone; the proxy goes on
            self.output.write(f"{name:<{self._width}} | ".encode() + line + b"\n")
            self.output.flush()


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _signal_group(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, number)
