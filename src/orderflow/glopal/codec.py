"""Reads what Glopal sends: pages of events, each event with its own bytes, and order details.

It never raises whatever the bytes, never alters a byte it hands on, and never guesses a field.

Marks as in the reference: STATED (Glopal says so), SAMPLE (seen in its samples), ASSUMED (ours).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from orderflow.domain.machine import Report
from orderflow.domain.returns import ReturnStep
from orderflow.glopal import jsontext
from orderflow.glopal.details import read_details
from orderflow.glopal.jsontext import Json, NotJson, problem_of_text
from orderflow.glopal.slices import cut, maybe_escaped, told

__all__ = [
    "Bad",
    "Element",
    "Good",
    "Page",
    "Unparsable",
    "clear_of",
    "problem_of_order_id",
    "read_details",
    "read_element",
    "read_page",
    "report_of",
    "return_step_of",
]


@dataclass(frozen=True, slots=True)
class Good:
    """An event as it stands in the feed. `event_at` is None where `event_at_text` is absent or no time."""

    event_id: str
    name: str
    order_id: str
    entity_id: str | None
    event_at: datetime | None
    event_at_text: str | None
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bad:
    """An element that cannot be taken as an event. The ids are given as far as they themselves are in order."""

    order_id: str | None
    event_id: str | None
    problem: str
    raw: bytes = field(repr=False)


Element = Good | Bad


@dataclass(frozen=True, slots=True)
class Page:
    """One page, in the feed's order. `last_id` is the cursor for the next: the last readable event id, None if none."""

    elements: tuple[Element, ...]
    last_id: str | None


@dataclass(frozen=True, slots=True)
class Unparsable:
    """The answer is no page; nothing in it can be told apart."""

    problem: str


def read_page(raw: bytes) -> Page | Unparsable:
    """The elements of `{"events": [...]}` (SAMPLE); `links` and unknown members are ignored."""
    slices = cut(raw)
    if isinstance(slices, NotJson):
        return Unparsable(slices.problem)
    elements = tuple(read_element(part) for part in slices)
    ids = (element.event_id for element in reversed(elements))
    return Page(elements, next((event_id for event_id in ids if event_id is not None), None))


class _Event(msgspec.Struct):
    """SAMPLE: the members of an event that identify it. `external` is not read: it has an `order_id` of its own."""

    event_id: str
    event_name: str
    order_id: str
    event_at: str | msgspec.UnsetType | None = msgspec.UNSET
    entity_id: str | None = None
    external: msgspec.Raw = msgspec.Raw()


_EVENT = msgspec.json.Decoder(_Event)


def read_element(raw: bytes) -> Element:
    """One event by its own bytes: fast for what is in order; what is odd goes the slow way, which names the problem."""
    if maybe_escaped(raw):
        return _slow(raw)
    try:
        event = _EVENT.decode(raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _slow(raw)
    at_text = None if event.event_at is msgspec.UNSET else event.event_at
    sound = (
        not _maybe_doubled(raw, event)
        and _problem_of_id(event.event_id) is None
        and _problem_of_id(event.event_name) is None
        and problem_of_order_id(event.order_id) is None
        and (event.entity_id is None or _problem_of_id(event.entity_id) is None)
        and (at_text is None or problem_of_text(at_text) is None)
    )
    if not sound:
        return _slow(raw)
    at = None if at_text is None else jsontext.instant(at_text)
    return Good(event.event_id, event.event_name, event.order_id, event.entity_id, at, at_text, raw)


def _maybe_doubled(raw: bytes, event: _Event) -> bool:
    """A name that stands twice would be read one way here and another way elsewhere.

    Each look through all the bytes counts: only where there are more names of this beginning than were read, each of
    them is looked for.
    """
    read = 2 if event.event_at is msgspec.UNSET else 3
    return (
        (raw.count(b'"event_') > read and any(raw.count(name) > 1 for name in _EVENT_NAMES))
        or raw.count(b'"order_id"') - bytes(event.external).count(b'"order_id"') > 1
        or raw.count(b'"entity_id"') > 1
    )


_EVENT_NAMES = (b'"event_id"', b'"event_name"', b'"event_at"')


def _slow(raw: bytes) -> Element:
    value = jsontext.parse(raw)
    if isinstance(value, NotJson):
        return _untrusted(raw, f"the event is {value.problem}")
    if not isinstance(value, dict):
        return Bad(None, None, "the event is no object", raw)
    event_id, name, order_id = value.get("event_id"), value.get("event_name"), value.get("order_id")
    problems = {
        "event_id": _problem_of_id(event_id),
        "event_name": _problem_of_id(name),
        "order_id": problem_of_order_id(order_id),
        "event_at": None if value.get("event_at") is None else problem_of_text(value["event_at"]),
        "entity_id": _problem_of_entity(name, value.get("entity_id")),
    }
    wrong = [f"{member} {problem}" for member, problem in problems.items() if problem is not None]
    known_event = event_id if isinstance(event_id, str) and problems["event_id"] is None else None
    known_order = order_id if isinstance(order_id, str) and problems["order_id"] is None else None
    if wrong or known_event is None or known_order is None or not isinstance(name, str):
        return Bad(known_order, known_event, "; ".join(wrong), raw)
    return _good(known_event, name, known_order, value, raw)


def _untrusted(raw: bytes, problem: str) -> Bad:
    """An element that may not be taken for anything; but whom it names should know of it."""
    names = told(raw, ("event_id", "order_id"))
    event_id, order_id = names.get("event_id"), names.get("order_id")
    return Bad(
        order_id if problem_of_order_id(order_id) is None else None,
        event_id if _problem_of_id(event_id) is None else None,
        problem,
        raw,
    )


def _good(event_id: str, name: str, order_id: str, value: dict[str, Json], raw: bytes) -> Good:
    entity, at = value.get("entity_id"), value.get("event_at")
    entity_id = entity if isinstance(entity, str) and _problem_of_id(entity) is None else None
    text = at if isinstance(at, str) else None
    return Good(event_id, name, order_id, entity_id, jsontext.instant(text) if text else None, text, raw)


def _problem_of_entity(name: Json, entity: Json) -> str | None:
    """STATED: a string on `return.*`. On `order.*` it means nothing known, so anything is let pass and ignored."""
    if entity is None or not (isinstance(name, str) and name.startswith("return.")):
        return None
    return _problem_of_id(entity)


def _problem_of_id(value: Json) -> str | None:
    """Ids and names are opaque, but short, visible and without white space."""
    problem = problem_of_text(value)
    return "has characters that no id may have" if problem is None and " " in str(value) else problem


def problem_of_order_id(value: Json) -> str | None:
    """What is wrong with an order id, None if nothing: it becomes part of paths, and `~` begins our own streams.

    SAMPLE: `310678-936140` and `3S7Z7N5X-Q4PSJMC1`; no pattern is enforced, since Glopal's own samples differ.
    """
    problem = _problem_of_id(value)
    if problem is not None or not isinstance(value, str):
        return problem
    if "/" in value or "\\" in value or value in {".", ".."}:
        return "has characters that no path may have"
    return "begins with ~" if value.startswith("~") else None


def clear_of(element: Element) -> dict[str, str | None]:
    """What of an event may stand in clear: with the order, its identity. Nothing else gets out of the raw bytes."""
    if isinstance(element, Bad):
        return {"problem": element.problem}
    return {"name": element.name, "entity_id": element.entity_id, "event_at": element.event_at_text}


_REPORTS = {f"order.{report}": report for report in Report}
"""SAMPLE: order.received, .ready, .cancelled (STATED, double l). ASSUMED: order.accepted, order.completed."""


def report_of(name: str) -> Report | None:
    """The status report that an event name makes; None for all others: the list of names is open."""
    return _REPORTS.get(name)


_RETURN_STEPS = {f"return.{step}": step for step in (ReturnStep.REQUESTED, ReturnStep.AUTHORIZED, ReturnStep.CANCELLED)}
"""STATED (9); of a return's parcel no event tells."""


def return_step_of(name: str) -> ReturnStep | None:
    """The step of a return that an event name tells of; None for all others."""
    return _RETURN_STEPS.get(name)
