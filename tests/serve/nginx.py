"""A real nginx that is both: a backend, and in front as what clients talk to."""

import subprocess
from contextlib import contextmanager

from tests import services

CONFIG = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
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
            set $said "$request_uri\\n$http_host";
            return 200 "$said\\n$http_x_forwarded_for\\n$http_x_forwarded_proto\\n";
        }}
    }}
}}
"""


@contextmanager
def nginx(folder, *, url, front, behind):
    """What comes to port `front` goes on to `url`; port `behind` says what it was asked."""
    config, program = folder / "nginx.conf", services.program("nginx", "/usr/sbin")
    config.write_text(CONFIG.format(folder=folder, url=url, front=front, behind=behind))
    command = [program, "-p", folder, "-c", config, "-e", folder / "error.log"]
    with subprocess.Popen(command) as process:
        try:
            yield process
        finally:
            process.terminate()
