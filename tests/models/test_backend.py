"""A backend's row: what is known of it goes with its address."""

from __future__ import annotations

import pytest
from django.utils import timezone

from pools.control import compile, publish, verdicts
from pools.control.apply import apply
from pools.models import Backend, BackendHealth, Pool, ProbeSchedule

pytestmark = pytest.mark.django_db


@pytest.fixture
def backend() -> Backend:
    """web/a:80, found to be down a moment ago."""
    pool, now = Pool.objects.create(name="web"), timezone.now()
    row = Backend.objects.create(pool=pool, host="a", port=80)
    BackendHealth.objects.create(backend=row, verdict="down")
    ProbeSchedule.objects.create(pool=pool, next_at=now, done_at=now)
    return row


def verdict() -> str:
    (found,) = verdicts.health_map().values()
    return found


@pytest.mark.parametrize("change", [{"host": "b"}, {"port": 81}, {"scheme": "https"}])
def test_nothing_is_known_of_another_address(backend, change):
    for name, value in change.items():
        setattr(backend, name, value)
    backend.save()
    assert verdict() == "unknown"
    backend.save()  # once more, with nothing to forget


def test_nothing_is_known_of_it_in_another_pool(backend):
    backend.pool = Pool.objects.create(name="other")
    backend.save()
    assert not BackendHealth.objects.exists()


def test_other_changes_leave_health_alone(backend):
    backend.weight = 5
    backend.state = "drain"
    backend.save()
    assert verdict() == "down"


def test_a_file_that_changes_the_scheme_makes_health_unknown_too(backend):
    https = {"host": "a", "port": 80, "scheme": "https"}
    with publish.change(who="file"):
        apply(compile.checked({"pools": [{"name": "web", "backends": [https]}]}))
    assert Backend.objects.get() == backend  # the same row
    assert verdict() == "unknown"
