"""After the call: record what came back, conclude what follows, and let the row follow, in one transaction.

It never touches a row that somebody else has leased since, and never loses what was learnt.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from orderflow.connectors import Delivered, Found, Missing, Refused, Retry, Sight, Unknown, Unreadable
from orderflow.domain.conclusions import conclude, not_executed
from orderflow.domain.events import (
    Destination,
    DetailsFetched,
    EffectDelivered,
    EffectExhausted,
    EffectUnknown,
    LookedUp,
    Malformed,
    Position,
)
from orderflow.domain.order import Order, Phase
from orderflow.orders import Fact, RaceError, ahead, commit, load
from orderflow.relay import attempts
from orderflow.relay.rows import backoff, follow
from orderflow.relay.work import POLICY, Call, Relay, Reply, slot_of
from orderflow.store import outbox, progress
from orderflow.store.connect import transact
from orderflow.store.outbox import Key, Row
from orderflow.store.vault import mac


def settle(relay: Relay, call: Call, reply: Reply) -> None:
    """Record what came back and let the row follow the fold, in one transaction.

    What was learnt under a stale fence is recorded all the same; the row belongs to somebody else and is not touched.
    """
    while True:
        try:
            return transact(relay.engine, lambda conn: _settle(conn, relay, call, reply))
        except RaceError:
            continue


def _settle(conn: sa.Connection, relay: Relay, call: Call, reply: Reply) -> None:
    row, place = call.row, call.effect.destination
    order = load(conn, row.key.store, row.key.order_id)
    now: datetime = conn.scalar(sa.select(sa.func.orderflow.wall_clock()))  # type: ignore[assignment]
    facts = _facts(relay, call, reply, order, now)
    attempts.keep(conn, relay, call, reply, facts)
    _pause_if_closed(conn, row.key, place, reply)
    if facts and not commit(conn, relay.vault, row.key.store, row.key.order_id, order, facts):
        order = load(conn, row.key.store, row.key.order_id)  # a second run after a lost COMMIT reply: known already
    else:
        order = ahead(order, [fact.event for fact in facts], now)
    if holds_fence(conn, row):
        follow(conn, row, order, now, relay=relay, reply=reply, learnt=bool(facts))


def holds_fence(conn: sa.Connection, row: Row) -> bool:
    """Is the row still leased to us? Locks it for this transaction if so."""
    return any(r.key == row.key and r.fence == row.fence for r in outbox.rows_of(conn, row.key.store, row.key.order_id))


def _facts(relay: Relay, call: Call, reply: Reply, order: Order, now: datetime) -> list[Fact]:
    """The observation, and what follows from it for the attempt under way."""
    own = f"{call.row.key}:{call.attempt}" if call.attempt else str(call.row.key)
    seen = f"{own}:{call.kind}:{call.row.fence}"
    facts = [] if reply.sight is None else _observed(relay, call, reply.sight, order, seen)
    if call.kind == "read":
        return facts or _given_up(relay, call, reply.sight, f"{seen}:exhausted")
    if call.kind == "look_up":
        return _concluded(relay, call, order, facts, now, None, f"{seen}:outcome")
    match reply.result:
        case Delivered(sighting=sighting):
            return [*facts, Fact(EffectDelivered(call.effect, call.row.key.generation, call.attempt, sighting), own)]
        case Refused(reason=reason):
            if facts:
                return _concluded(relay, call, order, facts, now, reason, own)
            return [Fact(_unknown(call, f"refused ({reason}), not read back"), own)]
        case Unknown(reason=reason):
            return [*facts, Fact(_unknown(call, reason), own)]
        case Retry(reason=reason, after=after, burnt=burnt):
            return [*facts, *_turned_away(relay, call, order, reason, after, own, burnt=burnt)]
        case None:
            return facts
    raise AssertionError(reply.result)


def _unknown(call: Call, reason: str) -> EffectUnknown:
    return EffectUnknown(call.effect, call.row.key.generation, call.attempt, reason)


def _observed(relay: Relay, call: Call, sight: Sight, order: Order, source_id: str) -> list[Fact]:
    """A look-up as a fact; nothing if there was no answer."""
    generation, sent_at = call.row.key.generation, call.row.now
    match sight:
        case Found(details=None, sightings=found):
            return [Fact(LookedUp(call.effect, generation, call.attempt, sent_at, found), source_id)]
        case Found(details=details) if details is not None:
            event = DetailsFetched(
                asked_after=Position(call.asked_after),
                sent_at=sent_at,
                settles_at=sent_at + timedelta(seconds=relay.windows.get_settle),
                status=details.status,
                said=details.said,
                external=details.external,
                environment=details.environment,
                currency=details.currency,
                total=details.total,
                created_at=details.created_at,
                basis=mac(relay.vault, call.row.key.store, details.basis).hex(),
                unmapped=details.unmapped,
                money=details.money,
            )
            return [Fact(event, source_id, body=details.body)]
        case Unreadable(problem=problem, body=body):
            return [Fact(Malformed(problem, Position(call.asked_after)), source_id, body=body)]
        case _:
            return []


def _concluded(
    relay: Relay, call: Call, order: Order, facts: list[Fact], now: datetime, refusal: str | None, source_id: str
) -> list[Fact]:
    order = ahead(order, [fact.event for fact in facts], now)
    slot = slot_of(order, call.row.key)
    if slot is None or slot.attempt != call.attempt:
        return facts  # the attempt that we speak of is over; what we saw is worth recording all the same
    policy = relay.lines[call.row.key.store].policy
    outcome = conclude(order, policy, slot.effect.destination, retry_in=backoff(relay, slot.tries), refusal=refusal)
    return facts if outcome is None else [*facts, Fact(outcome, source_id)]


def _turned_away(
    relay: Relay, call: Call, order: Order, reason: str, after: float, source_id: str, *, burnt: bool
) -> list[Fact]:
    """The attempt provably did nothing."""
    slot = slot_of(order, call.row.key)
    if slot is None or slot.attempt != call.attempt or slot.phase is not Phase.OPEN:
        return []
    wait = max(after, backoff(relay, slot.tries))
    policy = relay.lines[call.row.key.store].policy
    return [Fact(not_executed(order, policy, slot, reason, retry_in=wait, burnt=burnt), source_id)]


def _given_up(relay: Relay, call: Call, sight: Sight | None, source_id: str) -> list[Fact]:
    """A read that failed too often is an exception for a person."""
    policy = relay.lines[call.row.key.store].policy
    if isinstance(sight, Retry) and (not sight.burnt or sight.closed):
        return []
    if call.row.failures + 1 < policy.max_attempts:
        return []
    reason = sight.reason if isinstance(sight, Retry | Missing) else "no answer"
    return [Fact(EffectExhausted(call.effect, call.row.key.generation, 0, reason), source_id)]


def _pause_if_closed(conn: sa.Connection, key: Key, place: Destination, reply: Reply) -> None:
    """Credentials that are turned away stop the connection, not the order."""
    for said in (reply.result, reply.sight):
        if isinstance(said, Retry) and said.closed:
            progress.pause(conn, key.store, place.value, said.reason, POLICY)
