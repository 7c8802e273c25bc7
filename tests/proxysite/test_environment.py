import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from environs import EnvError

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
    assert not found.debug


def test_the_data_folder_is_its_users_alone(read):
    assert stat.S_IMODE(read().data_dir.stat().st_mode) == 0o700


def test_postgres_gets_no_options_of_sqlite(read):
    found = read(DATABASE_URL="postgres://a:b@db:5433/site?sslmode=require").database
    assert (found["HOST"], found["PORT"], found["NAME"]) == ("db", 5433, "site")
    assert found["OPTIONS"] == {"connect_timeout": 5, "sslmode": "require"}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DATABASE_URL", "mysql://a:secret@db/site", "use postgres://"),
        ("DATABASE_URL", "postgres://a:secret@db:port/site", "use postgres://"),
        ("DATABASE_URL", "nonsense", "use postgres://"),
        ("DATA_DIR", "/dev/null/data", "cannot be made"),
        ("DEBUG", "perhaps", "DEBUG"),
        ("SECURE_COOKIES", "2", "SECURE_COOKIES"),
        ("REDIS_URL", "localhost:6379", "redis://host:6379/0"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,10.0.0.1/8", "use networks such as"),
        ("CSRF_TRUSTED_ORIGINS", "admin.example.com", "https://admin.example.com"),
        ("LOG_LEVEL", "loud", "LOG_LEVEL"),
    ],
)
def test_a_bad_value_is_named_in_one_line_without_secrets(read, name, value, said):
    with pytest.raises(EnvError) as error:
        read(**{name: value})
    text = str(error.value)
    assert name in text and said in text
    assert "\n" not in text and "secret" not in text


def test_a_bad_value_ends_the_start_with_one_line_and_status_2(tmp_path):
    ended = subprocess.run(
        [sys.executable, "manage.py", "check"],
        env={**os.environ, "DEBUG": "perhaps", "DJANGO_SETTINGS_MODULE": "proxysite.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert "DEBUG" in ended.stderr


def test_the_secret_key_is_made_once_whoever_asks_first(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(environment.secret_key, [tmp_path] * 64))
    assert len(keys) == 1
    assert len(keys.pop()) > 50
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
