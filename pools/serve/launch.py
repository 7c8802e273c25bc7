"""Become another program that ends when the process which started it does.

`python -m pools.serve.launch PARENT_PID ARGV…`. A supervisor that is killed outright
cannot end its children; on Linux the kernel then sends each of them SIGTERM. It stays so
across exec, and done here rather than between fork and exec no lock can be in the way.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    parent, *argv = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != int(parent):  # it ended before the line above
            raise SystemExit(1)
    os.execvp(argv[0], argv)


if __name__ == "__main__":
    main()
