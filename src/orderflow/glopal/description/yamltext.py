"""Reads one YAML document as plain data, by the few rules of YAML 1.2 that JSON also knows.

It never builds anything but objects, lists, texts, numbers, booleans and null, and never raises on hostile input.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import yaml

from orderflow.glopal.jsontext import Json, NotJson

_DEEPEST: Final = 64
_MOST: Final = 200_000  # nodes, counting what an alias repeats: a small text can unfold into billions
_INT: Final = re.compile(r"[-+]?[0-9]{1,400}")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,6})?")
_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # only its parser, which keeps its own stack


def parse(text: str) -> Json | NotJson:
    """The value of the one document in `text`; `NotJson` says what is wrong, with the line."""
    try:
        return _Builder().build(text)
    except _Odd as error:
        return NotJson(str(error))
    except yaml.MarkedYAMLError as error:
        return NotJson(f"not YAML{_line(error.problem_mark)}")
    except (yaml.YAMLError, ValueError):
        return NotJson("not YAML")


class _Odd(Exception):
    """YAML that is not taken here."""


@dataclass(slots=True)
class _Open:
    """A list or an object that is being read. `name` waits for its value."""

    value: dict[str, Json] | list[Json]
    anchor: str | None
    weight: int = 1
    name: str | None = None


class _Builder:
    """Puts values together out of the parser's events."""

    def __init__(self) -> None:
        self.stack: list[_Open] = []
        self.anchors: dict[str, tuple[Json, int]] = {}
        self.result: Json = None
        self.documents = 0

    def build(self, text: str) -> Json:
        for event in yaml.parse(text, _LOADER):
            match event:
                case yaml.DocumentStartEvent():
                    self.documents += 1
                    if self.documents > 1:
                        raise _Odd(f"more than one document{_line(event.start_mark)}")
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    self._open({} if isinstance(event, yaml.MappingStartEvent) else [], event)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    done = self.stack.pop()
                    self._take(done.value, done.weight, done.anchor, event)
                case yaml.ScalarEvent():
                    self._take(_scalar(event), 1, event.anchor, event)
                case yaml.AliasEvent():
                    if event.anchor not in self.anchors:
                        raise _Odd(f"an alias without a finished anchor{_line(event.start_mark)}")
                    value, weight = self.anchors[event.anchor]
                    self._take(value, weight, None, event)
                case _:
                    pass  # the ends of stream and document
        return self.result

    def _open(self, value: dict[str, Json] | list[Json], event: Any) -> None:
        if event.tag is not None:
            raise _Odd(f"a tag{_line(event.start_mark)}: only plain data is read")
        if len(self.stack) >= _DEEPEST:
            raise _Odd(f"nested too deeply{_line(event.start_mark)}")
        self.stack.append(_Open(value, event.anchor))

    def _take(self, value: Json, weight: int, anchor: str | None, event: Any) -> None:
        if anchor is not None:
            self.anchors[anchor] = (value, weight)
        if not self.stack:
            self.result = value
            return
        into = self.stack[-1]
        into.weight += weight
        if into.weight > _MOST:
            raise _Odd(f"more than {_MOST} values{_line(event.start_mark)}")
        if isinstance(into.value, list):
            into.value.append(value)
        elif into.name is None:
            into.name = _name(event, into.value)
        else:
            into.value[into.name] = value
            into.name = None


def _name(event: Any, known: dict[str, Json]) -> str:
    """A name of a member: as it is written, for `200:` and `no:` are names too."""
    if not isinstance(event, yaml.ScalarEvent):
        raise _Odd(f"a name that is no text{_line(event.start_mark)}")
    name: str = event.value
    if name == "<<":
        raise _Odd(f"a merge key{_line(event.start_mark)}: write the members out")
    if name in known:
        raise _Odd(f"a name stands twice{_line(event.start_mark)}")
    return name


def _scalar(event: yaml.ScalarEvent) -> Json:
    text: str = event.value
    if event.tag is not None:
        raise _Odd(f"a tag{_line(event.start_mark)}: only plain data is read")
    if not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        try:
            return Decimal(text)
        except InvalidOperation:
            return text
    return text


def _line(mark: Any) -> str:
    return f" (line {mark.line + 1})" if mark is not None else ""
