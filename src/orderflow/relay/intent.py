"""Before the call: lease a row, re-fold, decide, freeze the request and record the intent, in one transaction.

It never lets a byte leave: that is for `call`, once this transaction has been committed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import sqlalchemy as sa

from orderflow.connectors import FreezeError
from orderflow.domain.decisions import IllegalTransition
from orderflow.domain.due import Due, effects_due
from orderflow.domain.events import EffectClosed, EffectExhausted, EffectIntended
from orderflow.domain.order import Order, Phase
from orderflow.domain.policy import StorePolicy
from orderflow.orders import Fact, RaceError, load
from orderflow.relay.request import built, price, sealed_request
from orderflow.relay.rows import follow
from orderflow.relay.shadow import show
from orderflow.relay.work import Call, Relay, Turn
from orderflow.store import outbox
from orderflow.store.connect import transact
from orderflow.store.outbox import Row
from orderflow.store.vault import mac


def prepare(relay: Relay) -> Call | Row | None:
    """Lease the next row and get ready to act on it: a `Call`, the row itself if that was all, None if nothing is due.

    A race with news about the order rolls everything back, and the row comes up again.
    """
    started = relay.boottime()
    while True:
        try:
            return transact(relay.engine, lambda conn: _prepare(conn, relay, started))
        except RaceError:
            continue


def _prepare(conn: sa.Connection, relay: Relay, started: float) -> Call | Row | None:
    row = outbox.lease(conn, relay.owner, relay.windows.lease, sorted(relay.tenants))
    if row is None:
        return None
    turn = Turn(conn, relay, row, load(conn, row.key.store, row.key.order_id))
    if row.state != "planned":
        return _look_up(turn)
    due = still_due(turn.order, turn.policy, row)
    if due is None:
        return _drop(turn)
    if due.not_before > row.now:
        outbox.change(conn, row.key, next_at=due.not_before, lease_until=None)
        return row
    if due.effect.reads:
        return Call(row, "read", due.effect, turn.order.position, turn.subject)
    if turn.policy.shadow or row.shadow:
        show(turn, due)
        return row
    if _occupied(turn):
        soon = row.now + timedelta(seconds=relay.windows.look_up)
        outbox.change(conn, row.key, next_at=soon, lease_until=None, reason="another row is still open")
        return row
    return _intend(turn, due, started)


def still_due(order: Order, policy: StorePolicy, row: Row) -> Due | None:
    """The effect of `row`, if the order as it is now still asks for it: the same key and the same target."""
    for due in effects_due(order, policy):
        if (due.effect, due.generation, due.target) == (row.key.effect, row.key.generation, row.target):
            return due
    return None


def _occupied(turn: Turn) -> bool:
    """Is another write row of this order and destination open? The fold may know its end before the row does."""
    rows = outbox.rows_of(turn.conn, turn.row.key.store, turn.row.key.order_id)
    place = turn.row.key.destination
    return any(r.state != "planned" and r.key.destination == place and r.key != turn.row.key for r in rows)


def _look_up(turn: Turn) -> Call | Row:
    """An intent whose sender said nothing more, or an unknown: ask. The fold may know the end already."""
    slot = turn.slot
    if slot is None or slot.phase is Phase.AGAIN:
        follow(turn, turn.order, turn.row.now)
        return turn.row
    return Call(turn.row, "look_up", slot.effect, turn.order.position, turn.subject, attempt=slot.attempt)


def _drop(turn: Turn) -> Row:
    """No longer due. Before any intent that is the end of the row; after one, it is closed on the record."""
    slot = turn.slot
    outbox.remove(turn.conn, turn.row.key)
    if slot is not None and slot.phase is Phase.AGAIN:
        closed = EffectClosed(slot.effect, slot.generation, slot.attempt, "no longer due")
        turn.commit(Fact(closed, f"{turn.row.key}:closed"))
    return turn.row


def _intend(turn: Turn, due: Due, started: float) -> Call | Row:
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
    counts_from = send_by + timedelta(seconds=relay.windows.call + connector.capabilities.settle_window)
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
    outbox.change(
        turn.conn,
        row.key,
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
    turn.commit(*decided, Fact(intended, f"{row.key}:{attempt}:intended"))
    deadline = started + relay.windows.send
    return Call(
        replace(row, digest=digest), "send", due.effect, order.position, turn.subject, request, attempt, deadline
    )


def _cannot(turn: Turn, due: Due, attempt: int, reason: str) -> Row:
    """A request that cannot even be built goes to a person. The intent is recorded and ended in one breath."""
    row = turn.row
    intended = EffectIntended(due.effect, due.generation, attempt, due.target, "", row.now, row.now)
    exhausted = EffectExhausted(due.effect, due.generation, attempt, reason)
    outbox.remove(turn.conn, row.key)
    turn.commit(Fact(intended, f"{row.key}:{attempt}:intended"), Fact(exhausted, f"{row.key}:{attempt}"))
    return row
