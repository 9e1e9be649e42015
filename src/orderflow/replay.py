"""Replay: every order of a store folded anew from the first event, and the read model `orders` compared with that.

It never writes anything, and never believes a snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from orderflow import codec
from orderflow.domain import machine
from orderflow.domain.evolve import fold, take
from orderflow.domain.folding import Folding
from orderflow.domain.order import Order
from orderflow.domain.policy import StorePolicy
from orderflow.projections.orders import row_of
from orderflow.projections.steps import uncollected
from orderflow.store import log, reading
from orderflow.store.direct import fetch
from orderflow.store.reading import Told
from orderflow.store.tables import orders


@dataclass(frozen=True, slots=True)
class Folded:
    """One order as replayed. `other_machines`: versions, not of today, that judged events of it in their day."""

    order_id: str
    order: Order
    other_machines: frozenset[int]


@dataclass(frozen=True, slots=True)
class Reached:
    """The replay has come to `position`: the orders that ended there, and how many are still under way."""

    position: int
    folded: tuple[Folded, ...]
    under_way: int


class _UnderWay:
    """An order in the middle of its replay, with the version of its stream's last event."""

    __slots__ = ("folding", "last", "other_machines")

    def __init__(self, last: int | None) -> None:
        self.folding = Folding()
        self.other_machines: frozenset[int] = frozenset()
        self.last = last

    def end(self, order_id: str) -> Folded:
        return Folded(order_id, self.folding.done(), self.other_machines)


def replay(conn: sa.Connection, store: str, upto: int, size: int = reading.PAGE) -> Iterator[Reached]:
    """Fold all orders of `store` in position order up to `upto`, a page at a time; each order comes once, at its end.

    Holds the orders that are under way at the place it has reached, and in the end those with events beyond `upto`: it
    grows with how many orders live at once (about 3 kB each), never with the log. Raises `LogDamagedError` at a hole,
    in the log or in one order's versions.
    """
    under_way: dict[str, _UnderWay] = {}
    for page in reading.told(conn, store, 0, upto, size):
        with uncollected():
            folded = _folded(under_way, store, page)
        yield Reached(page[-1][0], _orders(folded), len(under_way))
    while under_way:
        ended = [under_way.popitem() for _ in range(min(size, len(under_way)))]
        yield Reached(upto, _orders([one.end(order_id) for order_id, one in ended]), len(under_way))


def _folded(under_way: dict[str, _UnderWay], store: str, page: Sequence[Told]) -> list[Folded]:
    """Fold a page into the orders `under_way`; those that end in it are under way no more, and returned.

    What is appended after an order's first event was read only keeps it under way for longer.
    """
    folded = []
    for position, order_id, version, kind, occurred_at, recorded_at, clear, meta, last in page:
        one = under_way.get(order_id)
        if one is None:
            one = under_way[order_id] = _UnderWay(last)
        folding = one.folding
        if version != folding.version + 1:
            raise log.LogDamagedError(store, position, f"version {version} of order {order_id} is out of turn")
        take(folding, codec.event_of(kind, clear, occurred_at), position, version, recorded_at)
        if meta != _TODAY:
            one.other_machines |= _other_machines(meta)
        if version == one.last:
            folded.append(under_way.pop(order_id).end(order_id))
    return folded


def _orders(folded: Sequence[Folded]) -> tuple[Folded, ...]:
    return tuple(one for one in folded if one.order_id != log.INTAKE)


_TODAY: Final = msgspec.json.encode({"machine": machine.VERSION}).decode()
"""What most events have."""


class _Meta(msgspec.Struct):
    machine: int | None = None


@lru_cache(1024)
def _other_machines(meta: str) -> frozenset[int]:
    """The machine version in an event's metadata, unless it is today's or not told."""
    try:
        version = msgspec.json.decode(meta, type=_Meta).machine
    except msgspec.MsgspecError:
        return frozenset()
    return frozenset() if version in (None, machine.VERSION) else frozenset({version})


# --- comparison with the read model ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Difference:
    """One order whose row is not what its history says: the columns that differ, or `NO_ROW`, or `NO_HISTORY`."""

    order_id: str
    what: tuple[str, ...]


NO_ROW: Final = ("it has no row",)
NO_HISTORY: Final = ("a row without a history",)


def compare(conn: sa.Connection, store: str, folded: Sequence[Folded], policy: StorePolicy) -> list[Difference]:
    """The orders of `folded` whose row in the read model `orders` is another one than the replay's, by order id.

    Call it with the folds up to the read model's checkpoint. A row that has moved on since is compared with its own
    history up to the row's version.
    """
    query = sa.select(orders).where(orders.c.store == store, orders.c.order_id.in_([one.order_id for one in folded]))
    rows = {row.order_id: row._asdict() for row in conn.execute(query)}
    found = (_difference(conn, store, one, rows.get(one.order_id), policy) for one in folded)
    return sorted((one for one in found if one is not None), key=lambda one: one.order_id)


def _difference(
    conn: sa.Connection, store: str, one: Folded, row: Mapping[str, Any] | None, policy: StorePolicy
) -> Difference | None:
    if row is None:
        return Difference(one.order_id, NO_ROW)
    order = one.order
    if row["version"] > order.version:
        order = fold(map(codec.decode, log.read_stream(conn, store, one.order_id, upto=row["version"])))
    wanted = row_of(store, one.order_id, order, policy)
    what = tuple(name for name, value in wanted.items() if name != "snapshot" and row[name] != _storable(value))
    if row["snapshot"] != wanted["snapshot"] and codec.thaw_order(row["snapshot"]) != order:
        what = (*what, "snapshot")
    return Difference(one.order_id, what) if what else None


def _storable(value: Any) -> Any:
    """As Postgres keeps it: it has no NUL in texts."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def without_history(conn: sa.Connection, store: str) -> list[Difference]:
    """Rows of the read model whose order has no event at all."""
    return [Difference(order_id, NO_HISTORY) for (order_id,) in fetch(conn, _WITHOUT_HISTORY, (store,))]


_WITHOUT_HISTORY: Final = """
    SELECT o.order_id FROM orderflow.orders o
    WHERE o.store = %s AND NOT EXISTS (
        SELECT FROM orderflow.streams s WHERE s.store = o.store AND s.order_id = o.order_id)
    ORDER BY o.order_id
"""
