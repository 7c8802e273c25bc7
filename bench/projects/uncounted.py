"""manage.py, but nothing is written of what is carried.

python -m bench.projects.uncounted gateway
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    import django
    from django.core.management import execute_from_command_line

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "proxysite.settings")
    django.setup()
    from pools.control import counting

    counting.count_from = _nobody
    execute_from_command_line(["manage.py", *sys.argv[1:]])


def _nobody(source: object) -> None:
    pass


if __name__ == "__main__":
    main()
