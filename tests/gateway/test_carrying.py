"""What a gateway carried, as its workers write it down and any process reads it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from pools.core import codec
from tests.conformance.backends import OK, Backend
from tests.gateway import process
from tests.gateway.process import Running

READ = """
import json, time, django
django.setup()
from dataclasses import asdict
from pools.control import buckets, figures
from pools.models import TrafficBucket
until = time.monotonic() + 30
while {waits!r} not in ("", *(now := figures.latest()).pools) and time.monotonic() < until:
    time.sleep(0.2)
whole = TrafficBucket.objects.filter(width_s={width_s}, part=buckets.WHOLE)
print(json.dumps({{
    "pools": {{name: asdict(rates) for name, rates in now.pools.items()}},
    "routes": {{name: asdict(rates) for name, rates in now.routes.items()}},
    "backends": {{name: asdict(rates) for name, rates in now.backends.items()}},
    "total": asdict(now.total),
    "connections": now.connections,
    "written": sum(next(buckets.unpack(row.packed))["total"][0] for row in whole),
}}))
"""


@pytest.fixture
def backend():
    backend = Backend()
    yield backend
    backend.close()


def told(folder, *, waits="", width_s=10):
    """What another process reads, at once or when the pool `waits` has carried something."""
    done = subprocess.run(
        [sys.executable, "-c", READ.format(waits=waits, width_s=width_s)],
        env=process.environment(folder),
        cwd=process.ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return json.loads(done.stdout)


def test_figures_tell_what_a_gateway_carries_and_of_its_last_request_too(tmp_path, backend):
    backend.script = backend.answers(OK)
    site = {
        "pools": [
            {
                "name": "web",
                "backends": [{"host": "127.0.0.1", "port": backend.port}],
                "probe": {"kind": "off"},
            },
            {"name": "empty"},
        ],
        "routes": [
            {"name": "all", "pool": "web"},
            {"name": "none", "pool": "empty", "path_prefix": "/none"},
        ],
    }
    process.publish(tmp_path, codec.parse(site))
    running = Running(tmp_path, tmp_path / "log", "--workers", "2")
    try:
        with running.connect() as client:
            assert [client.get()[0] for _ in range(4)] == [200] * 4
            assert client.get("/none")[0] == 503
            found = told(tmp_path, waits="empty")  # it was asked last
            key = f"web/127.0.0.1:{backend.port}"
            assert found["backends"][key]["error_share"] == 0
            assert found["backends"][key]["p99_ms"] > 0
            assert found["pools"]["web"]["requests_per_s"] > 0
            assert found["pools"]["empty"]["error_share"] == 1
            assert found["routes"]["none"]["error_share"] == 1
            assert found["total"]["error_share"] == pytest.approx(0.2)
            assert found["connections"] == 1
            assert client.get()[0] == 200
        running.signal(signal.SIGTERM)
        assert running.ended() == 0
        for width_s in (10, 3600):
            assert told(tmp_path, width_s=width_s)["written"] == 6
    finally:
        running.close()
