"""One order at a time: `load` reads, decodes and folds; `commit` appends what follows from it; `handle` decides.

It never lets two writers build on the same history: every append here names the version it was decided on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

import msgspec
import sqlalchemy as sa

from orderflow import codec
from orderflow.domain import machine
from orderflow.domain.decisions import Command, decide
from orderflow.domain.events import Event, Position, Recorded, Version
from orderflow.domain.evolve import evolve, fold
from orderflow.domain.order import Order
from orderflow.store import log
from orderflow.store.connect import transact
from orderflow.store.entry import Entry
from orderflow.store.streams import read_streams, wanted
from orderflow.store.tables import orders
from orderflow.store.vault import Vault, keys_of, seal

_META: Final = msgspec.json.encode({"machine": machine.VERSION}).decode()


class RaceError(Exception):
    """Somebody appended to the order in between; load it again and decide anew."""


class UnknownOrderError(LookupError):
    """There is no such order in this store's log."""


@dataclass(frozen=True, slots=True)
class Fact:
    """An event with its identity at its source, and the personal bytes that belong to it, if any."""

    event: Event
    source_id: str
    source: str = "effect"
    body: bytes | None = None


def load(conn: sa.Connection, store: str, order_id: str) -> Order:
    """The order as its history tells it; an empty one if there is no history.

    Starts from the fold snapshot of the orders projection when that is of this machine version.
    """
    order = _snapshot(conn, store, order_id) or Order()
    return fold(map(codec.decode, log.read_stream(conn, store, order_id, after=order.version)), order)


def as_of(conn: sa.Connection, store: str, order_id: str, version: int) -> Order:
    """The order as it was at `version`."""
    if version == 0:
        return Order()
    order = _snapshot(conn, store, order_id)
    if order is not None and order.version == version:
        return order
    return fold(map(codec.decode, log.read_stream(conn, store, order_id, upto=version)))


def many_as_of(
    conn: sa.Connection, store: str, versions: Mapping[str, int], *, snapshots: bool = True
) -> dict[str, Order]:
    """Each order of `versions` as it was at the version given there; two statements at most, however many there are.

    `snapshots`: those of the orders read model may be used.
    """
    found = {order_id: Order() for order_id, version in versions.items() if version == 0}
    begun = {order_id: version for order_id, version in versions.items() if version > 0}
    if snapshots and begun:
        for order_id, snapshot in conn.execute(_SNAPSHOTS, {"store": store, "wanted": wanted(begun)}):
            order = codec.thaw_order(snapshot)
            if order is not None and order.version == begun[order_id]:
                found[order_id] = order
    missing = {order_id: version for order_id, version in begun.items() if order_id not in found}
    return found | {order_id: fold(map(codec.decode, told)) for order_id, told in read_streams(conn, store, missing)}


_SNAPSHOTS: Final = sa.text(
    f"""
    SELECT o.order_id, o.snapshot
    FROM json_to_recordset(CAST(:wanted AS json)) AS w (order_id text, version bigint)
    JOIN orderflow.orders o
        ON o.store = :store AND o.order_id = w.order_id AND o.version = w.version AND o.machine = {machine.VERSION}
    """
)


def _snapshot(conn: sa.Connection, store: str, order_id: str) -> Order | None:
    """The fold that the orders projection keeps, if this machine version made it and this code can read it."""
    snapshot = conn.scalar(_SNAPSHOT, {"store": store, "order_id": order_id})
    return None if snapshot is None else codec.thaw_order(snapshot)


_SNAPSHOT: Final = sa.select(orders.c.snapshot).where(
    orders.c.store == sa.bindparam("store"),
    orders.c.order_id == sa.bindparam("order_id"),
    orders.c.machine == machine.VERSION,
)


def ahead(order: Order, events: Iterable[Event], now: datetime) -> Order:
    """The order as it will be once `events` are recorded."""
    for event in events:
        place = Position(order.position + 1), Version(order.version + 1)
        order = evolve(order, Recorded(event, *place, now))
    return order


def commit(conn: sa.Connection, vault: Vault, store: str, order_id: str, order: Order, facts: Sequence[Fact]) -> bool:
    """Append `facts` as one unit onto exactly this history. False if they were known already.

    Raises `RaceError` if the history has grown since `order` was loaded.
    """
    if not facts:
        return False
    [result] = log.append(conn, store, [unit(conn, vault, store, order_id, facts, expected=order.version)])
    if isinstance(result, log.Conflict):
        raise RaceError(f"order {order_id} is at version {result.version}, not {order.version}")
    return isinstance(result, log.Appended)


def unit(
    conn: sa.Connection, vault: Vault, store: str, order_id: str, facts: Sequence[Fact], expected: int | None = None
) -> log.Unit:
    """The log entries of `facts`, bodies sealed."""
    personal = any(fact.body is not None for fact in facts)
    key = keys_of(conn, vault, store, [order_id])[order_id] if personal else None
    entries = []
    for fact in facts:
        kind, clear = codec.encode(fact.event)
        event_id: UUID = uuid4()
        body = None if fact.body is None or key is None else seal(vault, key, fact.body, event_id, "body")
        entries.append(Entry(order_id, kind, fact.source, fact.source_id, clear, None, body, _META, event_id))
    return log.Unit(tuple(entries), expected)


@dataclass(frozen=True, slots=True)
class Handled:
    """What became of a command: the order afterwards, and whether anything was written now."""

    order: Order
    written: bool


def handle(
    engine: sa.Engine,
    vault: Vault,
    store: str,
    order_id: str,
    command: Command,
    command_id: str,
    *,
    body: bytes | None = None,
    before: Callable[[sa.Connection, Order], None] | None = None,
) -> Handled:
    """Decide `command` on the order as it stands and record the decision.

    `command_id` is unique per store: the same one again writes nothing and succeeds. Raises `IllegalTransition`, or
    `UnknownOrderError`.
    """

    def attempt(conn: sa.Connection) -> Handled:
        order = load(conn, store, order_id)
        if order.version == 0:
            raise UnknownOrderError(f"store {store} has no order {order_id}")
        if _decided(conn, store, command_id):
            return Handled(order, written=False)
        if before is not None:
            before(conn, order)
        decisions = decide(order, command)
        facts = [
            Fact(event, f"{command_id}:{n}" if n else command_id, "command", body) for n, event in enumerate(decisions)
        ]
        written = commit(conn, vault, store, order_id, order, facts)
        return Handled(load(conn, store, order_id), written)

    while True:
        try:
            return transact(engine, attempt)
        except RaceError:
            continue


def _decided(conn: sa.Connection, store: str, command_id: str) -> bool:
    query = sa.text("SELECT 1 FROM orderflow.events WHERE store = :store AND source = 'command' AND source_id = :id")
    return conn.scalar(query, {"store": store, "id": command_id}) is not None
