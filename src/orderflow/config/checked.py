"""Turns plain data into settings, or into every mistake that is in them.

It never stops at the first mistake, and never quotes what may be a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from orderflow.config import rules
from orderflow.config.given import Given
from orderflow.config.keys import Key, Kind, keys_of, shown
from orderflow.config.mistakes import nearest
from orderflow.config.secret import Secret
from orderflow.config.shape import Settings

T = TypeVar("T", bound=Struct)


@dataclass(frozen=True, slots=True)
class _Check:
    """What was given, and the mistakes found so far."""

    given: Given
    mistakes: list[str] = field(default_factory=list)

    def wrong(self, key: str, text: str) -> None:
        """Take note of a mistake. What stands in the place of the wrong value does not matter: nobody will see it."""
        variable = self.given.sources.get(key)
        self.mistakes.append(f"{key}{f' (from {variable})' if variable else ''}: {text}")


def checked(given: Given) -> tuple[Settings | None, tuple[str, ...]]:
    """The settings, or None and every mistake in them."""
    check = _Check(given, list(given.mistakes))
    settings = _table(check, Settings, given.data, "")
    return (None if check.mistakes else settings), tuple(check.mistakes)


def _table(check: _Check, table: type[T], data: object, place: str) -> T | None:
    """A table; None if there is a mistake in it."""
    if not isinstance(data, Mapping):
        check.wrong(place, f"got {shown(data)}, expected a table")
        return None
    before = len(check.mistakes)
    keys = keys_of(table)
    values: dict[str, object] = {}
    inside = f"{place}." if place else ""
    for name in data:
        if name not in keys:
            check.wrong(f"{inside}{name}", f"there is no such setting; {nearest(str(name), keys)}")
    for name, key in keys.items():
        if name in data:
            values[name] = _value(check, key, data[name], f"{inside}{name}")
        elif key.required:
            check.wrong(f"{inside}{name}", f"is missing, expected {key.expected} ({key.about})")
    if len(check.mistakes) > before:
        return None
    made = table(**values)
    check.mistakes.extend(rules.broken(place, made))
    return made


def _value(check: _Check, key: Key, data: object, place: str) -> object:
    if key.kind is Kind.TABLE and key.table is not None:
        return _table(check, key.table, data, place)
    if key.kind is Kind.TABLES and key.table is not None:
        if not isinstance(data, Mapping):
            check.wrong(place, f"got {shown(data)}, expected a table of tables")
            return None
        return {name: _table(check, key.table, one, f"{place}.{name}") for name, one in data.items()}
    if key.kind is Kind.SECRET and (isinstance(data, Mapping) or not key.takes_text):
        return _secret(check, key, data, place)
    return _single(check, key, data, place)


def _secret(check: _Check, key: Key, data: object, place: str) -> Secret | None:
    if not isinstance(data, Mapping):
        check.wrong(place, f"expected {key.expected}; a secret itself never stands in the settings")
        return None
    return _table(check, Secret, data, place)


def _single(check: _Check, key: Key, data: object, place: str) -> object:
    from_environment = place in check.given.sources
    try:
        value = msgspec.convert(data, key.hint, strict=not from_environment, dec_hook=_path)
    except msgspec.ValidationError:
        got = "" if key.kind is Kind.SECRET else f"got {shown(data)}, "
        check.wrong(place, f"{got}expected {key.expected} ({key.about})")
        return None
    problem = key.problem(value) if isinstance(value, str) else None
    if problem:
        check.wrong(place, problem)
    return _placed(check, value, place) if isinstance(value, Path) else value


def _placed(check: _Check, path: Path, place: str) -> Path:
    """A path as it counts from the folder of the settings file; `~` is the home of whoever runs orderflow."""
    try:
        return check.given.folder / path.expanduser()
    except RuntimeError:
        check.wrong(place, f"{path} begins with a home that is not known; set $HOME, or give a whole path")
        return path


def _path(kind: type, value: object) -> Any:
    """Paths, which msgspec does not know; nothing else comes here."""
    if kind is not Path or not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("no path")
    return Path(value)
