"""What a description says about answers: which reply proves a write, and whether pages and orders look as we read them.

It never weakens a proof without a word: where the description shows none, the default stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Dict
from typing import Final

from orderflow.glopal.description.openapi import DescriptionError, Document, Operation, constant, types
from orderflow.glopal.jsontext import Json
from orderflow.glopal.routes import ANY, ROUTES, Source, Success

_GOOD: Final = ("ok", "OK", "success", "SUCCESS")
_FLAGS: Final = frozenset({"ok", "success", "succeeded"})
_ALL: Final = (200, 201, 202, 204)


def success(document: Document, one: Operation, operation: str) -> tuple[Success, tuple[str, ...]]:
    """The reply that proves this operation, and notes about it."""
    default = ROUTES[operation].success
    answers = [(statuses, answer) for name, answer in one.responses.items() if (statuses := _statuses(name))]
    if not answers:
        return default, ("no success is described: the default is expected",)
    shown = [(statuses, schema) for statuses, answer in answers if (schema := _json(document, answer)) is not None]
    if not shown:
        silent = tuple(status for statuses, _ in answers for status in statuses)
        if 204 in silent:
            return Success(silent, None, Source.DESCRIPTION), ()
        kept = Success(silent, default.holds, default.source)
        return kept, ("no body of the answer is described: the default is expected",)
    statuses = tuple(dict.fromkeys(status for some, _ in shown for status in some))
    holds, note = _proof(document, shown[0][1], default.holds)
    source = default.source if holds is default.holds else Source.DESCRIPTION
    return Success(statuses, holds, source), (note,) if note else ()


def _statuses(name: str) -> tuple[int, ...]:
    """The successes among the names of answers."""
    if name.upper() == "2XX":
        return _ALL
    return (int(name),) if len(name) == 3 and name.isascii() and name.isdecimal() and name[0] == "2" else ()


def _json(document: Document, answer: Json) -> Dict[str, Json] | None:
    try:
        return document.content(answer)
    except DescriptionError:
        return None  # text or a picture: nothing to look into


def _proof(document: Document, schema: Dict[str, Json], default: Json) -> tuple[Json, str]:
    """What the reply must hold, and a note."""
    properties, required = document.members(schema)
    proofs = {name: word for name, one in properties.items() if (word := _telling(name, one)) is not None}
    if proofs:
        return proofs, ""
    if not properties:
        return default, "the answer's members are not described: the default is expected"
    if isinstance(default, Dict) and default and set(default) <= set(properties):
        return default, f"{', '.join(default)} may be any text by the description: the default is expected"
    if required:
        return dict.fromkeys(sorted(required & set(properties)), ANY), ""
    return {}, "no member of the answer is required: any object counts as success"


def _telling(name: str, schema: Dict[str, Json]) -> Json:
    """The value of a member that says "done"; None if it does not tell."""
    only = constant(schema)
    if isinstance(only, str | bool | int):
        return only
    words = schema.get("enum")
    if isinstance(words, list):
        return next((word for word in _GOOD if word in words), None)
    return True if name.lower() in _FLAGS and types(schema) == {"boolean"} else None


_READ: Final[Dict[str, Json]] = {
    "events": {"events": {"event_id": None, "event_name": None, "order_id": None, "event_at": None}},
    "order": {"id": None, "status": None, "external": {"order_id": None, "order_number": None}, "currency": None},
}
"""The members that are read by their names on Glopal's public pages (STATED and SAMPLE)."""


def differences(document: Document, one: Operation, operation: str) -> Iterator[str]:
    """Where the description of a page or an order lacks a member that is read; nothing if it describes none."""
    for name, answer in one.responses.items():
        if 200 in _statuses(name):
            schema = _json(document, answer)
            if schema is None:
                yield "the members of the answer are not described"
                return
            yield from _lacking(document, schema, _READ[operation], "")
            return


def _lacking(document: Document, schema: Dict[str, Json], wanted: Json, path: str) -> Iterator[str]:
    if "items" in schema:
        schema = document.resolved(schema["items"])
    properties, _ = document.members(schema)
    if not properties or not isinstance(wanted, Dict):
        return
    for name, inner in wanted.items():
        if name not in properties:
            known = ", ".join(sorted(properties)[:12])
            yield f"differs: no member {path}{name} is described (there are {known}); orderflow reads it by that name"
        else:
            yield from _lacking(document, properties[name], inner, f"{path}{name}.")
