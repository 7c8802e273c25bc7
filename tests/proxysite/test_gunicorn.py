"""What gunicorn does by the project's settings for it."""

import runpy

from pools.control import watch


def test_a_worker_has_the_configuration_before_its_first_request(monkeypatch):
    begun = []
    monkeypatch.setattr(watch, "engine", lambda: begun.append(True))
    runpy.run_module("proxysite.gunicorn")["post_worker_init"](None)
    assert begun
