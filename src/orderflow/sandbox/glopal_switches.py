"""Every switch of the fake Glopal with all its settings, for tests, scenario files and the command line.

It is read off `GlopalOptions` and adds nothing to it, so no switch can be forgotten here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

from orderflow.sandbox.glopal_options import GlopalOptions

FREE: Final = ("store_keys", "page_default")  # what is no switch: keys of one's own, and a length that is STATED


def _all() -> dict[str, tuple[object, ...]]:
    hints = get_type_hints(GlopalOptions, include_extras=True)
    return {one.name: _settings(hints[one.name], one.default) for one in fields(GlopalOptions) if one.name not in FREE}


def _settings(hint: Any, default: object) -> tuple[object, ...]:
    """All settings of a switch: those beside its type, else those of its type."""
    if get_origin(hint) is Annotated:
        settings: tuple[object, ...] = hint.__metadata__[0]
        return settings
    return (default, not default) if hint is bool else get_args(hint)


SWITCHES: Final[Mapping[str, tuple[object, ...]]] = _all()
"""Field of `GlopalOptions` -> its settings, the default first."""


class UnknownSwitch(ValueError):
    """There is no such switch, or it has no such setting; the text names both and what is allowed."""


def options(settings: Mapping[str, object]) -> GlopalOptions:
    """Options with these settings, given as values or as `word` writes them. Raises `UnknownSwitch`."""
    chosen: dict[str, Any] = {name: _setting(name, given) for name, given in settings.items()}
    return GlopalOptions(**chosen)


def word(setting: object) -> str:
    """A setting as people write it: `on`, `off`, `never`, `20 s`, a number, or its own name."""
    match setting:
        case None:
            return "never"
        case bool():
            return "on" if setting else "off"
        case timedelta():
            return f"{setting.total_seconds():g} s"
        case _:
            return str(setting)


def _setting(name: str, given: object) -> object:
    if name not in SWITCHES:
        raise UnknownSwitch(f"{name}: there is no such switch; there are {', '.join(SWITCHES)}")
    for setting in SWITCHES[name]:
        if (type(given) is type(setting) and given == setting) or given == word(setting):
            return setting
    allowed = " | ".join(word(setting) for setting in SWITCHES[name])
    raise UnknownSwitch(f"{name} = {word(given)!r} is not possible; it takes {allowed}")
