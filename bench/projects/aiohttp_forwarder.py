"""The forwarder that people write with aiohttp: its server, its client, on uvloop.

    UPSTREAM=http://127.0.0.1:9000 python -m bench.projects.aiohttp_forwarder PORT

Bodies are streamed both ways, hop-by-hop fields removed, connections to the backend kept.
The server is aiohttp's low-level one, without an application's routing and signals.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from typing import Any

import aiohttp
import uvloop
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

_UPSTREAM = os.environ["UPSTREAM"]
_HOP_BY_HOP = {
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization"),
    *("te", "trailer", "transfer-encoding", "upgrade"),
}


def _end_to_end(fields: Any) -> CIMultiDict[str]:
    named = {
        name.strip().lower()
        for value in fields.getall("Connection", ())
        for name in value.split(",")
    }
    return CIMultiDict(
        (name, value)
        for name, value in fields.items()
        if (lower := name.lower()) not in _HOP_BY_HOP and lower not in named
    )


async def main(port: int) -> None:
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=75),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )

    async def forward(request: Any) -> Any:
        headers = _end_to_end(request.headers)
        headers["X-Forwarded-For"] = request.remote
        headers["X-Forwarded-Proto"] = request.scheme
        headers["X-Forwarded-Host"] = request.host
        async with session.request(
            request.method,
            URL(_UPSTREAM + request.raw_path, encoded=True),
            headers=headers,
            data=request.content if request.body_exists else None,
            allow_redirects=False,
        ) as answer:
            response = web.StreamResponse(
                status=answer.status, headers=_end_to_end(answer.headers)
            )
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    runner = web.ServerRunner(web.Server(forward, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    # Each client that leaves is an error with a traceback to it.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    uvloop.run(main(int(sys.argv[1])))
