"""manage.py backend probe: one probe now, its steps, and what would come of it."""

from __future__ import annotations

import io
import json
import re
import socket
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from pools.models import Backend, BackendHealth, HealthEvent, Pool, ProbeSchedule
from tests import services
from tests.health.conftest import backends

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def backend():
    with backends() as start:
        yield start


def run(*words: str) -> tuple[int, list[str]]:
    out = io.StringIO()
    code = 0
    try:
        call_command("backend", "probe", *words, stdout=out)
    except SystemExit as ended:
        code = ended.code
    return code, [line.rstrip() for line in out.getvalue().splitlines()]


def web(*ports: int, **settings: object) -> Pool:
    pool = Pool.objects.create(name="web", **settings)
    for port in ports:
        pool.backends.create(host="127.0.0.1", port=port)
    return pool


def found_before(pool: Pool, verdict: str, **counts: int) -> None:
    """As a prober left it a moment ago."""
    now = timezone.now()
    BackendHealth.objects.create(backend=pool.backends.get(), verdict=verdict, **counts)
    ProbeSchedule.objects.create(pool=pool, next_at=now + timedelta(seconds=5), done_at=now)


def told(lines: list[str]) -> list[str]:
    """The lines without times."""
    return [re.sub(r"[\d.]+ m?s\b", "T", line) for line in lines]


def test_a_probe_is_shown_step_by_step_and_nothing_is_written(backend):
    there = backend()
    web(there.port, probe_path="/up", probe_text="hello")
    code, lines = run(f"web/127.0.0.1:{there.port}")
    assert code == 0
    shown = [re.sub(r" +", " ", line) for line in told(lines)]
    assert shown == [
        f"web/127.0.0.1:{there.port}: GET http://127.0.0.1:{there.port}/up, "
        "expects 200-399, its text",
        "step took at what",
        f"connect T T 127.0.0.1:{there.port}",
        "send T T GET /up HTTP/1.1",
        "first byte T T 43 bytes",
        "status T T 200 OK, 1 header fields",
        "body T T 5 bytes",
        "healthy: status 200, after T",
        "would be: up, it was unknown",
    ]
    assert not BackendHealth.objects.exists()
    assert not HealthEvent.objects.exists()


def test_a_failure_is_exit_code_1(backend):
    port = services.free_port()
    web(port)
    code, lines = run(f"web/127.0.0.1:{port}")
    assert code == 1
    assert told(lines)[-2:] == [
        "not healthy: connection refused, after T",
        "would be: down, it was unknown",
    ]


def test_all_of_a_pool_are_a_line_each(backend):
    there, port = backend(), services.free_port()
    web(there.port, port)
    code, lines = run("web")
    assert code == 1
    assert lines[-1] == "1 of 2 healthy."
    assert lines[0].split() == ["backend", "took", "found", "would", "be"]
    assert any("status 200" in line and "up, it was unknown" in line for line in lines)
    assert any("connection refused" in line for line in lines)


@pytest.mark.parametrize(
    ("verdict", "counts", "healthy", "would_be"),
    [
        ("up", {"successes": 2}, True, "up, as it is"),
        ("up", {"successes": 2}, False, "up still, 1 of 3 failures"),
        ("up", {"failures": 2}, False, "down, it was up"),
        ("down", {"failures": 3}, True, "down still, 1 of 2 successes"),
        ("down", {"failures": 3}, False, "down, as it is"),
        ("down", {"successes": 1}, True, "up, it was down"),
    ],
)
def test_what_it_would_be_goes_by_rise_and_fall(backend, verdict, counts, healthy, would_be):
    there = backend()
    pool = web(there.port, probe_statuses="200" if healthy else "201")
    found_before(pool, verdict, **counts)
    assert run("web")[1][-1] == f"would be: {would_be}"


def test_in_maintenance_it_is_probed_by_hand_alone(backend):
    there = backend()
    web(there.port)
    Backend.objects.update(state="maint")
    code, lines = run("web")
    assert code == 0
    assert lines[-1] == "would be: unknown, as it is in maintenance and not probed"


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ({"probe_kind": "tcp"}, "TCP to 127.0.0.1:{port}"),
        (
            {"probe_kind": "tcp", "probe_send": r"PING\r\n", "probe_expect": "[+]"},
            r"TCP to 127.0.0.1:{port}, sends PING\r\n, expects [+]",
        ),
        ({"probe_kind": "tls", "probe_port": 1}, "TLS handshake with 127.0.0.1:1"),
        (
            {"probe_text": "hello", "probe_json_path": "a.0", "probe_json_value": "ok"},
            "GET http://127.0.0.1:{port}/, expects 200-399, its text, a.0 ok",
        ),
        (
            {"probe_json_path": "a.0"},
            "GET http://127.0.0.1:{port}/, expects 200-399, a.0 in its JSON",
        ),
    ],
)
def test_what_is_asked_is_told_for_each_kind(settings, asked):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        web(port, probe_timeout_s=0.1, **settings)
        _, lines = run("web")
    assert lines[0] == f"web/127.0.0.1:{port}: {asked.format(port=port)}"


def test_in_json(backend):
    there = backend()
    web(there.port)
    code, lines = run("web", "--json")
    assert code == 0
    (found,) = json.loads("".join(lines))["backends"]
    assert (found["backend"], found["ok"], found["code"]) == (
        f"web/127.0.0.1:{there.port}",
        True,
        200,
    )
    assert (found["would_be"], found["certificate_until"]) == ("up, it was unknown", None)
    assert [step["name"] for step in found["steps"]][0] == "connect"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("wbe", "there is no pool 'wbe': did you mean web?"),
        ("nowhere", "there is no pool 'nowhere': manage.py config export has all"),
        (
            "web/127.0.0.1:81",
            "there is no backend 'web/127.0.0.1:81': did you mean web/127.0.0.1:80",
        ),
        ("web/x", "there is no backend 'web/x': did you mean web/127.0.0.1:80?"),
        ("web/", "there is no backend 'web/': did you mean web/127.0.0.1:80?"),
        ("empty", "pool empty has no backends"),
        ("off", "pool off is not probed: its probe is off"),
        ("bad", "bad does not hold: probe.statuses: 'x' is not a status or range"),
    ],
)
def test_what_is_wrong_is_one_line(target, said):
    web(80)
    Pool.objects.create(name="empty")
    for name, settings in (("off", {"probe_kind": "off"}), ("bad", {"probe_statuses": "x"})):
        Pool.objects.create(name=name, **settings).backends.create(host="10.0.0.1", port=1)
    with pytest.raises(CommandError) as refused:
        run(target)
    assert str(refused.value).startswith(said)
    assert refused.value.returncode == 2
