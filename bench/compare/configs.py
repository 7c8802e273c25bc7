"""What the backend, nginx and HAProxy are configured with.

As an operator would who cares for both speed and headers: connections to the backend kept,
HTTP/1.1 to it, X-Forwarded-* set, no access log.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

ROUTES_A_HOST = 5
SMALL_BYTES = 1024
LARGE_BYTES = 100 * 1024
UPLOAD_BYTES = 10 * 1024
DOWNLOAD_BYTES = 1 << 30
CONNECTIONS = 12_000

_NGINX = """
daemon off;
{user}
worker_processes {workers};
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections {connections}; }}
http {{
    default_type text/plain;
    client_max_body_size 0;
    client_body_buffer_size 16k;
    client_body_temp_path {folder}/client;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    sendfile on;
    tcp_nopush on;
{http}
}}
"""

# A mirror makes nginx read the whole body before it answers, as applications do; its 405 for
# the POST to a file is then made the answer.
_BACKEND = """
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    open_file_cache max=10 inactive=1h;
    server {{
        listen 127.0.0.1:{port};
        root {folder};
        location / {{ return 200 "{small}"; }}
        location = /large {{ }}
        location = /download {{ }}
        location = /upload {{
            mirror /read;
            error_page 405 =200 @taken;
        }}
        location = /read {{ internal; return 204; }}
        location @taken {{ return 200 "{taken}"; }}
    }}
"""

_PROXY = """
    {log}
    # Answers wait in memory alone: a disk in the way would make nginx slower, not faster.
    proxy_max_temp_file_size 0;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $http_host;
    upstream backends {{
        server {upstream};
        keepalive 64;
    }}
    {servers}
"""

_HAPROXY = """
global
    nbthread {threads}
    maxconn {connections}
    no strict-limits
    log stderr format raw daemon err

defaults
    mode http
    log global
    timeout connect 5s
    timeout client 75s
    timeout server 60s
    timeout http-keep-alive 75s
    option forwardfor
    http-reuse always

listen public
    bind 127.0.0.1:{port}
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    server one {upstream}
"""


def _nginx(folder: Path, http: str, workers: int = 1) -> Path:
    path = folder / "nginx.conf"
    text = _NGINX.format(
        folder=folder,
        http=http,
        workers=workers,
        connections=CONNECTIONS,
        user="user root;" if os.geteuid() == 0 else "",  # or it could not enter the folder
    )
    path.write_text(text)
    return path


def backend(folder: Path, port: int) -> Path:
    """1 KiB at any path; /large, /download and /upload."""
    (folder / "large").write_bytes(b"x" * LARGE_BYTES)
    (folder / "upload").touch()
    with (folder / "download").open("wb") as file:
        file.truncate(DOWNLOAD_BYTES)  # sparse
    small = "x" * SMALL_BYTES
    return _nginx(folder, _BACKEND.format(port=port, folder=folder, small=small, taken="taken"))


def nginx(
    folder: Path, port: int, upstream: str, *, routes: int, workers: int, log: bool
) -> Path:
    if routes == 1:
        servers = _server(port, "_", ["/"])
    else:
        # One more than needed, for whatever has no other host.
        servers = _server(port, "_", ["/"]) + "".join(
            _server(port, host, prefixes) for host, prefixes in hosts(routes)
        )
        servers = (
            f"server_names_hash_max_size {routes * 8};\n    variables_hash_bucket_size 128;\n"
            + servers
        )
    line = f"access_log {folder}/access.log combined buffer=64k flush=1s;"
    http = _PROXY.format(
        upstream=upstream, servers=servers, log=line if log else "access_log off;"
    )
    return _nginx(folder, http, workers)


def _server(port: int, host: str, prefixes: Iterable[str]) -> str:
    locations = "".join(
        f"location {prefix} {{ proxy_pass http://backends; }} " for prefix in prefixes
    )
    return f"    server {{ listen 127.0.0.1:{port}; server_name {host}; {locations}}}\n"


def haproxy(folder: Path, port: int, upstream: str, *, threads: int) -> Path:
    path = folder / "haproxy.cfg"
    path.write_text(
        _HAPROXY.format(port=port, upstream=upstream, threads=threads, connections=CONNECTIONS)
    )
    return path


def hosts(routes: int) -> Iterable[tuple[str, list[str]]]:
    """Hosts and their prefixes, so many in all."""
    prefixes = [f"/s{number}" for number in range(ROUTES_A_HOST)]
    for number in range(routes // ROUTES_A_HOST):
        yield f"app{number}.example.com", prefixes
