"""The life of an exception: the event that opened it, what it says meanwhile, and the event that proves it is over.

It never judges what is one (`attention` does), and reads no clock: what opens by its age says from when on it counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from orderflow.domain.attention import Attention, judged
from orderflow.domain.events import Event, Position
from orderflow.domain.exceptions import Of
from orderflow.domain.order import Mark, Order
from orderflow.domain.policy import StorePolicy
from orderflow.domain.quick import quick


@dataclass(frozen=True, slots=True)
class Proof:
    """The event that proved it over: where it stands, what it is, and who decided it, if it is a decision."""

    position: Position
    at: datetime
    type: str
    by: str = ""


@quick
@dataclass(frozen=True, slots=True)
class Case:
    """One exception of an order. The event at `position` opened it; it counts from `opens_at` on.

    `effect`, `generation` and `attempt` are those that the opening event speaks of, if of any. `number` counts
    those of one kind that one event opened, from 1.
    """

    kind: str
    subject: str
    position: Position
    of: Of
    text: str
    commands: tuple[str, ...]
    settling: bool
    owner: str
    opened_at: datetime
    opened_type: str
    opens_at: datetime
    effect: str | None = None
    generation: int | None = None
    attempt: int | None = None
    number: int = 1
    closed: Proof | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Which exception of its order it is, as long as it is open."""
        return self.kind, self.subject


@quick
@dataclass(frozen=True, slots=True)
class Told:
    """One event as it stands in the log: `type` is what it is stored under."""

    event: Event
    type: str
    here: Mark


@dataclass(frozen=True, slots=True)
class Followed:
    """What an event made of an order's exceptions. `never` ended before they counted, and so were none."""

    open: tuple[Case, ...] = ()
    closed: tuple[Case, ...] = ()
    never: tuple[Case, ...] = ()


_NOTHING = Followed()


def follow(cases: Sequence[Case], told: Told, after: Order, policy: StorePolicy) -> Followed:
    """What becomes of `cases`, which were open before, and what the event opened. `after` is the order after it."""
    said = judged(after, policy)
    if not said and not cases:
        return _NOTHING
    before = {case.key: case for case in cases}
    now: dict[tuple[str, str], Case] = {}
    for one in said:
        key = (one.kind, _clean(one.subject))
        if key in before:
            now[key] = _went_on(before[key], one, told)
        else:
            number = 1 + sum(case.kind == key[0] and case.position == told.here.position for case in now.values())
            now[key] = _opened(one, key, told, number)
    ended = [case for key, case in before.items() if key not in now]
    closed = [case for case in ended if case.opens_at <= told.here.at]
    never = tuple(case for case in ended if case.opens_at > told.here.at)
    if not closed:
        return Followed(tuple(now.values()), never=never)
    over = Proof(told.here.position, told.here.at, told.type, getattr(told.event, "by", ""))
    return Followed(tuple(now.values()), tuple(replace(case, closed=over) for case in closed), never)


def _opened(one: Attention, key: tuple[str, str], told: Told, number: int) -> Case:
    event, at = told.event, told.here.at
    effect = getattr(event, "effect", None)
    return Case(
        kind=key[0],
        subject=key[1],
        position=told.here.position,
        of=one.of,
        text=_clean(one.text),
        commands=tuple(map(_clean, one.commands)),
        settling=one.settling,
        owner=_clean(one.owned_by),
        opened_at=at,
        opened_type=told.type,
        opens_at=one.opens_at or at,
        effect=None if effect is None else str(effect),
        generation=getattr(event, "generation", None),
        attempt=getattr(event, "attempt", None),
        number=number,
    )


def _went_on(case: Case, one: Attention, told: Told) -> Case:
    """It is told anew: by whom it is seen to, and what has been learnt about it since."""
    opens_at = one.opens_at or min(case.opens_at, told.here.at)
    text, commands, owner = _clean(one.text), tuple(map(_clean, one.commands)), _clean(one.owned_by)
    if (text, commands, owner, one.settling, opens_at) == (
        case.text,
        case.commands,
        case.owner,
        case.settling,
        case.opens_at,
    ):
        return case
    return replace(case, text=text, commands=commands, owner=owner, settling=one.settling, opens_at=opens_at)


def _clean(text: str) -> str:
    """Postgres has no NUL; what is compared with what it gives back must have none either."""
    return text.replace("\0", "\ufffd")
