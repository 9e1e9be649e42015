"""Reads a table that a person wrote, and collects every mistake with its key, what is wrong and what is allowed.

It never raises for what was written, so that one reading names all mistakes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Any, Final, TypeVar

from orderflow.sandbox.glopal.switches import time_of

_T = TypeVar("_T")
_NOTHING: Final = timedelta(0)


class Given:
    """One table, and the keys that were asked of it; `mistakes` is shared by all tables of a file."""

    def __init__(self, values: object, path: str, mistakes: list[str]) -> None:
        self._values: Mapping[str, Any] = values if isinstance(values, dict) else {}
        self._path = path
        self._mistakes = mistakes
        self._asked: list[str] = []
        if not isinstance(values, dict):
            self.wrong("", "must be a table")

    def wrong(self, key: str, what: str) -> None:
        """Note a mistake at that key ("" for the table itself)."""
        name = ".".join(part for part in (self._path, key) if part)
        self._mistakes.append(f"{name or 'the file'}: {what}")

    def named(self, key: str) -> bool:
        """Whether the key stands there."""
        self._asked.append(key)
        return key in self._values

    def text(self, key: str, default: str | None = None) -> str:
        """A text; without a default it has to be there, and not be empty."""
        return self._value(key, default, "", "a text", lambda given: isinstance(given, str) and given != "")

    def number(self, key: str, default: int, least: int = 1) -> int:
        """A whole number from `least`."""
        return self._value(
            key, default, default, f"a whole number from {least}", lambda given: type(given) is int and given >= least
        )

    def switch(self, key: str, *, default: bool = False) -> bool:
        """True or false."""
        return self._value(key, default, default, "true or false", lambda given: isinstance(given, bool))

    def one_of(self, key: str, allowed: Collection[str], default: str | None = None) -> str:
        """One of these words."""
        return self._value(key, default, "", f"one of {', '.join(allowed)}", lambda given: given in allowed)

    def time(self, key: str, default: timedelta = _NOTHING) -> timedelta:
        """A time: `2 s`, `0.5 s`, or a number of seconds."""
        found = time_of(self.raw(key)) if self.named(key) else default
        if found is None:
            self.wrong(key, 'must be a time, for example "2 s"')
        return default if found is None else found

    def table(self, key: str) -> Given:
        """A table below this one; an empty one where there is none."""
        return Given(self.raw(key, {}), f"{self._path}.{key}" if self._path else key, self._mistakes)

    def tables(self, key: str) -> list[Given]:
        """A list of tables; their places count from 1."""
        found = self.raw(key, [])
        if not isinstance(found, list):
            self.wrong(key, "must be a list of tables")
            return []
        path = f"{self._path}.{key}" if self._path else key
        return [Given(one, f"{path}[{place}]", self._mistakes) for place, one in enumerate(found, 1)]

    def raw(self, key: str, default: Any = None) -> Any:
        """What stands there, whatever it is."""
        self._asked.append(key)
        return self._values.get(key, default)

    def everything(self) -> dict[str, Any]:
        """All keys, whatever they are."""
        self._asked.extend(self._values)
        return dict(self._values)

    def done(self) -> None:
        """Note the keys that nobody asked for."""
        for key in self._values:
            if key not in self._asked:
                self.wrong(key, f"there is no such key; there are {', '.join(dict.fromkeys(self._asked))}")

    def _value(self, key: str, default: _T | None, instead: _T, must: str, fits: Callable[[Any], bool]) -> _T:
        given = self.raw(key, default)
        if given is None and not self.named(key):
            self.wrong(key, f"is missing; it must be {must}")
            return instead
        if given is not default and not fits(given):
            self.wrong(key, f"must be {must}")
            return instead
        found: _T = given
        return found
