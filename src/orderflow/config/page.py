"""What there is to set, for people: an example file and the tables of the reference page, made from the structs.

It never reads a setting of anybody.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from orderflow.config.keys import Key, Kind, keys_of
from orderflow.config.shape import (
    AgeLimitSettings,
    AlertRuleSettings,
    AlertSettings,
    BreakerSettings,
    GlopalSettings,
    MedusaSettings,
    PaceSettings,
    SealSettings,
    Settings,
    ShopifySettings,
    ShopSettings,
    StoreSettings,
    VendureSettings,
    WindowSettings,
)

TABLES: Final[Mapping[str, type[Struct]]] = {
    "": Settings,
    "windows": WindowSettings,
    "breaker": BreakerSettings,
    "seal": SealSettings,
    "alerts": AlertSettings,
    "alerts.rules.acme": AlertRuleSettings,
    "stores.acme": StoreSettings,
    "stores.acme.glopal": GlopalSettings,
    "stores.acme.glopal.pace": PaceSettings,
    "stores.acme.shop": ShopSettings,
    "stores.acme.shop.pace": PaceSettings,
    "stores.acme.shop.medusa": MedusaSettings,
    "stores.acme.shop.vendure": VendureSettings,
    "stores.acme.shop.shopify": ShopifySettings,
    "stores.acme.age_limits": AgeLimitSettings,
}
"""Every table by its name, in the order of an example file; a store stands for all."""

_RARE: Final = frozenset({"stores.acme.shop.medusa", "stores.acme.shop.vendure", "stores.acme.shop.shopify"})
"""Tables that most settings files do without: the example shows them commented out."""

_WIDTH: Final = 110
_LINK: Final = re.compile(r"\[([^]]+)\]\(\.\./([^)]+)\)")
_HEAD: Final = """\
# Settings of orderflow. What is commented out shows a default or an example; all else is required.
# Each key has a twin in the environment that wins, such as ORDERFLOW_STORES__ACME__GLOPAL__BASE_URL.
"""


def example() -> str:
    """A settings file with everything in it; what need not be set is commented out."""
    return (
        "\n".join([_HEAD, *("\n".join([*_table(name, table), ""]) for name, table in TABLES.items())]).rstrip() + "\n"
    )


def _table(name: str, table: type[Struct]) -> Iterator[str]:
    if name in _OPTIONAL:
        yield f"# [{name}]"
        yield from (f"# {key.name} = {_example(key)}" for key in _singles(table))
        return
    if name in _RARE:
        yield from (f"# {line}" for line in _wrapped(_plain((table.__doc__ or "").strip())))
    if name:
        yield f"{'#' if name in _RARE else ''}[{name}]"
    for key in _singles(table):
        yield from (f"# {line}" for line in _wrapped(_plain(key.about)))
        given = key.required or key.name in _USUAL
        yield f"{'' if given else '#'}{key.name} = {_example(key)}"


_OPTIONAL: Final = frozenset({"alerts.rules.acme"})
"""Tables that are not there unless somebody names one: a whole one is shown, and none is made by showing it."""

_USUAL: Final = frozenset({"master_key_file"})
"""Not required, since something else may stand in its place; most settings files have it."""


def listed() -> Iterator[dict[str, object]]:
    """Every key for programs: its whole name (a store is called NAME), what it is for and takes, and its default."""
    for name, table in TABLES.items():
        place = name.replace("acme", "NAME") + "." if name else ""
        for key in _singles(table):
            default = written(key.default) if _has_default(key) and not key.required else None
            told = {"about": key.about, "expected": key.expected, "required": key.required, "default": default}
            yield {"key": place + key.name, **told}


def reference() -> Iterator[str]:
    """The tables of the reference page, in Markdown."""
    for name, table in TABLES.items():
        title = f"`[{name.replace('acme', 'NAME')}]`" if name else "At the top"
        yield f"## {title}\n\n{table.__doc__}\n\n| key | default | meaning |\n| --- | --- | --- |"
        for key in _singles(table):
            default = "required" if key.required else f"`{written(key.default)}`" if _has_default(key) else "none"
            limits = f" ({key.expected})" if key.expected.startswith(("a number", "a whole")) else ""
            yield f"| `{key.name}` | {default} | {key.about}{limits} |"
        yield ""


def _singles(table: type[Struct]) -> list[Key]:
    """Members that are no tables of their own."""
    return [key for key in keys_of(table).values() if key.kind in {Kind.SECRET, Kind.VALUE}]


def _has_default(key: Key) -> bool:
    return key.default is not None and key.default != {}


def _example(key: Key) -> str:
    if _has_default(key) and not key.required:
        return written(key.default)
    if key.example.startswith("{") or key.bare is datetime:
        return key.example
    return written(key.example) if key.example else "{}"


def written(value: object) -> str:
    """A value as TOML has it."""
    match value:
        case datetime():
            return value.isoformat()
        case str() | Path():
            return json.dumps(str(value), ensure_ascii=False)
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case tuple() | list():
            return f"[{', '.join(written(one) for one in value)}]"
        case Mapping():
            return f"{{ {', '.join(f'{name} = {written(one)}' for name, one in value.items())} }}"
        case _:
            return str(value)


def _plain(text: str) -> str:
    """Without the marks of Markdown."""
    text = text.replace("[assumed](glopal-assumptions.md)", "docs/reference/glopal-assumptions.md")
    return _LINK.sub(r"\1 (docs/\2)", text).replace("`", "")


def _wrapped(text: str) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) >= _WIDTH:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines
