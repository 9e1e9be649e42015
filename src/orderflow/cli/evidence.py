"""`orderflow exceptions show`: one exception with its proof, what was decided about it, and what closed it.

It never changes anything: it reads the log, the calls and the read model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
import typer

from orderflow import codec
from orderflow.app import App
from orderflow.cli import means
from orderflow.cli.advice import command_lines
from orderflow.cli.card import attempts_of
from orderflow.cli.exceptions import ID, known, of_stores
from orderflow.cli.finding import Place
from orderflow.cli.freshness import warn
from orderflow.cli.headline import clock, when
from orderflow.desk.exceptions import STORE, Found, Id, UnknownExceptionError, as_data, by_id
from orderflow.domain.events import Destination, ExceptionAssigned, ExceptionDismissed
from orderflow.domain.exceptions import CLASSES
from orderflow.orders import load
from orderflow.projections.exceptions import Exceptions
from orderflow.projections.timeline import summary
from orderflow.store import log
from orderflow.store.log import Record


@dataclass(frozen=True, slots=True)
class Said:
    """One event that speaks of an exception."""

    position: int
    type: str
    recorded_at: datetime
    source: str
    source_id: str
    said: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that proves an exception. `under_way`: the write that it is about, if that still is."""

    exception: Found
    meaning: str
    closes: str
    commands: tuple[str, ...]
    opened: Said | None
    decided: tuple[Said, ...]
    closed: Said | None
    under_way: dict[str, Any] | None
    attempts: tuple[dict[str, Any], ...]


def show(ctx: typer.Context, exception: ID, *, as_json: means.AsJson = False) -> None:
    """Show one exception: the event that opened it, the calls behind it, what was decided, and what closed it."""
    with means.opened(ctx) as app, app.engine.connect() as conn:
        wanted = known(app, exception)
        now = means.wall_clock(conn)
        found = _find(conn, app, wanted, now)
        evidence = _evidence(conn, found, means.means(ctx).command)
        warn(conn, app, [wanted.store], means.means(ctx).command, reader=Exceptions.name)
    if as_json:
        told = {one.name: getattr(evidence, one.name) for one in fields(evidence)}
        means.print_json(told | {"exception": as_data(evidence.exception)})
        return
    for line in _lines(evidence, now):
        means.say(line)


def _find(conn: sa.Connection, app: App, wanted: Id, now: datetime) -> Found:
    if wanted.order_id != STORE:
        return by_id(conn, wanted)
    for one in of_stores(conn, app, [wanted.store], now):
        if one.id == str(wanted):
            return one
    raise UnknownExceptionError(f"there is no exception {wanted} any more: what concerns a store is kept nowhere")


def _evidence(conn: sa.Connection, found: Found, command: str) -> Evidence:
    about = CLASSES[found.of]
    if found.order_id is None:
        lines = tuple(f"{command} {one}" for one in found.commands)
        return Evidence(found, about.meaning, about.closes, lines, None, (), None, None, ())
    lines = () if found.closed_position else tuple(command_lines(found, found.store, found.order_id, command))
    records = log.read_stream(conn, found.store, found.order_id)
    by_place = {record.position: record for record in records}
    opened, closed = by_place.get(found.position or 0), by_place.get(found.closed_position or 0)
    calls = attempts_of(conn, Place(found.store, found.order_id), found.effect) if found.effect else []
    return Evidence(
        found,
        about.meaning,
        about.closes,
        lines,
        None if opened is None else _said(opened),
        tuple(_said(record) for record in records if _about(record, found)),
        None if closed is None else _said(closed),
        _under_way(conn, found),
        tuple(call for call in calls if call["generation"] == found.generation),
    )


def _about(record: Record, found: Found) -> bool:
    event = codec.decode(record).event
    if not isinstance(event, ExceptionAssigned | ExceptionDismissed):
        return False
    return (event.kind, event.subject, event.opened) == (found.kind, found.subject, found.position)


def _said(record: Record) -> Said:
    told = summary(codec.decode(record).event)
    return Said(record.position, record.type, record.recorded_at, record.source, record.source_id, told)


def _under_way(conn: sa.Connection, found: Found) -> dict[str, Any] | None:
    order = load(conn, found.store, found.order_id or "")
    for slot in (order.slot(place) for place in Destination):
        if slot is not None and (slot.effect, slot.generation) == (found.effect, found.generation):
            names = (
                "effect",
                "generation",
                "attempt",
                "target",
                "digest",
                "since",
                "send_by",
                "counts_from",
                "absents",
            )
            return {name: getattr(slot, name) for name in names}
    return None


def _lines(evidence: Evidence, now: datetime) -> Iterator[str]:
    one = evidence.exception
    yield one.id
    yield f"  {one.text}"
    yield f"  class      {one.of} ({one.severity}): {evidence.meaning}"
    yield f"  since      {when(one.since, now)}; with {one.owner}"
    if evidence.opened is not None:
        yield f"  opened by  {_event(evidence.opened, now)}"
    if evidence.under_way is not None:
        slot = evidence.under_way
        yield f"  under way  {slot['effect']}, attempt {slot['attempt']}, digest {slot['digest'][:16]}"
        missing = f"; {slot['absents']} look-ups that count found nothing" if slot["absents"] else ""
        yield f"             sent before {clock(slot['send_by'], now)} or never{missing}"
    for number, call in enumerate(reversed(evidence.attempts)):
        does = {"send": f"sent, attempt {call['attempt']}", "look_up": "looked up", "read": "asked"}[call["kind"]]
        label = "" if number else "calls"
        yield f"  {label:10} {clock(call['started_at'], now)} {does}: {call['outcome']}"
    for said in evidence.decided:
        yield f"  decided    {_event(said, now)}"
    if evidence.closed is not None:
        yield f"  closed by  {_event(evidence.closed, now)}"
    else:
        yield f"  closes on  {evidence.closes}"
    if evidence.commands:
        yield "what helps"
        yield from (f"  {line}" for line in evidence.commands)


def _event(said: Said, now: datetime) -> str:
    return f"{said.type} at position {said.position}, {when(said.recorded_at, now)}: {said.said}"
