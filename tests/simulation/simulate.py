"""One seed, one schedule: the real engine on a real database against a faulty world in virtual time.

Workers are driven step by step (`prepare`, `perform`, `settle`), so that they can crash between any two transactions,
be suspended past their lease, and overtake each other. Then the faults stop and everything must come to rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import sqlalchemy as sa
from tests.simulation.check import CALL, SETTLES, Broken, Promise, Wiretap, at_rest
from tests.simulation.world import BEGIN, World, seconds

from orderflow import intake, relay
from orderflow.connectors import Capabilities, Found, Refused
from orderflow.connectors.glopal import Glopal
from orderflow.connectors.shop import Shop
from orderflow.domain import decisions
from orderflow.domain.decisions import IllegalTransition
from orderflow.domain.events import Destination, HoldReason, Ids
from orderflow.domain.machine import Status
from orderflow.domain.policy import StorePolicy
from orderflow.glopal.client import Client
from orderflow.glopal.mapping import Mapping
from orderflow.intake import Feed
from orderflow.orders import UnknownOrderError, handle, load
from orderflow.projections import catch_up
from orderflow.projections.orders import Orders
from orderflow.projections.planner import Planner
from orderflow.relay import Call, Relay, Reply, Tenant, Windows
from orderflow.store import outbox, progress
from orderflow.store.connect import APP_ROLE
from orderflow.store.tables import outbox as outbox_table
from orderflow.store.vault import Vault, open_vault

VIRTUAL_CLOCK = """
CREATE OR REPLACE FUNCTION orderflow.wall_clock() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT current_setting('orderflow.virtual_now')::timestamptz $$
"""
WINDOWS = Windows(send=10.0, call=CALL.total_seconds(), get_settle=60.0, look_up=2.0, retry=5.0, longest=600.0)
MOST_STEPS = 500


class Killed(BaseException):
    """A process ends here, without a word; no handler sees it."""


class Mistake(Exception):
    """Something that our own code did not foresee."""


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
        sa.event.listen(self.engine, "commit", self._committing)
        self.at_commit: BaseException | None = None  # what happens at the next commit, in its place

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

    def _committing(self, _conn: sa.Connection) -> None:
        error, self.at_commit = self.at_commit, None
        if error is not None:
            self._told = None
            raise error

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
    asleep_since: datetime | None = None
    asleep_until: datetime | None = None
    ending: bool = False  # asked to end: it begins nothing more

    @property
    def busy(self) -> bool:
        return bool(self.calls or self.replies)

    @property
    def at_hand(self) -> list[Call]:
        """Calls whose outcome is not recorded yet."""
        return [*self.calls, *(call for call, _ in self.replies)]

    def drop(self) -> None:
        """Everything at hand is gone."""
        self.calls, self.replies = [], []


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
        self.database, self.verbose = database, verbose
        self.engine, self.window = database.engine, database.window
        database.at_commit = None
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
            Capabilities(
                unique_reference=world.shop.options.unique_reference, settle_window=SETTLES["shop"].total_seconds()
            ),
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
        self.ends = rng.choice([0.0, 0.0, 0.05])
        self.mistakes = rng.choice([0.0, 0.0, 0.0, 0.1])
        self.abandons = rng.choice([0.0, 0.0, 0.0, 0.1])
        options = self.world.glopal.options
        self.odd_pages = options.pages != "plain" or options.filtering != "before the cut"
        self.slowness = rng.choice([0.0, 0.0, 0.3, 0.6])  # how often due work is left lying for a while
        self.stale_plans = rng.choice([0.0, 0.3])
        self.faulty = True
        self.fences: dict[outbox.Key, int] = {}  # the newest lease of each row
        self.facts = True  # may there be events that planner and read models have not seen?
        self.commands = 0.05  # how often a person gives the command that is still to be given
        self.unheard = 0  # pulls in a row without an answer
        self.blocked = False  # is anything due that nobody may take now? A door is closed
        self.idle_until: datetime | None = None  # nothing in the outbox wants attention before; None: nobody looked
        world.tap = self.tap = Wiretap(self.window, world)

    # ---- the two phases ------------------------------------------------------------------------------------------

    def simulate(self) -> Run:
        """Faults for a while, then none; then time goes on until well past the reap window.

        What is left to a person by then is retried and released, as a person would: it must end well after all.
        """
        end = max(BEGIN + seconds(self.rng.choice([300, 900, 1800])), self.world.all_well_from)
        self._until(end)
        self.faulty = False
        self.world.stop()
        self._reopen()
        for worker in self.workers:
            worker.ending = False
        self.facts = bool(intake.reread(self.engine, self.vault, self.feed).new) or self.facts
        self.world.news = True
        self._until(self.world.clock.now + timedelta(hours=2))
        for _ in range(3):
            if not self._mend():
                break
            self._until(self.world.clock.now + timedelta(hours=2))
        self._until(self.world.clock.now + timedelta(hours=26))
        if intake.reread(self.engine, self.vault, self.feed).new:  # very late news: again until it is all over
            self.facts = True
            self._until(self.world.clock.now + timedelta(hours=26))
        at_rest(self.engine, self.run)
        return self.run

    def _reopen(self) -> None:
        """A person lifts every pause."""
        self.world.closed = False
        with self.engine.begin() as conn:
            for scope in progress.paused(conn, self.world.store):
                progress.resume(conn, self.world.store, scope)
                self._say(f"operator resumes {scope}")
        self.world.news, self.idle_until = True, None

    def _mend(self) -> bool:
        """A person retries what was given up or refused, and releases what was held by evidence. False: nothing."""
        did = False
        for life in self.world.lives:
            with self.engine.begin() as conn:
                order = load(conn, self.world.store, life.order_id)
            for effect in dict.fromkeys(parked.effect for parked in order.parked):
                did = self._command(life.order_id, decisions.Retry(effect, "ann", "mended")) or did
            evidence = order.hold(HoldReason.EVIDENCE)
            if evidence is not None:
                release = decisions.Release(evidence.reason, evidence.position, "ann", "checked")
                did = self._command(life.order_id, release) or did
        return did

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
        raise Broken(Promise.REST, f"no rest at {self.world.clock.now}")

    def _let_time_pass(self, end: datetime) -> None:
        """To the next moment at which anything may want to happen."""
        times = [end]
        if self.world.ahead:
            times.append(self.world.ahead[0].at)
        if not self.facts and any(worker.asleep_until is None for worker in self.workers):
            times.append(self._next_time())
        times += [worker.asleep_until for worker in self.workers if worker.asleep_until is not None]
        soonest = self.world.clock.now + (seconds(5) if self.blocked else timedelta(milliseconds=1))
        self.world.pass_until(max(min(times), soonest))

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
                if self.world.wire_broke is not None:
                    raise self.world.wire_broke
                if self.faulty and self.rng.random() < 0.3:
                    self.world.pass_until(self.world.clock.now + seconds(self.rng.expovariate(2.0)))
                return True
        return False

    def _pull(self) -> bool:
        self._people()
        if not self.world.news:
            return False
        if self.faulty and self.rng.random() < self.crashes:
            self.database.at_commit = Killed()
        try:
            pulled = intake.pull(self.engine, self.vault, self.feed)
        except Killed:
            self.world.fired.fire("P01", "feed")
            return True
        finally:
            self.database.at_commit = None
        self.facts = self.facts or bool(pulled.new)
        self.unheard = self.unheard + 1 if pulled.wait else 0
        again_in = seconds(max(pulled.wait, 2.0 ** min(self.unheard, 8)))
        if pulled.wait:
            self.world.later(again_in, self.world.stir)
        self.world.news = pulled.more if self.odd_pages else pulled.seen == self.feed.page_size
        if self.world.below or (self.faulty and self.rng.random() < 0.1):
            again = intake.reread(self.engine, self.vault, self.feed)
            self.facts = self.facts or bool(again.new)
            self.world.below = self.world.below and bool(again.wait or again.stopped)
            if again.wait:  # Glopal gave no answer; a puller, too, looks again, and again
                self.world.later(again_in, self.world.stir)
        return True

    def _people(self) -> None:
        """The operator's commands, once their time has come."""
        world, chance = self.world, self.rng.random()
        if world.closed:
            self._reopen()
        for life in world.lives if self.faulty else ():
            if life.operator_cancels and chance < self.commands:
                recorded = self._command(life.order_id, decisions.Cancel("out of stock", "ann"))
                over = world.glopal.status(world.store, life.order_id) == "CANCELLED"
                life.operator_cancels = not recorded and not over
            if life.operator_refunds and chance < self.commands:
                refund = decisions.Refund("r1", Decimal("1.00"), self._currency(life.order_id), "damaged", "ann")
                life.operator_refunds = not self._command(life.order_id, refund)
            if life.operator_accepts and chance > 0.97:
                life.operator_accepts = False
                entries = [e for e in world.made(life.order_id) if e.state in ("draft", "order")]
                if entries:
                    ids = Ids(entries[0].id, entries[0].number)
                    life.accepted_by_hand = self._command(life.order_id, decisions.Accept(ids, "ann"))

    def _currency(self, order_id: str) -> str:
        with self.engine.begin() as conn:
            details = load(conn, self.world.store, order_id).details
        return (details.currency if details is not None else None) or "EUR"

    def _command(self, order_id: str, command: decisions.Command) -> bool:
        """False if it was refused."""
        try:
            command_id = f"cmd {order_id} {next(self.world.numbers)}"
            handle(self.engine, self.vault, self.world.store, order_id, command, command_id)
        except (IllegalTransition, UnknownOrderError) as refused:
            self._say(f"operator refused: {refused}")
            return False
        self.facts = True
        self._say(f"operator: {order_id} {command}")
        return True

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
        """The worker's next step, unless something befalls it before."""
        if worker.asleep_until is not None:
            if worker.asleep_until > self.world.clock.now and self.faulty:
                return False
            self._wakes(worker)
        if worker.busy and self.faulty and self._befalls(worker):
            return True
        if worker.ending and not worker.busy:
            worker.ending = False  # it has ended, and another one takes its place
        if (not worker.busy or self.rng.random() < 0.15) and not worker.ending and self._prepare(worker):
            return True
        if worker.calls and (not worker.replies or self.rng.random() < 0.6):
            self._perform(worker)
        elif worker.replies:
            self._settle(worker)
        else:
            return False
        return True

    def _wakes(self, worker: Worker) -> None:
        assert worker.asleep_since is not None
        beyond = self.world.clock.now - worker.asleep_since > seconds(WINDOWS.lease)
        self._strikes("P03", worker.at_hand if beyond else [])
        worker.asleep_until = worker.asleep_since = None

    def _befalls(self, worker: Worker) -> bool:
        """Kill it, put it to sleep, or ask it to end, by chance. True if it does nothing else for now."""
        rng = self.rng
        if rng.random() < self.crashes:
            self._crash(worker)
            return True
        if rng.random() < self.sleeps:
            worker.asleep_since = self.world.clock.now
            worker.asleep_until = worker.asleep_since + seconds(rng.choice([5.0, 15.0, 100.0, 1000.0]))
            self.run.counts["sleep"] += 1
            return True
        if not worker.ending and rng.random() < self.ends:
            worker.ending = True
            self._strikes("P02", worker.at_hand)
        return False

    def _crash(self, worker: Worker) -> None:
        """Killed: before its calls, while they are made, or before their replies are recorded."""
        at_hand = f"{len(worker.calls)} calls and {len(worker.replies)} replies"
        self._say(f"{worker.relay.owner} crashes with {at_hand} at hand")
        self.run.counts["crash"] += 1
        self._strikes("P01", worker.at_hand)
        if self.rng.random() < 0.5:
            for call in worker.calls:
                self._carry(worker, call)
        worker.drop()

    def _strikes(self, fault: str, calls: Sequence[Call]) -> None:
        """A fault of the process, with these calls at hand. Only sends count, and reads of their own."""
        for call in calls:
            if call.kind != "look_up":
                self.world.fired.fire(fault, call.effect.value)

    def _carry(self, worker: Worker, call: Call) -> Reply:
        """The call itself, whoever hears of it."""
        self.world.calling = call.effect.value
        self.tap.refused.clear()
        reply = relay.perform(worker.relay, call)
        self.world.calling = ""
        if self.tap.broken is not None:
            raise self.tap.broken
        if isinstance(reply.result, Refused) and isinstance(reply.sight, Found) and self.tap.refused:
            raise Broken(Promise.READ_BACK, f"{call.row.key}: {reply.result.reason}")
        return reply

    def _perform(self, worker: Worker) -> None:
        """Any of the calls: they are made side by side. One that is abandoned may have been made, and nobody knows."""
        rng = self.rng
        call = worker.calls.pop(rng.randrange(len(worker.calls)))
        for fault, rate in (("P05", self.abandons), ("P04", self.mistakes)):
            if self.faulty and rng.random() < rate:
                if fault == "P04" or rng.random() < 0.5:
                    self._carry(worker, call)
                self._strikes(fault, [call])
                self._say(f"{worker.relay.owner} {fault} at {call.kind} {call.row.key}")
                return
        reply = self._carry(worker, call)
        worker.replies.append((call, reply))
        self._say(f"{worker.relay.owner} performed {call.kind} {call.row.key}: {reply}")

    def _settle(self, worker: Worker) -> None:
        """Some of the replies, in any order; by chance the process dies at the commit, or trips over itself."""
        self.rng.shuffle(worker.replies)
        some = self.rng.randint(1, len(worker.replies))
        done, worker.replies = worker.replies[:some], worker.replies[some:]
        fresh = {call.row.key for call, _ in done if self.fences[call.row.key] == call.row.fence}
        stale = [call for call, _ in done if call.row.key not in fresh]
        before = [self._row(call) for call in stale]
        self.database.at_commit = self._struck()
        try:
            relay.settle(worker.relay, done)
        except Killed:
            self._strikes("P01", [call for call, _ in done])
            worker.drop()
        except Mistake:  # the crew settles each by itself, and what fails again is looked up
            self._strikes("P04", [call for call, _ in done])
            for one in done if self.rng.random() < 0.5 else ():
                relay.settle(worker.relay, [one])
        finally:
            self.database.at_commit = None
        self.run.counts["stale fence"] += len(stale)
        self.run.counts["settled together"] += len(done) > 1
        for call, row in zip(stale, before, strict=True):
            if self._row(call) != row:
                raise Broken(Promise.FENCE, f"the row {call.row.key}")
        self.facts, self.idle_until = True, None

    def _struck(self) -> BaseException | None:
        """What befalls a process at a commit."""
        if self.faulty and self.rng.random() < self.crashes:
            return Killed()
        return Mistake() if self.faulty and self.rng.random() < self.mistakes else None

    def _prepare(self, worker: Worker) -> bool:
        if self._next_time() > self.world.clock.now:
            return False
        if self.faulty and self.rng.random() < self.slowness:
            worker.asleep_since = self.world.clock.now
            worker.asleep_until = worker.asleep_since + seconds(self.rng.choice([1.0, 10.0, 60.0]))
            return True
        most, places = self.rng.choice([1, 2, 8]), worker.relay.places
        self.rng.shuffle(places)
        struck = self.database.at_commit = self._struck()
        try:
            prepared, self.idle_until = relay.prepare(worker.relay, most, places), None
        except sa.exc.IntegrityError as error:
            raise Broken(Promise.ONE_OPEN, "the database refuses a second one") from error
        except (Killed, Mistake):
            self.run.counts["died while preparing" if isinstance(struck, Killed) else "tripped while preparing"] += 1
            worker.drop()
            return True
        finally:
            self.database.at_commit = None
        calls = [one for one in prepared if isinstance(one, Call)]
        elsewhere = {call.row.key.order_id for one in self.workers if one is not worker for call in one.at_hand}
        for call in calls:
            self.fences[call.row.key] = call.row.fence
            self._say(f"{worker.relay.owner} prepared {call.kind} {call.row.key} attempt {call.attempt}")
            self.run.counts[f"{call.kind} {call.effect}"] += 1
            if call.row.key.order_id in elsewhere:
                self.world.fired.fire("P06", call.effect.value)
        worker.calls += calls
        self.run.counts["prepared together"] += len(prepared) > 1
        self.facts = self.facts or bool(prepared)
        self.blocked = not prepared
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


Aim = Callable[["Simulation"], None]
"""Turns a schedule towards something before it begins: which faults are on, how slow the workers are."""


def simulate(database: Database, seed: int, *, verbose: bool = False, aim: Aim | None = None) -> Run:
    """Run one seed. Raises `Broken` with the seed and its trace where a promise is broken."""
    simulation = Simulation(database, seed, verbose=verbose)
    if aim is not None:
        aim(simulation)
    try:
        return simulation.simulate()
    except Broken as broken:
        broken.add_note(f"seed {seed}")
        broken.add_note("\n".join(simulation.run.trace[-60:]))
        raise
