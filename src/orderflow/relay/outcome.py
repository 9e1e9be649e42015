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
from orderflow.domain.order import Phase
from orderflow.orders import Fact, RaceError, load
from orderflow.relay import attempts
from orderflow.relay.rows import asked_wait, follow
from orderflow.relay.work import POLICY, Call, Relay, Reply, Turn, slot_for
from orderflow.store import outbox, progress
from orderflow.store.connect import transact
from orderflow.store.outbox import Row
from orderflow.store.vault import mac


def settle(relay: Relay, call: Call, reply: Reply) -> None:
    """Record what came back and let the row follow the fold.

    What was learnt under a stale fence is recorded all the same; the row belongs to somebody else and is not touched.
    """
    while True:
        try:
            return transact(relay.engine, lambda conn: _settle(conn, relay, call, reply))
        except RaceError:
            continue


def _settle(conn: sa.Connection, relay: Relay, call: Call, reply: Reply) -> None:
    key = call.row.key
    turn = Turn(conn, relay, call.row, load(conn, key.store, key.order_id))
    mine = holds_fence(conn, call.row)
    now: datetime = conn.execute(sa.select(sa.func.orderflow.wall_clock())).scalar_one()
    facts = _facts(turn, call, reply, now)
    attempts.keep(turn, call, reply, facts)
    _pause_if_closed(turn, call, reply)
    after = turn.ahead(facts, now)
    if mine:
        follow(turn, after, now, reply=reply, learnt=bool(facts))
    turn.commit(*facts)


def holds_fence(conn: sa.Connection, row: Row) -> bool:
    """Is the row still leased to us? Locks it for this transaction."""
    rows = outbox.rows_of(conn, row.key.store, row.key.order_id)
    return any((other.key, other.fence) == (row.key, row.fence) for other in rows)


def _facts(turn: Turn, call: Call, reply: Reply, now: datetime) -> list[Fact]:
    """The observation, and what follows from it for the attempt under way.

    A reply to a send has the key and the attempt as its id; each look-up has an id of its own, so that *absent* never
    hides a later *delivered*.
    """
    own = f"{call.row.key}:{call.attempt}"
    seen = f"{own}:{call.kind}:{call.row.fence}"
    facts = [] if reply.sight is None else observed(turn, call, reply.sight, seen)
    if call.kind == "read":
        return facts or _given_up(turn, call, reply.sight, f"{seen}:exhausted")
    if call.kind == "look_up":
        return _concluded(turn, call, facts, now, f"{seen}:outcome")
    generation = call.row.key.generation
    match reply.result:
        case Delivered(sighting=None) if call.effect.destination is Destination.SHOP:
            reason = "delivered, but of what was not said"
            return [*facts, Fact(EffectUnknown(call.effect, generation, call.attempt, reason), own)]
        case Delivered(sighting=sighting):
            return [*facts, Fact(EffectDelivered(call.effect, generation, call.attempt, sighting), own)]
        case Refused(reason=reason) if facts:
            return _concluded(turn, call, facts, now, own, refusal=reason)
        case Refused(reason=reason):
            reason = f"refused ({reason}), not read back"
            return [Fact(EffectUnknown(call.effect, generation, call.attempt, reason), own)]
        case Unknown(reason=reason):
            return [*facts, Fact(EffectUnknown(call.effect, generation, call.attempt, reason), own)]
        case Retry():
            return [*facts, *_turned_away(turn, call, reply.result, own)]
        case None:
            return facts


def observed(turn: Turn, call: Call, sight: Sight, source_id: str) -> list[Fact]:
    """A look-up as a fact; nothing if there was no answer."""
    generation, sent_at = call.row.key.generation, call.row.now
    match sight:
        case Found(details=None, sightings=found):
            return [Fact(LookedUp(call.effect, generation, call.attempt, sent_at, found), source_id)]
        case Found(details=details) if details is not None:
            event = DetailsFetched(
                asked_after=Position(call.asked_after),
                sent_at=sent_at,
                settles_at=sent_at + timedelta(seconds=turn.relay.windows.get_settle),
                status=details.status,
                said=details.said,
                external=details.external,
                environment=details.environment,
                currency=details.currency,
                total=details.total,
                created_at=details.created_at,
                basis=mac(turn.relay.vault, call.row.key.store, details.basis).hex(),
                unmapped=details.unmapped,
                money=details.money,
                base_currency=details.base.currency if details.base is not None else None,
                rate=details.base.rate if details.base is not None else None,
            )
            return [Fact(event, source_id, body=details.body)]
        case Unreadable(problem=problem, body=body):
            return [Fact(Malformed(problem, Position(call.asked_after)), source_id, body=body)]
        case _:
            return []


def _concluded(
    turn: Turn, call: Call, facts: list[Fact], now: datetime, source_id: str, *, refusal: str | None = None
) -> list[Fact]:
    """The observation with its conclusion, if there is one for the attempt that we speak of."""
    order = turn.ahead(facts, now)
    slot = slot_for(order, call.row)
    if slot is None or slot.attempt != call.attempt:
        return facts  # that attempt is over; what we saw is worth recording all the same
    place, wait = slot.effect.destination, turn.relay.backoff(slot.tries)
    outcome = conclude(order, turn.policy, place, retry_in=wait, refusal=refusal)
    return facts if outcome is None else [*facts, Fact(outcome, source_id)]


def _turned_away(turn: Turn, call: Call, retry: Retry, source_id: str) -> list[Fact]:
    """The attempt provably did nothing."""
    slot = turn.slot
    if slot is None or slot.attempt != call.attempt or slot.phase is not Phase.OPEN:
        return []
    wait = max(asked_wait(retry), turn.relay.backoff(slot.tries))
    outcome = not_executed(turn.order, turn.policy, slot, retry.reason, retry_in=wait, burnt=retry.burnt)
    return [Fact(outcome, source_id)]


def _given_up(turn: Turn, call: Call, sight: Sight | None, source_id: str) -> list[Fact]:
    """A read that failed too often is an exception for a person; a closed or busy door does not count."""
    excused = isinstance(sight, Retry) and not sight.burnt
    if excused or call.row.failures + 1 < turn.policy.max_attempts:
        return []
    reason = sight.reason if isinstance(sight, Retry | Missing) else "no answer"
    return [Fact(EffectExhausted(call.effect, call.row.key.generation, 0, reason), source_id)]


def _pause_if_closed(turn: Turn, call: Call, reply: Reply) -> None:
    """Credentials that are turned away stop the connection, not the order."""
    for said in (reply.result, reply.sight):
        if isinstance(said, Retry) and said.closed:
            place = call.effect.destination.value
            progress.pause(turn.conn, call.row.key.store, place, said.reason, POLICY)
