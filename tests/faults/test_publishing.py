"""The configuration is changed under load: no request is lost by it."""

from tests.faults.load import Load, adds_up
from tests.faults.site import pool
from tests.services import eventually

SWAPS = 20


def test_route_moves_to_another_pool_without_a_failure(gateway, site, publisher):
    """From a revision on all requests go where it says."""
    gateway.revision(publisher.publish(site.document(moved="first")))
    with Load(gateway.address, host="moved.test") as load:
        load.wait(50, served_by="ash")
        gateway.revision(publisher.publish(site.document(moved="second")))
        load.wait(50, served_by="birch")
        so_far = len(load.outcomes)
        load.wait(50)
    assert load.failed() == []
    assert {one.backend for one in load.outcomes[so_far:]} == {"birch"}
    adds_up(load, site.backends)


def test_many_changes_in_a_row_cost_no_request(gateway, site, publisher):
    """Pools come and go, and a route moves to and fro between them."""
    with Load(gateway.address, host="steady.test") as load:
        for number in range(SWAPS):
            new = f"new-{number}"
            pools = [pool(new, [site.ports[number % 3]])]
            moved = site.document(pools=pools, steady=new)
            gateway.revision(publisher.publish(moved))
            load.wait(10, served_by=site.backends[number % 3].name)
        gateway.revision(publisher.publish(site.document()))
        load.wait(50)
    assert load.failed() == []
    adds_up(load, site.backends)


def test_removed_backend_finishes_what_it_has_and_gets_nothing_new(gateway, site, publisher):
    ash = site.backends[0]
    gateway.revision(publisher.publish(site.document()))
    ash.hold()
    with Load(
        gateway.address, host="steady.test", target="/held", turns=["GET"], clients=12
    ) as waiting:
        with Load(gateway.address, host="steady.test") as load:
            load.wait(50)
            waits = ash.state()["held"]
            assert waits
            without = pool("steady", site.ports[1:])
            gateway.revision(publisher.publish(site.document(pools=[without])))
            so_far = len(load.outcomes)
            load.wait(100)
            assert ash.state()["held"] >= waits
        ash.release()
        eventually(lambda: sum(one.backend == "ash" for one in waiting.outcomes) >= waits)
    assert load.failed() == waiting.failed() == []
    assert {one.backend for one in load.outcomes[so_far + 8 :]} == {"birch", "cedar"}
    adds_up(load, site.backends)
    adds_up(waiting, site.backends)
    gateway.revision(publisher.publish(site.document()))
