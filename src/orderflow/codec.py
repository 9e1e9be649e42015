"""Between stored records and domain events: `encode` on the way into the log, `decode` on every reading.

It never raises on reading: what this version cannot make sense of becomes `Unrecognised`, and a later version that
can will read the past anew.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, get_args

import msgspec

from orderflow.domain import events
from orderflow.domain.events import Event, Recorded, Reported, ReturnReported, Unrecognised
from orderflow.domain.machine import Report
from orderflow.domain.order import Order
from orderflow.domain.returns import ReturnStep
from orderflow.glopal.codec import report_of, return_step_of
from orderflow.store.log import Record

_REPORTS: Final = {f"Order{report.value.title()}": report for report in Report}
_KINDS: Final = {report: kind for kind, report in _REPORTS.items()}
_RETURNS: Final = {f"Return{step.value.title()}": step for step in ReturnStep}
_STEPS: Final = {step: kind for kind, step in _RETURNS.items()}
_BY_NAME: Final = (Reported, ReturnReported, Unrecognised)
"""Classes that are stored under Glopal's own event, not as JSON of theirs."""
_TYPES: Final[dict[str, type]] = {kind.__name__: kind for kind in get_args(Event) if kind not in _BY_NAME}
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
    report, step = report_of(name), return_step_of(name)
    if step is not None:
        return _STEPS[step]
    return Unrecognised.__name__ if report is None else _KINDS[report]


def decode(record: Record) -> Recorded:
    """The event in `record` with its place."""
    return Recorded(
        event_of(record.type, record.clear, record.occurred_at),
        events.Position(record.position),
        events.Version(record.version),
        record.recorded_at,
    )


def event_of(kind: str, clear: str, occurred_at: datetime | None) -> Event:
    """The event that is stored under the type `kind` with the text `clear`. Never raises."""
    report = _REPORTS.get(kind)
    if report is not None:
        return Reported(report, occurred_at)
    decoder = _DECODERS.get(kind)
    if decoder is None:
        step = _RETURNS.get(kind)
        if step is not None:
            return _returned(step, clear, occurred_at)
        return _late(clear, occurred_at) if kind == Unrecognised.__name__ else Unrecognised(kind)
    try:
        event: Event = decoder.decode(clear)
    except _UNREADABLE:
        return Unrecognised(kind)
    return event


class _Named(msgspec.Struct):
    name: str = ""


def _late(clear: str, occurred_at: datetime | None) -> Event:
    """An event name that was unknown when it was recorded, and may be known today."""
    try:
        name = msgspec.json.decode(clear, type=_Named).name
    except _UNREADABLE:
        return Unrecognised("")
    step = return_step_of(name)
    if step is not None:
        return _returned(step, clear, occurred_at)
    report = report_of(name)
    return Unrecognised(name) if report is None else Reported(report, occurred_at)


class _Entity(msgspec.Struct):
    entity_id: str | None = None


def _returned(step: ReturnStep, clear: str, occurred_at: datetime | None) -> Event:
    """STATED (9): the event's `entity_id` is the return's id."""
    try:
        entity = msgspec.json.decode(clear, type=_Entity).entity_id
    except _UNREADABLE:
        entity = None
    return ReturnReported(entity or "", step, occurred_at)


def freeze_order(order: Order) -> str:
    """The snapshot of a fold. Whole: leaving out what is empty made it a seventh shorter, and slower to write."""
    return _encode(order).decode()


def thaw_order(snapshot: str) -> Order | None:
    """The fold from its snapshot; None if this version cannot read it."""
    try:
        return _order_decoder.decode(snapshot)
    except _UNREADABLE:
        return None
