import io
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pools.serve.supervisor import Program, Supervisor
from tests.services import eventually, gone

ENV = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


def program(name, code, **settings):
    return Program(
        name=name, argv=(sys.executable, "-u", "-c", textwrap.dedent(code)), **settings
    )


FOREVER = "import time; print('ready'); time.sleep(60)"


class Output(io.BytesIO):
    @property
    def lines(self):
        return self.getvalue().decode().splitlines()


@pytest.fixture
def supervisor():
    """In the main thread of the test, which takes its turns by itself."""
    before = signal.getsignal(signal.SIGINT)
    with Supervisor(env=ENV, output=Output()) as supervisor:
        supervisor.heed_signals()
        yield supervisor
    assert signal.getsignal(signal.SIGINT) is before


def until(supervisor, condition):
    def turned():
        supervisor._turn(0.05)
        return condition()

    return eventually(turned)


def test_output_is_passed_on_by_lines_with_who_speaks(supervisor):
    supervisor.start(
        [
            program("web", "print('one'); print('two', end='', flush=True)", first_delay_s=9),
            program("worker", FOREVER),
        ]
    )
    until(supervisor, lambda: len(supervisor.output.lines) == 4)
    assert [line for line in supervisor.output.lines if line.startswith("web ")] == [
        "web    | one",
        "web    | two",
    ]
    assert "worker | ready" in supervisor.output.lines


def test_a_child_that_ends_is_started_again_and_it_is_said(supervisor):
    (web,) = [program("web", FOREVER, first_delay_s=0.01)]
    supervisor.start([web])
    first = supervisor.pid(web)
    os.kill(first, signal.SIGKILL)
    until(supervisor, lambda: supervisor.pid(web) not in (None, first))
    assert "serve | web ended (killed by SIGKILL): it starts again in 0.01 s" in (
        supervisor.output.lines
    )


def test_the_delay_grows_while_starts_do_not_last(supervisor):
    supervisor.start(
        [program("web", "raise SystemExit(3)", first_delay_s=0.01, last_delay_s=0.04)]
    )
    until(supervisor, lambda: len(supervisor.output.lines) >= 4)
    assert [line.rpartition(" in ")[2] for line in supervisor.output.lines[:4]] == [
        "0.01 s",
        "0.02 s",
        "0.04 s",
        "0.04 s",
    ]


def test_draining_stops_stage_by_stage_and_waits(supervisor):
    last_words = """
        import signal, sys, time
        def end(*_): print('bye'); sys.exit()
        signal.signal(signal.SIGTERM, end)
        print('ready')
        time.sleep(60)
    """
    supervisor.start([program(name, last_words, stage=at) for at, name in enumerate("ab")])
    until(supervisor, lambda: len(supervisor.output.lines) == 2)
    supervisor.drain()
    assert supervisor.output.lines[2:] == ["a     | bye", "b     | bye"]


def test_a_child_that_does_not_drain_in_time_is_killed(supervisor):
    deaf = program(
        "deaf",
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + FOREVER,
        stop_within_s=0.1,
    )
    supervisor.start([deaf])
    pid = supervisor.pid(deaf)
    until(supervisor, lambda: supervisor.output.lines)
    supervisor.drain()
    assert gone(pid)
    assert "serve | deaf did not end in time and is killed" in supervisor.output.lines


def test_a_second_signal_ends_all_at_once(supervisor):
    deaf = program(
        "deaf",
        "import os, signal; signal.signal(signal.SIGTERM, lambda *_: "
        "os.kill(os.getppid(), signal.SIGINT));" + FOREVER,
        stop_within_s=60,
    )
    supervisor.start([deaf])
    pid = supervisor.pid(deaf)
    until(supervisor, lambda: supervisor.output.lines)
    os.kill(os.getpid(), signal.SIGINT)
    assert supervisor.stopping
    supervisor.drain()
    assert gone(pid)


def test_what_a_child_left_behind_ends_with_it(supervisor):
    parent = program(
        "web",
        """
        import subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        print(child.pid)
        time.sleep(60)
        """,
        first_delay_s=60,
    )
    supervisor.start([parent])
    until(supervisor, lambda: supervisor.output.lines)
    orphan = int(supervisor.output.lines[0].rpartition(" ")[2])
    os.kill(supervisor.pid(parent), signal.SIGKILL)
    until(supervisor, lambda: gone(orphan))


def test_output_without_end_of_line_is_bounded(supervisor):
    supervisor.start(
        [program("web", "import sys; sys.stdout.write('x' * 10**6)" + "\nwhile 1: pass")]
    )
    until(supervisor, lambda: len(supervisor.output.lines) >= 10)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of it")
def test_children_end_when_the_supervisor_is_killed():
    code = f"""
        import os
        from pools.serve.supervisor import Program, Supervisor
        argv = ({sys.executable!r}, "-c", "import time; time.sleep(60)")
        child = Program(name="child", argv=argv)
        with Supervisor(env=os.environ) as supervisor:
            supervisor.start([child])
            supervisor.say(str(supervisor.pid(child)))
            supervisor.run()
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], env=ENV, stdout=subprocess.PIPE
    )
    with parent:
        child = int(parent.stdout.readline().split()[-1])
        launched = Path(f"/proc/{child}/cmdline")
        eventually(lambda: b"launch" not in launched.read_bytes())
        parent.kill()
    eventually(lambda: gone(child))
