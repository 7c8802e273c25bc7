"""Is this container's process at work? `python -m proxysite.healthcheck KIND`

KIND is web, gateway, worker or beat. Ends with status 0 if so. Web and gateway are asked;
worker and beat touch a file whenever they end or send a task, which is each second. It does
not go by what they tell of themselves in the database: they are no less at work while that is
away. Nothing of Django is imported: it is run every few seconds.
"""

import os
import sys
import time
import urllib.request
from pathlib import Path

from pools.core.fields import backend_host, host_port

PORTS = {"web": 8000, "gateway": 8081}  # the gateway's is that of its status
FRESH_S = 30.0
TIMEOUT_S = 5.0


def main(kind: str, *, url: str = "") -> None:
    """Raise SystemExit with the reason where the process is not at work."""
    try:
        if port := PORTS.get(kind):
            # As a client would write it: only the admin's host has health checks.
            host = os.environ.get("ADMIN_HOST") if kind == "web" else None
            headers = {"Host": host_port(backend_host(host or "localhost"), port)}
            url = url or f"http://127.0.0.1:{port}"
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
