"""Glopal's operations as data, address, body and reply, so that a wrong guess is mended by configuration.

It never sends anything, and never puts a value into a path unescaped.

SAMPLE: the two GETs. STATED: the reply to accept. ASSUMED: method, path and body of the four writes, the replies to
cancel, refund and quote (reference 2, 5, 6, 7), and the name `limit`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, urlencode

from orderflow.glopal.jsontext import Json, canonical, money

PLACES: Final = frozenset({"store_id", "order_id"})
VALUES: Final = PLACES | {"ids.order_id", "ids.number", "reason", "amount", "amount_text", "currency"}
"""What `{...}` in a body may name. `amount` alone is a JSON number, `amount_text` a decimal string."""

QUERIES: Final = frozenset({"event", "after", "limit"})
METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_HOLE = re.compile(r"\{([^{}]*)\}")


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

    What `source` calls assumed Glopal's public pages do not show: compare it with their API description before going
    live.
    """

    method: str
    path: str
    body: Json = None
    query: Dict[str, str] = field(default_factory=dict)
    success: Success = Success()
    reasons: Reasons | None = None
    source: Source = Source.ASSUMED

    @property
    def assumed(self) -> bool:
        """Is the address or the body a guess?"""
        return self.source is Source.ASSUMED

    def target(self, places: Dict[str, str], query: list[tuple[str, str]] | None = None) -> str:
        """The path with each place percent-encoded, and the query, by our names for the parameters."""
        path = _HOLE.sub(lambda hole: quote(places[hole[1]], safe=""), self.path)
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

    def _reason(self, reasons: Reasons, given: Json) -> str | None:
        if isinstance(given, str) and given in reasons.words:
            return given
        if not reasons.otherwise and reasons.required:
            raise NoValue("reason", f"must be one of {', '.join(reasons.words)}, or set `otherwise` for this route")
        return reasons.otherwise or None


def _fill(template: Json, values: Dict[str, Json]) -> Json:
    if isinstance(template, str):
        whole = _HOLE.fullmatch(template)
        return _value(whole[1], values) if whole else _HOLE.sub(lambda hole: _as_text(hole[1], values), template)
    if isinstance(template, Dict):
        filled = {name: _fill(member, values) for name, member in template.items()}
        return {name: member for name, member in filled.items() if member is not None or template[name] is None}
    if isinstance(template, list | tuple):
        return [_fill(member, values) for member in template]
    return template


def _value(name: str, values: Dict[str, Json]) -> Json:
    if name == "amount_text":
        return _as_text("amount", values)
    if name not in values:
        raise NoValue(name)
    return values[name]


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
            "POST", f"{_ORDER}/refund", {"amount": "{amount}", "reason": "{reason}"}, success=Success(holds=_OK)
        ),
        "quote": Route("POST", f"{_ORDER}/refund/quote", {"amount": "{amount}"}, success=Success(holds={})),
    }
)
READS: Final = frozenset({"events", "order"})


def routes(overrides: Dict[str, object], base: Dict[str, Route] = ROUTES) -> Dict[str, Route]:
    """`base` with settings put over it, `{"accept": {"method": ..., "path": ..., "body": ..., "success": ...}}`.

    What is given counts as known, no longer as assumed. Raises `RouteError`.
    """
    table = dict(base)
    for operation, given in overrides.items():
        key = f"routes.{operation}"
        if operation not in ROUTES:
            raise RouteError(f"{key}: there is no such operation; known are {', '.join(ROUTES)}")
        if not isinstance(given, Dict):
            raise RouteError(f"{key}: must be a table")
        table[operation] = _overridden(key, table[operation], given)
    return MappingProxyType(table)


_SETTINGS: Final = "operation, method, path, body, query, success, otherwise"


def _overridden(key: str, route: Route, given: Dict[str, object]) -> Route:
    for name, value in given.items():
        match name, value:
            case "method", str() if value.upper() in METHODS:
                route = replace(route, method=value.upper(), source=Source.SETTINGS)
            case "method", _:
                raise RouteError(f"{key}.method: must be one of {', '.join(sorted(METHODS))}")
            case "path", str():
                route = replace(route, path=checked_path(f"{key}.path", value), source=Source.SETTINGS)
            case "body", _:
                _check_body(f"{key}.body", value)
                route = replace(route, body=value, source=Source.SETTINGS)  # type: ignore[arg-type]  # checked above
            case "query", Dict() if all(isinstance(called, str) for called in value.values()):
                _check_names(f"{key}.query", value, QUERIES)
                route = replace(route, query={**route.query, **value}, source=Source.SETTINGS)
            case "success", Dict():
                route = replace(route, success=_success(f"{key}.success", value))
            case "otherwise", str():
                words = route.reasons or Reasons(())
                route = replace(route, reasons=replace(words, otherwise=value))
            case "operation", str():
                pass  # names an operation of the description: `description` reads it
            case (("path" | "operation" | "otherwise"), _):
                raise RouteError(f"{key}.{name}: must be a text")
            case (("query" | "success"), _):
                raise RouteError(f"{key}.{name}: must be a table{' of texts' if name == 'query' else ''}")
            case _:
                raise RouteError(f"{key}.{name}: there is no such setting; known are {_SETTINGS}")
    return route


def _success(key: str, given: Dict[str, object]) -> Success:
    """`{status = 200, holds = {status = "ok"}}`; `status` may be a list, without `holds` the body is not looked at."""
    for name in given:
        if name not in {"status", "holds"}:
            raise RouteError(f"{key}.{name}: there is no such setting; known are status, holds")
    status, holds = given.get("status", 200), given.get("holds")
    statuses = status if isinstance(status, list) else [status]
    if not statuses or not all(isinstance(one, int) and 200 <= one < 300 for one in statuses):
        raise RouteError(f"{key}.status: must be a number from 200 to 299, or a list of such")
    if holds is not None and not isinstance(holds, Dict):
        raise RouteError(f'{key}.holds: must be a table such as {{ status = "ok" }}; "{ANY}" stands for any value')
    _check_reply(f"{key}.holds", holds)
    return Success(tuple(statuses), holds, Source.SETTINGS)  # type: ignore[arg-type]  # checked above


def _check_reply(key: str, holds: object) -> None:
    match holds:
        case Dict():
            for name, member in holds.items():
                _check_reply(f"{key}.{name}", member)
        case None | bool() | int() | str() | Decimal():
            pass
        case _:
            raise RouteError(f"{key}: must be a text, a whole number, true, false or a table of such")


def checked_path(key: str, path: str) -> str:
    """`path` as it may stand in a route. Raises `RouteError`."""
    if not path.startswith("/") or not path.isascii() or not path.isprintable() or set(path) & set(" ?#\\"):
        raise RouteError(f"{key}: must begin with / and have no query")
    _check_names(key, _HOLE.findall(path), PLACES)
    if set(_HOLE.sub("", path)) & set("{}"):
        raise RouteError(f"{key}: has a brace without its counterpart")
    return path


def _check_body(key: str, body: object) -> None:
    match body:
        case str():
            _check_names(key, _HOLE.findall(body), VALUES)
        case Dict():
            for name, member in body.items():
                _check_body(f"{key}.{name}", member)
        case list() | tuple():
            for index, member in enumerate(body):
                _check_body(f"{key}.{index}", member)
        case None | bool() | int() | Decimal():
            pass
        case float() if body.is_integer():
            pass
        case _:
            raise RouteError(f"{key}: has no JSON form")


def _check_names(key: str, names: Iterable[str], known: frozenset[str]) -> None:
    for name in names:
        if name not in known:
            raise RouteError(f"{key}: {{{name}}} is not known here; known are {', '.join(sorted(known))}")
