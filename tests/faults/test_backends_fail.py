"""Backends that die, hang and misbehave under load.

What another backend can serve is served, but for what may not be sent twice.
"""

import pytest

from tests.faults.load import Load, adds_up, arrivals
from tests.faults.server import DRIPS

CLIENTS = 8
FEW_CLIENTS = 3  # so many the retry budget lets try again at once, however slow all is


@pytest.mark.parametrize("clients", [8, 32])
def test_killed_backend_costs_no_idempotent_request(gateway, site, clients):
    """A POST is lost only where the backend had it in hand: one for each client at most."""
    ash = site.backends[0]
    with Load(gateway.address, host="killed.test", clients=clients) as load:
        load.wait(200)
        ash.kill()
        load.wait(400)
        ash.start()
        load.wait(20, served_by="ash")
    assert load.failed("GET") == []
    assert load.statuses("POST") <= {200, 502}
    assert len(load.failed("POST")) <= clients
    adds_up(load, site.backends)


def test_frozen_backend_costs_no_idempotent_request(gateway, site):
    """It takes connections and says nothing, until it goes on."""
    ash = site.backends[0]
    with Load(gateway.address, host="frozen.test", clients=FEW_CLIENTS) as load:
        load.wait(200)
        ash.freeze()
        load.wait(400)
        ash.thaw()
        load.wait(20, served_by="ash")
    assert load.failed("GET") == []
    assert load.statuses("POST") <= {200, 504}
    adds_up(load, site.backends)


@pytest.mark.parametrize("fault", ["reset", "close", "malformed"])
def test_backend_that_gives_no_usable_answer_costs_no_idempotent_request(gateway, site, fault):
    """It read the request, so a POST is not sent to another one."""
    ash = site.backends[0]
    with Load(gateway.address, host="faulty.test", clients=FEW_CLIENTS) as load:
        load.wait(50)
        ash.mode(fault)
        load.wait(400)
        ash.mode("answer")
        load.wait(20, served_by="ash")
    assert load.failed("GET") == []
    assert load.statuses("POST") <= {200, 502}
    adds_up(load, site.backends)


def test_truncated_answer_never_looks_whole(gateway, site):
    """A client that has got a part of it sees a cut; it is not asked for anew."""
    ash = site.backends[0]
    ash.mode("truncated")
    with Load(gateway.address, host="closing.test", clients=CLIENTS) as load:
        load.wait(200)
        ash.mode("answer")
        load.wait(20, served_by="ash")
    cut = [one for one in load.outcomes if one.status == 200 and not one.whole]
    assert cut
    got = ash.got()
    assert {got[one.method, one.request_id] for one in cut} == {1}
    others = [one for one in load.outcomes if one not in cut]
    assert {one.status for one in others} <= {200, 502}
    assert all(one.backend for one in others if one.status == 200)
    adds_up(load, site.backends)


def test_burst_of_500_is_passed_on_and_not_multiplied(gateway, site):
    """It is an answer: each came from one backend, which was asked once."""
    ash = site.backends[0]
    with Load(gateway.address, host="erring.test", clients=CLIENTS) as load:
        load.wait(50)
        ash.mode("error")
        load.wait(300)
        ash.mode("answer")
        load.wait(50)
    assert load.statuses() == {200, 500}
    came = arrivals(site.backends)
    assert {came[one.method, one.request_id] for one in load.outcomes} == {1}
    errors = [one for one in load.outcomes if one.status == 500]
    assert {one.backend for one in errors} == {"ash"}
    assert all(one.whole for one in load.outcomes)
    adds_up(load, site.backends)


def test_status_that_the_pool_names_is_tried_again_elsewhere(gateway, site):
    """Idempotent methods alone; a POST gets the backend's own 503."""
    ash = site.backends[0]
    with Load(gateway.address, host="unavailable.test", clients=FEW_CLIENTS) as load:
        load.wait(50)
        ash.mode("unavailable")
        load.wait(300)
        ash.mode("answer")
        load.wait(20, served_by="ash")
    assert load.failed("GET") == []
    assert load.statuses("POST") <= {200, 503}
    assert {one.backend for one in load.outcomes if one.status == 503} <= {"ash"}
    adds_up(load, site.backends)


def test_slow_drips_arrive_whole(gateway, site):
    ash = site.backends[0]
    ash.mode("drip")
    with Load(gateway.address, host="dripping.test", clients=CLIENTS) as load:
        load.wait(20, served_by="ash")
        load.wait(60)
    assert load.failed() == []
    assert {len(one.body) for one in load.outcomes if one.backend == "ash"} == {DRIPS}
    adds_up(load, site.backends)


@pytest.mark.parametrize("host", ["refused.test", "unresolved.test"])
def test_backend_that_cannot_be_reached_costs_no_request_of_any_method(gateway, site, host):
    """Nothing was sent to it, so that a POST too goes to another one."""
    with Load(gateway.address, host=host, clients=CLIENTS) as load:
        load.wait(200)
    assert load.failed() == []
    assert {one.backend for one in load.outcomes} == {"birch", "cedar"}
    adds_up(load, site.backends)
