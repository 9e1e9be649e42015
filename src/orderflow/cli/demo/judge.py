"""The demo's verdict: what Glopal and the shop know happened, against what orderflow says.

It asks the sandbox's own ledgers, recomputes the log and the read models, and believes nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from orderflow.app import PROJECTIONS, App
from orderflow.cli.demo.screen import HORIZON
from orderflow.cli.demo.world import World
from orderflow.cli.means import wall_clock
from orderflow.domain.due import effects_due
from orderflow.domain.policy import held, is_foreign
from orderflow.orders import load
from orderflow.projections import beside, planner
from orderflow.sandbox import Difference, Glopal, Row, Shop, compare
from orderflow.store import log, progress
from orderflow.store.log import INTAKE, LogDamagedError
from orderflow.store.tables import outbox, pauses, streams
from orderflow.store.verify import verify


@dataclass(frozen=True, slots=True)
class Check:
    """One promise, and what speaks against it."""

    promise: str
    differences: Sequence[str] = ()

    @property
    def kept(self) -> bool:
        """Whether nothing does."""
        return not self.differences


_PROMISES: Final = (
    ("Glopal and orderflow agree on the status of every order", {"missing_order", "unknown_order", "status"}),
    ("no order has two promoted shop orders", {"two_promoted"}),
    ("no order was accepted with two sets of ids", {"two_accepts", "accept_ids", "accept_unfounded"}),
    ("no shop order lives for a cancelled order", {"alive_though_cancelled"}),
    ("no stray stands in the shop", {"stray_draft", "stray_order", "shop_state", "foreign_reference"}),
)


def judge(world: World) -> list[Check]:
    """Every promise, kept or not. Call it when no worker runs any more."""
    unfinished = len(world.player.script) - world.player.finished
    lived = [f"{unfinished} lives are not over"] if unfinished else []
    return [
        Check("everything came to rest", [*lived, *at_rest(world.app), *forgotten(world.app)]),
        *by_promise(differences(world.app, world.glopal, world.shop)),
        *(Check(f"the log of {store} is whole", damage(world.app, store)) for store in sorted(world.app.tenants)),
        Check("read models rebuilt from the log equal those kept along the way", list(rebuilt(world.app))),
    ]


def at_rest(app: App) -> list[str]:
    """What is not at rest: rows that want attention soon, readers behind the log, pauses. Empty: all is.

    Everything is seen at one moment: between two looks a worker may have turned the one into the other.
    """
    with app.engine.connect().execution_options(isolation_level="REPEATABLE READ") as conn:
        soon = sa.select(outbox).where(outbox.c.next_at < wall_clock(conn) + HORIZON, ~outbox.c.parked)
        found = [f"{r.store} {r.order_id}: {r.effect} is {r.state} {r.reason}" for r in conn.execute(soon)]
        found += [f"{r.store}: {r.scope} is paused: {r.reason}" for r in conn.execute(sa.select(pauses))]
        for store in app.tenants:
            head = log.head(conn, store)
            for name in (*(p.name for p in PROJECTIONS), planner.Planner.name):
                if (place := progress.positions(conn, [name], store)[name]) < head:
                    found.append(f"{store}: {name} stands at {place} of {head}")
    return found


def forgotten(app: App) -> list[str]:
    """What the fold says is due soon, whatever stands in the outbox. Empty at rest."""
    found = []
    with app.engine.connect() as conn:
        until = wall_clock(conn) + HORIZON
        for store, order_id in _orders(conn):
            due = effects_due(load(conn, store, order_id), app.policy(store))
            found += [f"{store} {order_id}: {one.effect} is due" for one in due if one.not_before < until]
    return found


def _orders(conn: sa.Connection) -> Sequence[tuple[str, str]]:
    known = sa.select(streams.c.store, streams.c.order_id).where(streams.c.order_id != INTAKE)
    return [(store, order_id) for store, order_id in conn.execute(known)]


def differences(app: App, glopal: Glopal, shop: Shop) -> list[Difference]:
    """What the sandbox's ledgers say against orderflow."""
    rows: list[Row] = []
    with app.engine.connect() as conn:
        rows += [_row(conn, app, store, order_id) for store, order_id in _orders(conn)]
    entries = [entry for store in app.tenants for entry in glopal.ledger(store)]
    return compare(entries, shop.ledger(), rows)


def _row(conn: sa.Connection, app: App, store: str, order_id: str) -> Row:
    order = load(conn, store, order_id)
    # After a restore the decision may be lost; what Glopal shows is then known to be ours by the shop's answer.
    own, ids = order.shop.own, order.accept_ids or (None if is_foreign(order, app.policy(store)) else order.external)
    return {
        "store": store,
        "order_id": order_id,
        "status": order.status.value,
        "shop_order_id": own.shop_id if own else None,
        "shop_state": own.state.value if own else None,
        "accept_ids": (ids.order_id, ids.number) if ids else None,
        "held": bool(held(order, app.policy(store))),
    }


def by_promise(found: Sequence[Difference]) -> list[Check]:
    """The differences under the promises that they break."""
    return [
        Check(promise, [f"{d.kind}: {d.store} {d.order_id}: {d.detail}" for d in found if d.kind in kinds])
        for promise, kinds in _PROMISES
    ]


def damage(app: App, store: str) -> list[str]:
    """What is wrong with the log of `store`: contiguity, leaves, chain, versions. Empty: nothing."""
    try:
        with app.engine.connect() as conn:
            for _ in verify(conn, store):
                pass
    except LogDamagedError as error:
        return [str(error)]
    return []


def rebuilt(app: App) -> Iterator[str]:
    """Make every read model anew from position 1 and name those that come out differently."""
    for projection in PROJECTIONS:
        for store in sorted(app.tenants):
            found = beside.compare(app.engine, store, projection, app.policy(store), lambda _: None)
            if found.count:
                yield f"{projection.name} of {store}: {found.count} of {found.rows} rows differ"
