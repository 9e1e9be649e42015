"""What a merchant's settings say of routes, put over what is known or assumed.

It never takes a setting that it does not know, and every complaint begins with the setting's key.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as Dict
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from orderflow.glopal.places import Place, place
from orderflow.glopal.routes import (
    ANSWERS,
    ANY,
    HOLE,
    METHODS,
    PLACES,
    QUERIES,
    ROUTES,
    VALUES,
    Reasons,
    Route,
    RouteError,
    Source,
    Success,
)


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
        if "operation" in given and base is ROUTES:
            raise RouteError(f"{key}.operation: there is no description to look it up in; name its file in `openapi`")
        table[operation] = _overridden(operation, table[operation], given)
    return MappingProxyType(table)


_SETTINGS: Final = "operation, method, path, body, query, success, answer, otherwise"


def _overridden(operation: str, route: Route, given: Dict[str, object]) -> Route:
    key = f"routes.{operation}"
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
            case "query", Dict() if all(isinstance(called, str) and called.isprintable() for called in value.values()):
                _check_names(f"{key}.query", value, QUERIES)
                route = replace(route, query={**route.query, **value}, source=Source.SETTINGS)
            case "success", Dict():
                route = replace(route, success=_success(f"{key}.success", value))
            case "answer", Dict() if operation in ANSWERS:
                route = replace(route, answer={**route.answer, **_answer(f"{key}.answer", value, ANSWERS[operation])})
            case "answer", _:
                known = f"must be a table of {', '.join(sorted(ANSWERS.get(operation, ())))}"
                raise RouteError(
                    f"{key}.answer: {known if operation in ANSWERS else 'nothing is read from this reply'}"
                )
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


def _answer(key: str, given: Dict[str, object], known: frozenset[str]) -> dict[str, Place]:
    """`{merchant = "liability.merchant"}`: places as in a mapping file."""
    _check_names(key, given, known)
    try:
        return {name: place(f"{key}.{name}", one) for name, one in given.items()}
    except ValueError as error:
        raise RouteError(str(error)) from None


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
    _check_names(key, HOLE.findall(path), PLACES)
    if set(HOLE.sub("", path)) & set("{}"):
        raise RouteError(f"{key}: has a brace without its counterpart")
    return path


def _check_body(key: str, body: object) -> None:
    match body:
        case str():
            _check_names(key, HOLE.findall(body), VALUES)
        case Dict():
            for name, member in body.items():
                _check_body(f"{key}.{name}", member)
        case list() | tuple():
            for index, member in enumerate(body):
                _check_body(f"{key}.{index}", member)
        case None | bool() | int() | Decimal():
            pass
        case float():
            raise RouteError(f"{key}: a number with a point may lose digits; give a whole number or a text")
        case _:
            raise RouteError(f"{key}: has no JSON form")


def _check_names(key: str, names: Iterable[str], known: frozenset[str]) -> None:
    for name in names:
        if name not in known:
            raise RouteError(f"{key}: {{{name}}} is not known here; known are {', '.join(sorted(known))}")
