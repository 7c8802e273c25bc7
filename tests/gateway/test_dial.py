"""Connecting to backends, and whose fault it is where that fails."""

import asyncio
import errno
import os

import pytest

from pools.core.retry import FailureKind
from pools.core.snapshot import compile_snapshot
from pools.gateway.dial import Dialler
from pools.gateway.idle import IdleConnections
from pools.resolver import Resolver
from pools.wire.errors import UpstreamError
from tests.gateway.process import document


class Lacking(asyncio.SelectorEventLoop):
    """Whose connections all fail, with this error."""

    error = 0

    async def create_connection(self, *args, **kwargs):
        raise OSError(self.error, os.strerror(self.error))


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (errno.EMFILE, True),
        (errno.ENFILE, True),
        (errno.ENOBUFS, True),
        (errno.ENOMEM, True),
        (errno.EADDRNOTAVAIL, True),
        (errno.ECONNREFUSED, False),
        (errno.EHOSTUNREACH, False),
        (errno.ENETUNREACH, False),
    ],
)
def test_no_backend_is_to_blame_for_what_this_process_lacks(error, ours):
    (pool,) = compile_snapshot(document(9), revision=1, secret=b"secret").pools.values()

    async def connect():
        loop = asyncio.get_running_loop()
        loop.error = error
        dialler = Dialler(loop, IdleConnections(), Resolver(loop))
        await dialler.connect(pool.backends[0], pool, timeout_s=5)

    with (
        asyncio.Runner(loop_factory=Lacking) as runner,
        pytest.raises(UpstreamError) as failed,
    ):
        runner.run(connect())
    assert failed.value.kind is FailureKind.CONNECT
    assert failed.value.ours is ours
