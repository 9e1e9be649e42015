"""Through the gates: rows are leased where a destination may be called, and gates hear what came back of it.

It never lets a call through that a gate keeps back, and never makes an outcome of what a gate says. Where nothing is
amiss and no pace is set, it asks the database nothing of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from orderflow.connectors import Result, Retry, Sight, Unknown
from orderflow.relay.breaker import Heard
from orderflow.relay.pacing import begun, granted, heard
from orderflow.relay.rows import asked_wait
from orderflow.relay.work import Call, Relay, Reply
from orderflow.store import gates, leases
from orderflow.store.gates import Gate, Place
from orderflow.store.leases import Guarded, Share
from orderflow.store.outbox import Row

_log = logging.getLogger("orderflow")


@dataclass(frozen=True, slots=True)
class Passage:
    """Rows that were leased at one place, and its gate if that is held until the transaction ends."""

    rows: list[Row]
    gate: Gate | None = None


def lease(conn: sa.Connection, relay: Relay, most: int, places: Sequence[Place], share: Share | None) -> Passage:
    """Lease up to `most` rows of the first of `places` that has any due and may be called now."""
    left, seconds = list(places), relay.windows.lease
    paced = [place for place in left if not relay.pace(place).free]
    while left:
        found = leases.lease(conn, relay.owner, seconds, left, most, share=share, paced=paced)
        if not isinstance(found, Guarded):
            return Passage(found)
        rows, gate = _through(conn, relay, most, found.place, share)
        if rows:
            return Passage(rows, gate)
        left.remove(found.place)
    return Passage([])


def _through(
    conn: sa.Connection, relay: Relay, most: int, place: Place, share: Share | None
) -> tuple[list[Row], Gate | None]:
    """Rows of a guarded place, as many as its gate grants; none while another process is just at it."""
    held = gates.hold_if_free(conn, place)
    if held is None:
        return [], None
    gate, now = held
    grant = granted(gate, relay.pace(place), most, now)
    if grant.most <= 0:
        return [], None
    seconds = relay.windows.lease
    for asking in (True, False) if grant.probe else (False,):  # a question tries a destination at less risk
        rows = leases.lease_through(conn, relay.owner, seconds, place, grant.most, share=share, asking=asking)
        if rows:
            return rows, gate
    return [], None


def begin(conn: sa.Connection, relay: Relay, gate: Gate | None, prepared: Sequence[Call | Row]) -> list[Call | Row]:
    """What was prepared, its calls gone through `gate` if that is held. Rows that led to no call pass no gate."""
    calls = [one for one in prepared if isinstance(one, Call)]
    if gate is None or not calls:
        return list(prepared)
    now, probe = calls[0].row.now, gate.broken_until is not None
    gates.write(conn, begun(gate, relay.pace((gate.store, gate.destination)), len(calls), now, _until(relay, calls[0])))
    return [replace(one, probe=probe) if isinstance(one, Call) else one for one in prepared]


def excused(call: Call, reply: Reply) -> Reply:
    """The reply, without blame for an order that tried for all."""
    if not call.probe:
        return reply
    said, sight = reply.result, reply.sight
    return replace(
        reply,
        result=replace(said, burnt=False) if isinstance(said, Retry) else said,
        sight=replace(sight, burnt=False) if isinstance(sight, Retry) else sight,
    )


def hear(
    conn: sa.Connection,
    relay: Relay,
    store: str,
    done: Sequence[tuple[Call, Reply]],
    watched: frozenset[str],
    now: datetime,
) -> list[str] | None:
    """Let the gates of a store know what came back of these calls. Returns what is to be said; None if no gate changed.

    Writes only where a pace is set, a gate is watched, or something is amiss. The gates are held in one order for all.
    """
    told: list[str] | None = None
    for destination, news in sorted(_by_place(relay, done).items()):
        place = store, destination
        pace = relay.pace(place)
        amiss = any(one.down or one.throttled or one.rest > 0 for one in news)
        if not amiss and destination not in watched and not pace.at_once:
            continue
        before, _ = gates.hold(conn, place)
        after = heard(before, pace, relay.breaker, news, now)
        if after != before:
            gates.write(conn, after)
            told = [*(told or []), *_changes(before, after)]
    return told


def say(told: Sequence[str]) -> None:
    """Say in the log what has changed, once it is committed."""
    for text in told:
        _log.warning("%s", text)


def _by_place(relay: Relay, done: Sequence[tuple[Call, Reply]]) -> Mapping[str, list[Heard]]:
    found: dict[str, list[Heard]] = {}
    for call, reply in done:
        found.setdefault(call.row.key.destination, []).append(_heard(relay, call, reply))
    return found


def _heard(relay: Relay, call: Call, reply: Reply) -> Heard:
    """What one call says of its destination. A refusal that was read back was two calls: the worse of them counts."""
    said = [one for one in (reply.result, reply.sight) if one is not None]
    downs = [is_down(one) for one in said]
    down = True if True in downs else False if False in downs else None
    turned_away = [one for one in said if isinstance(one, Retry) and one.status == _TOO_MANY]
    rest = max([*(one.rest for one in said), *(asked_wait(one) for one in turned_away)], default=0.0)
    worst = next((one for one in said if is_down(one)), turned_away[-1] if turned_away else None)
    reason = worst.reason if isinstance(worst, Retry | Unknown) else ""
    return Heard(call.row.now, _until(relay, call), down, bool(turned_away), rest, reason)


_TOO_MANY: Final = 429


def is_down(said: Result | Sight) -> bool | None:
    """Does an answer, or that none came, say that the destination is down? None: nothing was sent.

    No connection, a broken one, 408 and 5xx say so. Whatever else has a status is an answer, also a refusal.
    """
    if not isinstance(said, Retry | Unknown):
        return False
    if said.status is not None:
        return said.status == 408 or said.status >= 500
    return True if isinstance(said, Unknown) or said.burnt else None


def _until(relay: Relay, call: Call) -> datetime:
    """The end of the lease under which a call is made: what its gate knows it by."""
    return call.row.now + timedelta(seconds=relay.windows.lease)


def _changes(before: Gate, after: Gate) -> list[str]:
    """What operators want to know. A pace that is kept is no news."""
    name = f"{after.destination} of {after.store}"
    told = []
    if after.broken_until is not None and after.broken_until != before.broken_until:
        again = "still fails" if before.broken_until is not None else "its breaker opens"
        told.append(f"{name}: {again}, nobody calls it for {after.broken_for:.0f} s ({after.reason})")
    elif before.broken_until is not None and after.broken_until is None:
        told.append(f"{name}: it answers again, its breaker closes")
    if after.rests and not before.rests:
        told.append(f"{name}: it turns calls away for their rate, and is left alone for {after.spacing:.0f} s")
    return told
