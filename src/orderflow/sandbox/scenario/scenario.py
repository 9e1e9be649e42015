"""A scenario file: switches, faults, stores and the lives of orders, so that a story can be told again and again.

TOML in, plain values out; nothing is started here. Every mistake is named with its key and what is allowed.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any, Final, cast

from orderflow.sandbox.faults import KINDS, Fault, Faults, Kind
from orderflow.sandbox.glopal.options import GlopalOptions
from orderflow.sandbox.glopal.switches import UnknownSwitch, options, webhook_options
from orderflow.sandbox.lives import Life, Step
from orderflow.sandbox.scenario.given import Given
from orderflow.sandbox.scenario.steps import emission, members, step, switches
from orderflow.sandbox.shop import ShopOptions
from orderflow.sandbox.webhooks import WebhookOptions, over_http

PLACES: Final = ("glopal", "shop")
_KINDS: Final = tuple(kind for kind in KINDS if kind != "none")
_STORE: Final = re.compile(r"(?!(?:shop|switches|faults)$)[a-z0-9][a-z0-9_-]{0,62}")  # those are words of the control
MOST: Final = 10_000
"""Orders in one file: more would be a load test."""


class ScenarioError(ValueError):
    """The file has mistakes; one line each."""

    def __init__(self, mistakes: list[str]) -> None:
        self.mistakes = mistakes
        super().__init__("\n".join(mistakes))


@dataclass(frozen=True, slots=True)
class Scripted:
    """A fault at one kind of request; see `Faults.script`."""

    place: str
    fault: Fault
    method: str | None
    path: str
    nth: int
    times: int


@dataclass(frozen=True, slots=True)
class Hook:
    """Where webhooks go."""

    url: str
    secret: str
    options: WebhookOptions


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that a file says."""

    stores: tuple[str, ...] = ("acme",)
    seed: int | None = None  # None: another play each time
    switches: Mapping[str, object] = field(default_factory=dict)
    shop: ShopOptions = field(default_factory=ShopOptions)
    rates: Mapping[str, Mapping[Kind, float]] = field(default_factory=dict)  # place -> kind -> probability
    script: tuple[Scripted, ...] = ()
    hook: Hook | None = None
    lives: tuple[Life, ...] = ()

    @property
    def options(self) -> GlopalOptions:
        """The switches of the fake Glopal."""
        return options(self.switches)

    def faults(self, place: str, rng: Random) -> Faults:
        """What goes wrong on the way to this place."""
        faults = Faults(rng, self.rates.get(place))
        for one in self.script:
            if one.place == place:
                faults.script(one.fault, method=one.method, path=one.path, nth=one.nth, times=one.times)
        return faults


def read(text: str) -> Scenario:
    """The scenario in this TOML text. Raises `ScenarioError`."""
    try:
        values = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError([f"the file is no TOML: {error}"]) from None
    mistakes: list[str] = []
    given = Given(values, "", mistakes)
    stores = _stores(given)
    rates = given.table("faults")
    scenario = Scenario(
        stores=stores,
        seed=given.number("seed", 0, 0) if given.named("seed") else None,
        switches=switches(given.table("switches")),
        shop=_shop(given.table("shop")),
        rates={place: _rates(rates.table(place)) for place in PLACES},
        script=tuple(_scripted(one) for one in given.tables("script")),
        hook=_hook(given.table("webhooks")) if given.named("webhooks") else None,
        lives=tuple(life for one in given.tables("orders") for life in _lives(one, stores)),
    )
    rates.done()
    given.done()
    ids = Counter((life.store, str(life.members["id"])) for life in scenario.lives if "id" in life.members)
    mistakes += [
        f"orders: {many} orders of {store} have the id {one}" for (store, one), many in ids.items() if many > 1
    ]
    if len(scenario.lives) > MOST:
        mistakes.append(f"orders: at most {MOST} orders, not {len(scenario.lives)}")
    if mistakes:
        raise ScenarioError(mistakes)
    return scenario


def rates(text: str) -> dict[Kind, float]:
    """The faults in `cut_after=0.1,throttled=0.05`. Raises `ScenarioError`."""
    pairs = [part.partition("=") for part in text.split(",")]
    values: dict[str, object] = {kind.strip(): _decimal(rate.strip()) for kind, _, rate in pairs}
    mistakes: list[str] = []
    found = _rates(Given(values, "", mistakes))
    if mistakes:
        raise ScenarioError(mistakes)
    return found


def _decimal(text: str) -> object:
    return Decimal(text) if re.fullmatch(r"\d{0,3}\.?\d{1,9}", text) else text


def _stores(given: Given) -> tuple[str, ...]:
    found = given.raw("stores", ["acme"])
    if isinstance(found, list) and found and all(isinstance(one, str) and _STORE.fullmatch(one) for one in found):
        return tuple(dict.fromkeys(found))
    given.wrong("stores", "must be a list of names of small letters, digits, - and _ (not shop, switches, faults)")
    return ("acme",)


def _shop(given: Given) -> ShopOptions:
    lag = given.time("search_lag")
    chosen = ShopOptions(
        unique_reference=given.switch("unique_reference"),
        search_lag=lag,
        answer_without_id=_share(given, "answer_without_id"),
    )
    given.done()
    return chosen


def _rates(given: Given) -> dict[Kind, float]:
    for kind in given.everything():
        if kind not in _KINDS:
            given.wrong(kind, f"there is no such fault; there are {', '.join(_KINDS)}")
    found: dict[Kind, float] = {kind: _share(given, kind) for kind in _KINDS if given.named(kind)}
    if sum(found.values()) > 1:
        given.wrong("", "all rates together must be at most 1")
        return {}
    return found


def _share(given: Given, key: str) -> float:
    found = given.raw(key, 0)
    if isinstance(found, int | Decimal) and not isinstance(found, bool) and 0 <= found <= 1:
        return float(found)
    given.wrong(key, "must be a number from 0 to 1")
    return 0.0


def _scripted(given: Given) -> Scripted:
    path = given.text("path", ".")
    try:
        re.compile(path)
    except re.error as error:
        given.wrong("path", f"is no regular expression: {error}")
        path = "."
    wait = given.raw("retry_after", 1)
    if not isinstance(wait, int | str) or isinstance(wait, bool):
        given.wrong("retry_after", "must be a whole number or a text")
        wait = 1
    kind = cast("Kind", given.one_of("kind", _KINDS))
    made = Scripted(
        place=given.one_of("at", PLACES),
        fault=Fault(kind, given.time("delay", Fault().delay), wait),
        method=given.one_of("method", ("GET", "POST", "PUT", "DELETE")) if given.named("method") else None,
        path=path,
        nth=given.number("nth", 1),
        times=given.number("times", 1),
    )
    given.done()
    return made


def _hook(given: Given) -> Hook:
    url, secret = given.text("url"), given.text("secret", "sandbox")
    try:
        over_http(url)
    except ValueError as error:
        given.wrong("url", str(error))
    chosen: dict[str, Any] = {}
    for name, setting in given.everything().items():
        if name not in {"url", "secret"}:
            try:
                webhook_options({name: setting})
                chosen[name] = setting
            except UnknownSwitch as error:
                given.wrong(error.name, error.wrong)
    return Hook(url, secret, webhook_options(chosen))


def _lives(given: Given, stores: tuple[str, ...]) -> list[Life]:
    store = given.one_of("store", stores, stores[0])
    times, apart = given.number("times", 1), given.time("apart")
    after, how = given.time("after"), emission(given)
    steps = tuple(step(one) for one in given.tables("steps"))
    overrides = members(given.table("order"))
    given.done()
    if times > 1 and "id" in overrides:
        given.wrong("order.id", f"cannot be the id of {times} orders")
    return [
        Life(store, "told", (Step(after + place * apart, "place", how), *steps), overrides)
        for place in range(min(times, MOST + 1))
    ]
