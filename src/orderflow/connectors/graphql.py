"""GraphQL over `exchange`: one POST of a document with its variables, and what an answer holds.

It never lets free text of an answer into a reason: errors are told by their codes, and by the fields they name.

An answer may hold data *and* errors, and neither says by itself that nothing was executed: a field that was done stays
done when a later one fails. So what an error means for a write is for each connector to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from orderflow.connectors.exchange import NOTHING, Outbound
from orderflow.glopal.codes import code as word
from orderflow.glopal.jsontext import Json, canonical, parse
from orderflow.glopal.replies import Reply

NO_CODE: Final = "error"
"""Stands for an error without a code that people may see."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A GraphQL answer. `data` may be personal; it is empty where there is none.

    `codes`: one for each error, `NO_CODE` where it has none. `extensions`: what the server says beside data and errors.
    """

    data: Mapping[str, Json] = field(default_factory=dict, repr=False)
    codes: tuple[str, ...] = ()
    extensions: Mapping[str, Json] = field(default_factory=dict, repr=False)

    @property
    def problem(self) -> str:
        """The codes as a reason, each once; empty without errors."""
        return " ".join(dict.fromkeys(self.codes))


def question(
    document: str, variables: Mapping[str, Json], *, target: str, expects: Mapping[str, str] = NOTHING
) -> Outbound:
    """The POST of one document; the same document and variables give the same bytes."""
    return Outbound("POST", target, canonical({"query": document, "variables": dict(variables)}), expects)


def answer(reply: Reply) -> Answer | None:
    """What the body says; None if it is no GraphQL answer. The status is not looked at: servers differ in it."""
    document = parse(reply.body)
    if not isinstance(document, dict):
        return None
    data, errors, extensions = document.get("data"), document.get("errors"), document.get("extensions")
    if not isinstance(data, dict | None) or not isinstance(errors, list | None):
        return None
    if data is None and not errors:
        return None
    codes = tuple(_code(error) for error in errors or ())
    return Answer(data or {}, codes, extensions if isinstance(extensions, dict) else {})


def _code(error: Json) -> str:
    return word(inside(error, "extensions", "code")) or NO_CODE


def inside(value: Json, *names: str) -> Json:
    """The member at this path of objects; None where there is none."""
    for name in names:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def complaints(errors: Json) -> str | None:
    """A list of errors inside the data (`userErrors` and the like) as a reason: `field.path CODE`, each once.

    Empty if the list is; None if it is no such list. Names and codes of which people may not be told are left out.
    """
    if not isinstance(errors, list) or not all(isinstance(error, dict) for error in errors):
        return None
    return ", ".join(dict.fromkeys(_complaint(error) for error in errors))


def _complaint(error: Json) -> str:
    path = inside(error, "field")
    names = path if isinstance(path, Sequence) and not isinstance(path, str) else [path]
    place = ".".join(known for name in names if (known := word(name)))
    said = word(inside(error, "code")) or word(inside(error, "errorCode"))
    return " ".join(part for part in (place, said) if part) or NO_CODE
