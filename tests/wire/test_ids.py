import os
import re

from pools.wire.ids import make_id


def test_ids_are_32_digits_and_differ():
    ids = {make_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(rb"[0-9a-f]{32}", made) for made in ids)


def test_workers_that_are_forked_make_other_ids():
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.write(write, b"".join(make_id() for _ in range(10)))
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        theirs = pipe.read()
    assert len(theirs) == 320
    assert not any(make_id() in theirs for _ in range(10))
