"""manage.py route explain: the route, those passed over, and the backends."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command

from pools.control import compile, publish
from pools.control.apply import apply
from pools.models import Pool, Revision, Route

pytestmark = pytest.mark.django_db

SITE = {
    "pools": [
        {
            "name": "web",
            "backends": [
                {"host": "10.0.0.1", "port": 80, "weight": 3},
                {"host": "10.0.0.2", "port": 80},
                {"host": "10.0.0.3", "port": 80, "state": "drain"},
            ],
        },
        {"name": "empty"},
    ],
    "routes": [
        {"name": "api", "pool": "web", "hosts": ["a.example.com"], "path_prefix": "/api"},
        {"name": "all", "pool": "empty", "conditions": [{"header": "X-A", "value": "[1]"}]},
    ],
}


@pytest.fixture(autouse=True)
def site() -> None:
    with publish.change(who="test"):
        apply(compile.checked(SITE))


def run(*words: str) -> tuple[int, list[str]]:
    out = io.StringIO()
    code = 0
    try:
        call_command("route", "explain", *words, stdout=out)
    except SystemExit as ended:
        code = ended.code
    return code, [line.rstrip() for line in out.getvalue().splitlines()]


def test_a_request_that_a_route_takes():
    code, lines = run("get", "http://A.example.com:8000/api/x%2Fy?q=1")
    assert code == 0
    assert lines == [
        "GET a.example.com/api/x%2Fy, revision 1",
        "Route api takes it (a.example.com, /api).",
        "Pool web gets it, as /api/x%2Fy?q=1.",
        "passed over  why",
        "all          header X-A is not '[1]'",
        "header             value                    why",
        "host               a.example.com:8000       as the client sent it",
        "x-forwarded-for    127.0.0.1                added",
        "x-forwarded-proto  http                     added",
        "x-forwarded-host   a.example.com:8000       added",
        "x-forwarded-port   8000                     added",
        "x-request-id       (made for each request)  added",
        "via                1.1 proxysite            added",
        "backend          share  state  health   weight  why",
        "web/10.0.0.1:80  75%    ready  unknown  3",
        "web/10.0.0.2:80  25%    ready  unknown  1",
        "web/10.0.0.3:80  0%     drain  unknown  1       draining",
    ]


def test_headers_count_and_host_goes_before_the_url_s():
    code, lines = run("GET", "http://b/api", "-H", "Host: a.example.com:80", "-H", "x-a:[1]")
    assert code == 0
    assert lines[1] == "Route api takes it (a.example.com, /api)."
    code, lines = run("GET", "/", "-H", "X-A: [1]", "--client", "10.0.0.9")
    assert code == 0
    assert "Route all takes it (any host, /)." in lines
    assert lines[-1] == "Pool empty has no backends."


def test_a_request_that_none_takes():
    code, lines = run("GET", "/nowhere")
    assert code == 1
    assert lines[1] == "No route takes it."
    assert [line.split()[0] for line in lines[3:]] == ["all", "api"]


def test_a_request_that_is_the_admin_s():
    code, lines = run("GET", "http://a.example.com/admin/")
    assert code == 1
    assert lines[1:] == ["The admin's own: no route is asked."]


def test_rows_that_are_not_published_are_told_of():
    Route.objects.filter(name="api").update(path_prefix="/v2")
    code, lines = run("GET", "http://a.example.com/api")
    assert code == 0
    assert "not published" in lines[1]


def test_in_json():
    code, lines = run("GET", "http://a.example.com/api", "--json")
    assert code == 0
    found = json.loads("".join(lines))
    assert (found["route"], found["pool"], found["revision"]) == ("api", "web", 1)
    assert [backend["share"] for backend in found["backends"]] == [0.75, 0.25, 0]
    assert found["passed_over"] == [{"route": "all", "reason": "header X-A is not '[1]'"}]


def listed(*words: str) -> str:
    out = io.StringIO()
    call_command("route", "list", *words, stdout=out)
    return out.getvalue()


def test_routes_are_listed_in_the_order_in_which_they_match():
    pool = Pool.objects.get(name="web")
    Route.objects.create(name="off", pool=pool, path_prefix="/long/way", enabled=False)
    Route.objects.create(name="twin", pool=pool, hosts=["a.example.com"], path_prefix="/api")
    assert [line.rstrip() for line in listed().splitlines()] == [
        "#  route  hosts          prefix     conditions      pool",
        "1  api    a.example.com  /api                       web",
        "2  twin   a.example.com  /api                       web    "
        "never taken: api takes all of it",
        "-  off    any            /long/way                  web    disabled",
        "3  all    any            /          X-A equals [1]  empty",
    ]
    assert [line.split()[1] for line in listed("--host", "b").splitlines()[1:]] == [
        "off",
        "all",
    ]


def test_the_list_in_json():
    Route.objects.create(name="b", pool=Pool.objects.get(name="web"), methods=["GET"])
    Route.objects.create(name="c", pool=Pool.objects.get(name="web"), methods=["GET"])
    *_, last = json.loads(listed("--json"))
    assert last == {
        "place": 4,
        "route": "c",
        "enabled": True,
        "hosts": [],
        "path_prefix": "/",
        "methods": ["GET"],
        "conditions": [],
        "pool": "web",
        "never_taken": True,
        "shadowed_by": [{"host": None, "route": "b"}],
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["CONNECT", "/"], "CONNECT is never forwarded"),
        (["GET", "a.example.com"], "'a.example.com' is not a URL: begin it with http://"),
        (["GET", "ftp://a/"], "'ftp://a/' is not a URL"),
        (["GET", "http://a b/"], "'a b' is not a host name"),
        (["GET", "/a b"], "'/a b' is not a path"),
        (["GET", "/", "-H", "X"], "'X' is not a header: write 'Name: value'"),
        (["GET", "/", "-H", "X Y: 1"], "'X Y' is not a name on the wire"),
        (["GET", "/", "-H", "Host: a b"], "'a b' is not a host name"),
        (["GET", "/", "--client", "x"], "'x' does not appear to be an IPv4 or IPv6 address"),
    ],
)
def test_what_is_no_request_is_one_line(words, message):
    with pytest.raises(CommandError) as caught:
        run(*words)
    assert message in str(caught.value)


@pytest.mark.parametrize("path", ["/ü/x%2Fy", "/%C3%BC/x%2Fy"])
def test_a_path_beyond_ascii_is_what_a_browser_makes_of_it(path):
    with publish.change(who="test"):
        Route.objects.create(name="u", pool=Pool.objects.get(name="web"), path_prefix="/%C3%BC")
    code, lines = run("GET", f"http://b{path}")
    assert code == 0
    assert lines[1:3] == [
        "Route u takes it (any host, /%C3%BC).",
        "Pool web gets it, as /%C3%BC/x%2Fy.",
    ]


def test_what_is_wrong_is_json_too():
    code, lines = run("GET", "x", "--json")
    assert code == 2
    found = json.loads("".join(lines))
    assert found["error"].startswith("'x' is not a URL")
    Revision.objects.update(document={"pools": 5})
    code, lines = run("GET", "/", "--json")
    assert code == 2
    assert "cannot be read: pools: 5 is not a list" in json.loads("".join(lines))["error"]


def test_a_revision_that_cannot_be_read_is_one_line():
    Revision.objects.update(document={"pools": 5})
    with pytest.raises(CommandError, match=r"cannot be read: pools: 5 is not a list") as caught:
        run("GET", "/")
    assert caught.value.returncode == 2
