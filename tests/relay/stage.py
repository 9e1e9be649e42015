"""A store between the sandbox's Glopal and shop, all in process and in virtual time, driven step by step.

It never does anything by itself: news, plans, calls and outcomes come when a test asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NoReturn

import httpx
import sqlalchemy as sa

from orderflow import codec, intake, relay
from orderflow.connectors import Capabilities
from orderflow.connectors.glopal import Glopal as GlopalConnector
from orderflow.connectors.shop import Shop as ShopConnector
from orderflow.domain.attention import attention
from orderflow.domain.decisions import Command
from orderflow.domain.events import Destination, Event
from orderflow.domain.machine import Status
from orderflow.domain.order import Order
from orderflow.domain.policy import StorePolicy
from orderflow.glopal.client import Client
from orderflow.intake import Feed
from orderflow.orders import handle, load
from orderflow.projections import catch_up
from orderflow.projections.orders import Orders
from orderflow.projections.planner import Planner
from orderflow.relay import Breaker, Call, Pace, Relay, Tenant, Windows
from orderflow.sandbox import App, Cut, Faults, Glopal, GlopalOptions, Request, Response, Shop, ShopOptions, deliver
from orderflow.store import gates, log
from orderflow.store.connect import APP_ROLE, connect
from orderflow.store.gates import Gate
from orderflow.store.outbox import Row
from orderflow.store.tables import attempts, outbox
from orderflow.store.vault import Vault, open_vault

VAULT = open_vault(b"relay tests' master key, 32 byte")
WINDOWS = Windows(send=10.0, call=30.0, get_settle=60.0, look_up=2.0, retry=5.0, longest=600.0)
SETTLES = 15.0
"""Seconds after which the shop's look-up shows everything."""
COUNTS = WINDOWS.send + WINDOWS.call + SETTLES
"""Seconds after an intent from which a look-up at the shop may count as absent."""
DAY = timedelta(days=1)
FEED_NAMES = ("order.received", "order.ready", "order.accepted", "order.completed", "order.cancelled")
_WALL_CLOCK = """
CREATE OR REPLACE FUNCTION orderflow.wall_clock() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT current_setting('orderflow.virtual_now')::timestamptz $$
"""


@dataclass
class Clock:
    """Virtual time. It only goes forward."""

    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def boottime(self) -> float:
        return self.now.timestamp()

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def virtual(url: str, clock: Clock) -> sa.Engine:
    """An engine whose database takes its time from `clock`, on as many connections as it likes."""
    owner = sa.create_engine(url, poolclass=sa.NullPool)
    with owner.begin() as conn:
        conn.exec_driver_sql(_WALL_CLOCK)
        conn.exec_driver_sql(f"GRANT EXECUTE ON FUNCTION orderflow.wall_clock() TO {APP_ROLE}")
    owner.dispose()
    engine = connect(url)

    @sa.event.listens_for(engine, "begin")
    def _tell(conn: sa.Connection) -> None:
        conn.exec_driver_sql("SELECT set_config('orderflow.virtual_now', %s, true)", (clock.now.isoformat(),))

    return engine


class Wire(httpx.BaseTransport):
    """Carries requests to an app in this process, with scripted faults; keeps what reached the app.

    `instead`: what answers in the app's place, where it answers at all.
    """

    def __init__(self, app: App) -> None:
        self.app, self.faults = app, Faults()
        self.seen: list[Request] = []
        self.instead: Callable[[Request], Response | None] = lambda _request: None

    @property
    def writes(self) -> list[Request]:
        return [request for request in self.seen if request.method != "GET"]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        wire = Request(
            request.method,
            request.url.raw_path.split(b"?")[0].decode(),
            tuple(request.url.params.multi_items()),
            {name.lower(): value for name, value in request.headers.items()},
            request.content,
        )
        fault = self.faults.choose(wire)
        if fault.kind != "refused":
            self.seen.append(wire)
        try:
            answer = self.instead(wire) or deliver(self.app, wire, fault, _never)
        except Cut as cut:
            if not cut.sent:
                raise httpx.ConnectError("refused", request=request) from None
            raise httpx.ReadTimeout("no answer", request=request) from None
        return httpx.Response(answer.status, headers=dict(answer.headers), content=answer.body)


def _never(_delay: timedelta, _action: Callable[[], None]) -> NoReturn:
    raise AssertionError("no late requests here")


class Longest(Random):
    """Chance that always draws the longest wait."""

    def uniform(self, _a: float, b: float) -> float:
        return b


@dataclass
class Stage:
    """One store with its own Glopal and shop. Workers are made by `worker`; the first one is `relay`."""

    engine: sa.Engine
    clock: Clock
    store: str
    policy: StorePolicy = field(default_factory=StorePolicy)
    glopal_options: GlopalOptions = field(default_factory=GlopalOptions)
    shop_options: ShopOptions = field(default_factory=ShopOptions)
    vault: Vault = VAULT
    paces: dict[Destination, Pace] = field(default_factory=dict)
    breaker: Breaker = field(default_factory=Breaker)

    def __post_init__(self) -> None:
        self.glopal = Glopal(clock=self.clock, rng=Random(self.store), options=self.glopal_options)
        self.shop = Shop(clock=self.clock, rng=Random(self.store), options=self.shop_options)
        self.glopal.open(self.store)
        self.to_glopal, self.to_shop = Wire(self.glopal.handle), Wire(self.shop.handle)
        client = Client("http://glopal.test", self.store, "GL.sandbox", transport=self.to_glopal)
        self.shop_connector = ShopConnector(
            "http://shop.test",
            "shop-sandbox",
            capabilities=Capabilities(settle_window=SETTLES),
            transport=self.to_shop,
        )
        self.feed = Feed(self.store, client, FEED_NAMES, 20)
        self.connectors = {
            Destination.GLOPAL: GlopalConnector(client, base_currency=self.policy.base_currency),
            Destination.SHOP: self.shop_connector,
        }
        self.relay = self.worker("a")

    def worker(self, owner: str, *others: Stage) -> Relay:
        """A worker for this store, and for those of `others`."""
        tenants = {one.store: Tenant(one.policy, one.connectors, one.paces) for one in (self, *others)}
        return Relay(self.engine, self.vault, tenants, owner, self.clock.boottime, Longest(0), WINDOWS, self.breaker)

    # ---- what happens --------------------------------------------------------------------------------------------

    def place(self, **overrides: Any) -> str:
        return self.glopal.place(self.store, **overrides)

    def ready(self, order_id: str) -> None:
        self.clock.wait(1)
        self.glopal.ready(self.store, order_id)

    def cancel(self, order_id: str) -> None:
        self.clock.wait(1)
        self.glopal.cancel(self.store, order_id)

    def news(self) -> None:
        """Pull what there is and plan what follows."""
        while intake.pull(self.engine, self.vault, self.feed).new:
            pass
        self.plan()

    def plan(self) -> None:
        while True:
            with self.engine.begin() as conn:
                if not catch_up(conn, self.store, [Orders(), Planner()], self.policy):
                    return

    def command(self, order_id: str, command: Command) -> None:
        handle(self.engine, self.vault, self.store, order_id, command, f"{order_id} {command}")
        self.plan()

    def rest(self, worker: Relay | None = None) -> None:
        """Do everything that is due now."""
        self.news()
        for _ in range(200):
            if not relay.step(worker or self.relay):
                return
            self.news()
        raise AssertionError("no rest")

    def live(self, seconds: float, worker: Relay | None = None) -> None:
        """Let time pass, and do everything when it is due."""
        end = self.clock.now + timedelta(seconds=seconds)
        self.rest(worker)
        while self.clock.now < end:
            times = [max(row.next_at, row.lease_until or row.next_at) for row in self.rows() if not row.parked]
            times += [gate.shut_until for gate in self.gates() if gate.shut_until is not None]
            self.clock.now = min([end, *(time for time in times if time > self.clock.now)])
            self.rest(worker)

    def call(self, effect: str, kind: str = "send", worker: Relay | None = None) -> Call:
        """Do what is due until the call to come is this one: prepared, not performed."""
        self.news()
        for _ in range(50):
            prepared = self.next(worker)
            assert prepared is not None, f"no {effect} is due"
            if isinstance(prepared, Call):
                if (prepared.effect, prepared.kind) == (effect, kind):
                    return prepared
                self.finish(prepared, self.relay)
            self.news()
        raise AssertionError(f"no {effect} came up")

    def next(self, worker: Relay | None = None) -> Call | Row | None:
        """What is prepared next, by itself."""
        prepared = relay.prepare(worker or self.relay)
        return prepared[0] if prepared else None

    def calls(self, place: str, most: int = 8, worker: Relay | None = None) -> list[Call]:
        """What is prepared next for one destination, together."""
        prepared = relay.prepare(worker or self.relay, most, [(self.store, place)])
        return [one for one in prepared if isinstance(one, Call)]

    def finish_all(self, calls: Sequence[Call], worker: Relay | None = None) -> None:
        """Perform each, settle them together."""
        who = worker or self.relay
        relay.settle(who, [(call, relay.perform(who, call)) for call in calls])

    def finish(self, call: Call, worker: Relay | None = None) -> None:
        """Perform and settle."""
        who = worker or self.relay
        relay.settle(who, [(call, relay.perform(who, call))])

    def drafted(self, *, ready: bool = False) -> str:
        """An order whose draft stands in the shop; `ready`, and nothing further done about it."""
        order_id = self.place()
        self.rest()
        assert [entry.state for entry in self.made(order_id)] == ["draft"]
        if ready:
            self.ready(order_id)
        return order_id

    # ---- what came of it -----------------------------------------------------------------------------------------

    def made(self, order_id: str) -> list[Any]:
        """Every shop order ever made for it."""
        return [entry for entry in self.shop.ledger() if entry.reference == f"glopal:{self.store}:{order_id}"]

    def at_glopal(self, order_id: str) -> Any:
        return next(entry for entry in self.glopal.ledger(self.store) if entry.order_id == order_id)

    def order(self, order_id: str) -> Order:
        with self.engine.begin() as conn:
            return load(conn, self.store, order_id)

    def status(self, order_id: str) -> Status:
        return self.order(order_id).status

    def records(self, order_id: str) -> list[Any]:
        """The history as it stands in the log."""
        with self.engine.begin() as conn:
            return list(log.read_stream(conn, self.store, order_id))

    def history(self, order_id: str, *kinds: type[Event]) -> list[Any]:
        """Its events, of these kinds if any are named."""
        events = [codec.decode(record).event for record in self.records(order_id)]
        return [event for event in events if not kinds or isinstance(event, kinds)]

    def names(self, order_id: str, effect: str | None = None) -> list[str]:
        """The kinds of its events about this effect."""
        return [type(e).__name__ for e in self.history(order_id) if effect in (None, getattr(e, "effect", None))]

    def rows(self, order_id: str | None = None, effect: str | None = None) -> list[Any]:
        """Its open outbox rows."""
        where = [outbox.c.store == self.store]
        where += [] if order_id is None else [outbox.c.order_id == order_id]
        where += [] if effect is None else [outbox.c.effect == effect]
        with self.engine.begin() as conn:
            return list(conn.execute(sa.select(outbox).where(*where).order_by(outbox.c.next_at)))

    def row(self, order_id: str, effect: str) -> Any:
        [row] = self.rows(order_id, effect)
        return row

    def gates(self) -> list[Gate]:
        """The gates of its destinations, as far as anybody ever wrote one."""
        with self.engine.begin() as conn:
            return gates.standing(conn, self.store)

    def attempts(self, order_id: str, effect: str | None = None) -> list[Any]:
        """The lines about its calls."""
        where = [attempts.c.store == self.store, attempts.c.order_id == order_id]
        where += [] if effect is None else [attempts.c.effect == effect]
        with self.engine.begin() as conn:
            return list(conn.execute(sa.select(attempts).where(*where).order_by(attempts.c.started_at)))

    def exceptions(self, order_id: str) -> dict[str, str]:
        """What a person should look at, by kind."""
        return {one.kind: one.text for one in attention(self.order(order_id), self.policy)}
