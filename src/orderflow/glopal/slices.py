"""Cuts a page into its events' own bytes.

It never alters a byte, and never gives up a whole page for one odd string if the page can still be told apart.
"""

from __future__ import annotations

import json
import re

import msgspec

from orderflow.glopal.jsontext import NotJson

_BOM = b"\xef\xbb\xbf"


class _Events(msgspec.Struct):
    events: list[msgspec.Raw]


_PAGE = msgspec.json.Decoder(_Events)


def cut(raw: bytes) -> list[bytes] | NotJson:
    """The bytes of each element of the member `events`; `NotJson` if there is no such list."""
    raw = raw.removeprefix(_BOM)
    try:
        return [bytes(part) for part in _PAGE.decode(raw).events]
    except msgspec.ValidationError:
        return NotJson("the page is no object with a list `events`")
    except RecursionError:
        return NotJson("the page is nested too deeply")
    except ValueError:
        return _cut_slowly(raw)


def _cut_slowly(raw: bytes) -> list[bytes] | NotJson:
    """As `cut`, for pages that hold what msgspec refuses even in a member nobody reads: lone surrogates, NaN.

    Bytes that are no UTF-8 travel as surrogates and come out as they were.
    """
    text = raw.decode("utf-8", "surrogateescape")
    try:
        slices = _Cutter(text).events()
    except RecursionError:
        return NotJson("the page is nested too deeply")
    except ValueError:
        return NotJson("the page is not JSON")
    if slices is None:
        return NotJson("the page is no object with a list `events`")
    return [part.encode("utf-8", "surrogateescape") for part in slices]


_SPACE = re.compile(r"[ \t\n\r]*")
# Only the ends of values matter here; numbers stay texts, so that their length costs nothing.
_SKIP = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode


class _Cutter:
    """Walks one object and its list `events`. Raises ValueError where it is no JSON."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def events(self) -> list[str] | None:
        found: list[str] | None = None
        self._expect("{")
        more = not self._took("}")
        while more:
            name = json.loads(self._value())
            self._expect(":")
            if name != "events":
                self._value()
            elif self._took("["):
                found = self._list()
            else:
                self._value()
                found = None
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
