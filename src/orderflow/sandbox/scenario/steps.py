"""The steps that a scenario file can tell of an order: each act, the keys that it takes, and what it does to Glopal.

It only builds steps; nothing happens before a player performs them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, cast, get_args

from orderflow.sandbox.glopal import Glopal, Initiator, ReturnStatus
from orderflow.sandbox.glopal.emissions import Emission
from orderflow.sandbox.glopal.switches import UnknownSwitch, options
from orderflow.sandbox.lives import Act, Deed, Step
from orderflow.sandbox.scenario.given import Given
from orderflow.sandbox.wire import Json, decimal_of

_PLAIN_ACTS: Final[tuple[Act, ...]] = ("ready", "complete", "cancel", "withdraw")


def step(given: Given) -> Step:
    """One step."""
    act = given.one_of("act", ACTS)
    after = given.time("after")
    if act in _DEEDS:
        made = Step(after, "deed", deed=_DEEDS[act](given))
    elif act in _PLAIN_ACTS:
        made = Step(after, act, emission(given))
    else:
        return Step(after, "deed")  # a mistake, and noted as one
    given.done()
    return made


def emission(given: Given) -> Emission | None:
    """How the step's event is emitted, by its copies, delay and backdated; None where none of them is said."""
    said = [given.named(key) for key in ("copies", "delay", "backdated")]
    how = Emission(given.number("copies", 1, 0), given.time("delay"), given.switch("backdated"))
    return how if any(said) else None


def members(given: Given) -> dict[str, Json]:
    """Members of an order, as JSON; times have to be written as texts."""
    found = given.everything()
    for key, value in found.items():
        if not _is_json(value):
            given.wrong(key, "must be a text, a number, true, false, a list or a table")
    return found


def _is_json(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_json(one) for one in value.values())
    if isinstance(value, list):
        return all(_is_json(one) for one in value)
    return isinstance(value, str | bool | int) or (isinstance(value, Decimal) and value.is_finite())


def _ship(_given: Given) -> Deed:
    return lambda glopal, store, order_id: glopal.ship(store, order_id)


def _accept_elsewhere(given: Given) -> Deed:
    external, number = given.text("order_id", "elsewhere-1"), given.text("order_number", "E-1")
    return lambda glopal, store, order_id: glopal.accept_elsewhere(store, order_id, external, number)


def _report(given: Given) -> Deed:
    name = given.text("event")
    how = emission(given) or Emission()
    return lambda glopal, store, order_id: glopal.report(
        store, order_id, name, delay=how.delay, copies=how.copies, backdated=how.backdated
    )


def _return(given: Given) -> Deed:
    status = cast("ReturnStatus", given.one_of("status", get_args(ReturnStatus), "REQUESTED"))
    return_id = given.text("id", "1")
    return lambda glopal, store, order_id: glopal.returned(store, order_id, status, return_id)


def _refund(given: Given) -> Deed:
    amount = decimal_of(given.text("amount", "1"))
    if amount is None:
        given.wrong("amount", 'must be a decimal number as text, for example "12.50"')
    reason = given.text("reason", "goodwill")
    by = cast("Initiator", given.one_of("by", get_args(Initiator), "merchant"))
    return lambda glopal, store, order_id: glopal.refund(store, order_id, amount or Decimal(0), reason, by)


def _amend(given: Given) -> Deed:
    changed = members(given.table("order"))
    return lambda glopal, store, order_id: glopal.amend(store, order_id, **changed)


def _serve_instead(given: Given) -> Deed:
    body = given.text("body").encode() if given.named("body") else None
    status = given.number("status", 200, 100)
    return lambda glopal, store, order_id: glopal.serve_instead(store, order_id, body, status)


def _switch(given: Given) -> Deed:
    to = given.table("to")
    chosen = switches(to)

    def turn(glopal: Glopal, _store: str, _order_id: str) -> None:
        made = options(chosen)
        glopal.options = replace(glopal.options, **{name: getattr(made, name) for name in chosen})

    return turn


def switches(given: Given) -> dict[str, object]:
    """Switches with their settings, of those that there are."""
    found = given.everything()
    for name in list(found):
        try:
            options({name: found[name]})
        except UnknownSwitch as error:
            given.wrong(error.name, error.wrong)
            del found[name]
    return found


_DEEDS: Final[Mapping[str, Callable[[Given], Deed]]] = {
    "ship": _ship,
    "accept_elsewhere": _accept_elsewhere,
    "report": _report,
    "return": _return,
    "refund": _refund,
    "amend": _amend,
    "serve_instead": _serve_instead,
    "switch": _switch,
}
ACTS: Final = (*_PLAIN_ACTS, *_DEEDS)
"""Every act that a step may name."""
