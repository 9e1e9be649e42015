"""Glopal's operations as data, address, body and reply, so that a wrong guess is mended by configuration.

It never sends anything, and never puts a value into a path unescaped.

SAMPLE: the two GETs. STATED: the reply to accept. ASSUMED: method, path and body of the four writes, the replies to
cancel, refund and quote and where their answers stand in them (reference 2, 5, 6, 7), and the name `limit`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, urlencode

from orderflow.glopal.jsontext import Json, canonical, money
from orderflow.glopal.places import Place

PLACES: Final = frozenset({"store_id", "order_id"})
AMOUNTS: Final = frozenset({"amount", "glopal_amount", "merchant_amount"})
VALUES: Final = (
    PLACES
    | {"ids.order_id", "ids.number", "reason", "currency", "refund", "claim"}
    | AMOUNTS
    | {f"{name}_text" for name in AMOUNTS}
)
"""What `{...}` in a body may name. An amount alone is a JSON number, its `..._text` a decimal string.

`glopal_amount` and `merchant_amount` are the shares of a refund, `refund` is our own name of it.
"""
MAY_LACK: Final = frozenset({"glopal_amount", "merchant_amount", "claim"})
"""Said of few refunds; left out of the bodies of all others."""

QUERIES: Final = frozenset({"event", "after", "limit"})
METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
HOLE = re.compile(r"\{([^{}]*)\}")


class RouteError(ValueError):
    """A route that cannot be; the message begins with the key of the setting."""


class NoValue(Exception):
    """A body needs a value that the caller does not have, or that Glopal does not take."""

    def __init__(self, name: str, problem: str = "is needed") -> None:
        super().__init__(f"{name} {problem}")
        self.name = name


class Source(StrEnum):
    """Who says so."""

    ASSUMED = "assumed default"
    DOCUMENTED = "documented default"
    DESCRIPTION = "description"
    SETTINGS = "settings"


ANY: Final = "{any}"
"""In a reply's template: the member is there and not null, whatever it holds."""


@dataclass(frozen=True, slots=True)
class Success:
    """The reply that proves a write: one of `statuses`, and a body that holds everything that `holds` does.

    `holds` None: the body is not looked at. A 2xx that does not fit proves nothing.
    """

    statuses: tuple[int, ...] = (200,)
    holds: Json = None
    source: Source = Source.ASSUMED

    def shown_by(self, status: int, reply: Json) -> bool:
        """Does this reply (None: it is no JSON object) prove it?"""
        return status in self.statuses and (self.holds is None or _holds(reply, self.holds))


def _holds(reply: Json, wanted: Json) -> bool:
    if wanted == ANY:
        return reply is not None
    if isinstance(wanted, Dict):
        return isinstance(reply, Dict) and all(_holds(reply.get(name), member) for name, member in wanted.items())
    return type(reply) is type(wanted) and reply == wanted  # True is no 1


@dataclass(frozen=True, slots=True)
class Reasons:
    """The words that Glopal takes as a reason. For another one `otherwise` is sent; "" leaves it out, if it may be."""

    words: tuple[str, ...]
    required: bool = False
    otherwise: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `body` is a JSON template, None for no body; `query` says what each parameter is called.

    `answer` says where things stand in the reply that proves it: `ANSWERS`.

    What `source` calls assumed Glopal's public pages do not show: compare it with their API description before going
    live.
    """

    method: str
    path: str
    body: Json = None
    query: Dict[str, str] = field(default_factory=dict)
    success: Success = Success()
    reasons: Reasons | None = None
    answer: Dict[str, Place] = field(default_factory=dict)
    source: Source = Source.ASSUMED

    @property
    def assumed(self) -> bool:
        """Is the address or the body a guess?"""
        return self.source is Source.ASSUMED

    def target(self, places: Dict[str, str], query: list[tuple[str, str]] | None = None) -> str:
        """The path with each place percent-encoded, and the query, by our names for the parameters."""
        path = HOLE.sub(lambda hole: quote(places[hole[1]], safe=""), self.path)
        named = [(self.query[name], value) for name, value in query or [] if self.query.get(name)]
        return f"{path}?{urlencode(named, quote_via=quote)}" if named else path

    def content(self, values: Dict[str, Json]) -> bytes:
        """The body in canonical JSON, b"" if there is none. A member whose value is None is left out.

        Raises `NoValue` for a value that is not there at all.
        """
        if self.body is None:
            return b""
        if self.reasons is not None:
            values = {**values, "reason": self._reason(self.reasons, values.get("reason"))}
        return canonical(_fill(self.body, values))

    def takes(self, *names: str) -> bool:
        """Has the body a place for one of these values?"""
        holes = HOLE.findall(canonical(self.body).decode())
        return any(name in holes or f"{name}_text" in holes for name in names)

    def _reason(self, reasons: Reasons, given: Json) -> str | None:
        if isinstance(given, str) and given in reasons.words:
            return given
        if not reasons.otherwise and reasons.required:
            raise NoValue("reason", f"must be one of {', '.join(reasons.words)}, or set `otherwise` for this route")
        return reasons.otherwise or None


def _fill(template: Json, values: Dict[str, Json]) -> Json:
    if isinstance(template, str):
        whole = HOLE.fullmatch(template)
        return _value(whole[1], values) if whole else HOLE.sub(lambda hole: _as_text(hole[1], values), template)
    if isinstance(template, Dict):
        filled = {name: _fill(member, values) for name, member in template.items()}
        return {name: member for name, member in filled.items() if member is not None or template[name] is None}
    if isinstance(template, list | tuple):
        return [_fill(member, values) for member in template]
    return template


def _value(name: str, values: Dict[str, Json]) -> Json:
    plain = name.removesuffix("_text")
    if plain != name and plain in AMOUNTS:
        value = _value(plain, values)
        return money(value) if isinstance(value, Decimal) else value
    if name not in values and name not in MAY_LACK:
        raise NoValue(name)
    return values.get(name)


def _as_text(name: str, values: Dict[str, Json]) -> str:
    value = _value(name, values)
    if value is None:
        raise NoValue(name)
    return money(value) if isinstance(value, Decimal) else str(value)


_ORDER = "/v2/orders/{store_id}/{order_id}"
_OK: Final[Json] = MappingProxyType({"status": "ok"})

ROUTES: Final[Dict[str, Route]] = MappingProxyType(
    {
        "events": Route(
            "GET",
            "/v2/events/{store_id}",
            # SAMPLE: event, after_event_id. ASSUMED: limit.
            query={"event": "event", "after": "after_event_id", "limit": "limit"},
            source=Source.DOCUMENTED,
        ),
        "order": Route("GET", _ORDER, source=Source.DOCUMENTED),
        "accept": Route(
            "POST",
            f"{_ORDER}/accept",
            {"external": {"order_id": "{ids.order_id}", "order_number": "{ids.number}"}},
            success=Success(holds=_OK, source=Source.DOCUMENTED),  # STATED (5)
        ),
        "cancel": Route("POST", f"{_ORDER}/cancel", {"reason": "{reason}"}, success=Success(holds=_OK)),
        "refund": Route(
            "POST",
            f"{_ORDER}/refund",
            {"amount": "{amount}", "reason": "{reason}", "glopal_amount": "{glopal_amount}", "claim": "{claim}"},
            success=Success(holds=_OK),
            answer={"id": Place(("refund_id",))},
        ),
        "quote": Route(
            "POST",
            f"{_ORDER}/refund/quote",
            {"amount": "{amount}", "glopal_amount": "{glopal_amount}"},
            success=Success(holds={}),
            answer={
                "merchant": Place(("liability.merchant",)),
                "glopal": Place(("liability.glopal",)),
                "currency": Place(("currency",)),
            },
        ),
    }
)
ANSWERS: Final[Dict[str, frozenset[str]]] = {
    "refund": frozenset({"id"}),
    "quote": frozenset({"merchant", "glopal", "currency"}),
}
"""What is looked for in a reply: Glopal's own id of the refund, if it names one; the shares, and their currency."""
READS: Final = frozenset({"events", "order"})
