"""This project as it is served, with one pool and one route in a database of its own."""

import os

from proxysite.wsgi import application

__all__ = ["application"]

from bench.projects import document

document.publish(os.environ["UPSTREAM"])
