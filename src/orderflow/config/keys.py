"""The settings as plain data to walk along: what members a table has, and what each of them holds.

It never looks at a value.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec import Struct, inspect

from orderflow.config.secret import Secret


class Kind(StrEnum):
    """What a key holds: a table, tables by name, a secret (or a text beside it), or a single value."""

    TABLE = "table"
    TABLES = "tables"
    SECRET = "secret"  # noqa: S105  a kind of key
    VALUE = "value"


def _fine(_: str) -> None:
    """No rule beyond the type."""


@dataclass(frozen=True, slots=True)
class Key:
    """One member of a table. `hint`: its type without None; `table`: the struct that it holds, if it holds some.

    `takes_text`: a secret whose harmless form may stand in the file as a text. `problem`: why a text cannot be.
    """

    name: str
    kind: Kind
    about: str
    required: bool
    default: object
    hint: Any
    table: type[Struct] | None = None
    takes_text: bool = False
    example: str = ""
    problem: Callable[[str], str | None] = _fine

    @property
    def bare(self) -> Any:
        """Its type without limits."""
        return get_args(self.hint)[0]

    @property
    def expected(self) -> str:
        """What it holds, for people."""
        if self.kind is Kind.SECRET:
            return ("a text, " if self.takes_text else "") + '{ env = "NAME" } or { file = "PATH" }'
        return _said(inspect.type_info(self.hint)) if self.kind is Kind.VALUE else "a table"


@cache
def keys_of(table: type[Struct]) -> Mapping[str, Key]:
    """The members of a table, by name, in their order."""
    return {field.name: _key(field) for field in msgspec.structs.fields(table)}


def _key(field: msgspec.structs.FieldInfo) -> Key:
    base, *metas = get_args(field.type)  # every setting says what it is for
    about = next((meta.description for meta in metas if meta.description), "")
    problem = next((meta.extra["problem"] for meta in metas if meta.extra), _fine)
    example = next((meta.examples[0] for meta in metas if meta.examples), "")
    default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    members = [one for one in _members(base) if one is not types.NoneType]
    kept: Any = Union[tuple(members)]  # noqa: UP007  made from a list
    kind, table = Kind.VALUE, None
    if Secret in members:
        kind, kept = Kind.SECRET, str
    elif isinstance(kept, type) and issubclass(kept, Struct):
        kind, table = Kind.TABLE, kept
    elif get_origin(kept) is dict and get_args(kept)[1] is not Any:
        kind, table = Kind.TABLES, get_args(kept)[1]
    return Key(
        field.name,
        kind,
        about,
        field.required,
        default,
        Annotated[(kept, *metas)],
        table,
        str in members,
        example,
        problem,
    )


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in {Union, types.UnionType} else (hint,)


def _said(info: inspect.Type) -> str:
    match info:
        case inspect.Metadata(inner, schema):
            examples = (schema or {}).get("examples")
            return f"{_said(inner)} such as {', '.join(examples)}" if examples else _said(inner)
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return f"a whole number{_range(info)}"
        case inspect.FloatType():
            return f"a number{_range(info)}"
        case inspect.StrType(min_length=1):
            return "a text that is not empty"
        case inspect.StrType():
            return "a text"
        case inspect.DateTimeType():
            return "a time with its zone"
        case inspect.EnumType(cls):
            return f"one of {', '.join(str(one.value) for one in cls)}"
        case inspect.VarTupleType(inspect.FloatType()):
            return "a list of numbers"
        case inspect.VarTupleType():
            return "a list of texts"
        case inspect.CustomType():
            return "a path"
        case _:
            return "a table"


def _range(info: inspect.IntType | inspect.FloatType) -> str:
    return f" from {info.ge} to {info.le}" if info.ge is not None else f" above {info.gt}, at most {info.le}"


def shown(value: object) -> str:
    """What was given, for people; long texts are cut."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case str():
            return f'the text "{value[:40]}{"..." if len(value) > 40 else ""}"'
        case datetime():
            return f"the time {value.isoformat()}"
        case Mapping():
            return "a table"
        case list() | tuple():
            return "a list"
        case _:
            return f"a {type(value).__name__}"
