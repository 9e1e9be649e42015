"""Places: where in a document a thing stands, as a mapping file names it.

It never raises for what a document holds, and never takes an absence for a value.

A path is names joined by dots. Where it meets a list, `0` takes the first member and `type=shipping` the only one whose
`type` is that text; with several of them nothing is found, since choosing would be a guess.
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass

from orderflow.glopal.jsontext import Json


@dataclass(frozen=True, slots=True)
class Constant:
    """The same for every order, whatever the document says."""

    value: str | int

    def __str__(self) -> str:
        return f"always {self.value}"


@dataclass(frozen=True, slots=True)
class Place:
    """The first of `choices`, paths or constants, that is there; without choices "there is no such thing"."""

    choices: tuple[str | Constant, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.choices)

    def __str__(self) -> str:
        return " or ".join(str(choice) for choice in self.choices)

    def of(self, document: Json) -> Json:
        """What stands there; None if it is absent or null."""
        for choice in self.choices:
            found = choice.value if isinstance(choice, Constant) else at(document, choice)
            if found is not None:
                return found
        return None

    def paths(self) -> tuple[str, ...]:
        """The choices that read the document."""
        return tuple(choice for choice in self.choices if isinstance(choice, str))


@dataclass(frozen=True, slots=True)
class Members:
    """An object put together out of named members, each with a place of its own from the top of the document."""

    places: Dict[str, Place]

    def __bool__(self) -> bool:
        return bool(self.places)

    def __str__(self) -> str:
        return ", ".join(f"{name}: {place}" for name, place in self.places.items())

    def of(self, document: Json) -> Json:
        """The members that are there; None if none is."""
        found = {name: place.of(document) for name, place in self.places.items()}
        return {name: value for name, value in found.items() if value is not None} or None

    def paths(self) -> tuple[str, ...]:
        """The paths of all members."""
        return tuple(path for place in self.places.values() for path in place.paths())


def at(document: Json, path: str) -> Json:
    """What stands at the path; None if it is absent or null."""
    value = document
    for part in path.split("."):
        if isinstance(value, Dict):
            value = value.get(part)
        elif isinstance(value, list):
            chosen = [member for index, member in enumerate(value) if chooses(part, index, member)]
            value = chosen[0] if len(chosen) == 1 else None
        else:
            return None
    return value


def chooses(part: str, index: int, member: Json) -> bool:
    """Does this part of a path mean this member of a list?"""
    name, equals, wanted = part.partition("=")
    if not equals:
        return part == str(index)
    return isinstance(member, Dict) and member.get(name) == wanted


def place(key: str, given: object) -> Place:
    """The place that a mapping file names: a path, a constant, or a list of both. ValueError begins with `key`.

    An empty text or list says that there is no such thing.
    """
    if given == "":
        return Place()
    choices = given if isinstance(given, list) else [given]
    return Place(tuple(_choice(key, choice) for choice in choices))


def _choice(key: str, given: object) -> str | Constant:
    match given:
        case str() if all(given.split(".")) and given.isprintable():
            return given
        case str():
            raise ValueError(f"{key}: {given!r} is no path: names joined by single dots, as in totals.total")
        case {"value": str() | int() as value, **others} if not others and not isinstance(value, bool):
            return Constant(value)
        case _:
            raise ValueError(
                f'{key}: give a path such as "totals.total", a list of paths (the first that is there counts), '
                'or { value = "..." } for what is always the same (decimals as text)'
            )
