"""After the calls: record what came back, conclude what follows, and let the rows follow, in one transaction.

It never touches a row that somebody else has leased since, and never loses what was learnt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import sqlalchemy as sa

from orderflow.connectors import Delivered, Found, Missing, Refused, Result, Retry, Sight, Unknown, Unreadable
from orderflow.domain.conclusions import conclude, not_executed
from orderflow.domain.events import (
    Destination,
    DetailsFetched,
    EffectDelivered,
    EffectExhausted,
    EffectRefused,
    EffectUnknown,
    LookedUp,
    Malformed,
    Position,
    RefundQuoted,
)
from orderflow.domain.order import Phase
from orderflow.orders import Fact, load_all
from orderflow.relay import attempts, gateway
from orderflow.relay.moves import carry_out
from orderflow.relay.rows import asked_wait, follow
from orderflow.relay.work import POLICY, Call, Move, Relay, Reply, Turn, slot_for
from orderflow.store import leases, progress
from orderflow.store.connect import transact
from orderflow.store.leases import Held
from orderflow.store.outbox import Row
from orderflow.store.vault import keys_of, mac


def settle(relay: Relay, done: Sequence[tuple[Call, Reply]]) -> bool:
    """Record what came back and let the rows follow the fold: the calls of one store in one transaction.

    What was learnt under a stale fence is recorded all the same; the row belongs to somebody else and is not touched.
    Where news about an order came in between, its call is settled anew, the others are not held up. True if a gate has
    changed: there may be more to do there, or less.
    """
    waiting, heard, changed = list(done), set[int](), False
    while waiting:
        store = waiting[0][0].row.key.store
        batch: dict[str, tuple[Call, Reply]] = {}
        for call, reply in waiting:
            if call.row.key.store == store:
                batch.setdefault(call.row.key.order_id, (call, reply))
        together = list(batch.values())
        news = [one for one in together if id(one[0]) not in heard]
        raced, said = transact(relay.engine, partial(_settle, relay=relay, store=store, done=together, news=news))
        gateway.say(said or ())
        changed = changed or said is not None
        heard |= {id(call) for call, _ in together}
        settled = {id(call) for call, _ in together} - raced
        waiting = [(call, reply) for call, reply in waiting if id(call) not in settled]
    return changed


def _settle(
    conn: sa.Connection,
    *,
    relay: Relay,
    store: str,
    done: Sequence[tuple[Call, Reply]],
    news: Sequence[tuple[Call, Reply]],
) -> tuple[set[int], list[str] | None]:
    """The calls, by their identity, whose orders have grown meanwhile; and what is to be said of gates.

    `news` are those that the gates have not heard yet.
    """
    held = leases.hold(conn, store, [call.row for call, _ in done])
    orders = load_all(conn, store, [call.row.key.order_id for call, _ in done])
    found = []
    for call, reply in [(call, gateway.excused(call, reply)) for call, reply in done]:
        row = held.rows.get(call.row.key, call.row)
        turn = Turn(relay, row, orders[row.key.order_id])
        found.append((turn, call, reply, _facts(turn, call, reply, held.now)))
    sealing = [
        t.row.key.order_id for t, _, r, facts in found if attempts.replied(r) or any(f.body is not None for f in facts)
    ]
    keys = keys_of(conn, relay.vault, store, sealing) if sealing else {}
    moves, calls = [], {}
    for bare, call, reply, facts in found:
        turn = replace(bare, key=keys.get(bare.row.key.order_id))
        change = None
        if holds_fence(held, call.row):
            change = follow(turn, turn.ahead(facts, held.now), held.now, reply=reply, learnt=bool(facts))
        move = Move(turn, tuple(facts), change, line=attempts.line(turn, call, reply, facts))
        moves.append(move)
        calls[id(move)] = call
    _pause_what_closed(conn, done)
    said = gateway.hear(conn, relay, store, news, held.watched, held.now)  # before the log's lock, as the pauses
    raced = carry_out(conn, relay, store, moves, give_back=False)
    return {id(calls[id(move)]) for move in raced}, said


def holds_fence(held: Held, row: Row) -> bool:
    """Is the row still leased to us?"""
    return row.key in held.rows


def _facts(turn: Turn, call: Call, reply: Reply, now: datetime) -> list[Fact]:
    """The observation, and what follows from it for the attempt under way.

    A reply to a send has the key and the attempt as its id; each look-up has an id of its own, so that *absent* never
    hides a later *delivered*.
    """
    own = f"{call.row.key}:{call.attempt}"
    seen = f"{own}:{call.kind}:{call.row.fence}"
    facts = [] if reply.sight is None else observed(turn, call, reply.sight, seen)
    if call.kind == "read":
        return facts or _answered(call, reply.result, seen) or _given_up(turn, call, reply, f"{seen}:exhausted")
    if call.kind == "look_up":
        return _concluded(turn, call, facts, now, f"{seen}:outcome")
    generation = call.row.key.generation
    match reply.result:
        case Delivered(sighting=None) if call.effect.destination is Destination.SHOP:
            reason = "delivered, but of what was not said"
            return [*facts, Fact(EffectUnknown(call.effect, generation, call.attempt, reason), own)]
        case Delivered(sighting=sighting, receipt=receipt):
            return [*facts, Fact(EffectDelivered(call.effect, generation, call.attempt, sighting, receipt), own)]
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
                aftersale=details.after,
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


def _answered(call: Call, result: Result | None, source_id: str) -> list[Fact]:
    """The answer to a read that carried a request; nothing if there was none."""
    match result:
        case Delivered(quoted=quoted) if quoted is not None:
            return [Fact(RefundQuoted(call.row.target, quoted.merchant, quoted.glopal, quoted.currency), source_id)]
        case Refused(reason=reason):
            return [Fact(EffectRefused(call.effect, call.row.key.generation, call.attempt, reason), source_id)]
        case _:
            return []


def _given_up(turn: Turn, call: Call, reply: Reply, source_id: str) -> list[Fact]:
    """A read that failed too often is an exception for a person; a closed or busy door does not count."""
    said = reply.sight if reply.sight is not None else reply.result
    excused = isinstance(said, Retry) and not said.burnt
    if excused or call.row.failures + 1 < turn.policy.max_attempts:
        return []
    reason = said.reason if isinstance(said, Retry | Missing | Unknown) else "no answer"
    return [Fact(EffectExhausted(call.effect, call.row.key.generation, 0, reason), source_id)]


def _pause_what_closed(conn: sa.Connection, done: Sequence[tuple[Call, Reply]]) -> None:
    """Credentials that are turned away stop the connection, not the order.

    In one order for everybody, and before the log's lock: nobody waits in a circle.
    """
    closed = {
        (call.row.key.store, call.effect.destination.value): said.reason
        for call, reply in done
        for said in (reply.result, reply.sight)
        if isinstance(said, Retry) and said.closed
    }
    for (store, place), reason in sorted(closed.items()):
        progress.pause(conn, store, place, reason, POLICY)
