"""One order at a time: `load` reads, decodes and folds; `commit` appends what follows from it; `handle` decides.

It never lets two writers build on the same history: every append here names the version it was decided on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
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
from orderflow.store.arrays import texts
from orderflow.store.connect import transact
from orderflow.store.direct import fetch
from orderflow.store.entry import Entry
from orderflow.store.streams import read_streams
from orderflow.store.vault import Key, Vault, keys_of, seal

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
    return load_all(conn, store, [order_id])[order_id]


def load_all(conn: sa.Connection, store: str, order_ids: Collection[str]) -> dict[str, Order]:
    """Each order as `load` gives it; all together in two statements."""
    begun = dict.fromkeys(order_ids, Order()) | _snapshots(conn, store, order_ids)
    told = read_streams(conn, store, {order_id: order.version for order_id, order in begun.items()})
    return {order_id: fold(map(codec.decode, told[order_id]), order) for order_id, order in begun.items()}


def as_of(conn: sa.Connection, store: str, order_id: str, version: int) -> Order:
    """The order as it was at `version`."""
    return all_as_of(conn, store, {order_id: version})[order_id]


def all_as_of(
    conn: sa.Connection, store: str, versions: Mapping[str, int], *, snapshots: bool = True
) -> dict[str, Order]:
    """Each order of `versions` as it was at the version given there; all together in two statements at most.

    `snapshots`: those of the orders read model may be used.
    """
    found = {order_id: Order() for order_id, version in versions.items() if version == 0}
    if snapshots:
        kept = _snapshots(conn, store, versions.keys() - found.keys())
        found |= {order_id: order for order_id, order in kept.items() if order.version == versions[order_id]}
    missing = {order_id: version for order_id, version in versions.items() if order_id not in found}
    told = read_streams(conn, store, dict.fromkeys(missing, 0), missing)
    return found | {order_id: fold(map(codec.decode, records)) for order_id, records in told.items()}


def _snapshots(conn: sa.Connection, store: str, order_ids: Collection[str]) -> dict[str, Order]:
    """The folds that the orders projection keeps, as far as this machine version made them and this code reads them."""
    if not order_ids:
        return {}
    rows = fetch(conn, _SNAPSHOTS, (store, texts([*order_ids]), machine.VERSION))
    thawed = ((order_id, codec.thaw_order(snapshot)) for order_id, snapshot in rows)
    return {order_id: order for order_id, order in thawed if order is not None}


_SNAPSHOTS: Final = """
    SELECT order_id, snapshot FROM orderflow.orders WHERE store = %s AND order_id = ANY (%s) AND machine = %s
"""


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
    return sealed_unit(vault, key, order_id, facts, expected)


def sealed_unit(
    vault: Vault, key: Key | None, order_id: str, facts: Iterable[Fact], expected: int | None = None
) -> log.Unit:
    """The log entries of `facts`, bodies sealed under the order's `key`: needed where any fact has one."""
    entries = []
    for fact in facts:
        kind, clear = codec.encode(fact.event)
        event_id: UUID = uuid4()
        if fact.body is not None and key is None:
            raise ValueError(f"no key to seal the body of {fact.source_id}")
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
