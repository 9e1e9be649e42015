"""What was given: the settings file with its environment twins laid over it, and where each value came from.

It never judges a value; it only finds the key that a variable is the twin of.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, get_origin

from msgspec import Struct

from orderflow.config.keys import Key, Kind, keys_of
from orderflow.config.mistakes import ConfigError, nearest
from orderflow.config.shape import Settings

CONFIG: Final = "ORDERFLOW_CONFIG"
PREFIX: Final = "ORDERFLOW_"
DEFAULT_PATH: Final = Path("orderflow.toml")


@dataclass(frozen=True, slots=True)
class Given:
    """Plain data. `sources` names the environment variable of each key that came from one; `path` is the file."""

    data: dict[str, Any]
    path: Path | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    mistakes: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """What relative paths in the file count from."""
        return Path() if self.path is None else self.path.parent

    def source(self, trail: tuple[str, ...]) -> str:
        """Where the value of a key came from, for people."""
        variable = self.sources.get(".".join(trail))
        if variable is not None:
            return f"environment {variable}"
        value: object = self.data
        for part in trail:
            if not isinstance(value, dict) or part not in value:
                return "default"
            value = value[part]
        return "file"


def given(path: Path | None) -> Given:
    """What the file at `path` (else $ORDERFLOW_CONFIG, else ./orderflow.toml) and the environment give.

    The file may be missing if nobody named it and the environment gives something. Raises `ConfigError`.
    """
    named = path or (Path(os.environ[CONFIG]) if os.environ.get(CONFIG) else None)
    twins = {name: value for name, value in sorted(os.environ.items()) if name.startswith(PREFIX) and value.strip()}
    twins.pop(CONFIG, None)
    if named is None and not DEFAULT_PATH.exists() and any(_looks_like_one(name) for name in twins):
        return _with_twins({}, None, twins)
    return _with_twins(_read(named or DEFAULT_PATH), named or DEFAULT_PATH, twins)


def _read(path: Path) -> dict[str, Any]:
    try:
        return toml(path)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read ({error.strerror}): name the settings file with --config or ${CONFIG}; "
            "`orderflow config example` prints one to begin with"
        ) from None
    except ValueError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None


def toml(path: Path) -> dict[str, Any]:
    """What stands in a TOML file. Raises OSError or ValueError."""
    return _toml(path.read_bytes().decode("utf-8-sig"))  # some editors put a mark in front


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _with_twins(data: dict[str, Any], path: Path | None, twins: Mapping[str, str]) -> Given:
    sources: dict[str, str] = {}
    mistakes: list[str] = []
    for variable, value in twins.items():
        try:
            _lay(data, sources, variable, value)
        except ConfigError as error:
            mistakes += error.mistakes
    return Given(data, path, sources, tuple(mistakes))


def _lay(data: dict[str, Any], sources: dict[str, str], variable: str, value: str) -> None:
    """Put one variable over the data. Raises `ConfigError`."""
    found = _twin_of(data, variable)
    if found is None:
        return
    trail, key, rest = found
    place = ".".join(trail)
    if rest and (key.kind, rest) != (Kind.SECRET, ["FILE"]):
        raise ConfigError(f"{variable}: goes on behind {place}, which is {key.expected}")
    if any("\ud800" <= c <= "\udfff" for c in value):  # how Python shows bytes that are none
        raise ConfigError(f"{place}: {variable} holds bytes that are no UTF-8")
    if place in sources:
        raise ConfigError(f"{place}: {sources[place]} and {variable} both give it; keep one of them")
    for name in trail[:-1]:
        data = _inner(data, name)
    data[key.name] = _value(key, variable, value, file=bool(rest))
    sources[place] = variable


def _twin_of(data: dict[str, Any], variable: str) -> tuple[tuple[str, ...], Key, list[str]] | None:
    """The way to the key that a variable is the twin of, that key, and what of the variable's name is left.

    None for a variable that means something else; raises `ConfigError` for one that only resembles a twin.
    """
    table: type[Struct] = Settings
    trail: tuple[str, ...] = ()
    parts = variable.removeprefix(PREFIX).split("__")
    while parts:
        key = keys_of(table).get(parts[0].lower())
        if key is None:
            if not trail and not _looks_like_one(variable):
                return None
            before = variable.removesuffix("__".join(parts))
            known = nearest(variable, [f"{before}{name.upper()}" for name in keys_of(table)])
            raise ConfigError(f"{variable}: there is no such setting; {known}")
        trail, parts = (*trail, key.name), parts[1:]
        if key.kind is Kind.TABLES and parts:
            trail, parts = (*trail, _named(_at(data, trail), parts[0], variable)), parts[1:]
        if key.table is None:
            return trail, key, parts
        table = key.table
    raise ConfigError(f"{variable}: is a table; go on with __ and the name of a key in it")


def _value(key: Key, variable: str, value: str, *, file: bool) -> object:
    """What a variable says: a secret itself, a path from here, a list by commas, a table in TOML, else a text."""
    if key.kind is Kind.SECRET:
        return {"file": os.path.abspath(value)} if file else {"env": variable}  # noqa: PTH100  ~ is left alone
    if key.bare is Path:
        return value if value.startswith("~") else str(Path.cwd() / value)
    if get_origin(key.bare) is tuple:
        return [one.strip() for one in value.split(",") if one.strip()]
    if get_origin(key.bare) is dict:
        try:
            return _toml(f"it = {value}")["it"]
        except ValueError as error:
            raise ConfigError(f"{variable}: expected a table in TOML, such as {{ name = 1 }}: {error}") from None
    return value


def _inner(data: dict[str, Any], name: str) -> dict[str, Any]:
    found = data.get(name)
    if not isinstance(found, dict):
        found = data[name] = {}
    return found


def _at(data: object, trail: tuple[str, ...]) -> object:
    """What stands there; None if nothing does."""
    for name in trail:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def _named(tables: object, part: str, variable: str) -> str:
    """The table that a part of a variable's name means: what is no letter and no digit in its name is a _ there."""
    names = tables if isinstance(tables, dict) else {}
    found = [name for name in names if segment(name) == part.upper()]
    if len(found) > 1:
        raise ConfigError(f"{variable}: may mean {' or '.join(found)}; set it in the file")
    return found[0] if found else part.lower()


def segment(name: str) -> str:
    """How a store is called in the name of a variable."""
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def _looks_like_one(variable: str) -> bool:
    head = variable.removeprefix(PREFIX).split("__")[0].lower()
    return "__" in variable or bool(difflib.get_close_matches(head, keys_of(Settings), n=1))
