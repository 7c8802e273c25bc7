import pytest

from pools.core.codec import parse
from pools.core.errors import DocumentError


def wrong(pools=(), routes=()):
    """What is wrong, by path."""
    try:
        parse({"pools": list(pools), "routes": list(routes)})
    except DocumentError as error:
        return {problem.where: problem.message for problem in error.problems}
    return {}


def pool(**spec):
    return {"name": "web", **spec}


def route(**spec):
    return {"name": "r", "pool": "web", **spec}


def test_names_are_unique():
    assert wrong([pool(), pool()], [route(), route()]) == {
        "pools[1].name": "'web' is there already at pools[0]",
        "routes[1].name": "'r' is there already at routes[0]",
    }


def test_a_backend_is_once_in_a_pool_however_it_is_written():
    backends = [{"host": host, "port": 80} for host in ("B1", "b2", "b1.")]
    assert wrong([pool(backends=backends)]) == {
        "pools[0].backends[2].host": "'b1:80' is there already at backends[0]"
    }


def test_a_backend_may_be_in_many_pools_and_have_many_ports():
    backends = [{"host": "b1", "port": port} for port in (80, 81)]
    assert not wrong([pool(backends=backends), pool(name="api", backends=backends)])


def test_a_unix_socket_is_once_in_a_pool():
    backends = [{"host": f"unix:{path}"} for path in ("/run/a", "/run/b", "//run/a")]
    assert wrong([pool(backends=backends)]) == {
        "pools[0].backends[2].host": "'unix:/run/a' is there already at backends[0]"
    }


def test_a_route_needs_a_pool_that_exists():
    assert wrong([pool(), pool(name="api")], [route(pool="wbe")]) == {
        "routes[0].pool": "there is no pool 'wbe': add it, or name one of api, web"
    }
    assert wrong([], [route()]) == {
        "routes[0].pool": (
            "there is no pool 'web': add it, or name one of the pools (there is none yet)"
        )
    }


@pytest.mark.parametrize("on", ["header", "cookie"])
def test_hashing_a_header_or_cookie_needs_its_name(on):
    hashed = {"on": on}
    assert wrong([pool(policy="consistent_hash", hash=hashed)]) == {
        "pools[0].hash.name": f"say which {on} to hash: its name is missing"
    }
    assert not wrong([pool(policy="consistent_hash", hash={**hashed, "name": "X"})])
    assert not wrong([pool(policy="random", hash=hashed)])


@pytest.mark.parametrize("on", ["client_address", "path"])
def test_other_keys_need_none(on):
    assert not wrong([pool(policy="consistent_hash", hash={"on": on})])


def test_a_fixed_host_needs_its_value():
    assert wrong([pool(host={"mode": "fixed"})]) == {
        "pools[0].host.value": "mode fixed needs the Host to send"
    }
    assert not wrong([pool(host={"mode": "fixed", "value": "app.example.com"})])


def test_a_cookie_that_browsers_refuse_is_refused():
    sticky = {"mode": "cookie", "same_site": "None", "secure": "never"}
    assert wrong([pool(sticky=sticky)]) == {
        "pools[0].sticky.secure": "browsers refuse a cookie of SameSite None that is not "
        "Secure: use auto or always"
    }
    assert not wrong([pool(sticky={**sticky, "secure": "auto"})])


def test_a_probe_ends_before_the_next_begins():
    assert wrong([pool(probe={"timeout_s": 9.0})]) == {
        "pools[0].probe.timeout_s": "9 s is longer than the interval of 5 s: make it shorter"
    }
    assert not wrong([pool(probe={"timeout_s": 5.0})])


def test_a_backend_that_is_down_is_not_probed_more_often_than_one_that_is_up():
    assert wrong([pool(probe={"down_interval_s": 4.0})]) == {
        "pools[0].probe.down_interval_s": "4 s is shorter than the interval of 5 s: make it "
        "longer, or 0 for the same"
    }
    assert not wrong([pool(probe={"down_interval_s": 5.0})])
    assert not wrong([pool(probe={"down_interval_s": 0.0})])


def test_a_fast_interval_longer_than_the_usual_one_is_taken_for_that():
    assert not wrong([pool(probe={"fast_interval_s": 60.0})])


def test_an_expected_json_value_needs_its_place():
    assert wrong([pool(probe={"json_value": "ok"})]) == {
        "pools[0].probe.json_path": "say where json_value is to stand"
    }
    assert not wrong([pool(probe={"json_value": "ok", "json_path": "status"})])
    assert not wrong([pool(probe={"json_path": "status"})])


@pytest.mark.parametrize(
    ("name", "kind"),
    [("json_path", "http"), ("json_value", "http"), ("send", "tcp"), ("expect", "tcp")],
)
def test_what_a_probe_of_this_kind_would_not_check_is_refused(name, kind):
    for other in {"http", "tcp", "tls"} - {kind}:
        assert wrong([pool(probe={"kind": other, name: "ok"})]) == {
            f"pools[0].probe.{name}": f"is for probes of kind {kind}: remove it"
        }
    there = {"json_path": "status"} if name == "json_value" else {}
    assert not wrong([pool(probe={"kind": kind, name: "ok", **there})])
    assert not wrong([pool(probe={"kind": "off", name: "ok"})])


@pytest.mark.parametrize("name", ["text", "json_path"])
def test_nothing_is_expected_in_the_body_of_an_answer_to_head(name):
    assert wrong([pool(probe={"method": "HEAD", name: "ok"})]) == {
        f"pools[0].probe.{name}": "an answer to HEAD has no body: use GET"
    }
    assert not wrong([pool(probe={"kind": "off", "method": "HEAD", name: "ok"})])


@pytest.mark.parametrize(("kind", "name"), [("http", "text"), ("tcp", "expect")])
def test_what_is_expected_fits_into_what_is_read(kind, name):
    probe = {"kind": kind, "body_bytes": 2}
    assert wrong([pool(probe={**probe, name: "ok!"})]) == {
        f"pools[0].probe.{name}": "3 bytes cannot be in the first 2 of an answer: make "
        "body_bytes larger"
    }
    assert not wrong([pool(probe={**probe, name: "ok"})])


def test_replacing_a_prefix_needs_another():
    assert wrong([pool()], [route(prefix_mode="replace")]) == {
        "routes[0].prefix_replacement": "prefix_mode replace needs the prefix to send instead"
    }
    assert not wrong([pool()], [route(prefix_mode="replace", prefix_replacement="/v2")])


@pytest.mark.parametrize("match", ["equals", "prefix", "contains"])
def test_a_comparison_needs_a_value(match):
    condition = {"header": "x-a", "match": match}
    assert wrong([pool()], [route(conditions=[condition])]) == {
        "routes[0].conditions[0].value": f"match {match} needs a value to compare with"
    }
    assert not wrong([pool()], [route(conditions=[{**condition, "value": "1"}])])


@pytest.mark.parametrize("match", ["present", "absent"])
def test_presence_needs_none(match):
    condition = {"header": "x-a", "match": match}
    assert not wrong([pool()], [route(conditions=[condition])])
    assert wrong([pool()], [route(conditions=[{**condition, "value": "1"}])]) == {
        "routes[0].conditions[0].value": f"match {match} compares with no value: remove it"
    }
