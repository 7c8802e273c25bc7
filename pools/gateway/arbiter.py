"""The gateway's master: gunicorn's arbiter, which forks workers and looks after them.

Rules:
- The listening sockets are made before it begins, so that nothing is started where one of
  them cannot be. They go from program to program with an upgrade (SIGUSR2).
- It serves nothing, and holds no connection and no thread when it forks.
- Workers that are to go (SIGHUP, SIGTTOU) drain, and are not counted meanwhile: who dies is
  replaced, at most a second later. On SIGHUP they go on until the new ones serve.
- Who has not ended when its grace is over is killed.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any

from gunicorn import arbiter, systemd  # type: ignore[import-untyped]
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from pools import native
from pools.conf import Conf
from pools.gateway.certificates import Certificates
from pools.gateway.listening import Listener

logger = logging.getLogger("pools.gateway")

# A loop that stands still for so long is dead: its worker is killed and replaced.
HUNG_S = 30.0
# More than the longest grace, for what ends with it to be written.
LAST_WORDS_S = 5.0
# Where workers end as soon as they begin, no more are started at a time.
RESPAWN_S = 1.0
WORKER = "pools.gateway.worker.GatewayWorker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be served, and how: the same for all workers."""

    conf: Conf
    listeners: list[Listener]
    workers: int = 1
    proxy_protocol: bool = False
    certificates: Certificates | None = None  # where a listener is of https

    def __enter__(self) -> Plan:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Listen no more; files of Unix sockets go too."""
        for listener in self.listeners:
            listener.close(unlink=True)

    @property
    def grace_s(self) -> float:
        """How long a worker may take to end."""
        return max(self.conf.drain_timeout_s, self.conf.tunnel_drain_timeout_s) + LAST_WORDS_S


class Application(BaseApplication):  # type: ignore[misc]
    """gunicorn's view of a plan. `run_folder` is for its workers to find each other."""

    run_folder: Path

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        super().__init__()

    def load_config(self) -> None:
        for name, value in {
            "workers": self.plan.workers,
            "worker_class": WORKER,
            "graceful_timeout": int(self.plan.grace_s + 0.5),
            "timeout": int(HUNG_S),
            # Heartbeats in memory: on a slow disk a busy worker would be taken for a dead one.
            "worker_tmp_dir": "/dev/shm" if os.access("/dev/shm", os.W_OK) else None,
            "control_socket_disable": True,
            "loglevel": "warning",
            "proc_name": "gateway",
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Plan:
        return self.plan

    def run(self) -> None:
        """Until the end of the process. Workers come by here too, on their way to theirs."""
        master = os.getpid()
        self.run_folder = Path(tempfile.mkdtemp(prefix="gateway-"))  # 0700
        try:
            Arbiter(self).run()
        finally:
            if os.getpid() == master:
                shutil.rmtree(self.run_folder, ignore_errors=True)


class Arbiter(arbiter.Arbiter):  # type: ignore[misc]
    def __init__(self, app: Application) -> None:
        super().__init__(app)
        self.LISTENERS = app.plan.listeners
        # As this program was started, which may have been by `python -m`.
        self.START_CTX["args"] = [sys.executable, *sys.orig_argv[1:]]
        self._last_stale = 0  # workers up to this age are to be replaced
        self._spawn_from = 0.0  # on time.monotonic

    def start(self) -> None:
        super().start()
        addresses = ", ".join(map(str, self.LISTENERS))
        build = "native build" if native.in_use else "from source"
        logger.info("listening on %s, process %d, %s", addresses, self.pid, build)

    def reload(self) -> None:
        """New workers; the old ones go when these serve (`manage_workers`)."""
        self._last_stale = self.worker_age
        self.num_workers = self.cfg.workers

    def manage_workers(self) -> None:
        workers = sorted(self.WORKERS.values(), key=lambda worker: worker.age)
        staying = [worker for worker in workers if worker.retire_by is None]
        stale = [worker for worker in staying if worker.age <= self._last_stale]
        fresh = [worker for worker in staying if worker.age > self._last_stale]
        missing = self.num_workers - len(fresh)
        if missing > 0 and time.monotonic() >= self._spawn_from:
            self._spawn_from = time.monotonic() + RESPAWN_S
            for _ in range(missing):
                self.spawn_worker()
        if stale and len(fresh) >= self.num_workers and all(map(_serves, fresh)):
            for worker in stale:
                self._retire(worker)
        for worker in fresh[: max(0, len(fresh) - self.num_workers)]:
            self._retire(worker)

    def murder_workers(self) -> None:
        super().murder_workers()
        now = time.monotonic()
        for pid, worker in list(self.WORKERS.items()):
            # gunicorn waits for ever for the first sign of life.
            stillborn = not _serves(worker) and now > worker.made_at + self.timeout
            if stillborn or (worker.retire_by is not None and now > worker.retire_by):
                self.kill_worker(pid, SIGKILL)

    def stop(self, graceful: bool = True) -> None:
        self.maybe_promote_master()  # the one before may be gone since a moment ago
        listeners, self.LISTENERS = self.LISTENERS, []
        for listener in listeners:
            # Of two programs that share the sockets, the one that stays needs the file.
            listener.close(unlink=self.reexec_pid == self.master_pid == 0)
        super().stop(graceful)

    def halt(self, reason: str | None = None, exit_status: int = 0) -> None:
        if self.reexec_pid:
            # For systemd the service goes on with the new program.
            systemd.sd_notify(f"MAINPID={self.reexec_pid}", self.log)
        super().halt(reason, exit_status)

    def _retire(self, worker: Any) -> None:
        self.kill_worker(worker.pid, SIGTERM)
        worker.retire_by = time.monotonic() + self.app.plan.grace_s


def _serves(worker: Any) -> bool:
    """Whether it has given a sign of life, on the monotonic clock; until then its file has
    the time at which it was made, by the calendar."""
    last: float = worker.tmp.last_update()
    return last <= time.monotonic()
