"""One seed, one schedule: the real engine on a real database against a faulty world in virtual time.

Workers are driven step by step (`prepare`, `perform`, `settle`), so that they can crash between any two transactions,
be suspended past their lease, and overtake each other. Then the faults stop and everything must come to rest.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

import sqlalchemy as sa
from tests.simulation.check import Broken, Wiretap, at_rest
from tests.simulation.world import BEGIN, World, seconds

from orderflow import intake, relay
from orderflow.connectors import Capabilities
from orderflow.connectors.glopal import Glopal
from orderflow.connectors.shop import Shop
from orderflow.domain import decisions
from orderflow.domain.decisions import IllegalTransition
from orderflow.domain.events import Destination, Ids
from orderflow.domain.machine import Status
from orderflow.domain.policy import StorePolicy
from orderflow.glopal.client import Client
from orderflow.glopal.mapping import Mapping
from orderflow.intake import Feed
from orderflow.orders import UnknownOrderError, handle
from orderflow.projections import catch_up
from orderflow.projections.orders import Orders
from orderflow.projections.planner import Planner
from orderflow.relay import Call, Relay, Reply, Tenant, Windows
from orderflow.store import outbox
from orderflow.store.connect import APP_ROLE
from orderflow.store.tables import outbox as outbox_table
from orderflow.store.vault import Vault, open_vault

VIRTUAL_CLOCK = """
CREATE OR REPLACE FUNCTION orderflow.wall_clock() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT current_setting('orderflow.virtual_now')::timestamptz $$
"""
WINDOWS = Windows(send=10.0, call=30.0, get_settle=60.0, look_up=2.0, retry=5.0, longest=600.0)
MOST_STEPS = 500


class Database:
    """A migrated database whose clock the simulation sets."""

    def __init__(self, url: str) -> None:
        owner = sa.create_engine(url, poolclass=sa.NullPool)
        with owner.begin() as conn:
            conn.exec_driver_sql(VIRTUAL_CLOCK)
            conn.exec_driver_sql(f"GRANT EXECUTE ON FUNCTION orderflow.wall_clock() TO {APP_ROLE}")
        owner.dispose()
        self.world: World | None = None
        self._told: datetime | None = None
        # For looking on only: what needs neither a transaction nor the time is asked in one round trip.
        self.window = sa.create_engine(url, pool_size=1, max_overflow=0, isolation_level="AUTOCOMMIT")
        self.engine = sa.create_engine(url, pool_size=1, max_overflow=0, isolation_level="READ COMMITTED")
        sa.event.listen(self.engine, "connect", self._connected)
        sa.event.listen(self.engine, "begin", self._began)
        sa.event.listen(self.engine, "rollback", self._rolled_back)

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()
        self.window.dispose()

    def _connected(self, connection: Any, _record: object) -> None:
        connection.execute(f"SET ROLE {APP_ROLE}")
        connection.commit()
        self._told = None

    def _rolled_back(self, _conn: sa.Connection) -> None:
        """What the database was told in that transaction is forgotten."""
        self._told = None

    def _began(self, conn: sa.Connection) -> None:
        """Tell the database the time, once each time it has changed."""
        now = self.world.clock.now if self.world else BEGIN
        if now != self._told:
            conn.exec_driver_sql("SELECT set_config('orderflow.virtual_now', %s, false)", (now.isoformat(),))
            self._told = now


@dataclass
class Worker:
    """One relay worker and where it stands: calls to make, replies to record; perhaps suspended."""

    relay: Relay
    calls: list[Call] = field(default_factory=list)
    replies: list[tuple[Call, Reply]] = field(default_factory=list)
    asleep_until: datetime | None = None

    @property
    def busy(self) -> bool:
        return bool(self.calls or self.replies)


@dataclass
class Run:
    """What one seed did."""

    seed: int
    world: World
    policy: StorePolicy
    counts: Counter[str] = field(default_factory=Counter)
    trace: list[str] = field(default_factory=list)


class Simulation:
    """The engine of one seed."""

    def __init__(self, database: Database, seed: int, *, verbose: bool = False) -> None:
        self.world = World(seed)
        database.world = self.world
        database._told = None
        self.engine, self.window, self.verbose = database.engine, database.window, verbose
        self.rng = rng = Random(f"engine {seed}")
        self.vault: Vault = open_vault(b"simulation master key, 32 bytes!")
        world, mapping = self.world, Mapping()
        daily = dict.fromkeys((Status.NEW, Status.RECEIVED, Status.READY, Status.ACCEPTED), timedelta(days=1))
        policy = StorePolicy(
            max_attempts=12, early_accept=rng.random() < 0.1, age_limits=daily, reap_after=(timedelta(days=1),)
        )
        self.run = Run(seed, world, policy)
        client = Client("http://glopal.test", world.store, "GL.sandbox", transport=world.wire("glopal"))
        shop = Shop(
            "http://shop.test",
            "shop-sandbox",
            mapping,
            Capabilities(unique_reference=world.shop.options.unique_reference, settle_window=15.0),
            transport=world.wire("shop"),
        )
        self.feed = Feed(world.store, client, FEED_NAMES, 20, timedelta(minutes=15))
        tenant = Tenant(self.run.policy, {Destination.GLOPAL: Glopal(client, mapping), Destination.SHOP: shop})
        self.workers = [
            Worker(Relay(self.engine, self.vault, {world.store: tenant}, f"w{n}", world.clock.boottime, rng, WINDOWS))
            for n in range(2)
        ]
        self.crashes = rng.choice([0.0, 0.02, 0.15])
        self.sleeps = rng.choice([0.0, 0.02, 0.15])
        self.slowness = rng.choice([0.0, 0.0, 0.3, 0.6])  # how often due work is left lying for a while
        self.stale_plans = rng.choice([0.0, 0.3])
        self.faulty = True
        self.fences: dict[outbox.Key, int] = {}  # the newest lease of each row
        self.facts = True  # may there be events that planner and read models have not seen?
        self.idle_until: datetime | None = None  # nothing in the outbox wants attention before; None: nobody looked
        world.tap = self.tap = Wiretap(self.window, world)

    # ---- the two phases ------------------------------------------------------------------------------------------

    def simulate(self) -> Run:
        """Faults for a while, then none; then time goes on until well past the reap window."""
        end = BEGIN + seconds(self.rng.choice([300, 900, 1800]))
        self._until(end)
        self.faulty = False
        self.world.glopal_faults.stop()
        self.world.shop_faults.stop()
        self.facts = bool(intake.reread(self.engine, self.vault, self.feed).new) or self.facts
        self._until(self.world.clock.now + timedelta(hours=26))
        if intake.reread(self.engine, self.vault, self.feed).new:  # very late news: again until it is all over
            self.facts = True
            self._until(self.world.clock.now + timedelta(hours=26))
        at_rest(self.engine, self.run)
        return self.run

    def _until(self, end: datetime) -> None:
        self._rest()
        while self.world.clock.now < end:
            self._let_time_pass(end)
            self._rest()

    def _rest(self) -> None:
        """Let everybody work until nobody has anything to do now."""
        for _ in range(MOST_STEPS):
            if not self._step():
                return
        raise Broken(f"seed {self.run.seed}: no rest at {self.world.clock.now}")

    def _let_time_pass(self, end: datetime) -> None:
        """To the next moment at which anything may want to happen."""
        times = [end]
        if self.world.ahead:
            times.append(self.world.ahead[0].at)
        if not self.facts and any(worker.asleep_until is None for worker in self.workers):
            times.append(self._next_time())
        times += [worker.asleep_until for worker in self.workers if worker.asleep_until is not None]
        later = max(min(times), self.world.clock.now + timedelta(milliseconds=1))
        self.world.pass_until(later)

    def _next_time(self) -> datetime:
        """When the outbox will next want attention; asked of the database once after every change."""
        if self.idle_until is None:
            with self.window.connect() as conn:
                self.idle_until = outbox.next_time(conn, self.world.store) or self.world.clock.now + timedelta(days=9)
        return self.idle_until

    # ---- one step --------------------------------------------------------------------------------------------------

    def _step(self) -> bool:
        """Let somebody do one thing, chosen by chance. False if nobody had anything to do."""
        actors = [self._pull, self._plan, *(lambda w=worker: self._work(w) for worker in self.workers)]
        self.rng.shuffle(actors)
        for actor in actors:
            if actor():
                self.run.counts["steps"] += 1
                if self.faulty and self.rng.random() < 0.3:
                    self.world.pass_until(self.world.clock.now + seconds(self.rng.expovariate(2.0)))
                return True
        return False

    def _pull(self) -> bool:
        self._people()
        if not self.world.news:
            return False
        pulled = intake.pull(self.engine, self.vault, self.feed)
        self.facts = self.facts or bool(pulled.new)
        if pulled.wait:
            self.world.later(seconds(pulled.wait), lambda: None)
        self.world.news = pulled.seen == self.feed.page_size
        if self.world.below or (self.faulty and self.rng.random() < 0.1):
            again = intake.reread(self.engine, self.vault, self.feed)
            self.facts = self.facts or bool(again.new)
            self.world.below = self.world.below and again.wait > 0
            if again.wait:  # Glopal gave no answer; a puller, too, looks again, and again
                self.world.later(seconds(again.wait), self.world.stir)
        return True

    def _people(self) -> None:
        """The operator's commands, once their time has come."""
        world, chance = self.world, self.rng.random()
        for life in world.lives if self.faulty else ():
            if life.operator_cancels and chance < 0.05:
                life.operator_cancels = False
                self._command(life.order_id, decisions.Cancel("out of stock", "ann"))
            if life.operator_accepts and chance > 0.97:
                life.operator_accepts = False
                entries = [e for e in world.made(life.order_id) if e.state in ("draft", "order")]
                if entries:
                    self._command(life.order_id, decisions.Accept(Ids(entries[0].id, entries[0].number), "ann"))

    def _command(self, order_id: str, command: decisions.Command) -> None:
        try:
            handle(self.engine, self.vault, self.world.store, order_id, command, f"cmd {order_id} {command}")
            self.facts = True
            self._say(f"operator: {order_id} {command}")
        except (IllegalTransition, UnknownOrderError) as refused:
            self._say(f"operator refused: {refused}")

    def _plan(self) -> bool:
        busy = any(worker.busy and worker.asleep_until is None for worker in self.workers)
        if (
            not self.facts
            or (self.faulty and self.rng.random() < self.stale_plans)
            or (busy and self.rng.random() < 0.7)
        ):
            return False
        store, policy = self.world.store, self.run.policy
        with self.engine.begin() as conn:
            catch_up(conn, store, [Orders(), Planner()], policy)
        self.facts, self.idle_until = False, None
        return True

    def _work(self, worker: Worker) -> bool:
        """The worker's next step, unless it crashes or falls asleep before it."""
        now, rng = self.world.clock.now, self.rng
        if worker.asleep_until is not None:
            if worker.asleep_until > now and self.faulty:
                return False
            worker.asleep_until = None
        if worker.busy and self.faulty:
            if rng.random() < self.crashes:
                at_hand = f"{len(worker.calls)} calls and {len(worker.replies)} replies"
                self._say(f"{worker.relay.owner} crashes with {at_hand} at hand")
                self.run.counts["crash"] += 1
                worker.calls, worker.replies = [], []
                return True
            if rng.random() < self.sleeps:
                worker.asleep_until = now + seconds(rng.choice([5.0, 15.0, 100.0, 1000.0]))
                self.run.counts["sleep"] += 1
                return True
        if (not worker.busy or rng.random() < 0.15) and self._prepare(worker):
            return True
        if worker.calls and (not worker.replies or rng.random() < 0.6):
            self._perform(worker)
        elif worker.replies:
            self._settle(worker)
        else:
            return False
        return True

    def _perform(self, worker: Worker) -> None:
        """Any of the calls: they are made side by side."""
        call = worker.calls.pop(self.rng.randrange(len(worker.calls)))
        reply = relay.perform(worker.relay, call)
        if self.tap.broken is not None:
            raise self.tap.broken
        worker.replies.append((call, reply))
        self._say(f"{worker.relay.owner} performed {call.kind} {call.row.key}: {reply}")

    def _settle(self, worker: Worker) -> None:
        """Some of the replies, in any order."""
        self.rng.shuffle(worker.replies)
        some = self.rng.randint(1, len(worker.replies))
        done, worker.replies = worker.replies[:some], worker.replies[some:]
        fresh = {call.row.key for call, _ in done if self.fences[call.row.key] == call.row.fence}
        stale = [call for call, _ in done if call.row.key not in fresh]
        before = [self._row(call) for call in stale]
        relay.settle(worker.relay, done)
        self.run.counts["stale fence"] += len(stale)
        self.run.counts["settled together"] += len(done) > 1
        for call, row in zip(stale, before, strict=True):
            if self._row(call) != row:
                raise Broken(f"seed {self.run.seed}: a stale fence touched the row {call.row.key}")
        self.facts, self.idle_until = True, None

    def _prepare(self, worker: Worker) -> bool:
        if self._next_time() > self.world.clock.now:
            return False
        if self.faulty and self.rng.random() < self.slowness:
            worker.asleep_until = self.world.clock.now + seconds(self.rng.choice([1.0, 10.0, 60.0]))
            return True
        most, places = self.rng.choice([1, 2, 8]), worker.relay.places
        self.rng.shuffle(places)
        prepared, self.idle_until = relay.prepare(worker.relay, most, places), None
        calls = [one for one in prepared if isinstance(one, Call)]
        for call in calls:
            self.fences[call.row.key] = call.row.fence
            self._say(f"{worker.relay.owner} prepared {call.kind} {call.row.key} attempt {call.attempt}")
            self.run.counts[f"{call.kind} {call.effect}"] += 1
        worker.calls += calls
        self.run.counts["prepared together"] += len(prepared) > 1
        self.facts = self.facts or bool(prepared)
        return bool(prepared)

    def _row(self, call: Call) -> Any:
        """The outbox row of a call as it stands."""
        names = ("store", "order_id", "destination", "effect", "generation")
        where = [outbox_table.c[name] == getattr(call.row.key, name) for name in names]
        with self.window.connect() as conn:
            return conn.execute(sa.select(outbox_table).where(*where)).one_or_none()

    def _say(self, text: str) -> None:
        line = f"{self.world.clock.now:%d %H:%M:%S.%f} {text}"
        self.run.trace.append(line)
        if self.verbose:
            print(line)  # noqa: T201 - asked for


FEED_NAMES = (
    "order.received",
    "order.ready",
    "order.accepted",
    "order.completed",
    "order.cancelled",
    "return.requested",
)


def simulate(database: Database, seed: int, *, verbose: bool = False) -> Run:
    """Run one seed. Raises `Broken` with the seed and its trace where a promise is broken."""
    simulation = Simulation(database, seed, verbose=verbose)
    try:
        return simulation.simulate()
    except Broken as broken:
        broken.add_note("\n".join(simulation.run.trace[-60:]))
        raise
