"""As much of GraphQL as a fake needs: one operation with variables, aliases, arguments and inline fragments.

It never executes anything: it reads documents, holds them against a schema, and cuts answers to what was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

_TOKEN: Final = re.compile(
    r'\s+|,|#[^\n]*|(\.\.\.|[$]?[A-Za-z_]\w*|-?\d+(?:\.\d+)?|"(?:[^"\\\n]|\\.)*"|[{}()\[\]:!=@])'
)
_NAME: Final = re.compile(r"[A-Za-z_]\w*")
_CONSTANTS: Final = {"true": True, "false": False, "null": None}


class Invalid(Exception):
    """The document or its variables break the rules; `code` says which one, as Shopify's own `extensions.code`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Variable:
    """`$name` in an argument's place."""

    name: str


@dataclass(frozen=True, slots=True)
class Field:
    """One field, as it was asked for. `key`: its name in the answer."""

    name: str
    key: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    selections: tuple[Selection, ...] = ()


@dataclass(frozen=True, slots=True)
class Fragment:
    """Fields that are asked for only of objects of one type."""

    type: str
    selections: tuple[Selection, ...]


Selection: TypeAlias = "Field | Fragment"


@dataclass(frozen=True, slots=True)
class Operation:
    """A query or mutation. `variables`: the declared type of each, such as `[ID!]!`."""

    kind: str
    variables: Mapping[str, str]
    selections: tuple[Selection, ...]


def parse(text: str) -> Operation:
    """The one operation in a document. Raises `Invalid`."""
    return _Reader(_tokens(text)).operation()


def _tokens(text: str) -> list[str]:
    found, place = [], 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise Invalid("PARSE_ERROR", f"unexpected character at {place}")
        if match[1]:
            found.append(match[1])
        place = match.end()
    return found


class _Reader:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens, self._at = tokens, 0

    def operation(self) -> Operation:
        kind = "query" if self._next_is("{") else self._name()
        if kind not in {"query", "mutation"}:
            raise Invalid("PARSE_ERROR", f"unexpected {kind}")
        if not self._next_is("{") and not self._next_is("("):
            self._name()
        variables = self._variables() if self._next_is("(") else {}
        operation = Operation(kind, variables, self._selections())
        if self._at < len(self._tokens):
            raise Invalid("PARSE_ERROR", "only one operation is taken")
        return operation

    def _variables(self) -> dict[str, str]:
        found: dict[str, str] = {}
        self._take("(")
        while not self._next_is(")"):
            name = self._take().removeprefix("$")
            self._take(":")
            found[name] = self._type()
        self._take(")")
        return found

    def _type(self) -> str:
        if self._next_is("["):
            self._take("[")
            found = f"[{self._type()}]"
            self._take("]")
        else:
            found = self._name()
        return found + (self._take("!") if self._next_is("!") else "")

    def _selections(self) -> tuple[Selection, ...]:
        found: list[Selection] = []
        self._take("{")
        while not self._next_is("}"):
            found.append(self._fragment() if self._next_is("...") else self._field())
        self._take("}")
        return tuple(found)

    def _fragment(self) -> Fragment:
        self._take("...")
        if self._name() != "on":
            raise Invalid("PARSE_ERROR", "only inline fragments are taken")
        return Fragment(self._name(), self._selections())

    def _field(self) -> Field:
        name = key = self._name()
        if self._next_is(":"):
            self._take(":")
            name = self._name()
        arguments: dict[str, Any] = {}
        if self._next_is("("):
            self._take("(")
            while not self._next_is(")"):
                argument = self._name()
                self._take(":")
                arguments[argument] = self._value()
            self._take(")")
        return Field(name, key, arguments, self._selections() if self._next_is("{") else ())

    def _value(self) -> Any:
        token = self._take()
        if token.startswith("$"):
            return Variable(token[1:])
        if token.startswith('"'):
            return token[1:-1].replace('\\"', '"').replace("\\\\", "\\")
        if token.lstrip("-").isdigit():
            return int(token)
        if _NAME.fullmatch(token):
            return _CONSTANTS.get(token, token)
        raise Invalid("PARSE_ERROR", f"{token} is no value that this fake takes")

    def _name(self) -> str:
        token = self._take()
        if not _NAME.fullmatch(token):
            raise Invalid("PARSE_ERROR", f"unexpected {token}")
        return token

    def _next_is(self, token: str) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at] == token

    def _take(self, expected: str | None = None) -> str:
        if self._at >= len(self._tokens):
            raise Invalid("PARSE_ERROR", "unexpected end of file")
        token = self._tokens[self._at]
        if expected not in {None, token}:
            raise Invalid("PARSE_ERROR", f"expected {expected}, got {token}")
        self._at += 1
        return token


def cut(value: Any, selections: tuple[Selection, ...], seen: Callable[[Any], Any] = lambda value: value) -> Any:
    """What was asked for of a whole object, or of each in a list; `seen` may put another in a value's place."""
    value = seen(value)
    if isinstance(value, list):
        return [cut(one, selections, seen) for one in value]
    if not isinstance(value, Mapping) or not selections:
        return value
    found: dict[str, Any] = {}
    for one in selections:
        if isinstance(one, Fragment):
            if one.type == value.get("__typename"):
                found |= cut(value, one.selections, seen)
        else:
            found[one.key] = cut(value[one.name], one.selections, seen)
    return found
