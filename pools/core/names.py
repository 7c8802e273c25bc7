"""Names of header fields, sorted by what becomes of the fields. All lower case."""

from __future__ import annotations

from typing import Final

# RFC 9110 §7.6.1, and what older software treats alike. Trailers are dropped, and with
# them their announcement.
HOP_BY_HOP: Final = frozenset(
    {
        b"close",  # reserved, as Connection could not but name it (RFC 9110 §18.4)
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# Host and length are written by the data plane for each attempt. Proxy is no field of
# HTTP, and CGI makes HTTP_PROXY of it (CVE-2016-5385).
REQUEST_DROPPED: Final = HOP_BY_HOP | {
    b"host",
    b"content-length",
    b"expect",
    b"proxy",
    b"http2-settings",  # of a switch to h2c (RFC 7540 §3.2.1), which is never forwarded
}
# What a trusted peer says of a request, of which the first counts.
TOLD_ONCE: Final = frozenset({b"x-forwarded-proto", b"x-forwarded-host", b"x-request-id"})
# The usual fields that pass as they are, so that most need no closer look.
REQUEST_USUAL: Final = frozenset(
    {
        *(b"accept", b"accept-charset", b"accept-encoding", b"accept-language"),
        *(b"access-control-request-headers", b"access-control-request-method"),
        *(b"authorization", b"cache-control", b"content-encoding", b"content-type", b"dnt"),
        *(b"early-data", b"from", b"if-match", b"if-modified-since", b"if-none-match"),
        *(b"if-range", b"if-unmodified-since", b"max-forwards", b"origin", b"pragma"),
        *(b"priority", b"purpose", b"range", b"referer", b"save-data", b"sec-ch-ua"),
        *(b"sec-ch-ua-mobile", b"sec-ch-ua-platform", b"sec-fetch-dest", b"sec-fetch-mode"),
        *(b"sec-fetch-site", b"sec-fetch-user", b"sec-gpc", b"sec-websocket-extensions"),
        *(b"sec-websocket-key", b"sec-websocket-protocol", b"sec-websocket-version"),
        *(b"traceparent", b"tracestate", b"upgrade-insecure-requests", b"user-agent"),
        *(b"x-csrf-token", b"x-csrftoken", b"x-requested-with"),
    }
)
# Values of Connection that name no other field.
CONNECTION_USUAL: Final = frozenset(
    {b"close", b"keep-alive", b"upgrade", b"Close", b"Keep-Alive", b"Upgrade"}
)
# A challenge to authenticate to us is not the backend's to make; wsgiref refuses it.
RESPONSE_DROPPED: Final = HOP_BY_HOP | {b"proxy-authenticate", b"proxy-authorization"}
OF_ORIGIN: Final = frozenset({b"forwarded", b"x-real-ip", b"x-request-id"})
# The usual fields that pass as they are, as they are usually written.
RESPONSE_USUAL: Final = frozenset(
    spelled
    for name in (
        *(b"Accept-Ranges", b"Age", b"Allow", b"Cache-Control", b"Content-Disposition"),
        *(b"Content-Encoding", b"Content-Language", b"Content-Length", b"Content-Range"),
        *(b"Content-Security-Policy", b"Content-Type", b"Date", b"ETag", b"Etag", b"Expires"),
        *(b"Last-Modified", b"Link", b"Referrer-Policy", b"Retry-After", b"Server"),
        *(b"Strict-Transport-Security", b"Vary", b"X-Content-Type-Options"),
        *(b"X-Frame-Options", b"X-Powered-By"),
    )
    for spelled in (name, name.lower())
)
RESPONSE_LOOKED_AT: Final = RESPONSE_DROPPED | {
    b"set-cookie",
    b"location",
    b"content-location",
    b"x-request-id",
}
