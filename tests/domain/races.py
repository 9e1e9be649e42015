"""Every race between news and an effect, computed from the pure core: what happens at once, next, and in the end.

A cell is one effect, how far it has come, and the news that arrive just then. It decides nothing: `driver` does what
is due, and this module only lets the news in at the right moment and writes down what came of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from orderflow.domain.attention import attention
from orderflow.domain.decisions import Cancel, IllegalTransition, decide
from orderflow.domain.due import Due, effects_due
from orderflow.domain.events import (
    DetailsFetched,
    Effect,
    EffectDelivered,
    EffectIntended,
    EffectUnknown,
    Event,
    Ids,
    Position,
    Reported,
    RetryRequested,
    ShopState,
    Sighting,
)
from orderflow.domain.machine import Report, Status, Verdict, judge
from orderflow.domain.order import Order
from orderflow.domain.policy import StorePolicy

from .driver import SETTLE, Driver, Fault, Glopal, ModelShop
from .histories import T0, seconds

FOREIGN: Final = Ids("elsewhere", "E-1")
POLICY: Final = StorePolicy()
AFTERWARDS: Final = seconds(27 * 3600)
"""How long a race is watched: until the reap window is over."""


class News(StrEnum):
    """What arrives."""

    RECEIVED = "received"
    READY = "ready"
    CANCELLED = "cancelled"
    ELSEWHERE = "accepted elsewhere"
    OPERATOR = "operator's cancel"
    STALE = "stale details"


class Stage(StrEnum):
    """How far the effect has come when they arrive."""

    PLANNED = "planned"
    INTENDED = "intended"
    IN_FLIGHT = "in flight"
    UNKNOWN = "unknown"
    DONE = "done"


EFFECTS: Final = (Effect.DRAFT, Effect.PROMOTE, Effect.ACCEPT, Effect.WITHDRAW)
STARTS: Final = {
    Effect.DRAFT: Status.RECEIVED,
    Effect.PROMOTE: Status.READY,
    Effect.ACCEPT: Status.READY,
    Effect.WITHDRAW: Status.CANCELLED,
}
"""What the order is at Glopal when the effect falls due. What is withdrawn is the draft of a cancelled order."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One race."""

    effect: Effect
    stage: Stage
    news: News

    def __str__(self) -> str:
        return f"{self.effect} {self.stage}, {self.news}"


CELLS: Final = [Cell(effect, stage, news) for effect in EFFECTS for stage in Stage for news in News]


@dataclass(frozen=True, slots=True)
class End:
    """How a race ends: the writes that were intended, in order; what stands in the shop and at Glopal; who is told."""

    writes: tuple[str, ...]
    shop: tuple[str, ...]
    status: Status
    accepted: str
    exceptions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Course:
    """What happens at once, what is done next, how it ends."""

    at_once: str
    next: tuple[str, ...]
    end: End


def cannot_be(cell: Cell) -> str | None:
    """Why there is no such race; None if there is one."""
    if cell.news is News.ELSEWHERE and cell.effect is Effect.WITHDRAW:
        return "Glopal accepts no cancelled order, for anybody"
    if (
        cell.news is News.ELSEWHERE
        and cell.effect is Effect.ACCEPT
        and cell.stage not in (Stage.PLANNED, Stage.INTENDED)
    ):
        return "Glopal has our ids already and takes no others"
    if cell.news is News.STALE and cell.effect is Effect.DRAFT:
        return "RECEIVED is the first that Glopal shows: there is nothing older"
    return None


@dataclass
class Race(Driver):
    """A driver that lets the news of one cell in at its moment."""

    cell: Cell | None = None
    happened: bool = False
    at_once: str = ""
    next: tuple[str, ...] = ()

    def record(self, *told: Event) -> None:
        for event in told:
            super().record(event)
            moment = _RECORDED.get(type(event))
            if moment is not None and self._now(moment, event.effect):  # type: ignore[union-attr]
                self._arrive()

    def _perform(self, due: Due) -> None:
        if self._now(Stage.PLANNED, due.effect):
            self._arrive()
        else:
            super()._perform(due)

    def _write(self, due: Due) -> None:
        if self.cell is not None and self._now(Stage.UNKNOWN, due.effect):
            self.faults = [Fault.LOST_AFTER]
        super()._write(due)

    def _execute(self, due: Due, seen: ShopState | None) -> Sighting | str | None:
        answer = super()._execute(due, seen)
        if self._now(Stage.IN_FLIGHT, due.effect):
            self._arrive()
        return answer

    def _now(self, stage: Stage, effect: Effect) -> bool:
        return not self.happened and self.cell is not None and (self.cell.stage, self.cell.effect) == (stage, effect)

    def _arrive(self) -> None:
        assert self.cell is not None
        self.happened = True
        self.now += seconds(1)
        before = self.order
        self.at_once = _TAKEN[self.cell.news](self) + _held(before, self.order)
        self.next = tuple(
            due.effect.value for due in effects_due(self.order, self.policy) if due.not_before <= self.now
        )

    # --- the news ---

    def report(self, report: Report, becomes: Status | None = None) -> str:
        """Glopal says so; it is true if it `becomes` that."""
        if becomes is not None:
            self.glopal.become(becomes, self.now)
        before = self.order.status
        verdict = judge(before, report)
        self.record(Reported(report))
        if verdict in (Verdict.ADVANCE, Verdict.LEAP):
            return f"{verdict}: {before} becomes {self.order.status}"
        return "echo: nothing changes" if verdict is Verdict.ECHO else f"{verdict} with {before}"

    def shown(self, status: Status) -> None:
        """Somebody asks Glopal, and this is what it shows."""
        self.record(RetryRequested(Effect.FETCH, "ann", "to be sure"))
        asked_after = Position(self.order.position)
        self.record(
            DetailsFetched(
                asked_after, self.now, self.now + SETTLE, status, status.value, self.glopal.external, "live", "EUR"
            )
        )


_RECORDED: Final[dict[type, Stage]] = {
    EffectIntended: Stage.INTENDED,
    EffectUnknown: Stage.UNKNOWN,
    EffectDelivered: Stage.DONE,
}
"""Moments that begin with an event."""


def _received(race: Race) -> str:
    return race.report(Report.RECEIVED)


def _ready(race: Race) -> str:
    return race.report(Report.READY, Status.READY if race.glopal.status is Status.RECEIVED else None)


def _cancelled(race: Race) -> str:
    return race.report(Report.CANCELLED, Status.CANCELLED if race.glopal.status is not Status.CANCELLED else None)


def _elsewhere(race: Race) -> str:
    """At READY it takes effect, and is reported; before, only details show it."""
    race.glopal.accept(FOREIGN, race.now)
    if race.glopal.status is Status.ACCEPTED:
        return race.report(Report.ACCEPTED)
    race.shown(race.glopal.status)
    return "details show ids that are not ours"


def _operator(race: Race) -> str:
    try:
        race.record(*decide(race.order, Cancel("out of stock", "ann")))
    except IllegalTransition as refused:
        return f"refused: {refused.why}"
    return "the cancellation is recorded"


def _stale(race: Race) -> str:
    status = race.glopal.truth[-2][1]
    race.shown(status)
    if status is race.order.status:
        return f"they show {status} still: nothing changes"
    return f"they show {status}, less than {race.order.status}: the status stays"


_TAKEN: Final = {
    News.RECEIVED: _received,
    News.READY: _ready,
    News.CANCELLED: _cancelled,
    News.ELSEWHERE: _elsewhere,
    News.OPERATOR: _operator,
    News.STALE: _stale,
}


def _held(before: Order, after: Order) -> str:
    new = [hold.reason.value for hold in after.holds if hold not in before.holds]
    return f"; held: {', '.join(new)}" if new else ""


def run(cell: Cell) -> Course:
    """Play one race through to the end, two days on."""
    start = STARTS[cell.effect]
    race = Race(POLICY, Glopal([(T0, Status.RECEIVED)]), ModelShop(), cell=cell)
    race.record(Reported(Report.RECEIVED))
    if cell.effect is not Effect.DRAFT:
        race.run(T0 + seconds(60))
        race.glopal.become(start, race.now)
        race.record(Reported(Report.READY if start is Status.READY else Report.CANCELLED))
    race.run(race.now + AFTERWARDS)
    assert race.happened, f"{cell} never came about"
    return Course(race.at_once, race.next, ended(race))


def ended(race: Race) -> End:
    """How it ended, in the words that the real engine's end is told in, too."""
    writes = tuple(r.event.effect.value for r in race.history if isinstance(r.event, EffectIntended))
    own = race.order.shop.own
    ids = race.glopal.external
    ours = ids is not None and own is not None and ids.order_id == own.shop_id
    return End(
        writes,
        tuple(sorted(sighting.state.value for sighting in race.shop.orders.values())),
        race.glopal.status,
        "" if ids is None else "ours" if ours else "foreign",
        tuple(sorted({one.kind for one in attention(race.order, race.policy)})),
    )


def courses() -> Iterator[tuple[Cell, Course | str]]:
    """Every cell: its course, or why it cannot be."""
    for cell in CELLS:
        why = cannot_be(cell)
        yield cell, run(cell) if why is None else why
