"""Before the calls: lease rows, re-fold, decide, freeze the requests and record the intents, in one transaction.

It never lets a byte leave: that is for `call`, once this transaction has been committed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TypeVar

import sqlalchemy as sa

from orderflow.connectors import FreezeError
from orderflow.domain.decisions import IllegalTransition
from orderflow.domain.due import Due, effects_due
from orderflow.domain.events import EffectClosed, EffectExhausted, EffectIntended
from orderflow.domain.order import Order, Phase
from orderflow.domain.policy import StorePolicy
from orderflow.orders import Fact, load_all
from orderflow.relay import gateway
from orderflow.relay.moves import carry_out
from orderflow.relay.request import built, equipped, price, sealed_request
from orderflow.relay.rows import follow
from orderflow.relay.shadow import show
from orderflow.relay.work import Call, Move, Relay, Turn, ended, stands
from orderflow.store import leases
from orderflow.store.connect import transact
from orderflow.store.gates import Place
from orderflow.store.leases import Share
from orderflow.store.outbox import Row
from orderflow.store.vault import mac

_log = logging.getLogger("orderflow")

T = TypeVar("T")


def prepare(
    relay: Relay, most: int = 1, places: Sequence[Place] | None = None, share: Share | None = None
) -> list[Call | Row]:
    """Lease up to `most` rows of one destination of a store and get ready to act on them, in one transaction.

    Of each: a `Call`, or the row itself if that was all; empty if nothing is due. The destination is the first of
    `places` (all of the relay's without) that has rows due and may be called; `share` is what other lanes than *live*
    get of it. Where news about an order came in between, nothing was done
    about it, and its row comes up again.
    """
    started = relay.boottime()
    among = relay.places if places is None else places
    while True:
        prepared = transact(relay.engine, lambda conn: _prepare(conn, relay, most, among, share, started))
        if prepared is not None:
            return prepared


def _prepare(
    conn: sa.Connection, relay: Relay, most: int, places: Sequence[Place], share: Share | None, started: float
) -> list[Call | Row] | None:
    """None if there was news about every order."""
    passage = gateway.lease(conn, relay, most, places, share)
    rows = passage.rows
    if not rows:
        return []
    store = rows[0].key.store
    orders = load_all(conn, store, [row.key.order_id for row in rows])
    moves: list[Move] = []
    writes: list[tuple[Turn, Due]] = []
    for turn in [Turn(relay, row, orders[row.key.order_id]) for row in rows]:
        found = _safely(turn, partial(_look_at, turn))
        if isinstance(found, Move):
            moves.append(found)
        else:
            writes.append((turn, found))
    moves += _written(conn, store, writes, started)
    raced = carry_out(conn, relay, store, moves, give_back=True)
    if len(raced) == len(moves):
        return None
    return gateway.begin(conn, relay, passage.gate, [move.call or move.turn.row for move in moves if move not in raced])


def _look_at(turn: Turn) -> Move | Due:
    """What the order as it stands asks of the row; a request that is due now is still to be built."""
    row = turn.row
    if row.state != "planned":
        return _look_up(turn)
    due = still_due(turn.order, turn.policy, row)
    if due is None:
        return _drop(turn)
    if due.not_before > row.now:
        return Move(turn, change=stands(turn, next_at=due.not_before))
    if due.effect.reads and not due.effect.asks:
        return Move(turn, call=Call(row, "read", due.effect, turn.order.position, turn.subject))
    return due


def _written(conn: sa.Connection, store: str, writes: Sequence[tuple[Turn, Due]], started: float) -> list[Move]:
    """The writes of a batch, each shown, waiting for another row of its order and destination, or intended."""
    if not writes:
        return []
    turns, dues = [turn for turn, _ in writes], [due for _, due in writes]
    taken = {
        (key.order_id, key.destination) for key in leases.open_rows(conn, store, [t.row.key.order_id for t in turns])
    }
    return [
        _safely(turn, partial(_write, turn, due, taken, started))
        for turn, due in zip(equipped(conn, turns, dues), dues, strict=True)
    ]


def _write(turn: Turn, due: Due, taken: Collection[tuple[str, str]], started: float) -> Move:
    row = turn.row
    if turn.policy.shadow or row.shadow:
        return Move(turn, change=show(turn, due))
    if due.effect.asks:
        return _ask(turn, due, started)
    if (row.key.order_id, row.key.destination) in taken:  # the fold may know its end before the row does
        soon = row.now + timedelta(seconds=turn.relay.windows.look_up)
        return Move(turn, change=stands(turn, next_at=soon, reason="another row is still open"))
    return _intend(turn, due, started)


def still_due(order: Order, policy: StorePolicy, row: Row) -> Due | None:
    """The effect of `row`, if the order as it is now still asks for it: the same key and the same target."""
    for due in effects_due(order, policy):
        if (due.effect, due.generation, due.target) == (row.key.effect, row.key.generation, row.target):
            return due
    return None


def _look_up(turn: Turn) -> Move:
    """An intent whose sender said nothing more, or an unknown: ask. The fold may know the end already."""
    slot = turn.slot
    if slot is None or slot.phase is Phase.AGAIN:
        return Move(turn, change=follow(turn, turn.order, turn.row.now))
    call = Call(turn.row, "look_up", slot.effect, turn.order.position, turn.subject, attempt=slot.attempt)
    return Move(turn, call=call)


def _drop(turn: Turn) -> Move:
    """No longer due. Before any intent that is the end of the row; after one, it is closed on the record."""
    slot = turn.slot
    if slot is None or slot.phase is not Phase.AGAIN:
        return Move(turn, change=ended(turn))
    closed = EffectClosed(slot.effect, slot.generation, slot.attempt, "no longer due")
    return Move(turn, (Fact(closed, f"{turn.row.key}:closed"),), ended(turn))


def _intend(turn: Turn, due: Due, started: float) -> Move:
    """Decide if it is a command, freeze the request, record the intent."""
    relay, row, order = turn.relay, turn.row, turn.order
    connector = relay.tenants[row.key.store].connectors[due.destination]
    slot = order.slot(due.destination)
    attempt = slot.attempt + 1 if slot is not None else 1
    try:
        decisions, request = built(turn, due)
        asked = price(turn, due)
    except (FreezeError, IllegalTransition) as error:
        return _cannot(turn, due, attempt, str(error))
    send_by = row.now + timedelta(seconds=relay.windows.send)
    counts_from = send_by + timedelta(seconds=relay.windows.call + connector.capabilities.settles)
    digest = mac(relay.vault, row.key.store, request).hex()
    seen = order.shop.get(due.target)
    intended = EffectIntended(
        effect=due.effect,
        generation=due.generation,
        attempt=attempt,
        target=due.target,
        digest=digest,
        send_by=send_by,
        counts_from=counts_from,
        seen=seen.state if seen else None,
        currency=asked.currency,
        total=asked.total,
        rate=asked.rate,
    )
    sealed = sealed_request(turn, request, attempt)
    change = stands(
        turn,
        leased=True,
        state="intent",
        attempt=attempt,
        failures=0,
        request=sealed.data,
        request_key=sealed.key,
        digest=digest,
        send_by=send_by,
        counts_from=counts_from,
        next_at=send_by,
        reason="",
    )
    decided = [Fact(decision, f"{row.key}:{attempt}:decided") for decision in decisions]
    sent = replace(row, digest=digest)
    deadline = started + relay.windows.send
    call = Call(sent, "send", due.effect, order.position, turn.subject, request, attempt, deadline)
    return Move(turn, (*decided, Fact(intended, f"{row.key}:{attempt}:intended")), change, call)


def _ask(turn: Turn, due: Due, started: float) -> Move:
    """A read with a request of its own: nothing is at stake, so no intent is recorded; its call is, as every call."""
    relay, row = turn.relay, turn.row
    try:
        _, request = built(turn, due)
    except (FreezeError, IllegalTransition) as error:
        exhausted = EffectExhausted(due.effect, due.generation, 0, str(error))
        return Move(turn, (Fact(exhausted, f"{row.key}:0"),), ended(turn))
    sent = replace(row, digest=mac(relay.vault, row.key.store, request).hex())
    deadline = started + relay.windows.send
    call = Call(sent, "read", due.effect, turn.order.position, turn.subject, request, deadline=deadline)
    return Move(turn, call=call)


def _cannot(turn: Turn, due: Due, attempt: int, reason: str) -> Move:
    """A request that cannot even be built goes to a person. The intent is recorded and ended in one breath."""
    row = turn.row
    intended = EffectIntended(due.effect, due.generation, attempt, due.target, "", row.now, row.now)
    exhausted = EffectExhausted(due.effect, due.generation, attempt, reason)
    facts = Fact(intended, f"{row.key}:{attempt}:intended"), Fact(exhausted, f"{row.key}:{attempt}")
    return Move(turn, facts, ended(turn))


def _safely(turn: Turn, build: Callable[[], T]) -> T | Move:
    """A mistake of ours about one order delays that order; the others of the batch go on."""
    try:
        return build()
    except Exception as error:  # noqa: BLE001  whatever it is: no order may stand in the way of the others
        row, name = turn.row, type(error).__name__
        _log.error("%s: %s while it was prepared", row.key, name)
        later = row.now + timedelta(seconds=max(1.0, turn.relay.backoff(row.failures + 1)))
        reason = f"orderflow itself failed: {name}"
        return Move(turn, change=stands(turn, next_at=later, failures=row.failures + 1, reason=reason))
