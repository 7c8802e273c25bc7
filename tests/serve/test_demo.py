import pytest

from pools.control import publish
from pools.models import Pool, Revision, Route
from pools.serve import demo
from tests import services

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_demo_is_a_published_pool_and_route():
    ports = demo.ports(20_900)
    assert [backend.port for backend in Pool.objects.get(name="demo").backends.all()] == ports
    assert Route.objects.get(name="demo").path_prefix == "/demo"
    assert Revision.objects.get().who == "serve --demo"


def test_ports_in_use_are_passed_over():
    with services.socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        assert taken not in demo.ports(taken)


def test_it_comes_once():
    ports = demo.ports(20_900)
    with publish.change(who="operator"):
        Route.objects.all().delete()
        Pool.objects.all().delete()
    assert demo.ports(20_950) == ports
    assert not Pool.objects.exists()


def test_a_pool_of_the_operators_with_its_name_is_left_alone():
    with publish.change(who="operator"):
        Pool.objects.create(name="demo")
    demo.ports(20_900)
    assert not Pool.objects.get(name="demo").backends.exists()
    assert not Route.objects.exists()
