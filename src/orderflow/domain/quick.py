"""Frozen values that are made as fast as others: a fold makes several at every event.

It changes nothing about a value but the time it takes to make: frozen, equal, hashed and shown as before.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, Final, TypeVar

T = TypeVar("T")


def quick(kind: type[T]) -> type[T]:
    """The frozen, slotted dataclass `kind`, whose fields have plain defaults if any, with a quicker `__init__`.

    A frozen dataclass sets each field past its own refusal, by a function call. Here the object belongs, while it is
    made, to a class of the same slots that refuses nothing. Measured on Python 3.11: a third for fifteen fields, two
    thirds for two.
    """
    members = fields(kind)  # type: ignore[arg-type]  # it is a dataclass
    names = [member.name for member in members]
    body = "".join(f"    self.{name} = {name}\n" for name in names)
    source = f"def __init__(self, {', '.join(names)}):\n    _become(self, _opened)\n{body}    self.__class__ = _kind\n"
    opened = type(kind.__name__, (kind,), dict(_OPENED))
    made: dict[str, Any] = {"_become": _BECOME, "_opened": opened, "_kind": kind}  # no field is called so
    exec(source, made)  # noqa: S102  names of our own fields, as dataclass itself does
    init = made["__init__"]
    init.__defaults__ = tuple(member.default for member in members if member.default is not MISSING)
    init.__qualname__ = f"{kind.__qualname__}.__init__"
    kind.__init__ = init  # type: ignore[method-assign]  # of the same parameters
    return kind


_BECOME: Final = object.__dict__["__class__"].__set__
# Both, or Python takes the slow way to either.
_OPENED: Final = {"__slots__": (), "__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
