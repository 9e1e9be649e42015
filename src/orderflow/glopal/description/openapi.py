"""Reads an OpenAPI 3 description, JSON or YAML, as far as calls are made from it. It knows nothing of Glopal.

It never fetches anything: references lead into the same file, or nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

from orderflow.glopal import jsontext
from orderflow.glopal.description import yamltext
from orderflow.glopal.jsontext import Json, NotJson

LARGEST: Final = 4 * 1024 * 1024  # bytes
_METHODS: Final = ("get", "post", "put", "patch", "delete")
_FARTHEST: Final = 20  # references from reference to reference
_WIDEST: Final = 500  # members of an object
_NOTHING: Final[Dict[str, Json]] = {}
_VERSION: Final = re.compile(r"3\.[01](\.\d{1,3})?(-.*)?")


class DescriptionError(ValueError):
    """The description cannot be used; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a call takes in its path, its query or a header (`where`). `only`: the one value it may have, if so."""

    name: str
    where: str
    required: bool
    only: str | None
    schema: Dict[str, Json] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path. `body`: its request body as it is described, None if it takes none.

    `trouble`: why it could not be read; that matters only if it is called.
    """

    name: str
    method: str
    path: str
    summary: str
    deprecated: bool
    parameters: tuple[Parameter, ...]
    body: Json = field(repr=False)
    responses: Dict[str, Json] = field(repr=False)
    servers: Json = field(repr=False)
    trouble: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}" + (f" ({self.name})" if self.name else "")


def load(path: Path) -> Document:
    """The description in the file at `path`. Raises `DescriptionError`."""
    try:
        with path.expanduser().open("rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError as error:
        raise DescriptionError(f"{path} cannot be read ({error.strerror})") from None
    try:
        return document(raw)
    except DescriptionError as error:
        raise DescriptionError(f"{path}: {error}") from None


@lru_cache(maxsize=2)
def document(raw: bytes) -> Document:
    """The description in these bytes, read once. Raises `DescriptionError`."""
    if len(raw) > LARGEST:
        raise DescriptionError(f"larger than {LARGEST // 1024 // 1024} MiB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DescriptionError("not UTF-8") from None
    value = jsontext.parse(raw) if text.lstrip().startswith("{") else yamltext.parse(text)
    if isinstance(value, NotJson):
        raise DescriptionError(value.problem)
    version = value.get("openapi") if isinstance(value, Dict) else None
    if not isinstance(value, Dict) or not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise DescriptionError('no OpenAPI description of version 3.0 or 3.1 (its member "openapi" says so)')
    if not isinstance(value.get("paths"), Dict):
        raise DescriptionError("paths: must be an object")
    return Document(value)


class Document:
    """A description; every lookup is bounded, whatever it refers to."""

    def __init__(self, root: Dict[str, Json]) -> None:
        self._root = root

    def resolved(self, node: Json) -> Dict[str, Json]:
        """The object that `node` is or refers to; empty for anything else. Raises `DescriptionError`."""
        for _ in range(_FARTHEST):
            if not isinstance(node, Dict):
                return _NOTHING
            reference = node.get("$ref")
            if not isinstance(reference, str):
                return node
            node = self._at(reference)
        raise DescriptionError("references lead in a circle")

    def _at(self, reference: str) -> Json:
        if not reference.startswith("#/"):
            shown = jsontext.token(reference.partition("#")[0]) or "another place"
            raise DescriptionError(f"a reference to {shown}: only references within the file are followed; bundle it")
        node: Json = self._root
        for part in reference[2:].split("/"):
            name = part.replace("~1", "/").replace("~0", "~").replace("%7B", "{").replace("%7D", "}")
            if isinstance(node, Dict) and name in node:
                node = node[name]
            elif isinstance(node, list) and name.isascii() and name.isdecimal() and int(name) < len(node):
                node = node[int(name)]
            else:
                raise DescriptionError(f"{reference[:200]!r} leads nowhere")
        return node

    def operations(self) -> Iterator[Operation]:
        """Every operation, in the order of the file."""
        paths = self._root["paths"]
        assert isinstance(paths, Dict)  # `document` has checked it
        for path, given in paths.items():
            item = self.resolved(given)
            for method in _METHODS:
                if isinstance(item.get(method), Dict):
                    yield self._operation(path, method, item)

    def _operation(self, path: str, method: str, item: Dict[str, Json]) -> Operation:
        one = self.resolved(item[method])
        responses = one.get("responses")
        trouble = ""
        parameters: tuple[Parameter, ...] = ()
        try:
            parameters = tuple(self._parameters(item.get("parameters"), one.get("parameters")))
        except DescriptionError as error:
            trouble = str(error)
        return Operation(
            name=_text(one.get("operationId")),
            method=method.upper(),
            path=path,
            summary=_text(one.get("summary")),
            deprecated=one.get("deprecated") is True,
            parameters=parameters,
            body=one.get("requestBody"),
            responses=responses if isinstance(responses, Dict) else _NOTHING,
            servers=one.get("servers") or item.get("servers") or self._root.get("servers"),
            trouble=trouble,
        )

    def _parameters(self, *lists: Json) -> Iterator[Parameter]:
        """An operation's own come last and replace those of its path."""
        found: dict[tuple[str, str], Parameter] = {}
        for given in lists:
            for one in given if isinstance(given, list) else ():
                resolved = self.resolved(one)
                name, where = _text(resolved.get("name")), _text(resolved.get("in"))
                schema = self.resolved(resolved.get("schema"))
                required = resolved.get("required") is True
                only = constant(schema)
                shown = only if isinstance(only, str) else None
                found[name, where] = Parameter(name, where, required, shown, {**schema, **_style(resolved)})
        yield from found.values()

    def content(self, holder: Json) -> Dict[str, Json] | None:
        """The schema of the JSON in a request body or an answer; None if there is no body.

        Empty where it is not described. Raises `DescriptionError` where there are other kinds only.
        """
        content = self.resolved(holder).get("content")
        if not isinstance(content, Dict) or not content:
            return None
        for kind, media in content.items():
            if is_json(kind):
                return self.resolved(self.resolved(media).get("schema"))
        raise DescriptionError(f"only JSON is supported, not {', '.join(content)[:200]}")

    def members(self, schema: Dict[str, Json], left: int = 8) -> tuple[dict[str, Dict[str, Json]], frozenset[str]]:
        """The properties of an object, those of all its parts (`allOf`) together, and which are required."""
        properties: dict[str, Dict[str, Json]] = {}
        required: set[str] = set()
        parts = schema.get("allOf")
        for part in parts if isinstance(parts, list) and left else ():
            more, needed = self.members(self.resolved(part), left - 1)
            properties |= more
            required |= needed
        own, names = schema.get("properties"), schema.get("required")
        for name, given in own.items() if isinstance(own, Dict) else ():
            properties[name] = self.resolved(given)
        required |= {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()
        if len(properties) > _WIDEST:
            raise DescriptionError(f"an object with more than {_WIDEST} members")
        return properties, frozenset(required)


def is_json(kind: str) -> bool:
    """Is this media type JSON?"""
    plain = kind.partition(";")[0].strip().lower()
    return plain in {"application/json", "*/*", "application/*"} or plain.endswith("+json")


def constant(schema: Dict[str, Json]) -> Json:
    """The only value that a schema allows; None if there are others, or it does not say."""
    if schema.get("const") is not None:
        return schema["const"]
    words = schema.get("enum")
    return words[0] if isinstance(words, list) and len(words) == 1 else None


def types(schema: Dict[str, Json]) -> frozenset[str]:
    """The types that a schema names, without null; empty if it names none."""
    given = schema.get("type")
    named = given if isinstance(given, list) else [given]
    return frozenset(one for one in named if isinstance(one, str) and one != "null")


def _style(parameter: Dict[str, Json]) -> dict[str, Json]:
    return {"explode": parameter["explode"]} if "explode" in parameter else {}


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""
