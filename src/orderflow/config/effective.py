"""The settings as they are in effect: each key, its value, and where it came from.

It never shows a secret: only whether it is there, how long it is and where it stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec
from msgspec import Struct

from orderflow.config.addresses import harmless
from orderflow.config.given import Given
from orderflow.config.keys import Key, Kind, keys_of
from orderflow.config.mistakes import ConfigError, one_line
from orderflow.config.page import written
from orderflow.config.secret import Secret
from orderflow.config.shape import Settings, ShopKind, ShopSettings


@dataclass(frozen=True, slots=True)
class Effective:
    """One key. `source` is default, file, or environment with the variable's name."""

    key: str
    value: str
    source: str


def effective(settings: Settings, given: Given) -> Iterator[Effective]:
    """Every setting that means something here, in the order of the reference page."""
    return _table(settings, given, ())


def _table(table: Struct, given: Given, trail: tuple[str, ...]) -> Iterator[Effective]:
    keys = sorted(keys_of(type(table)).values(), key=lambda key: key.kind in {Kind.TABLE, Kind.TABLES})
    for key in keys:
        value, here = getattr(table, key.name), (*trail, key.name)
        if isinstance(table, ShopSettings) and key.name in {*ShopKind} - {table.kind}:
            continue  # of another kind of shop
        if key.kind is Kind.TABLE:
            yield from _table(value, given, here)
        elif key.kind is Kind.TABLES:
            assert isinstance(value, Mapping)
            for name, one in value.items():
                yield from _table(one, given, (*here, name))
        else:
            place = ".".join(here)
            yield Effective(one_line(place), one_line(_value(key, value, place)), given.source(here))


def _value(key: Key, value: object, place: str) -> str:
    if isinstance(value, Secret):
        try:
            secret = value.read(place)
        except ConfigError as error:
            return f"not set: {str(error).removeprefix(f'{place}: ')}"
        said = harmless(secret) if key.takes_text else f"set, {len(secret)} characters"
        return f"{said}, from {value.place}"
    if value is None:
        return "none"
    if key.kind is Kind.SECRET:
        return harmless(str(value))
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    return written(value)
