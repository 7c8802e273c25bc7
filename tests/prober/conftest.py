"""A site of three backends in one pool, probed each second, on each kind of store."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.faults.database import Database, database
from tests.faults.publishing import Publisher
from tests.prober import INTERVAL_S, PATIENCE_S
from tests.prober.backends import Backend
from tests.prober.book import Book
from tests.prober.programs import Program, environment
from tests.services import Redis, eventually

PROBE = {"interval_s": INTERVAL_S, "timeout_s": 0.5, "rise": 2, "fall": 3}


class Site:
    """Its stores, its backends and the programs that probe them."""

    def __init__(
        self,
        folder: Path,
        postgres: Database | None = None,
        redis: Redis | None = None,
    ) -> None:
        self.folder = folder
        self.backends = [Backend() for _ in range(3)]
        self.postgres, self.redis = postgres, redis
        database_url = postgres.url if postgres else ""
        redis_url = redis.url if redis else ""
        self.environment = environment(folder, database=database_url, redis=redis_url)
        self.book = Book(folder, database_url)
        self._standing: dict[str, Program] = {}
        publisher = Publisher(self.environment)
        publisher.publish({"pools": [], "routes": []})
        publisher.publish(self._document())
        publisher.close()

    def _document(self) -> dict[str, object]:
        hosts = [{"host": "127.0.0.1", "port": one.port} for one in self.backends]
        return {"pools": [{"name": "web", "probe": PROBE, "backends": hosts}]}

    def standing(self, kind: str) -> Program:
        """The "beat" or the "worker" that go on from test to test."""
        if kind not in self._standing:
            self._standing[kind] = Program(kind, self.folder, self.environment)
        return self._standing[kind]

    def killed(self, kind: str) -> None:
        self._standing.pop(kind).kill()

    @contextmanager
    def another(self, kind: str, name: str, **environment: str) -> Iterator[Program]:
        """One for a while."""
        program = Program(kind, self.folder, {**self.environment, **environment}, name=name)
        try:
            yield program
        finally:
            program.end()

    def probed(self, rounds: int = 1) -> None:
        """Waits for so many rounds to end from now on."""
        for _ in range(rounds):
            before = self.book.ended()
            eventually(
                lambda before=before: self.book.ended() != before,
                within_s=PATIENCE_S,
                saying=f"a round of probes, see {self.folder}",
            )

    def all_are(self, *verdicts: str) -> None:
        wanted = dict(zip([one.port for one in self.backends], verdicts, strict=True))
        eventually(
            lambda: self.book.verdicts() == wanted,
            within_s=PATIENCE_S,
            saying=f"{verdicts}, not {list(self.book.verdicts().values())}",
        )

    def well(self) -> None:
        """All up, by rounds that go on, and so said."""
        for one in self.backends:
            one.let_go()
        self.probed(2)
        self.all_are("up", "up", "up")

    def end(self) -> None:
        for program in self._standing.values():
            program.send(signal.SIGTERM)
        while self._standing:
            self._standing.popitem()[1].end()


Make = Callable[[str], Site]


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    """The site on "sqlite" or on "postgres" with Redis, made when it is first asked for."""
    made: dict[str, Site] = {}
    with ExitStack() as stack:

        def make(kind: str) -> Site:
            if kind not in made:
                folder = tmp_path_factory.mktemp(kind)
                if kind == "sqlite":
                    made[kind] = Site(folder)
                else:
                    redis = Redis()
                    stack.callback(redis.stop)
                    postgres = stack.enter_context(database())
                    made[kind] = Site(folder, postgres, redis)
            return made[kind]

        yield make
        for site in made.values():
            site.end()
            for one in site.backends:
                one.close()


@pytest.fixture(params=["sqlite", "postgres"])
def site(request, sites) -> Site:
    """Probed by one worker and one beat, and well."""
    return _probed(sites(request.param))


@pytest.fixture
def of_servers(sites) -> Site:
    """The same, on PostgreSQL and Redis alone."""
    return _probed(sites("postgres"))


def _probed(site: Site) -> Site:
    site.standing("beat")
    site.standing("worker")
    site.well()
    return site


@pytest.fixture
def of_files(sites) -> Site:
    """On SQLite and without Redis; nobody probes it."""
    site = sites("sqlite")
    site.end()
    return site
