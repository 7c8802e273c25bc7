"""The project as a WSGI application."""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "proxysite.settings")

from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application


class Request(WSGIRequest):
    """Takes any Content-Type: what Django cannot read may be a backend's own, and Django
    reads it before the first middleware, where a ValueError is a 500."""

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            super()._set_content_type_params(meta)  # type: ignore[misc]
        except (LookupError, ValueError):
            self.content_type, self.content_params = "", {}


application = get_wsgi_application()
application.request_class = Request
