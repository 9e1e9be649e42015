"""Every switch of the fake Glopal with all its settings, for tests, scenario files and the command line.

It is read off the options' own types and adds nothing to them, so no switch can be forgotten here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from decimal import Decimal
from difflib import get_close_matches
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

from orderflow.sandbox.glopal.options import GlopalOptions
from orderflow.sandbox.webhooks import WebhookOptions

FREE: Final = ("store_keys", "page_default")  # what is no switch: keys of one's own, and a length that is STATED


class UnknownSwitch(ValueError):
    """There is no such switch, or it has no such setting: its name, and what is wrong and allowed."""

    def __init__(self, name: str, wrong: str) -> None:
        self.name = name
        self.wrong = wrong
        super().__init__(f"{name}: {wrong}")


def _switches(options: type[GlopalOptions | WebhookOptions]) -> dict[str, tuple[object, ...]]:
    hints = get_type_hints(options, include_extras=True)
    return {one.name: _settings(hints[one.name], one.default) for one in fields(options) if one.name not in FREE}


def _settings(hint: Any, default: object) -> tuple[object, ...]:
    """All settings of a switch: those beside its type, else those of its type."""
    if get_origin(hint) is Annotated:
        settings: tuple[object, ...] = hint.__metadata__[0]
        return settings
    return (default, not default) if hint is bool else get_args(hint)


SWITCHES: Final[Mapping[str, tuple[object, ...]]] = _switches(GlopalOptions)
"""Field of `GlopalOptions` -> its settings, the default first."""

WEBHOOK_SWITCHES: Final[Mapping[str, tuple[object, ...]]] = _switches(WebhookOptions)
"""Field of `WebhookOptions` -> its settings, the default first."""


def options(settings: Mapping[str, object]) -> GlopalOptions:
    """Options with these settings, given as values or as `word` writes them. Raises `UnknownSwitch`.

    A switch that counts takes any other number from 1, one that waits any other time, for example `5 s`.
    """
    chosen: dict[str, Any] = {name: _setting(SWITCHES, name, given) for name, given in settings.items()}
    return GlopalOptions(**chosen)


def webhook_options(settings: Mapping[str, object]) -> WebhookOptions:
    """The same for the webhooks."""
    chosen: dict[str, Any] = {name: _setting(WEBHOOK_SWITCHES, name, given) for name, given in settings.items()}
    return WebhookOptions(**chosen)


def word(setting: object) -> str:
    """A setting as people write it: `on`, `off`, `never`, `20 s`, `1 s, 5 s`, a number, or its own name."""
    match setting:
        case None | ():
            return "never"
        case bool():
            return "on" if setting else "off"
        case timedelta():
            return f"{setting.total_seconds():g} s"
        case tuple():
            return ", ".join(word(one) for one in setting)
        case _:
            return str(setting)


def allowed(settings: tuple[object, ...]) -> str:
    """What a switch with these settings takes, in words."""
    words = " | ".join(word(setting) for setting in settings)
    if any(isinstance(one, timedelta) for one in settings):
        return f"{words} | any other time"
    return f"{words} | any other number from 1" if type(settings[0]) is int else words


def time_of(given: object) -> timedelta | None:
    """The time in `5 s`, `0.5 s`, `5` or a number; None for anything else."""
    if isinstance(given, int | float | Decimal) and not isinstance(given, bool):
        given = str(given)
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?) ?s?", given) if isinstance(given, str) else None
    return timedelta(seconds=float(found[1])) if found else None


def _setting(switches: Mapping[str, tuple[object, ...]], name: str, given: object) -> object:
    if name not in switches:
        near = get_close_matches(name, switches, 1)
        instead = f"did you mean {near[0]}?" if near else f"there are {', '.join(switches)}"
        raise UnknownSwitch(name, f"there is no such switch; {instead}")
    settings = switches[name]
    for setting in settings:
        if (type(given) is type(setting) and given == setting) or given == word(setting):
            return setting
    if any(isinstance(one, timedelta) for one in settings) and (time := time_of(given)) is not None:
        return time
    if type(settings[0]) is int and (number := _number(given)) is not None:
        return number
    raise UnknownSwitch(name, f"{word(given)!r} is not possible; it takes {allowed(settings)}")


def _number(given: object) -> int | None:
    text = str(given) if type(given) is int or isinstance(given, str) else ""
    return int(text) if re.fullmatch(r"[1-9]\d{0,5}", text) else None
