"""What test_worker serves: the worker with short bounds, and an application."""

from proxysite.worker import Worker


class Hasty(Worker):
    HEAD_S = 0.5
    DEAF_S = 1.0


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [bytes(1 << 20)] * 64 if environ["PATH_INFO"] == "/large" else [b"ok"]
