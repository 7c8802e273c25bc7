"""Rows hold the document's parts: same fields, same defaults, same rules."""

from __future__ import annotations

import dataclasses

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from pools.core import codec, document
from pools.models import Backend, Pool, PublishedState, Route
from pools.models.parts import COLUMNS, OWN_ROWS

EXAMPLES = {
    Pool: document.Pool(name="web"),
    Backend: document.Backend(host="10.0.0.1", port=80),
    Route: document.Route(name="api", pool="web"),
}


def errors(row) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as caught:
        row.full_clean()
    return caught.value.message_dict


def leaves(plain: dict, at: tuple[str, ...] = ()):
    """Every value of a plain part by its path; `set` is a value, not a part."""
    for key, value in plain.items():
        if key in OWN_ROWS:
            continue
        if isinstance(value, dict) and key != "set":
            yield from leaves(value, (*at, key))
        else:
            yield (*at, key), value


@pytest.mark.parametrize("model", EXAMPLES)
def test_every_field_of_the_document_has_its_column_with_its_default(model):
    fields = {field.name: field for field in model._meta.get_fields()}
    blank = model()
    for path, value in leaves(codec.to_plain(EXAMPLES[model], defaults=True)):
        column = "_".join(path)
        assert COLUMNS[model.part_kind][column] == path
        if not fields[column].is_relation and column not in ("name", "host", "port"):
            assert getattr(blank, column) == value, column


@pytest.mark.parametrize("model", EXAMPLES)
def test_no_column_holds_what_no_document_has(model):
    own = {field.name for field in model._meta.concrete_fields} - {"id", "published"} - {"team"}
    links = {"pool"} if model is Backend else set()
    assert own - links == set(COLUMNS[model.part_kind])


@pytest.mark.parametrize("model", EXAMPLES)
def test_every_column_says_what_it_is(model):
    silent = {"pool", "enabled", "scheme"}  # their names say it
    for column in COLUMNS[model.part_kind]:
        assert column in silent or model._meta.get_field(column).help_text, column


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (Pool.policy, document.Policy),
        (Pool.hash_on, document.HashOn),
        (Pool.sticky_mode, document.StickyMode),
        (Pool.sticky_same_site, document.SameSite),
        (Pool.sticky_secure, document.CookieSecure),
        (Pool.host_mode, document.HostMode),
        (Pool.probe_kind, document.ProbeKind),
        (Backend.scheme, document.Scheme),
        (Backend.state, document.AdminState),
        (Route.prefix_mode, document.PrefixMode),
    ],
)
def test_choices_are_the_enum_s(column, kind):
    assert [value for value, _ in column.field.choices] == list(kind)


def test_what_a_row_takes_over_it_gives_back():
    part = codec.parse_part(
        document.Pool,
        {
            "name": "web",
            "policy": "consistent_hash",
            "hash": {"on": "header", "name": "x-user"},
            "retry": {"on": ["http_503"], "attempts": 2},
            "probe": {"text": "ok", "statuses": 200},
        },
    )
    row = Pool()
    assert row.assign(part)
    assert row.part() == dataclasses.replace(part, backends=())
    assert not row.assign(part)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("row", "column", "message"),
    [
        (Pool(name="a b"), "name", "'a b' is not a name"),
        (
            Pool(name="a", probe_timeout_s=9),
            "probe_timeout_s",
            "longer than the interval of 5 s",
        ),
        (Pool(name="a", retry_on=["luck"]), "retry_on", "'luck' is not one of 'connect'"),
        (Pool(name="a", retry_on="connect"), "retry_on", "'connect' is not a list"),
        (Pool(name="a", host_mode="fixed"), "host_value", "mode fixed needs the Host to send"),
        (Pool(name="a", probe_statuses="2xx"), "probe_statuses", "'2xx' is not a status"),
        (Pool(name="a", tls_ca="secret"), "tls_ca", "not a CA certificate in PEM"),
        (
            Pool(name="a", policy="consistent_hash", hash_on="cookie"),
            "hash_name",
            "say which cookie to hash",
        ),
        (Route(name="a", hosts=["a", "*b"]), "hosts", "'*b': a wildcard is '*.' and a name"),
        (
            Route(name="a", conditions=[{"header": "x", "match": "equals"}]),
            "conditions",
            "[0].value: match equals needs a value",
        ),
        (
            Route(name="a", request_headers_set={"Host": "b"}),
            "request_headers_set",
            "Host is set by the proxy itself",
        ),
        (Route(name="a", path_prefix="/admin/x"), "path_prefix", "/admin/x is the admin's own"),
        (Backend(host="10.0.0.1", port=70000), "port", "70000 is not a port: use 1 to 65535"),
        (Backend(host="http://a", port=80), "host", "'http://a' is not a host name"),
        (Backend(host="a"), "port", "is missing: give a port"),
        (Backend(host="unix:/run/a", port=80), "port", "80 with a Unix socket"),
        (Backend(host="unix:a"), "host", "'unix:a' is not the whole path to a socket"),
        (Route(name="a", upgrades=["h2c"]), "upgrades", "h2c is HTTP"),
    ],
)
def test_a_value_that_does_not_hold_is_said_at_its_field(row, column, message):
    if not isinstance(row, Pool):
        row.pool = Pool.objects.create(name="web")
    found = errors(row)
    assert list(found) == [column]
    assert len(found[column]) == 1
    assert message in found[column][0]


@pytest.mark.django_db
def test_what_django_refuses_is_not_refused_twice():
    assert errors(Pool(name="")) == {"name": ["This field cannot be blank."]}
    assert errors(Pool(name="a", policy="luck")) == {
        "policy": ["Value 'luck' is not a valid choice."]
    }
    assert errors(Route(name="a"))["pool"] == ["This field cannot be null."]


@pytest.mark.django_db
def test_a_form_that_leaves_a_field_out_is_not_blamed_for_it():
    Pool(name="a b").clean_fields(exclude=["name"])
    Pool(name="a", probe_timeout_s=9).full_clean(exclude=["probe_timeout_s"])


@pytest.mark.django_db
def test_cleaning_writes_the_canonical_form():
    pool = Pool.objects.create(name="web")
    route = Route(
        name="api", pool=pool, hosts=["App.Example.COM."], path_prefix="/api/", methods=["get"]
    )
    route.full_clean()
    assert (route.hosts, route.path_prefix, route.methods) == (
        ["app.example.com"],
        "/api",
        ["GET"],
    )
    backend = Backend(pool=pool, host="[0::1]", port=80)
    backend.full_clean()
    backend.save()
    assert backend.key == "web/[::1]:80"
    socket = Backend(pool=pool, host="unix://run/app.sock")
    socket.full_clean()
    socket.save()
    assert socket.key == "web/unix:/run/app.sock"
    for row in (backend, socket):
        assert errors(Backend(pool=pool, host=row.host, port=row.port)) == {
            "__all__": ["This host and port is in the pool already."]
        }


@pytest.mark.django_db
def test_a_pool_that_a_route_needs_stays():
    pool = Pool.objects.create(name="web")
    Route.objects.create(name="api", pool=pool)
    with pytest.raises(ProtectedError):
        pool.delete()


@pytest.mark.django_db
def test_there_is_one_published_state():
    PublishedState.lock()
    PublishedState.lock()
    with pytest.raises(IntegrityError), transaction.atomic():
        PublishedState.objects.create(pk=2)
    assert PublishedState.objects.get().pk == PublishedState.KEY


@pytest.mark.django_db
def test_the_migrations_make_what_the_models_say():
    call_command("makemigrations", "pools", check=True, dry_run=True, verbosity=0)


def test_choices_are_labelled_for_people():
    assert dict(Pool.probe_kind.field.choices) == {
        "http": "HTTP",
        "tcp": "TCP",
        "tls": "TLS",
        "off": "Off",
    }
    assert dict(Pool.policy.field.choices)["least_requests"] == "Least requests"
