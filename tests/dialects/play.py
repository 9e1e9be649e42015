"""One play: some orders live their lives at a fake Glopal that speaks one dialect, the real engine serves them.

Time is virtual and nobody is in a hurry; what happened is judged by the ledgers of the fakes alone.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any

import sqlalchemy as sa
from tests.dialects.wire import Wire
from tests.simulation.simulate import WINDOWS, Database
from tests.simulation.world import BEGIN, Clock, Happening, seconds

from orderflow import intake, relay
from orderflow.config import GlopalSettings
from orderflow.connectors import Capabilities
from orderflow.connectors.glopal import Glopal as GlopalConnector
from orderflow.connectors.shop import Shop as ShopConnector
from orderflow.domain.due import effects_due
from orderflow.domain.events import Destination
from orderflow.domain.policy import StorePolicy, held
from orderflow.glopal.client import Client
from orderflow.glopal.mapping import Mapping as FieldMapping
from orderflow.glopal.route_settings import routes
from orderflow.glopal.routes import Route
from orderflow.intake import Feed
from orderflow.orders import load
from orderflow.projections import catch_up
from orderflow.projections.orders import Orders
from orderflow.projections.planner import Planner
from orderflow.relay import Relay, Tenant
from orderflow.sandbox import Difference, Faults, Glopal, GlopalOptions, Player, Row, Shop, compare, lives
from orderflow.sandbox.faults import UNCLEAR, Kind
from orderflow.sandbox.glopal.routes import routes_of
from orderflow.sandbox.glopal.switches import SWITCHES, options
from orderflow.store import outbox, progress
from orderflow.store.vault import open_vault
from orderflow.store.verify import verify

KEY = "GL.sandbox"
NOISE = 0.2
PAGE = 3
"""Small, so that every play has many pages."""
NAMES = GlopalSettings.__struct_defaults__[1]
LONG = timedelta(days=8)
"""Past the reap window, so that every stray is found, and past the age limits, so that silent ends are learnt."""
KINDS: Sequence[Kind] = sorted(UNCLEAR | {"refused", "throttled", "throttled_oddly", "wrong_type", "stale"})
"""All that a wire may do but "redirect", which stops everything until a person mends the address."""


def combination(seed: int) -> dict[str, Any]:
    """One setting of every switch."""
    rng = Random(f"combination {seed}")
    return {name: rng.choice(settings) for name, settings in SWITCHES.items()}


class Play:
    """The stage of one dialect. `switches` are settings of `GlopalOptions` by name."""

    def __init__(
        self, database: Database, name: str, switches: Mapping[str, Any], orders: int, *, faulty: bool = False
    ) -> None:
        database.world = self  # type: ignore[assignment]  # it is only asked for the time
        self.rng = Random(name)
        self.store = name
        self.clock = Clock()
        self.pulls = 0
        self.facts = True  # may there be events that nobody has read?
        self.due: datetime | None = None  # when the outbox will want attention; None: nobody looked
        self.ahead: list[Happening] = []
        self.numbers = count()
        self.options = options(switches)
        # Where everything must be named, and what is not named hides the rest, nobody could read on behind noise.
        self.noises = 5 if hides(self.options) and self.options.event_filter == "required" else 0
        self.glopal = Glopal(clock=self.clock, rng=Random(self.rng.random()), options=self.options)
        self.shop = Shop(clock=self.clock, rng=Random(self.rng.random()))
        self.glopal.open(name)
        at_glopal, at_shop = (self._faults(often=0.03 if faulty else 0.0) for _ in range(2))
        self.faults = at_glopal, at_shop
        script = lives(self.rng, orders, [name], spread=seconds(5))
        self.player = Player(script, self.glopal, glopal_faults=at_glopal, shop_faults=at_shop, begin=BEGIN)
        self.engine, self.window = database.engine, database.window
        self.vault = open_vault(b"dialect master key of 32 bytes!!")
        self.policy = StorePolicy(environment=self.options.environment, reap_after=(timedelta(days=1),))
        client = Client("http://glopal.test", name, KEY, routes=spoken(self.options), transport=self._wire(at_glopal))
        shop = ShopConnector(
            "http://shop.test", "shop-sandbox", FieldMapping(), Capabilities(), transport=self._wire(at_shop, shop=True)
        )
        self.feed = Feed(name, client, names(self.options), PAGE, timedelta(minutes=15))
        tenant = Tenant(self.policy, {Destination.GLOPAL: GlopalConnector(client), Destination.SHOP: shop})
        self.relay = Relay(self.engine, self.vault, {name: tenant}, "w", self.clock.boottime, self.rng, WINDOWS)

    def _faults(self, often: float) -> Faults:
        """A swarm: some of all kinds."""
        rates = dict.fromkeys(self.rng.sample(KINDS, 4), often)
        return Faults(Random(self.rng.random()), rates, delay=lambda: seconds(self.rng.choice([1, 5, 10])))

    def _wire(self, faults: Faults, *, shop: bool = False) -> Wire:
        return Wire((self.shop if shop else self.glopal).handle, faults, self.later)

    # ---- what a wire asks of its world -------------------------------------------------------------------------------

    def later(self, delay: timedelta, action: Callable[[], None]) -> None:
        heapq.heappush(self.ahead, Happening(self.clock.now + delay, next(self.numbers), action))

    # ---- time --------------------------------------------------------------------------------------------------------

    def run(self) -> list[Difference]:
        """Play to the end, then let a day pass; what the ledgers have against it."""
        while not self.player.done:
            early = self.clock.now < BEGIN + timedelta(minutes=2)
            self._moment(timedelta(seconds=1) if early else timedelta(hours=6))
            self._noise()
            assert self.clock.now < BEGIN + LONG, "the lives do not end"
        for faults in self.faults:
            faults.stop()
        for _ in range(2):  # what a re-read brings has a day to come to rest, too
            end = self.clock.now + LONG
            while self.clock.now < end:
                self._moment(end - self.clock.now)
            self.facts = intake.reread(self.engine, self.vault, self.feed).new > 0 or self.facts
        self._rest()
        return self.differences()

    def _moment(self, longest: timedelta) -> None:
        """Do all that is due now, then go on to the next moment at which something is."""
        self.player.step(self.clock.now)
        self._rest()
        times = [
            self.clock.now + longest,
            *([self.ahead[0].at] if self.ahead else []),
            *([self.due] if self.due else []),
        ]
        self.clock.now = max(min(times), self.clock.now + timedelta(milliseconds=1))
        while self.ahead and self.ahead[0].at <= self.clock.now:
            heapq.heappop(self.ahead).action()

    def _rest(self) -> None:
        while self._work() or self._project() or self._pull():
            pass

    def _work(self) -> bool:
        """One thing that is due, if there is one; asked of the database once after every change."""
        if self.due is None:
            with self.window.connect() as conn:
                self.due = outbox.next_time(conn, self.store) or self.clock.now + LONG
        if self.due > self.clock.now:
            return False
        self.due, self.facts = None, True
        return relay.step(self.relay)

    def _noise(self) -> None:
        """Now and then the feed tells what nobody asked for, and returns, which move nothing."""
        known = list(self.player.order_ids.values())
        if known and self.noises < 5 and self.rng.random() < NOISE:
            self.noises += 1
            name = self.rng.choice(["order.noted", "order.noted", "return.requested"])
            for _ in range(PAGE + 1):  # enough for a page that shows nothing
                self.glopal.report(
                    self.store, self.rng.choice(known), name, entity_id="1" if "return" in name else None
                )

    def _pull(self) -> bool:
        self.pulls += 1
        pulled = intake.pull(self.engine, self.vault, self.feed)
        if pulled.stopped:  # a page that could not be used, a proxy's for example: the operator says go on
            assert "page" in pulled.stopped or pulled.stopped == "paused", pulled.stopped
            with self.engine.begin() as conn:
                progress.resume(conn, self.store, "pull")
        self.facts = self.facts or pulled.new > 0
        return pulled.more

    def _project(self) -> bool:
        if not self.facts:
            return False
        self.due, self.facts = None, False
        with self.engine.begin() as conn:
            return bool(catch_up(conn, self.store, [Orders(), Planner()], self.policy))

    # ---- judging -----------------------------------------------------------------------------------------------------

    def differences(self) -> list[Difference]:
        """The demo's comparison: what Glopal and the shop know against what orderflow says."""
        with self.engine.begin() as conn:
            for _ in verify(conn, self.store):
                pass
            rows = [self._row(conn, entry.order_id) for entry in self.glopal.ledger(self.store)]
        return compare(self.glopal.ledger(self.store), self.shop.ledger(), rows)

    def _row(self, conn: sa.Connection, order_id: str) -> Row:
        order = load(conn, self.store, order_id)
        soon = [one.effect for one in effects_due(order, self.policy) if one.not_before <= self.clock.now]
        assert soon == [], f"{order_id}: {soon} are due"
        own, ids = order.shop.own, order.accept_ids
        return {
            "store": self.store,
            "order_id": order_id,
            "status": order.status.value,
            "shop_order_id": own.shop_id if own else None,
            "shop_state": own.state.value if own else None,
            "accept_ids": (ids.order_id, ids.number) if ids else None,
            "held": bool(held(order, self.policy)),
        }


def spoken(dialect: GlopalOptions) -> Mapping[str, Route]:
    """orderflow's route table for this dialect: what an integrator writes into the settings."""
    given: dict[str, dict[str, object]] = {}
    for operation, (method, path) in routes_of(dialect.routes).items():
        given[operation] = {
            "method": method,
            "path": path.replace("{store}", "{store_id}").replace("{order}", "{order_id}"),
        }
    limit = {"limit": "limit", "page_size": "page_size", "none": ""}[dialect.limit_name]
    given["events"]["query"] = {"limit": limit}
    if dialect.accept_body == "flat":
        given["accept"]["body"] = {"order_id": "{ids.order_id}", "order_number": "{ids.number}"}
    return routes(given)


def names(dialect: GlopalOptions) -> tuple[str, ...]:
    """The events to ask for: where unknown names are refused, only those that there are.

    Where Glopal filters what it has cut already, and no link leads past an empty page, nothing may be filtered out.
    """
    if hides(dialect) and dialect.event_filter == "optional":
        return ()
    mute = dialect.unknown_event == "refused" and not dialect.emit_accepted_completed
    return tuple(name for name in NAMES if not (mute and name in ("order.accepted", "order.completed")))


def hides(dialect: GlopalOptions) -> bool:
    """Does an empty page end everything, although there are events behind it?"""
    return dialect.filtering == "after the cut" and dialect.links == "absent"
