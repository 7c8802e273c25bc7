"""reserved and site: no route shadows the control plane, no CA is one that can't load."""

from __future__ import annotations

import pytest

from pools import reserved, site
from pools.core import codec
from pools.core.errors import DocumentError

urlpatterns: list[object] = []  # as a project's urls, for the test below that has no admin


@pytest.fixture
def by_path(settings) -> None:
    settings.POOLS_ADMIN_HOST = ""
    settings.POOLS_RESERVED_PATHS = ["/admin/", "/static"]


@pytest.fixture
def by_host(settings) -> None:
    settings.POOLS_ADMIN_HOST = "Admin.Example.com"


def problems(**route: object) -> list[str]:
    document = codec.parse(
        {"pools": [{"name": "web"}], "routes": [{"name": "r", "pool": "web", **route}]}
    )
    return [str(problem) for problem in site.problems(document)]


@pytest.mark.parametrize(
    ("path", "held"),
    [
        (b"/admin", True),
        (b"/admin/", True),
        (b"/admin/login/?x", True),
        (b"/static/a.css", True),
        (b"/administrator", False),
        (b"/Admin/", False),
        (b"/", False),
        (b"//admin", False),
        (b"*", False),
    ],
)
def test_reserved_paths_are_kept_on_every_host(by_path, path, held):
    assert reserved.current().holds("any.example.com", path) is held
    assert reserved.current().holds("", path) is held


def test_an_admin_host_is_kept_whole_and_frees_the_paths(by_host):
    kept = reserved.current()
    assert kept.holds("admin.example.com", b"/anything")
    assert not kept.holds("www.example.com", b"/admin/")


def test_an_admin_host_may_be_an_address(settings):
    settings.POOLS_ADMIN_HOST = "[::1]"
    assert reserved.current().holds("[::1]", b"/")


@pytest.mark.parametrize(
    ("host", "path", "hidden"),
    [
        ("admin.example.com", "/admin/", False),
        ("www.example.com", "/admin", True),
        ("www.example.com", "/admin/login/", True),
        ("", "/admin/", True),
        ("www.example.com", "/administrator", False),
        ("www.example.com", "/static/a.css", False),
    ],
)
def test_with_a_host_of_its_own_the_admin_is_on_no_other(by_host, host, path, hidden):
    assert reserved.current().elsewhere(host, path) is hidden


def test_without_a_host_of_its_own_the_admin_is_everywhere(by_path):
    assert not reserved.current().elsewhere("www.example.com", "/admin/")


def test_without_a_setting_the_admin_s_own_urls_are_kept(settings):
    settings.POOLS_RESERVED_PATHS = None
    assert reserved.current().paths == ("/admin", "/static")


def test_static_files_elsewhere_keep_nothing_here(settings):
    settings.POOLS_RESERVED_PATHS = None
    settings.STATIC_URL = "https://cdn.example.com/static/"
    assert reserved.current().paths == ("/admin",)


def test_a_project_without_the_admin_keeps_its_static_files(settings):
    settings.POOLS_RESERVED_PATHS = None
    settings.ROOT_URLCONF = __name__
    assert reserved.current().paths == ("/static",)


@pytest.mark.parametrize("prefix", ["/admin", "/admin/login", "/static/"])
def test_a_route_at_or_below_a_reserved_path_is_refused(by_path, prefix):
    (problem,) = problems(path_prefix=prefix, hosts=["www.example.com"])
    assert problem.startswith("routes[0].path_prefix: ")
    assert "POOLS_ADMIN_HOST" in problem


@pytest.mark.parametrize("prefix", ["/", "/administrator", "/x/admin"])
def test_a_route_beside_or_above_is_not(by_path, prefix):
    assert problems(path_prefix=prefix) == []


def test_a_route_may_not_name_the_admin_s_host(by_host):
    assert problems(hosts=["a.example.com", "admin.example.com"]) == [
        "routes[0].hosts: admin.example.com is the admin's own host: use another"
    ]
    assert problems(hosts=["*.example.com"]) == []
    assert problems(path_prefix="/admin") == []


def sticky(**pool: object) -> list[str]:
    document = codec.parse({"pools": [{"sticky": {"mode": "cookie"}, **pool}]})
    return [str(problem) for problem in site.problems(document)]


def test_a_sticky_cookie_is_none_of_the_admin_s(settings):
    settings.SESSION_COOKIE_NAME = "proxysite_sessionid"
    settings.CSRF_COOKIE_NAME = "csrf"
    assert sticky(name="web") == []
    assert sticky(name="sessionid") == [
        "pools[0].sticky.cookie: proxysite_sessionid is the name of the admin's own cookie: "
        "choose another"
    ]
    assert len(sticky(name="web", sticky={"mode": "cookie", "cookie": "csrf"})) == 1
    assert sticky(name="sessionid", sticky={"mode": "cookie", "cookie": "mine"}) == []
    assert sticky(name="sessionid", sticky={"mode": "off"}) == []


BAD = "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("around", ["", "# Zürich CA\r\n"])
def test_a_ca_that_cannot_be_loaded_is_refused_at_its_field(around):
    pools = [{"name": "a"}, {"name": "web", "tls": {"ca": around + BAD}}]
    (problem,) = site.problems(codec.parse({"pools": pools}))
    assert problem.where == "pools[1].tls.ca"
    assert "cannot be loaded" in problem.message


def test_what_is_beside_the_certificates_is_no_part_of_a_ca():
    (pool,) = codec.parse(
        {"pools": [{"name": "web", "tls": {"ca": f"# Zürich\r\n{BAD}# Bern\n{BAD}"}}]}
    ).pools
    assert pool.tls.ca == BAD * 2
    key = "-----BEGIN PRIVATE KEY-----\nbm90\n-----END PRIVATE KEY-----"
    with pytest.raises(DocumentError, match="not all of it is CA certificates"):
        codec.parse({"pools": [{"name": "web", "tls": {"ca": BAD + key}}]})
