import errno
import os
import socket
import stat
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from environs import EnvError

from pools import conf
from proxysite import environment


@pytest.fixture
def read(tmp_path, monkeypatch):
    def read(**variables):
        for name, value in {"DATA_DIR": str(tmp_path / "data"), **variables}.items():
            monkeypatch.setenv(name, value)
        return environment.read(tmp_path)

    return read


def test_nothing_need_be_set(tmp_path, monkeypatch):
    monkeypatch.delenv("DATA_DIR")
    found = environment.read(tmp_path)
    assert found.data_dir == tmp_path / "data"
    assert found.database["NAME"] == str(tmp_path / "data" / "proxysite.sqlite3")
    assert found.database["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert found.web_proxy
    assert not found.debug


def test_the_gateway_is_set_by_the_environment(read):
    found = read(CLIENT_HEADER_TIMEOUT="2.5", MAX_CONNECTIONS="7", CERTIFICATES="/etc/tls")
    assert (found.client_header_timeout_s, found.max_connections) == (2.5, 7)
    assert found.certificates == Path("/etc/tls")
    assert found.drain_timeout_s == conf.Conf().drain_timeout_s


def test_the_data_folder_is_its_users_alone(read):
    assert stat.S_IMODE(read().data_dir.stat().st_mode) == 0o700


def test_postgres_gets_no_options_of_sqlite(read):
    found = read(DATABASE_URL="postgres://a:b@db:5433/site?sslmode=require").database
    assert (found["HOST"], found["PORT"], found["NAME"]) == ("db", 5433, "site")
    assert found["OPTIONS"] == {**environment.POSTGRES_OPTIONS, "sslmode": "require"}


def test_no_answer_of_postgres_is_waited_for_as_long_as_the_system_would(postgres_url, read):
    found = read(DATABASE_URL=postgres_url).database
    with (
        psycopg.connect(postgres_url, **found["OPTIONS"]) as connection,
        socket.socket(fileno=os.dup(connection.fileno())) as sock,
    ):
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 10


@pytest.mark.parametrize(
    ("given", "canonical", "host"),
    [
        ("admin.example.com.", "admin.example.com", "admin.example.com"),
        ("Admin.Example.com", "admin.example.com", "admin.example.com"),
        ("münchen.example", "xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ("[::1]", "::1", "[::1]:8000"),
        ("2001:DB8::0:1", "2001:db8::1", "[2001:db8::1]"),
    ],
)
def test_the_admin_is_reached_however_its_host_is_written(
    read, given, canonical, host, tmp_path
):
    assert read(ADMIN_HOST=given).admin_host == canonical
    code = """
        import sys, django
        django.setup()
        from django.core.management import call_command
        from django.test import Client
        call_command("migrate", verbosity=0)
        print(Client().get("/-/healthz", headers={"host": sys.argv[1]}).status_code)
    """
    asked = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), host],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "proxysite.settings"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked.stdout == "200\n"


def test_mail_goes_by_the_server_that_is_given(read):
    found = read(EMAIL_URL="submission://a%40b:p%2Fw@mail.example", DEFAULT_FROM_EMAIL="a@host")
    assert found.default_from_email == "a@host"
    assert found.email["EMAIL_HOST"] == "mail.example"
    assert (found.email["EMAIL_PORT"], found.email["EMAIL_USE_TLS"]) == (587, True)
    assert found.email["EMAIL_HOST_USER"] == "a@b"
    assert found.email["EMAIL_HOST_PASSWORD"] == "p/w"
    assert found.email["EMAIL_TIMEOUT"] == 10
    tls = read(EMAIL_URL="smtp://mail.example:465?ssl=true&timeout=3").email
    assert (tls["EMAIL_USE_SSL"], tls["EMAIL_TIMEOUT"]) == (True, 3)


def test_without_a_mail_server_there_is_none(read):
    found = read(EMAIL_URL="", DEFAULT_FROM_EMAIL="")
    assert found.email["EMAIL_HOST"] == ""
    assert found.default_from_email == "proxysite@localhost"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DATABASE_URL", "mysql://a:secret@db/site", "use postgres://"),
        ("DATABASE_URL", "postgres://a:secret@db:port/site", "use postgres://"),
        ("DATABASE_URL", "nonsense", "use postgres://"),
        ("DATABASE_URL", "sqlite://", "in memory"),
        ("DATABASE_URL", "sqlite://:memory:", "in memory"),
        ("DATABASE_URL", "postgres://a:secret@db", "names no database"),
        ("ADMIN_HOST", "a b", "not a host name"),
        ("ADMIN_HOST", "https://admin.example.com", "without scheme"),
        ("ADMIN_HOST", "10.0.0.256", "not an IP address"),
        ("REDIS_URL", "redis://:secret@h:notaport/0", "redis://host:6379/0"),
        ("REDIS_URL", "unix://", "unix:///folder/socket"),
        ("DATA_DIR", "/dev/null/data", "cannot be made"),
        ("DEBUG", "perhaps", "DEBUG"),
        ("SECURE_COOKIES", "2", "SECURE_COOKIES"),
        ("WEB_PROXY", "2", "WEB_PROXY"),
        ("REDIS_URL", "localhost:6379", "redis://host:6379/0"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,10.0.0.1/8", "use networks such as"),
        ("CSRF_TRUSTED_ORIGINS", "admin.example.com", "https://admin.example.com"),
        ("EMAIL_URL", "smtp://a:secret@h:port", "use smtp://"),
        ("EMAIL_URL", "smtps://a:secret@h", "use smtp://"),
        ("EMAIL_URL", "smtp://", "use smtp://"),
        ("EMAIL_URL", "smtp://a:secret@h?timeout=long", "use smtp://"),
        ("DEFAULT_FROM_EMAIL", "nobody", "use proxy@example.com"),
        ("LOG_LEVEL", "loud", "LOG_LEVEL"),
        ("CLIENT_HEADER_TIMEOUT", "0", "use 0.1 to 600"),
        ("DRAIN_TIMEOUT", "soon", "DRAIN_TIMEOUT"),
        ("MAX_CONNECTIONS", "0", "use 1 to"),
        ("MAX_HEADER_FIELDS", "1.5", "MAX_HEADER_FIELDS"),
        ("ACCESS_LOG_FORMAT", "common", "'combined' or 'json'"),
    ],
)
def test_a_bad_value_is_named_in_one_line_without_secrets(read, name, value, said):
    with pytest.raises(EnvError) as error:
        read(**{name: value})
    text = str(error.value)
    assert name in text and said in text
    assert "\n" not in text and "secret" not in text


@pytest.mark.parametrize(
    "command",
    [
        ("manage.py", "check"),
        ("-m", "gunicorn", "--config", "python:proxysite.gunicorn"),
        ("-m", "celery", "-A", "proxysite", "worker"),
    ],
    ids=["manage", "gunicorn", "celery"],
)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEBUG", "perhaps"),
        ("ADMIN_HOST", "a b"),
        ("REDIS_URL", "redis://h:notaport/0"),
        ("DATABASE_URL", "sqlite://"),
    ],
)
def test_a_bad_value_ends_any_start_with_one_line_and_status_2(command, name, value):
    ended = subprocess.run(
        [sys.executable, *command],
        env={**os.environ, name: value, "DJANGO_SETTINGS_MODULE": "proxysite.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert name in ended.stderr


@pytest.mark.parametrize("links", [True, False])
def test_the_secret_key_is_made_once_whoever_asks_first(tmp_path, monkeypatch, links):
    def refuse(source, target):
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(environment.secret_key, [tmp_path] * 64))
    assert len(keys) == 1
    assert len(keys.pop()) > 50
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_an_empty_file_is_not_taken_for_a_key(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "KEY_WRITTEN_WITHIN_S", 0)
    (tmp_path / "secret_key").touch()
    with pytest.raises(EnvError, match="secret_key is empty: remove it"):
        environment.secret_key(tmp_path)
