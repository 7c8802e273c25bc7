"""JSON by POST, with everything that can go wrong in words that hold no URL.

Proxies and CA files of the environment (HTTPS_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE) are
used, as messages may have to leave the site; .netrc is not. Redirects are not followed: they
would take a signed message to another host.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Mapping
from contextlib import closing

import requests
from requests.auth import AuthBase
from requests.utils import get_auth_from_url

from pools.notify.senders.errors import SendError

TIMEOUT_S = 10.0  # to connect, and of silence
_SAID_MOST = 300  # bytes of an answer that are looked at


class _Given(AuthBase):
    """The name and password of the URL, if there are any, and nothing of .netrc."""

    def __init__(self, url: str) -> None:
        self._pair = get_auth_from_url(url)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if any(self._pair):
            requests.auth.HTTPBasicAuth(*self._pair)(request)
        return request


def post(url: str, body: bytes, headers: Mapping[str, str] | None = None) -> str:
    """What was answered, in words; raises SendError."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "proxysite",
        **(headers or {}),
    }
    try:
        with (
            requests.Session() as session,
            closing(
                session.post(
                    url,
                    data=body,
                    headers=headers,
                    auth=_Given(url),
                    timeout=TIMEOUT_S,
                    allow_redirects=False,
                    stream=True,
                )
            ) as response,
        ):
            return _judged(response)
    except requests.RequestException as error:
        raise SendError(_why(error)) from None


def _judged(response: requests.Response) -> str:
    status = response.status_code
    if 200 <= status < 300:
        return f"status {status}"
    if 300 <= status < 400:
        raise SendError(
            f"status {status}: redirects are not followed, give the URL that it leads to"
        )
    try:
        said = next(response.iter_content(_SAID_MOST), b"").decode(errors="replace")
    except requests.RequestException:
        said = ""
    words = " ".join("".join(char if char.isprintable() else " " for char in said).split())
    raise SendError(
        f"status {status}{f': {words[:100]}' if words else ''}", wait_s=_retry_after(response)
    )


def _retry_after(response: requests.Response) -> float:
    """In seconds; a date, which few send, is not read."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) < 7 else 0.0


def _why(error: requests.RequestException) -> str:
    """Their own texts name the URL, which may be a secret."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return f"timed out after {TIMEOUT_S:g} s connecting"
    if isinstance(error, requests.exceptions.ReadTimeout):
        return f"timed out after {TIMEOUT_S:g} s waiting for the answer"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy of the environment (HTTPS_PROXY) does not let it through"
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return "the host's name cannot be resolved"
        if isinstance(cause, ssl.SSLError):
            why = getattr(cause, "verify_message", "") or (cause.reason or "").replace("_", " ")
            return f"TLS failed: {why.lower() or 'no word why'}"
        number = cause.errno if isinstance(cause, OSError) else None
        if number is not None and number in errno.errorcode:
            return os.strerror(number).lower()
    if isinstance(error, requests.exceptions.ConnectionError):
        return "the connection broke before an answer came"
    return f"it could not be sent ({type(error).__name__})"


def _causes(error: BaseException | None) -> list[BaseException]:
    """The error and those that it came of, as far as they are kept."""
    found: list[BaseException] = []
    todo = [error]
    while todo:
        one = todo.pop(0)
        if one is None or one in found or len(found) > 20:
            continue
        found.append(one)
        reason = getattr(one, "reason", None)
        todo += [arg for arg in one.args if isinstance(arg, BaseException)]
        todo += [reason if isinstance(reason, BaseException) else None]
        todo += [one.__cause__, one.__context__]
    return found
