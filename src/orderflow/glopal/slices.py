"""Cuts a page into its events' own bytes.

It never alters a byte, never chooses between two lists, and never gives up a whole page for one odd string if the page
can still be told apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Final

import msgspec

from orderflow.glopal.jsontext import NotJson

_BOM = b"\xef\xbb\xbf"
_MOST: Final = 10_000
"""Events on a page. Glopal's have 20, and 100 are asked for; millions of empty ones would keep everybody waiting."""


class _Events(msgspec.Struct):
    events: list[msgspec.Raw]


_PAGE = msgspec.json.Decoder(_Events)


def cut(raw: bytes) -> list[bytes] | NotJson:
    """The bytes of each element of the member `events`; `NotJson` if there is no such list."""
    raw = raw.removeprefix(_BOM)
    try:
        parts = _PAGE.decode(raw).events
    except msgspec.ValidationError:
        return NotJson("the page is no object with a list `events`")
    except RecursionError:
        return NotJson("the page is nested too deeply")
    except ValueError:
        return _cut_slowly(raw)
    if raw.count(b'"events"') > 1 or maybe_escaped(raw):  # of two lists msgspec takes the last
        return _cut_slowly(raw)
    return [bytes(part) for part in parts] if len(parts) <= _MOST else _TOO_MANY


def maybe_escaped(raw: bytes) -> bool:
    """May a name in it be written with escapes, and so be there unseen?"""
    return b"\\" in raw and b"\\u00" in raw  # most have no backslash at all, and one byte is found far sooner


_TOO_MANY: Final = NotJson(f"the page has more than {_MOST} events")


def _cut_slowly(raw: bytes) -> list[bytes] | NotJson:
    """As `cut`, one value at a time.

    For pages that may hold two lists, or that hold what msgspec refuses even in a member nobody reads, such as NaN.
    Bytes that are no UTF-8 travel as surrogates and come out as they were.
    """
    text = raw.decode("utf-8", "surrogateescape")
    try:
        slices = _Cutter(text).events()
    except RecursionError:
        return NotJson("the page is nested too deeply")
    except _TwoListsError:
        return NotJson("the page has `events` twice")
    except ValueError:
        return NotJson("the page is not JSON")
    if slices is None:
        return NotJson("the page is no object with a list `events`")
    if len(slices) > _MOST:
        return _TOO_MANY
    return [part.encode("utf-8", "surrogateescape") for part in slices]


_SPACE = re.compile(r"[ \t\n\r]*")
# Only the ends of values matter here; numbers stay texts, so that their length costs nothing.
_SKIP = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode


class _TwoListsError(Exception):
    pass


class _Cutter:
    """Walks one object and its list `events`. Raises ValueError where it is no JSON."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def events(self) -> list[str] | None:
        found: list[str] | None = None
        seen = False
        self._expect("{")
        more = not self._took("}")
        while more:
            name = json.loads(self._value())
            self._expect(":")
            if name == "events" and seen:
                raise _TwoListsError
            seen = seen or name == "events"
            if name == "events" and self._took("["):
                found = self._list()
            else:
                self._value()
            more = self._took(",")
            if not more:
                self._expect("}")
        self._space()
        if self.at != len(self.text):
            raise ValueError("something follows")
        return found

    def _list(self) -> list[str]:
        parts: list[str] = []
        more = not self._took("]")
        while more:
            parts.append(self._value())
            more = self._took(",")
            if not more:
                self._expect("]")
        return parts

    def _value(self) -> str:
        self._space()
        start = self.at
        _, self.at = _SKIP(self.text, start)
        return self.text[start : self.at]

    def _space(self) -> None:
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def _took(self, character: str) -> bool:
        self._space()
        if self.text.startswith(character, self.at):
            self.at += 1
            return True
        return False

    def _expect(self, character: str) -> None:
        if not self._took(character):
            raise ValueError(f"{character} expected")


def told(raw: bytes, names: Collection[str]) -> dict[str, str]:
    """Those text members of an odd object that can be told all the same: there once, or each time with the same value.

    For finding out whom it is about; nothing else in it is to be trusted.
    """
    try:
        pairs = _PAIRS.decode(raw.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return {}
    found: dict[str, str | None] = {}
    for name, value in pairs if isinstance(pairs, _Pairs) else ():
        if name in names:
            found[name] = value if isinstance(value, str) and found.get(name, value) == value else None
    return {name: value for name, value in found.items() if value is not None}


class _Pairs(list[tuple[str, object]]):
    """An object as it stands, names doubled or not."""


# Numbers tell nobody's id, and may be too long to be read.
_PAIRS = json.JSONDecoder(parse_int=len, parse_float=len, object_pairs_hook=_Pairs)
