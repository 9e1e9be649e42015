"""The breaker of a destination: when most calls say that it is down, nobody calls but one that tries now and then.

It never says that something was not done: a call whose answer it hears stays what it is, unknown or not. It counts only
what says that the destination is down; an order that is refused is an answer like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from orderflow.store.gates import Gate


@dataclass(frozen=True, slots=True)
class Breaker:
    """Opens after `failures` failures within `within` seconds, if they are the share `rate` of all calls meanwhile.

    Open for `first` seconds, then one call may try; twice as long each time that it fails, `longest` at most.
    """

    failures: int = 10
    rate: float = 0.7
    within: float = 60.0
    first: float = 30.0
    longest: float = 900.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back of one call made under a lease from `leased_at` to `until`.

    `down`: does it say that the destination is down? None: nothing was sent, so nothing is known. `throttled`: it was
    turned away for its rate (429). `rest`: seconds that the destination asks for. `reason` holds nothing personal.
    """

    leased_at: datetime
    until: datetime
    down: bool | None
    throttled: bool = False
    rest: float = 0.0
    reason: str = ""


def counted(gate: Gate, breaker: Breaker, news: Sequence[Heard], now: datetime) -> Gate:
    """The gate once its breaker has heard `news`."""
    for heard in news:
        gate = _tried(gate, breaker, heard, now) if gate.broken_until is not None else _seen(gate, breaker, heard, now)
    return gate


def _tried(gate: Gate, breaker: Breaker, heard: Heard, now: datetime) -> Gate:
    """Open: only the one call that tries decides. What was under way before says nothing about now."""
    if heard.until != gate.probe_until:
        return gate
    if heard.down is None:
        return replace(gate, probe_until=None)  # the next one tries
    if heard.down:
        return _opened(gate, min(breaker.longest, 2.0 * gate.broken_for), heard.reason, now)
    return replace(gate, broken_until=None, broken_for=0.0, probe_until=None, reason="")


def _seen(gate: Gate, breaker: Breaker, heard: Heard, now: datetime) -> Gate:
    """Closed: count from the first failure on. What went well before it says nothing about now."""
    if gate.watched_from is not None and now - gate.watched_from > timedelta(seconds=breaker.within):
        gate = _uncounted(gate)
    if heard.down is None or not (heard.down or gate.watched_from):
        return gate
    gate = replace(
        gate,
        watched_from=gate.watched_from or now,
        failures=gate.failures + heard.down,
        calls=gate.calls + 1,
    )
    if gate.failures >= breaker.failures and gate.failures >= breaker.rate * gate.calls:
        told = f"{gate.failures} of {gate.calls} calls failed: {heard.reason}"
        return _opened(_uncounted(gate), breaker.first, told, now)
    return gate


def _opened(gate: Gate, seconds: float, reason: str, now: datetime) -> Gate:
    until = now + timedelta(seconds=seconds)
    return replace(gate, broken_until=until, broken_for=seconds, probe_until=None, reason=reason)


def _uncounted(gate: Gate) -> Gate:
    return replace(gate, watched_from=None, failures=0, calls=0)
