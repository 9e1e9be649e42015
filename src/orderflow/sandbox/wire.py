"""Requests and answers as plain values, so that one app serves both a simulation and a socket.

Nothing here opens a connection or knows Glopal or a shop.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from json.encoder import encode_basestring
from typing import Any, TypeAlias
from urllib.parse import unquote

Json: TypeAlias = "bool | int | str | Decimal | Sequence[Json] | Mapping[str, Json] | None"

JSON_HEADERS: Mapping[str, str] = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `path` is percent-encoded and without the query; header names are lower-case.

    `stale` is set by a fault only: a read is answered by a replica that is so much behind.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    stale: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer; the body is complete, unless a `content-length` among the headers promises more."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: JSON_HEADERS)


App: TypeAlias = Callable[[Request], Response]


def render(value: Json) -> str:
    """Compact JSON text; a Decimal becomes a number with exactly its own digits (19.990000000000000001 stays so).

    Written out because `json.dumps` can render a Decimal only as a float or as a string.
    """
    if isinstance(value, str):
        return encode_basestring(value)
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"{value} has no JSON form")
        return format(value, "f")
    if isinstance(value, Mapping):
        return "{" + render_members(value) + "}"
    return "[" + ",".join([render(item) for item in value]) + "]"


def render_members(value: Mapping[str, Json]) -> str:
    """The members of an object without its braces; empty for an empty object."""
    return ",".join([encode_basestring(key) + ":" + render(item) for key, item in value.items()])


def json_response(status: int, value: Json, headers: Mapping[str, str] | None = None) -> Response:
    """An answer with a JSON body; `headers` are added to the content type."""
    merged = JSON_HEADERS if headers is None else {**JSON_HEADERS, **headers}
    return Response(status, render(value).encode(), merged)


def json_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object in `body`, numbers with a point as Decimal; None if it is anything else."""
    try:
        value = json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


_DECIMAL = re.compile(r"-?\d{1,30}(\.\d{1,30})?")


def decimal_of(value: object) -> Decimal | None:
    """The amount in a JSON number or decimal string; None for anything else (also for 1e3, NaN and booleans)."""
    if isinstance(value, bool):
        return None
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        try:
            return Decimal(value)
        except InvalidOperation:
            return None
    return None


def segments(path: str) -> list[str]:
    """The decoded parts of a path: "/orders/a%2Fb" -> ["orders", "a/b"]."""
    parts = path.lstrip("/").split("/")
    return [unquote(part) for part in parts] if "%" in path else parts
