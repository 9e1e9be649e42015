"""Exceptions as the desk shows them: one of an order or of a store, found by its id or by what it is.

It never decides what is one: those of orders stand in the read model, or are traced in an order's history.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from orderflow import codec
from orderflow.domain.cases import Case, Told, follow
from orderflow.domain.events import Position
from orderflow.domain.evolve import evolve
from orderflow.domain.exceptions import CLASSES, Of
from orderflow.domain.order import Mark, Order
from orderflow.domain.policy import StorePolicy
from orderflow.orders import load
from orderflow.store import log
from orderflow.store.tables import exceptions

STORE: Final = "~store"
"""Stands in an id where an order's would: the exception concerns all of the store."""


class UnknownExceptionError(LookupError):
    """There is no such exception."""


class ExceptionClosedError(RuntimeError):
    """It is over, so there is nothing to decide about it."""


@dataclass(frozen=True, slots=True)
class Id:
    """`STORE/ORDER/KIND/POSITION`, of the event that opened it; `.2` and so on where that opened more of the kind."""

    store: str
    order_id: str
    kind: str
    position: int
    number: int = 1

    def __str__(self) -> str:
        more = f".{self.number}" if self.number > 1 else ""
        return f"{self.store}/{self.order_id}/{self.kind}/{self.position}{more}"


def read_id(text: str) -> Id:
    """What an id names; an order id may hold slashes, nothing else does. Raises `UnknownExceptionError`."""
    store, _, rest = text.partition("/")
    parts = rest.rsplit("/", 2)
    place = _PLACE.fullmatch(parts[2]) if len(parts) == 3 else None
    if not store or place is None or not all(parts):
        raise UnknownExceptionError(f"{text} is no id of an exception; they look like acme/1000-1/parked_draft/41")
    if len(place[1]) > 18:
        raise UnknownExceptionError(f"there is no exception {text}")
    return Id(store, parts[0], parts[1], int(place[1]), int(place[2] or 1))


_PLACE: Final = re.compile(r"([0-9]+)(?:\.([1-9][0-9]{0,5}))?")


@dataclass(frozen=True, slots=True)
class Found:
    """One exception. It counts since `since`; `position` is that of the event that opened it, None for a store's.

    `closed_position` and what follows are of the event that proved it over. `commands` lack program name and order.
    """

    id: str
    store: str
    order_id: str | None
    kind: str
    of: Of
    severity: str
    owner: str
    text: str
    commands: tuple[str, ...]
    settling: bool
    since: datetime
    position: int | None = None
    subject: str | None = None
    opened_type: str | None = None
    effect: str | None = None
    generation: int | None = None
    attempt: int | None = None
    closed_position: int | None = None
    closed_at: datetime | None = None
    closed_type: str | None = None
    closed_by: str | None = None


def as_data(found: Found) -> dict[str, Any]:
    """The same for programs, which may call a class by its name."""
    return {("class" if one.name == "of" else one.name): getattr(found, one.name) for one in fields(found)}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of them. Empty: any. `closed`: those that are over, else those that count now."""

    stores: Sequence[str]
    classes: Sequence[Of] = ()
    owner: str | None = None
    order_id: str | None = None
    closed: bool = False


def listed(conn: sa.Connection, wanted: Wanted, now: datetime, limit: int) -> tuple[list[Found], int]:
    """The first of the orders' exceptions, the oldest first (of closed ones: the newest), and how many there are."""
    columns = exceptions.c
    where: list[sa.ColumnElement[bool]] = [columns.store.in_(wanted.stores)]
    if wanted.classes:
        where.append(columns["class"].in_([one.value for one in wanted.classes]))
    if wanted.owner is not None:
        where.append(columns.owner == wanted.owner)
    if wanted.order_id is not None:
        where.append(columns.order_id == wanted.order_id)
    if wanted.closed:
        where.append(columns.closed_position.is_not(None))
        order: Sequence[sa.ColumnElement[Any]] = (columns.closed_at.desc(),)
    else:
        where += [columns.closed_position.is_(None), columns.opens_at <= now]
        order = (columns.opens_at,)
    query = (
        sa.select(exceptions)
        .where(*where)
        .order_by(*order, columns.store, columns.position, columns.kind, columns.number)
    )
    rows = conn.execute(query.limit(limit)).mappings().all()
    count = len(rows)
    if count == limit:
        count = conn.scalar(sa.select(sa.func.count()).select_from(exceptions).where(*where)) or 0
    return [_of_row(row) for row in rows], count


def _of_row(row: Mapping[Any, Any]) -> Found:
    names = (
        *("store", "order_id", "kind", "owner", "text", "settling", "position", "subject", "opened_type"),
        *("effect", "generation", "attempt", "closed_position", "closed_at", "closed_type", "closed_by"),
    )
    of = Of(row["class"])
    return Found(
        id=str(Id(row["store"], row["order_id"], row["kind"], row["position"], row["number"])),
        of=of,
        severity=CLASSES[of].severity.value,
        commands=tuple(row["commands"]),
        since=row["opens_at"],
        **{name: row[name] for name in names},
    )


def of_case(store: str, order_id: str, case: Case) -> Found:
    """An open exception that was traced in the log."""
    names = ("kind", "of", "owner", "text", "commands", "settling", "position", "subject", "opened_type")
    more = ("effect", "generation", "attempt")
    return Found(
        id=str(Id(store, order_id, case.kind, case.position, case.number)),
        store=store,
        order_id=order_id,
        severity=CLASSES[case.of].severity.value,
        since=case.opens_at,
        **{name: getattr(case, name) for name in (*names, *more)},
    )


def by_id(conn: sa.Connection, wanted: Id) -> Found:
    """One exception of an order as the read model has it. Raises `UnknownExceptionError`."""
    columns = exceptions.c
    query = sa.select(exceptions).where(
        columns.store == wanted.store,
        columns.order_id == wanted.order_id,
        columns.kind == wanted.kind,
        columns.position == wanted.position,
        columns.number == wanted.number,
    )
    row = conn.execute(query).mappings().one_or_none()
    if row is None:
        raise UnknownExceptionError(f"there is no exception {wanted}")
    return _of_row(row)


def traced(conn: sa.Connection, store: str, order_id: str, policy: StorePolicy) -> list[Case]:
    """The open exceptions of an order, found in its history itself: no read model can be behind them."""
    cases: tuple[Case, ...] = ()
    order = Order()
    for record in log.read_stream(conn, store, order_id):
        recorded = codec.decode(record)
        order = evolve(order, recorded)
        told = Told(recorded.event, record.type, Mark(recorded.position, record.recorded_at))
        cases = follow(cases, told, order, policy).open
    return list(cases)


def open_case(conn: sa.Connection, wanted: Id, policy: StorePolicy) -> tuple[str, str, Position]:
    """Kind, subject and position of an exception that is open, or was dismissed: deciding that again writes nothing.

    Raises `UnknownExceptionError`, `ExceptionClosedError`. The read model may have opened it elsewhere than the history
    does by today's settings, so it is known by what it is.
    """
    columns = exceptions.c
    query = sa.select(columns.subject, columns.closed_type, columns.closed_position).where(
        columns.store == wanted.store,
        columns.order_id == wanted.order_id,
        columns.kind == wanted.kind,
        columns.position == wanted.position,
        columns.number == wanted.number,
    )
    row = conn.execute(query).one_or_none()
    for case in traced(conn, wanted.store, wanted.order_id, policy):
        placed = (case.position, case.number) == (wanted.position, wanted.number)
        here = placed if row is None else case.subject == row.subject
        if case.kind == wanted.kind and here:
            return case.kind, case.subject, Position(wanted.position)
    if row is None:
        raise UnknownExceptionError(f"there is no exception {wanted}")
    ruling = load(conn, wanted.store, wanted.order_id).ruling(wanted.kind, row.subject)
    if ruling is not None and ruling.dismissed:
        return wanted.kind, row.subject, Position(wanted.position)
    by = f" by {row.closed_type} at position {row.closed_position}" if row.closed_type else ""
    raise ExceptionClosedError(f"exception {wanted} was closed{by}: there is nothing to decide about it")
