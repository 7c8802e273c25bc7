"""Is this container's process at work? `python -m proxysite.healthcheck web|worker|beat`

Ends with status 0 if so. The web process is asked; beat and worker touch a file whenever
they send or end a task, which is each second. Nothing of Django is imported: it is run
every few seconds.
"""

import os
import sys
import time
import urllib.request
from pathlib import Path

from pools.core.fields import backend_host, host_port

PORT = 8000
FRESH_S = 30.0
TIMEOUT_S = 5.0


def main(kind: str, *, url: str = f"http://127.0.0.1:{PORT}") -> None:
    """Raise SystemExit with the reason where the process is not at work."""
    try:
        if kind == "web":
            # As a client would write it: only the admin's host has health checks.
            host = backend_host(os.environ.get("ADMIN_HOST") or "localhost")
            headers = {"Host": host_port(host, PORT)}
            request = urllib.request.Request(f"{url}/-/healthz", headers=headers)
            urllib.request.urlopen(request, timeout=TIMEOUT_S).close()
        else:
            age_s = time.time() - Path(os.environ["DATA_DIR"], f"{kind}.alive").stat().st_mtime
            if age_s > FRESH_S:
                raise SystemExit(f"{kind} did nothing for {age_s:.0f} s")
    except (OSError, ValueError) as error:
        raise SystemExit(f"{kind}: {error}") from None


if __name__ == "__main__":
    main(sys.argv[1])
