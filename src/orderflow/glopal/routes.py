"""The addresses of Glopal's operations, as data, so that a wrong guess is mended by configuration.

It never sends anything, and never puts a value into a path unescaped.

SAMPLE: the two GETs. ASSUMED: method, path and body of the four writes (reference 2, 5, 6, 7) and the name `limit`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, urlencode

from orderflow.glopal.jsontext import Json, canonical, money

PLACES: Final = frozenset({"store_id", "order_id"})
VALUES: Final = PLACES | {"ids.order_id", "ids.number", "reason", "amount", "amount_text", "currency"}
"""What `{...}` in a body may name. `amount` alone is a JSON number, `amount_text` a decimal string."""

QUERIES: Final = frozenset({"event", "after", "limit"})
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_HOLE = re.compile(r"\{([^{}]*)\}")


class RouteError(ValueError):
    """A route that cannot be; the message begins with the key of the setting."""


class NoValue(Exception):
    """A body needs a value that the caller does not have; `name` is the placeholder's."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is needed")
        self.name = name


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `body` is a JSON template, None for no body; `query` says what each parameter is called.

    `assumed`: Glopal's public pages do not show it; it must be compared with their API description before going live.
    """

    method: str
    path: str
    body: Json = None
    query: Dict[str, str] = field(default_factory=dict)
    assumed: bool = False

    def target(self, places: Dict[str, str], query: list[tuple[str, str]] | None = None) -> str:
        """The path with each place percent-encoded, and the query, by our names for the parameters."""
        path = _HOLE.sub(lambda hole: quote(places[hole[1]], safe=""), self.path)
        named = [(self.query[name], value) for name, value in query or [] if self.query.get(name)]
        return f"{path}?{urlencode(named, quote_via=quote)}" if named else path

    def content(self, values: Dict[str, Json]) -> bytes:
        """The body in canonical JSON, b"" if there is none. A member whose value is None is left out.

        Raises `NoValue` for a value that is not there at all.
        """
        return b"" if self.body is None else canonical(_fill(self.body, values))


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

ROUTES: Final[Dict[str, Route]] = MappingProxyType(
    {
        "events": Route(
            "GET",
            "/v2/events/{store_id}",
            # SAMPLE: event, after_event_id. ASSUMED: limit.
            query={"event": "event", "after": "after_event_id", "limit": "limit"},
        ),
        "order": Route("GET", _ORDER),
        "accept": Route(
            "POST",
            f"{_ORDER}/accept",
            {"external": {"order_id": "{ids.order_id}", "order_number": "{ids.number}"}},
            assumed=True,
        ),
        "cancel": Route("POST", f"{_ORDER}/cancel", {"reason": "{reason}"}, assumed=True),
        "refund": Route("POST", f"{_ORDER}/refund", {"amount": "{amount}", "reason": "{reason}"}, assumed=True),
        "quote": Route("POST", f"{_ORDER}/refund/quote", {"amount": "{amount}"}, assumed=True),
    }
)


def routes(overrides: Dict[str, object]) -> Dict[str, Route]:
    """The defaults with settings put over them, `{"accept": {"method": ..., "path": ..., "body": ..., "query": ...}}`.

    What is given counts as known, no longer as assumed. Raises `RouteError`.
    """
    table = dict(ROUTES)
    for operation, given in overrides.items():
        key = f"routes.{operation}"
        if operation not in ROUTES:
            raise RouteError(f"{key}: there is no such operation; known are {', '.join(ROUTES)}")
        if not isinstance(given, Dict):
            raise RouteError(f"{key}: must be a table")
        table[operation] = _overridden(key, table[operation], given)
    return MappingProxyType(table)


def _overridden(key: str, route: Route, given: Dict[str, object]) -> Route:
    for name, value in given.items():
        match name, value:
            case "method", str() if value.upper() in _METHODS:
                route = replace(route, method=value.upper())
            case "method", _:
                raise RouteError(f"{key}.method: must be one of {', '.join(sorted(_METHODS))}")
            case "path", str():
                route = replace(route, path=_checked_path(f"{key}.path", value))
            case "body", _:
                _check_body(f"{key}.body", value)
                route = replace(route, body=value)  # type: ignore[arg-type]  # checked above
            case "query", Dict() if all(isinstance(called, str) for called in value.values()):
                _check_names(f"{key}.query", value, QUERIES)
                route = replace(route, query={**route.query, **value})
            case (("path" | "query"), _):
                raise RouteError(f"{key}.{name}: must be a {'text' if name == 'path' else 'table of texts'}")
            case _:
                raise RouteError(f"{key}.{name}: there is no such setting; known are method, path, body, query")
    return replace(route, assumed=False)


def _checked_path(key: str, path: str) -> str:
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
