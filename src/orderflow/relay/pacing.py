"""How fast a destination is called: as the settings say, and as it says itself, in a rate limit or by turning us away.

It never lets a burst through after a rest: calls begin one by one, and closer together only as good answers come. It
reads no clock and writes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from orderflow.relay.breaker import Breaker, Heard, counted
from orderflow.store.gates import Gate

_FIRST_REST: Final = 1.0
_LONGEST_REST: Final = 300.0
"""Seconds: the first rest after a 429 that names no time, and the longest. It doubles while they go on."""
_LONGEST_ASKED: Final = 3600.0
"""Seconds: no rest that a destination asks for is longer."""
_WIDEST: Final = 2.0
"""Seconds: calls begin no further apart than half of this once one was answered."""
_NARROWEST: Final = 0.02
"""Seconds: closer than that, calls are as good as side by side."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The pace of one destination: seconds between the beginnings of two calls, and how many go on at once.

    0 sets no limit.
    """

    min_interval: float = 0.0
    at_once: int = 0

    @property
    def free(self) -> bool:
        """No pace at all."""
        return not (self.min_interval or self.at_once)


FREE: Final = Pace()


@dataclass(frozen=True, slots=True)
class Grant:
    """So many calls may be begun now, `most` at most. `probe`: the one that tries whether the destination is back."""

    most: int
    probe: bool = False


def granted(gate: Gate, pace: Pace, most: int, now: datetime) -> Grant:
    """How many of `most` calls the gate lets through."""
    shut = _shut_until(gate, pace, now)
    if shut is not None and shut > now:
        return Grant(0)
    if gate.broken_until is not None:
        return Grant(min(1, most), probe=True)
    if max(gate.spacing, pace.min_interval) > 0:
        return Grant(min(1, most))
    return Grant(min(most, pace.at_once - _going_on(gate, now)) if pace.at_once else most)


def begun(gate: Gate, pace: Pace, calls: int, now: datetime, until: datetime) -> Gate:
    """The gate once so many calls go through under leases that end at `until`."""
    ends = gate.in_flight + (until,) * calls if pace.at_once else ()
    probe = until if gate.broken_until is not None else None
    return shown(replace(gate, started_at=now, in_flight=ends, probe_until=probe), pace, now)


def heard(gate: Gate, pace: Pace, breaker: Breaker, news: Sequence[Heard], now: datetime) -> Gate:
    """The gate once it has heard what came back of its calls."""
    for one in news:
        gate = _slowed(_ended(gate, one), one, now)
    return shown(counted(gate, breaker, news, now), pace, now)


def shown(gate: Gate, pace: Pace, now: datetime) -> Gate:
    """With what leases and outcomes go by: how long it is shut, and whether they have to look at more than that."""
    gate = replace(gate, in_flight=tuple(end for end in gate.in_flight if end > now))
    guarded = gate.broken_until is not None or gate.spacing > 0
    watched = guarded or gate.rests > 0 or gate.watched_from is not None
    return replace(gate, shut_until=_shut_until(gate, pace, now), guarded=guarded, watched=watched)


def why_shut(gate: Gate, now: datetime) -> str:
    """Why nobody calls a destination whose gate is shut now, for people."""
    because = f": {gate.reason}" if gate.reason else ""
    if gate.broken_until is not None:
        return f"one call tries whether it is back{because}" if gate.probe_until else f"its breaker is open{because}"
    if gate.rests:
        return f"it turned calls away for their rate{because}"
    return "it asked for a rest" if gate.rest_until is not None and gate.rest_until > now else "its pace"


def _shut_until(gate: Gate, pace: Pace, now: datetime) -> datetime | None:
    spacing = max(gate.spacing, pace.min_interval)
    full = 0 < pace.at_once <= _going_on(gate, now)
    times = (
        gate.rest_until,
        gate.broken_until,
        gate.probe_until,
        gate.started_at + timedelta(seconds=spacing) if gate.started_at is not None and spacing > 0 else None,
        min(end for end in gate.in_flight if end > now) if full else None,
    )
    return max((time for time in times if time is not None and time > now), default=None)


def _going_on(gate: Gate, now: datetime) -> int:
    return sum(end > now for end in gate.in_flight)


def _ended(gate: Gate, one: Heard) -> Gate:
    """One call less goes on: any of those leased together, they are all alike."""
    ends = list(gate.in_flight)
    if one.until in ends:
        ends.remove(one.until)
    return replace(gate, in_flight=tuple(ends))


def _slowed(gate: Gate, one: Heard, now: datetime) -> Gate:
    """Rests begin and end. A call begun before the last rest says nothing about what came after it."""
    after = gate.rest_until is None or one.leased_at >= gate.rest_until
    asked = min(max(one.rest, 0.0), _LONGEST_ASKED) if math.isfinite(one.rest) else 0.0
    if one.throttled:
        rests = gate.rests + after if gate.rests else 1
        doubled = min(_LONGEST_REST, _FIRST_REST * 2.0 ** min(rests - 1, 20))
        return _resting(replace(gate, rests=rests, reason=one.reason), asked or doubled, now)
    if asked:
        return _resting(replace(gate, rests=0) if after else gate, asked, now)
    if not after or one.down is None:
        return gate
    closer = min(gate.spacing, _WIDEST) / 2
    return replace(gate, rests=0, spacing=closer if closer > _NARROWEST else 0.0)


def _resting(gate: Gate, seconds: float, now: datetime) -> Gate:
    until = now + timedelta(seconds=seconds)
    return replace(gate, rest_until=max(until, gate.rest_until or until), spacing=seconds)
