"""Makes the project's database and publishes a document: python -m ... FILE.

A process of its own, as the project reads its environment once.
"""

import json
import sys
from pathlib import Path

import django

from tests import migrated


def main(path: str) -> None:
    django.setup()
    from pools.control import apply, publish
    from pools.core import codec

    migrated.migrate()
    document = codec.parse(json.loads(Path(path).read_text()))
    with publish.change(who="the conformance suite"):
        apply.apply(document)


if __name__ == "__main__":
    main(sys.argv[1])
