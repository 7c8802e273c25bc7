"""The proxies that are compared, and how each is started."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

from bench.compare import configs
from bench.compare.processes import (
    ROOT,
    Cores,
    Failed,
    cpu_s,
    free_port,
    memory_kib,
    pinned,
    running,
    wait_for_200,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A peer, as one line of a table has it. `on_two` cores rather than one; `log`: off, or
    the format of its access log."""

    peer: str
    label: str = ""
    routes: int = 1
    workers: int = 1
    on_two: bool = False
    log: str = "off"

    @property
    def name(self) -> str:
        return self.label or self.peer


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What all subjects of a run share: a folder, cores, and the backend."""

    folder: Path
    cores: Cores
    upstream: str
    documents: dict[int, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A proxy that answers. `core` is the one that it is measured on."""

    name: str
    peer: str
    port: int
    pid: int
    core: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cpu_s(self) -> float:
        return cpu_s(self.pid)

    def memory_kib(self) -> tuple[int, int]:
        return memory_kib(self.pid)


Command = tuple[list[str], dict[str, str]]


def _gateway(site: Site, subject: Subject, folder: Path, port: int, native: bool) -> Command:
    log = {"ACCESS_LOG": str(folder / "access.log"), "ACCESS_LOG_FORMAT": subject.log}
    command = [sys.executable, "manage.py", "gateway", "--bind", f"127.0.0.1:{port}"]
    return (
        [
            *command,
            "--workers",
            str(subject.workers),
            "--status-bind",
            f"127.0.0.1:{free_port()}",
        ],
        {
            **_of_django(site),
            "NATIVE": str(int(native)),
            "DATA_DIR": str(_document(site, subject.routes)),
            **(log if subject.log != "off" else {}),
        },
    )


def _document(site: Site, routes: int) -> Path:
    """A data folder with the published document of so many routes; made once."""
    if routes not in site.documents:
        site.documents[routes] = data = site.folder / f"document-{routes}"
        command = [sys.executable, "-m", "bench.projects.document", str(routes)]
        environment = {**os.environ, **_of_django(site), "DATA_DIR": str(data)}
        if subprocess.run(command, cwd=ROOT, env=environment).returncode:
            raise Failed("the document cannot be published: see above")
    return site.documents[routes]


def _of_django(site: Site) -> dict[str, str]:
    return {
        "ACCESS_LOG": "",
        "DATABASE_URL": "",
        "DJANGO_SETTINGS_MODULE": "proxysite.settings",
        "LOG_LEVEL": "WARNING",
        "NATIVE": "0",
        "REDIS_URL": "",
        "UPSTREAM": site.upstream,
    }


def _nginx(site: Site, subject: Subject, folder: Path, port: int) -> Command:
    config = configs.nginx(
        folder,
        port,
        site.upstream.removeprefix("http://"),
        routes=subject.routes,
        workers=subject.workers,
        log=subject.log != "off",
    )
    return ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(config)], {}


def _haproxy(site: Site, subject: Subject, folder: Path, port: int) -> Command:
    upstream = site.upstream.removeprefix("http://")
    config = configs.haproxy(folder, port, upstream, threads=subject.workers)
    return ["haproxy", "-q", "-f", str(config)], {}


def _module(module: str) -> Callable[[Site, Subject, Path, int], Command]:
    def command(site: Site, subject: Subject, folder: Path, port: int) -> Command:
        return [sys.executable, "-m", module, str(port)], {"UPSTREAM": site.upstream}

    return command


def _gunicorn(module: str) -> Callable[[Site, Subject, Path, int], Command]:
    """As bench.view has it, but for idle connections."""

    def command(site: Site, subject: Subject, folder: Path, port: int) -> Command:
        environment = {**_of_django(site), "DATA_DIR": str(folder)}
        if module != "proxysite":
            environment["DJANGO_SETTINGS_MODULE"] = ""
        return (
            [
                *(sys.executable, "-m", "gunicorn", f"bench.projects.{module}:application"),
                *("--bind", f"127.0.0.1:{port}", "--worker-class", "gthread"),
                *("--workers", "1", "--threads", "8", "--worker-connections", "2000"),
                *("--keep-alive", "75"),  # idle connections are held, as by the others
                *("--log-level", "error", "--no-control-socket"),
            ],
            environment,
        )

    return command


PEERS: dict[str, Callable[[Site, Subject, Path, int], Command]] = {
    "gateway": partial(_gateway, native=True),
    "source": partial(_gateway, native=False),
    "nginx": _nginx,
    "haproxy": _haproxy,
    "floor": _module("bench.projects.floor"),
    "aiohttp": _module("bench.projects.aiohttp_forwarder"),
    "view": _gunicorn("proxysite"),
    "revproxy": _gunicorn("plain_revproxy"),
    "flask": _gunicorn("flask_requests"),
}
TITLES = {
    "gateway": "the gateway",
    "source": "the same from source",
    "nginx": "nginx",
    "haproxy": "HAProxy",
    "floor": "the floor",
    "aiohttp": "aiohttp forwarder",
    "view": "the view",
    "revproxy": "django-revproxy",
    "flask": "Flask + requests",
}


def subject(peer: str, label: str = "") -> Subject:
    return Subject(peer=peer, label=f"{TITLES[peer]}{label}")


def variant(base: Subject, label: str, **changes: int | str | bool) -> Subject:
    return replace(base, label=f"{TITLES[base.peer]}, {label}", **changes)  # type: ignore[arg-type]


@contextmanager
def served(site: Site, subject: Subject) -> Iterator[Served]:
    """The proxy, pinned, once it answers 200."""
    folder = Path(mkdtemp(prefix=f"{subject.peer}-", dir=site.folder))
    port = free_port()
    command, environment = PEERS[subject.peer](site, subject, folder, port)
    core = f"{site.cores.peer},{site.cores.second}" if subject.on_two else site.cores.peer
    with running(pinned(core, *command), environment) as process:
        wait_for_200(process, port, subject.name)
        yield Served(
            name=subject.name,
            peer=subject.peer,
            port=port,
            pid=process.pid,
            core=site.cores.peer,
        )


@contextmanager
def site(folder: Path, cores: Cores) -> Iterator[Site]:
    """The backend alone, ready."""
    port = free_port()
    own = folder / "backend"
    own.mkdir()
    config = configs.backend(own, port)
    command = pinned(cores.backend, "nginx", "-p", str(own), "-e", "stderr", "-c", str(config))
    with running(command) as process:
        wait_for_200(process, port, "the backend")
        yield Site(folder=folder, cores=cores, upstream=f"http://127.0.0.1:{port}")


@contextmanager
def all_served(site: Site, subjects: list[Subject]) -> Iterator[dict[str, Served]]:
    with ExitStack() as stack:
        yield {one.name: stack.enter_context(served(site, one)) for one in subjects}
