"""gunicorn's settings, for `manage.py serve` and containers alike; they add where to
listen, and how many workers and threads."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "proxysite.settings")

from django.conf import settings

wsgi_app = "proxysite.wsgi:application"
worker_class = "proxysite.worker.Worker"
threads = 32
keepalive = 30
graceful_timeout = 30
limit_request_line = 8190  # the most that gunicorn has
# Whose X-Forwarded-Proto tells https from http.
forwarded_allow_ips = ",".join(settings.POOLS_TRUSTED_PROXIES)
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}
# None of them may move a request to another path (SCRIPT_NAME, PATH_INFO): a front end
# that passes these fields on would let any client do it.
forwarder_headers = ""
# Heartbeats in memory: on a slow disk a busy worker would be taken for a dead one.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
control_socket_disable = True
loglevel = "warning"


def post_worker_init(worker: object) -> None:
    """Have the configuration before the first request: the database may be gone by then."""
    from pools.control import watch  # its models need the application, which is loaded now

    watch.engine()
