"""References in a backend's answer, put back to what the client must ask for.

Rules (nginx `proxy_redirect default`, extended to paths and cookies):
- A path below the backend's root gets back the prefix that the route took away.
- A path that holds the prefix already is left: the backend heeds X-Forwarded-Prefix.
- An absolute URL to the backend, by its address or by the Host that it was sent, comes
  back to the public scheme and host; one to anywhere else is left.
- Everything but the path and the authority stays byte for byte.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pools.core.compiled import CompiledRoute
from pools.core.document import Backend

_URL = re.compile(rb"(?:(https?):)?//([^/?#]*)", re.IGNORECASE)
_DEFAULT_PORT = {b"http": b":80", b"https": b":443"}


@dataclass(slots=True, kw_only=True)
class Mending:
    """What one exchange's references are mended by. Not frozen, as request.py says.

    `public_scheme` and `public_host` are the client's view; `sent_host` is the Host that
    the backend got.
    """

    route: CompiledRoute
    backend: Backend
    sent_host: bytes
    public_scheme: bytes
    public_host: bytes

    def location(self, value: bytes) -> bytes:
        """The value of Location or Content-Location for the client."""
        url = _URL.match(value)
        if not url:
            return self._path(value) if value.startswith(b"/") else value
        rest = value[url.end() :]
        scheme = (url[1] or self.public_scheme).lower()
        if _same(url[2], self.public_host, scheme):
            head = value[: url.end()]
        elif self._is_backend(url[2], scheme):
            head = (self.public_scheme + b":" if url[1] else b"") + b"//" + self.public_host
        else:
            return value
        if self.route.rewrite is None:
            return head + rest
        return head + self._path(rest if rest.startswith(b"/") else b"/" + rest)

    def cookie(self, value: bytes) -> bytes:
        """A Set-Cookie field's value with its Path mended.

        `__Host-` cookies are left: a browser takes them with Path=/ alone.
        """
        if self.route.rewrite is None or value.startswith(b"__Host-"):
            return value
        parts = value.split(b";")
        for index, part in enumerate(parts[1:], start=1):
            key, _, path = part.partition(b"=")
            if key.strip().lower() == b"path" and path.strip().startswith(b"/"):
                # Without its final slash: Path=/api takes /api too, Path=/api/ would not.
                public = self._path(path.strip())
                if path.strip() == b"/":
                    public = public.rstrip(b"/") or b"/"
                parts[index] = key + b"=" + public
        return b";".join(parts)

    def _path(self, value: bytes) -> bytes:
        """A path, with its query if any, as the client must ask for it."""
        if self.route.rewrite is None:
            return value
        cut, internal = self.route.rewrite
        public = self.route.prefix[:cut]
        if internal and not _below(value, internal):
            return value
        if not internal and public and _below(value, public):
            return value
        mended = public + value[len(internal) :]
        if not mended.startswith(b"/"):
            mended = b"/" + mended
        # "/app//evil" without "/app" would be a reference to another host.
        return value if mended.startswith(b"//") and not value.startswith(b"//") else mended

    def _is_backend(self, authority: bytes, scheme: bytes) -> bool:
        address = self.backend.address.encode()
        return _same(authority, self.sent_host, scheme) or _same(authority, address, scheme)


def _same(one: bytes, other: bytes, scheme: bytes) -> bool:
    port = _DEFAULT_PORT[scheme]
    return one.lower().removesuffix(port) == other.lower().removesuffix(port)


def _below(path: bytes, prefix: bytes) -> bool:
    return path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in b"/?#"
