"""A real nginx on both sides: as a backend, and in front as what clients talk to."""

import subprocess
from contextlib import contextmanager

import pytest
import requests
import yaml

from tests import services
from tests.services import eventually

CONFIG = """
    daemon off;
    master_process off;
    pid {folder}/pid;
    error_log {folder}/error.log;
    events {{}}
    http {{
        access_log off;
        map $http_x_forwarded_for $xff {{ default $http_x_forwarded_for; }}
        map $http_x_forwarded_proto $proto {{ default $http_x_forwarded_proto; }}
        client_body_temp_path {folder}/body;
        proxy_temp_path {folder}/proxy;
        fastcgi_temp_path {folder}/fastcgi;
        uwsgi_temp_path {folder}/uwsgi;
        scgi_temp_path {folder}/scgi;
        server {{
            listen 127.0.0.1:{front};
            location / {{
                proxy_pass {url};
                proxy_http_version 1.1;
                proxy_set_header Connection "";
                proxy_set_header Host $http_host;
                proxy_set_header X-Forwarded-For 203.0.113.7;
                proxy_set_header X-Forwarded-Proto https;
            }}
        }}
        server {{
            listen 127.0.0.1:{behind};
            location / {{
                return 200 "$request_uri\\n$http_host\\n$xff\\n$proto\\n";
            }}
        }}
    }}
"""


@pytest.fixture(scope="module")
def served(serving):
    return serving(TRUSTED_PROXIES="127.0.0.0/8")


@contextmanager
def nginx(folder, **values):
    config, program = folder / "nginx.conf", services.program("nginx", "/usr/sbin")
    config.write_text(CONFIG.format(folder=folder, **values))
    command = [program, "-p", folder, "-c", config, "-e", folder / "error.log"]
    with subprocess.Popen(command) as process:
        try:
            yield process
        finally:
            process.terminate()


def test_nginx_in_front_and_behind(served, tmp_path):
    front, behind = services.free_port(), services.free_port()
    document = yaml.safe_load(served.manage("config", "export").stdout)
    document["pools"].append(
        {
            "name": "nginx",
            "probe": {"kind": "off"},
            "backends": [{"host": "127.0.0.1", "port": behind}],
        }
    )
    document["routes"].append({"name": "nginx", "pool": "nginx", "path_prefix": "/nginx"})
    file = tmp_path / "site.yaml"
    file.write_text(yaml.safe_dump(document))
    assert served.manage("config", "apply", str(file)).returncode == 0

    def asked():
        """What the backend was asked, by a client of the nginx in front."""
        try:
            answer = requests.get(
                f"http://127.0.0.1:{front}/nginx/a%2Fb?c=%20",
                headers={"Host": "shop.example.com", "X-Forwarded-For": "198.51.100.1"},
                timeout=30,
            )
        except requests.ConnectionError:
            return None
        return answer.text.split("\n")[:4] if answer.status_code == 200 else None

    with nginx(tmp_path, url=served.url, front=front, behind=behind):
        target, host, clients, scheme = eventually(asked, saying="nginx through the proxy")
    assert target == "/nginx/a%2Fb?c=%20"
    assert host == "shop.example.com"
    assert clients == "203.0.113.7, 127.0.0.1"
    assert scheme == "https"
