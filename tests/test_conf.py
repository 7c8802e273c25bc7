"""conf and checks: settings with defaults, each documented, a bad one said in one line."""

from __future__ import annotations

import re
from dataclasses import fields
from ipaddress import ip_network
from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured

from pools import checks, conf

DOCS = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
SETTINGS = [conf.setting(spec) for spec in fields(conf.Conf)]


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_has_its_heading_in_the_docs(name):
    text = DOCS.read_text()
    assert re.search(rf"^### {name}$", text, re.MULTILINE)


def test_every_setting_has_an_id_of_its_own():
    assert list(checks.IDS) == SETTINGS
    assert len(set(checks.IDS.values())) == len(SETTINGS)


@pytest.mark.parametrize("spec", fields(conf.Conf), ids=lambda spec: spec.name)
def test_every_default_holds(settings, spec):
    if hasattr(settings, conf.setting(spec)):
        delattr(settings, conf.setting(spec))
    assert conf.read(spec) == spec.default


def test_values_are_read_in_their_canonical_form(settings):
    settings.POOLS_TRUSTED_PROXIES = ["10.0.0.0/8", "::1"]
    settings.POOLS_ADMIN_HOST = "Admin.Example.COM."
    settings.POOLS_RESERVED_PATHS = ["/admin/", "/"]
    settings.POOLS_DATA_DIR = "/srv/data"
    now = conf.current()
    assert now.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1"))
    assert now.admin_host == "admin.example.com"
    assert now.reserved_paths == ("/admin", "/")
    assert now.data_dir == Path("/srv/data")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("POOLS_DATA_DIR", 5, "is 5: "),
        ("POOLS_TRUSTED_PROXIES", "10.0.0.0/8", "give a list, such as ['10.0.0.0/8']"),
        ("POOLS_TRUSTED_PROXIES", ["10.0.0.1/8"], "is ['10.0.0.1/8']: "),
        ("POOLS_ADMIN_HOST", "http://a", "'http://a' is not a host name"),
        ("POOLS_RESERVED_PATHS", ["admin"], "'admin' is not a path prefix: begin it with '/'"),
        ("POOLS_RESERVED_PATHS", "/admin", "is '/admin': give a list"),
        ("POOLS_FALLTHROUGH", "no", "is 'no': "),
        ("POOLS_VIA", "a b", "'a b' is not a name on the wire"),
        ("POOLS_FORWARDED", 1, "is 1: "),
        ("POOLS_REDIS_URL", None, "is None: "),
        ("POOLS_REDIS_URL", "localhost:6379", "begin it with redis://, rediss:// or unix://"),
        ("POOLS_POLL_INTERVAL_S", 61, "is 61: use 0 to 60"),
        ("POOLS_PROBE_CONCURRENCY", 0, "is 0: use 1 to 65536"),
        ("POOLS_KEEP_REVISIONS", 0, "is 0: use 1 to 1e+06"),
        ("POOLS_KEEP_EVENTS", "200", "is '200': "),
        ("POOLS_CLIENT_HEADER_TIMEOUT_S", 0, "is 0: use 0.1 to 600"),
        ("POOLS_CLIENT_BODY_TIMEOUT_S", "60", "is '60': "),
        ("POOLS_CLIENT_KEEPALIVE_S", 3601, "is 3601: use 0.1 to 3600"),
        ("POOLS_CLIENT_SEND_TIMEOUT_S", float("nan"), "is nan: use 0.1 to 3600"),
        ("POOLS_DRAIN_TIMEOUT_S", -1, "is -1: use 0 to 3600"),
        ("POOLS_TUNNEL_DRAIN_TIMEOUT_S", True, "is True: "),
        ("POOLS_MAX_CONNECTIONS", 0, "is 0: use 1 to 1e+06"),
        ("POOLS_MAX_CONNECTIONS_PER_CLIENT", -1, "is -1: use 0 to 1e+06"),
        ("POOLS_MAX_HEADER_BYTES", 100, "is 100: use 1024 to "),
        ("POOLS_MAX_HEADER_FIELDS", 1.5, "is 1.5: "),
        ("POOLS_MAX_TARGET_BYTES", 1, "is 1: use 256 to "),
        ("POOLS_ACCESS_LOG", None, "is None: "),
        ("POOLS_ACCESS_LOG_FORMAT", "common", "is 'common': "),
        ("POOLS_CERTIFICATES", 5, "is 5: "),
    ],
)
def test_a_bad_value_is_one_line_with_its_id(settings, name, value, message):
    setattr(settings, name, value)
    (found,) = (error for error in run_checks() if error.id == checks.IDS[name])
    assert found.msg.startswith(f"{name} is ")
    assert message in found.msg
    assert "\n" not in found.msg
    with pytest.raises(ImproperlyConfigured) as caught:
        conf.current()
    assert str(caught.value) == found.msg


def test_times_without_a_zone_are_refused(settings):
    settings.USE_TZ = False
    (found,) = (error for error in run_checks() if str(error.id).startswith("pools."))
    assert (found.id, found.msg) == ("pools.E029", "USE_TZ is False: set it to True")


def test_the_project_s_settings_hold():
    assert [error for error in run_checks() if str(error.id).startswith("pools.")] == []
