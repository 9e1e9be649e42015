"""Between stored records and domain events: `encode` on the way into the log, `decode` on every reading.

It never raises on reading: what this version cannot make sense of becomes `Unrecognised`, and a later version that
can will read the past anew.
"""

from __future__ import annotations

from typing import Final, get_args

import msgspec

from orderflow.domain import events
from orderflow.domain.events import Event, Recorded, Reported, Unrecognised
from orderflow.domain.machine import Report
from orderflow.domain.order import Order
from orderflow.glopal.codec import report_of
from orderflow.store.log import Record

_REPORTS: Final = {f"Order{report.value.title()}": report for report in Report}
_TYPES: Final[dict[str, type]] = {
    kind.__name__: kind for kind in get_args(Event) if kind is not Reported and kind is not Unrecognised
}
_DECODERS: Final[dict[str, msgspec.json.Decoder[Event]]] = {
    name: msgspec.json.Decoder(kind) for name, kind in _TYPES.items()
}
_encode: Final = msgspec.json.Encoder(decimal_format="string", order="deterministic").encode
_UNREADABLE: Final = (msgspec.MsgspecError, ValueError, TypeError, ArithmeticError, RecursionError)
_order_decoder: Final = msgspec.json.Decoder(Order)


def encode(event: Event) -> tuple[str, str]:
    """The type and the clear text that an event of ours is stored with."""
    return type(event).__name__, _encode(event).decode()


def type_of(name: str) -> str:
    """The type that a Glopal event called `name` is stored under."""
    report = report_of(name)
    return Unrecognised.__name__ if report is None else f"Order{report.value.title()}"


def decode(record: Record) -> Recorded:
    """The event in `record` with its place."""
    return Recorded(
        _event(record),
        events.Position(record.position),
        events.Version(record.version),
        record.recorded_at,
    )


def _event(record: Record) -> Event:
    report = _REPORTS.get(record.type)
    if report is not None:
        return Reported(report, record.occurred_at)
    if record.type == Unrecognised.__name__:
        return _late(record)
    decoder = _DECODERS.get(record.type)
    if decoder is None:
        return Unrecognised(record.type)
    try:
        event: Event = decoder.decode(record.clear)
    except _UNREADABLE:
        return Unrecognised(record.type)
    return event


class _Named(msgspec.Struct):
    name: str = ""


def _late(record: Record) -> Event:
    """An event name that was unknown when it was recorded, and may be known today."""
    try:
        name = msgspec.json.decode(record.clear, type=_Named).name
    except _UNREADABLE:
        return Unrecognised("")
    report = report_of(name)
    return Unrecognised(name) if report is None else Reported(report, record.occurred_at)


def freeze_order(order: Order) -> str:
    """The snapshot of a fold."""
    return _encode(order).decode()


def thaw_order(snapshot: str) -> Order | None:
    """The fold from its snapshot; None if this version cannot read it."""
    try:
        return _order_decoder.decode(snapshot)
    except _UNREADABLE:
        return None
