"""Whatever happens in whatever order: counts are right, and no one unfit is chosen."""

import random
from collections import Counter
from contextlib import contextmanager

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from pools.core.document import AdminState, Policy
from pools.core.engine import Engine
from pools.core.errors import NoBackendAvailable
from pools.core.probing import Verdict
from pools.core.retry import FailureKind
from tests.core.build import Clock, failure, head, pool, snapshot

HOSTS = ["b1", "b2", "b3", "b4"]

listed_backends = st.lists(
    st.fixed_dictionaries(
        {
            "host": st.sampled_from(HOSTS),
            "port": st.just(80),
            "weight": st.sampled_from([0, 1, 1, 5]),
            "backup": st.sampled_from([False, False, True]),
            "state": st.sampled_from(["ready", "ready", "ready", "drain", "maint"]),
            "max_in_flight": st.sampled_from([None, 1, 1, 2]),
        }
    ),
    max_size=4,
    unique_by=lambda backend: backend["host"],
)
pools = st.builds(
    lambda listed, policy, factor, slow: pool(
        listed,
        policy=policy.value,
        hash={"balance_factor": factor},
        slow_start_s=slow,
        # Panic has its own tests: here nobody unfit may be chosen.
        passive={"failures": 2, "panic_percent": 0},
    ),
    listed_backends,
    st.sampled_from(Policy),
    st.sampled_from([0, 125]),
    st.sampled_from([0.0, 60.0]),
)


class EngineMachine(RuleBasedStateMachine):
    exchanges = Bundle("exchanges")

    def __init__(self):
        super().__init__()
        self.clock = Clock()
        self.revision = 1
        self.verdicts = {}
        self.held = {}  # exchange: key of the backend it holds
        self.tried = {}
        self.orphans = set()
        self.settled = set()  # an answer began, or the attempt is a free one
        self.engine = Engine(
            clock=self.clock,
            random=random.Random(5),
            snapshot=snapshot(pool(3, passive={"failures": 2, "panic_percent": 0})),
        )
        self.route = self.engine.snapshot.routes.routes[0]

    @rule(target=exchanges, client=st.sampled_from(["192.0.2.1", "192.0.2.2"]))
    def begin(self, client):
        exchange = self.engine.begin(self.route, head(client=client))
        self.tried[exchange] = set()
        return exchange

    @rule(exchange=exchanges)
    def acquire(self, exchange):
        if exchange in self.orphans:
            return
        before = {status.key: status for status in self.engine.status()}
        own = self.held.pop(exchange, None)
        fit = {
            key
            for key, status in before.items()
            if key not in self.tried[exchange]
            and (status.available or (status.key == own and self.full_by_one(status)))
        }
        try:
            attempt = exchange.acquire()
        except NoBackendAvailable:
            assert not fit
            return
        backend = attempt.backend
        self.held[exchange] = backend.key
        if attempt.fresh:
            assert backend.key == own
            self.settled.add(exchange)
            return
        self.settled.discard(exchange)
        assert backend.key in fit
        assert before[backend.key].state is AdminState.READY
        assert self.verdicts.get(backend.key) is not Verdict.DOWN
        assert backend.spec.weight > 0
        if backend.spec.backup:
            primaries = {
                made.key
                for made in self.engine.snapshot.pools["web"].backends
                if not made.spec.backup
            }
            assert not fit & primaries
        self.tried[exchange].add(backend.key)

    def full_by_one(self, status):
        """Whether the lease that is about to end is all that keeps it from being fit."""
        return status.why.startswith("full") and self.limit(status.key) == status.in_flight

    def limit(self, key):
        found = [
            backend.max_in_flight
            for backend in self.engine.snapshot.pools["web"].backends
            if backend.key == key
        ]
        return found[0] if found else 0

    @rule(
        exchange=exchanges,
        kind=st.sampled_from(FailureKind),
        sent=st.booleans(),
        reused=st.booleans(),
    )
    def fail(self, exchange, kind, sent, reused):
        report = failure(kind, bytes_sent=sent, replayable=True, reused=reused)
        with self.no_last_one_ejected():
            again = exchange.fail(report)
        stale = reused and kind is FailureKind.ERROR and exchange not in self.settled
        # The free try keeps its lease; any other failure ends it.
        if not (again and stale):
            self.held.pop(exchange, None)

    @rule(exchange=exchanges, status=st.sampled_from([200, 404, 503]))
    def respond(self, exchange, status):
        if exchange in self.held:
            with self.no_last_one_ejected():
                assert not exchange.respond(status, replayable=True)  # no status is retried
            self.settled.add(exchange)

    @rule(exchange=consumes(exchanges))
    def close(self, exchange):
        exchange.close()
        self.held.pop(exchange, None)

    @rule(made=pools)
    def swap(self, made):
        self.revision += 1
        self.engine.swap(snapshot(made, revision=self.revision))
        self.route = self.engine.snapshot.routes.routes[0]

    @rule(made=pools)
    def take_the_pool_away_and_bring_it_back(self, made):
        self.revision += 1
        self.engine.swap(snapshot(revision=self.revision))
        if not self.held:
            # What began with the pool that nothing holds any more ends with it.
            self.orphans.update(self.tried)
        self.swap(made)

    @rule(verdicts=st.dictionaries(st.sampled_from(HOSTS), st.sampled_from(Verdict)))
    def probe(self, verdicts):
        self.verdicts = {f"web/{host}:80": verdict for host, verdict in verdicts.items()}
        self.engine.apply_health(self.verdicts)

    @rule(host=st.sampled_from(HOSTS))
    def recover(self, host):
        self.engine.recovered([f"web/{host}:80"])
        assert f"web/{host}:80" not in self.engine.ejected()

    @rule(seconds=st.sampled_from([0.1, 10.0, 31.0, 400.0]))
    def wait(self, seconds):
        self.clock.advance(seconds)

    @invariant()
    def in_flight_is_what_is_held(self):
        held = Counter(self.held.values())
        for status in self.engine.status():
            assert status.in_flight == held[status.key]

    @contextmanager
    def no_last_one_ejected(self):
        """Ejection leaves another; that this one goes later is not its doing."""
        before = self.engine.ejected()
        yield
        if self.engine.ejected() > before:
            assert any(
                status.state is AdminState.READY
                and status.why != "weight 0"
                and status.verdict is not Verdict.DOWN
                and not status.ejected_for_s
                for status in self.engine.status()
            )

    def teardown(self):
        for exchange in self.tried:
            exchange.close()
        assert not any(status.in_flight for status in self.engine.status())


TestEngine = EngineMachine.TestCase
TestEngine.settings = settings(max_examples=60, stateful_step_count=40)
