"""Finds Glopal's six operations in its own API description and makes routes of them.

It never picks one of several: what cannot be told apart keeps its marked default, and the candidates are named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping as Dict
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from orderflow.glopal.description.bodies import squeezed, template
from orderflow.glopal.description.openapi import DescriptionError, Document, Operation
from orderflow.glopal.description.proofs import differences, success
from orderflow.glopal.jsontext import Json
from orderflow.glopal.route_settings import checked_path
from orderflow.glopal.routes import PLACES, READS, ROUTES, Route, RouteError, Source

_STORE: Final = frozenset(
    {"storeid", "store", "storeidentifier", "storekey", "storename", "shopid", "shop", "merchantid", "shortname"}
)
_ORDER: Final = frozenset({"orderid", "order", "id", "glopalorderid", "orderidentifier", "glopalid", "orderkey"})
_PLACES: Final = {**dict.fromkeys(_STORE, "store_id"), **dict.fromkeys(_ORDER, "order_id")}
_QUERIES: Final[Dict[str, frozenset[str]]] = {
    "event": frozenset({"event", "events", "eventname", "eventnames", "eventtype", "eventtypes", "type", "name"}),
    "after": frozenset({"aftereventid", "after", "afterid", "cursor", "since", "sinceid", "lasteventid"}),
    "limit": frozenset({"limit", "pagesize", "perpage", "count", "size", "maxresults"}),
}
_QUOTE: Final = ("quot", "estimat", "preview", "simulat")
_WORDS: Final[Dict[str, tuple[str, ...]]] = {
    "accept": ("accept",),
    "cancel": ("cancel", "reject"),
    "refund": ("refund",),
    "quote": _QUOTE,
}
"""How a word begins that tells a write operation, in its path or operationId, else in its summary."""


@dataclass(frozen=True, slots=True)
class Described:
    """A route for each operation, read or still the default, and by operation what a person should know of it."""

    routes: Dict[str, Route]
    notes: Dict[str, tuple[str, ...]]


def described(document: Document, overrides: Dict[str, object], base_url: str = "") -> Described:
    """What `document` says of the six operations. Raises `DescriptionError`, `RouteError`, with the setting's key.

    Of the settings only `operation`, which names one by its operationId, and whether a `body` is given are looked at.
    `base_url`: its path is not repeated if the description's servers begin with the same.
    """
    table: dict[str, Route] = {}
    notes: dict[str, tuple[str, ...]] = {}
    for operation, one in _found(document, overrides).items():
        key = f"routes.{operation}"
        if isinstance(one, str):
            table[operation], notes[operation] = ROUTES[operation], (one,)
            continue
        try:
            table[operation], notes[operation] = _route(
                document, operation, one, _given(overrides, operation), base_url
            )
        except DescriptionError as error:
            text = str(error)
            raise DescriptionError(text if text.startswith(key) else f"{key}: {one}: {text}") from None
    return Described(MappingProxyType(table), MappingProxyType(notes))


def _given(overrides: Dict[str, object], operation: str) -> Dict[str, object]:
    given = overrides.get(operation)
    return given if isinstance(given, Dict) else {}


# ---- which is which ------------------------------------------------------------------------------------------------


def _found(document: Document, overrides: Dict[str, object]) -> dict[str, Operation | str]:
    """For each operation the one of the description, or why there is none."""
    everything = list(document.operations())
    found: dict[str, Operation | str] = {}
    for operation in ROUTES:
        name = _given(overrides, operation).get("operation")
        if isinstance(name, str):
            found[operation] = _named(everything, operation, name)
    claimed = [one for one in found.values() if isinstance(one, Operation)]
    for by_summary in (False, True):  # what an address says counts before what a sentence says
        for operation in ROUTES:
            candidates = [one for one in everything if one not in claimed and _fits(one, operation, by_summary)]
            if operation not in found and candidates:
                found[operation] = _only(candidates, operation)
        claimed = [one for one in found.values() if isinstance(one, Operation)]
    return {operation: found.get(operation, _NOT_FOUND.format(operation)) for operation in ROUTES}


_NOT_FOUND: Final = "not found in the description; name it by routes.{}.operation"


def _named(everything: list[Operation], operation: str, name: str) -> Operation:
    named = [one for one in everything if one.name == name]
    if len(named) != 1:
        known = ", ".join(one.name for one in everything if one.name)
        how = "several operations" if named else "no operation"
        raise RouteError(f"routes.{operation}.operation: the description has {how} {name!r}; it has {known[:500]}")
    return named[0]


def _only(candidates: list[Operation], operation: str) -> Operation | str:
    """The one candidate that is still current, or why there is none."""
    current = [one for one in candidates if not one.deprecated] or candidates
    if len(current) == 1:
        return current[0]
    shown = ", ".join(str(one) for one in current[:6])
    return f"several could be it: {shown}; name one by routes.{operation}.operation"


def _fits(one: Operation, operation: str, by_summary: bool) -> bool:  # noqa: FBT001 - two rounds of one question
    places = _places(one)
    if places is None or (one.method == "GET") is not (operation in READS):
        return False
    words = list(_words(re.sub(r"\{[^{}]*\}", " ", one.path)))
    if operation == "events":
        return "order_id" not in places.values() and any(word.startswith("event") for word in words)
    if "order_id" not in places.values():
        return False
    if operation == "order":
        last = one.path.rstrip("/").rpartition("/")[2].strip("{}")
        return places.get(last) == "order_id" and any(word.startswith("order") for word in words)
    told = list(_words(one.summary)) if by_summary else [*words, *_words(one.name)]
    if operation == "refund" and any(word.startswith(_QUOTE) for word in told):
        return False
    return any(word.startswith(_WORDS[operation]) for word in told)


def _words(text: str) -> Iterator[str]:
    """The words in a path, an operationId or a sentence: `quoteRefund` has two."""
    return (word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", text))


def _places(one: Operation) -> dict[str, str] | None:
    """Our name, or the constant, for each hole in the path; None if there is one too many."""
    holes = re.findall(r"\{([^{}]*)\}", one.path)
    fixed = {given.name: given.only for given in one.parameters if given.where == "path" and given.only is not None}
    found = {hole: fixed.get(hole) or _PLACES.get(squeezed(hole), "") for hole in holes}
    unknown = [hole for hole, place in found.items() if not place]
    if len(unknown) == 1 and len(holes) == 2 and "store_id" in found.values():
        found[unknown[0]] = "order_id"  # what is left over beside the store
        unknown = []
    taken = [place for place in found.values() if place in {"store_id", "order_id"}]
    return None if unknown or len(set(taken)) < len(taken) else found


# ---- what it says --------------------------------------------------------------------------------------------------


def _route(
    document: Document, operation: str, one: Operation, given: Dict[str, object], base_url: str
) -> tuple[Route, tuple[str, ...]]:
    if one.trouble:
        raise DescriptionError(one.trouble)
    places = _places(one)
    if places is None:
        raise DescriptionError("the path needs more than the ids of store and order; give method and path yourself")
    filled = {hole: f"{{{place}}}" if place in PLACES else place for hole, place in places.items()}
    ours = re.sub(r"\{([^{}]*)\}", lambda hole: filled[hole[1]], one.path)
    path = checked_path(f"routes.{operation}.path", _prefix(one.servers, base_url) + ours)
    default = ROUTES[operation]
    route = replace(default, method=one.method, path=path, source=Source.DESCRIPTION)
    notes = [*_unsent(one, operation)]
    if operation in READS:
        notes += differences(document, one, operation)
        if operation == "events":
            mended = given.get("query")
            query = {**_query(one), **(mended if isinstance(mended, Dict) else {})}
            route = replace(route, query=query)
            notes += _query_notes(one, query)
    else:
        if "body" not in given:
            route, more = _with_body(document, operation, one, route)
            notes += more
        proof, more = success(document, one, operation)
        route = replace(route, success=proof)
        notes += more
    return route, tuple(notes)


def _with_body(document: Document, operation: str, one: Operation, route: Route) -> tuple[Route, tuple[str, ...]]:
    schema = document.content(one.body) if one.body is not None else None
    if schema is None and one.body is None and operation == "cancel":
        return replace(route, body=None), ("takes no body: no reason is handed over",)
    made = template(document, schema, operation) if schema else None
    if made is None or made.body is None:
        return replace(route, source=Source.ASSUMED), (
            "the members of its body are not described: the default is sent",
        )
    return replace(route, body=made.body, reasons=made.reasons), made.notes


def _prefix(servers: Json, base_url: str) -> str:
    """The path of the first server, which all paths of the description begin with."""
    first = servers[0] if isinstance(servers, list) and servers else None
    url = first.get("url") if isinstance(first, Dict) else None
    variables = first.get("variables") if isinstance(first, Dict) else None
    if not isinstance(url, str):
        return ""
    for name, variable in variables.items() if isinstance(variables, Dict) else ():
        usual = variable.get("default") if isinstance(variable, Dict) else None
        url = url.replace(f"{{{name}}}", str(usual)) if usual is not None else url
    path = re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*:)?//[^/]*", "", url).rstrip("/")
    if path and not path.startswith("/"):
        path = f"/{path}"
    return "" if path and urlsplit(base_url).path.rstrip("/").endswith(path) else path


def _query(one: Operation) -> dict[str, str]:
    """What the parameters of the feed are called; "" for one that is not there."""
    names = [given.name for given in one.parameters if given.where == "query"]
    return {ours: next((name for name in names if squeezed(name) in known), "") for ours, known in _QUERIES.items()}


def _query_notes(one: Operation, query: Dict[str, str]) -> Iterator[str]:
    if not query["after"]:
        raise DescriptionError("no query parameter is known for a cursor; give query = { after = ... } yourself")
    for ours in ("event", "limit"):
        if not query[ours]:
            yield f"no query parameter is known for {ours}: it is not sent"
    for given in one.parameters:
        if given.name == query["event"] and given.schema.get("explode") is False:
            yield f"{given.name} is to be one list with commas, but is sent once for each name"


def _unsent(one: Operation, operation: str) -> Iterator[str]:
    """Parameters that must be sent and are not."""
    known = frozenset().union(*_QUERIES.values()) if operation == "events" else frozenset()
    for given in one.parameters:
        mandatory = given.required and given.where in {"query", "header", "cookie"}
        if mandatory and squeezed(given.name) not in known and squeezed(given.name) != "authorization":
            yield f"{given.where} {given.name} must be sent by the description, and is not"
