"""Before the call: lease a row, re-fold, decide, freeze the request and record the intent, in one transaction.

It never lets a byte leave: that is for `call`, once this transaction has been committed.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from orderflow.connectors import FreezeError, Subject, Task
from orderflow.domain.decisions import Accept, Cancel, IllegalTransition, decide
from orderflow.domain.events import (
    DetailsFetched,
    Effect,
    EffectClosed,
    EffectExhausted,
    EffectIntended,
    Event,
    ShopState,
)
from orderflow.domain.order import Order, Phase
from orderflow.domain.policy import Due, StorePolicy, effects_due
from orderflow.orders import Fact, RaceError, commit, load
from orderflow.relay.rows import follow
from orderflow.relay.work import POLICY, Call, Line, Relay, reference, slot_of
from orderflow.store import outbox
from orderflow.store.connect import transact
from orderflow.store.outbox import Key, Row
from orderflow.store.tables import events
from orderflow.store.vault import key, keys_of, mac, seal, unseal


def prepare(relay: Relay) -> Call | Row | None:
    """Lease the next row and get ready to act on it: a `Call`, the row itself if that was all, None if nothing is due.

    One transaction: re-fold, re-check that it is still due, decide, freeze, record the intent. A race with news about
    the order rolls it all back, and the row comes up again.
    """
    started = relay.boottime()
    try:
        return transact(relay.engine, lambda conn: _prepare(conn, relay, started))
    except RaceError:
        return prepare(relay)


def _prepare(conn: sa.Connection, relay: Relay, started: float) -> Call | Row | None:
    row = outbox.lease(conn, relay.owner, relay.windows.lease, sorted(relay.lines))
    if row is None:
        return None
    line = relay.lines[row.key.store]
    order = load(conn, row.key.store, row.key.order_id)
    if row.state != "planned":
        return _look_up(conn, row, order, started)
    due = still_due(order, line.policy, row)
    if due is None:
        _drop(conn, relay, row, order)
        return row
    if due.not_before > row.now:
        outbox.change(conn, row.key, fence=row.fence, next_at=due.not_before, lease_until=None)
        return row
    if due.effect.reads:
        return Call(row, "read", due.effect, order.position, _subject(row.key, order), started=started)
    if line.policy.shadow:
        later = row.now + timedelta(hours=1)
        outbox.change(conn, row.key, fence=row.fence, next_at=later, lease_until=None, reason="shadow: not sent")
        return row
    return _intend(conn, relay, line, row, order, due, started)


def still_due(order: Order, policy: StorePolicy, row: Row) -> Due | None:
    """The effect of `row`, if the order as it is now still asks for it: the same key and the same target."""
    for due in effects_due(order, policy):
        if (due.effect, due.generation) == (row.key.effect, row.key.generation) and due.target == row.target:
            return due
    return None


def _look_up(conn: sa.Connection, row: Row, order: Order, started: float) -> Call | Row:
    """An intent whose sender said nothing more, or an unknown: ask. The fold may know the end already."""
    slot = slot_of(order, row.key)
    if slot is None or slot.phase is Phase.AGAIN:
        follow(conn, row, order, row.now)
        return row
    return Call(
        row, "look_up", slot.effect, order.position, _subject(row.key, order), attempt=slot.attempt, started=started
    )


def _drop(conn: sa.Connection, relay: Relay, row: Row, order: Order) -> None:
    """No longer due. Before any intent that is the end of the row; after one, it is closed on the record."""
    slot = slot_of(order, row.key)
    if slot is not None and slot.phase is Phase.AGAIN:
        closed = EffectClosed(slot.effect, slot.generation, slot.attempt, "no longer due")
        commit(conn, relay.vault, row.key.store, row.key.order_id, order, [Fact(closed, f"{row.key}:closed")])
    outbox.remove(conn, row.key, fence=row.fence)


def _intend(
    conn: sa.Connection, relay: Relay, line: Line, row: Row, order: Order, due: Due, started: float
) -> Call | Row:
    """Decide if it is a command, freeze the request, record the intent."""
    connector = line.connectors[due.destination]
    slot = order.slot(due.destination)
    attempt = slot.attempt + 1 if slot is not None else 1
    try:
        decisions = _decisions(order, line.policy, due)
        request = connector.freeze(_task(conn, relay, line, row.key, order, due))
    except (FreezeError, IllegalTransition) as error:
        _cannot(conn, relay, row, order, due, attempt, str(error))
        return row
    windows = relay.windows
    send_by = row.now + timedelta(seconds=windows.send)
    counts_from = send_by + timedelta(seconds=windows.call + connector.capabilities.settle_window)
    digest = mac(relay.vault, row.key.store, request).hex()
    seen = order.shop.get(due.target)
    intended = EffectIntended(
        due.effect, due.generation, attempt, due.target, digest, send_by, counts_from, seen.state if seen else None
    )
    order_key = keys_of(conn, relay.vault, row.key.store, [row.key.order_id])[row.key.order_id]
    sealed = seal(relay.vault, order_key, request, _NOWHERE, f"{row.key}:{attempt}")
    outbox.change(
        conn,
        row.key,
        fence=row.fence,
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
    facts = [Fact(decision, f"{row.key}:decided:{attempt}") for decision in decisions]
    commit(
        conn,
        relay.vault,
        row.key.store,
        row.key.order_id,
        order,
        [*facts, Fact(intended, f"{row.key}:{attempt}:intended")],
    )
    deadline = started + windows.send
    return Call(row, "send", due.effect, order.position, _subject(row.key, order), request, attempt, deadline, started)


_NOWHERE: Final = UUID(int=0)
"""Frozen requests are bound to their outbox key and attempt instead of an event."""


def _decisions(order: Order, policy: StorePolicy, due: Due) -> tuple[Event, ...]:
    """The decision that this effect carries out, unless it was taken before."""
    if due.effect is Effect.ACCEPT and due.ids is not None:
        return decide(order, Accept(due.ids, POLICY))
    if due.effect is Effect.CANCEL and order.cancel_reason is None:
        return decide(order, Cancel("the shop refused the order", POLICY))
    return ()


def _cannot(conn: sa.Connection, relay: Relay, row: Row, order: Order, due: Due, attempt: int, reason: str) -> None:
    """A request that cannot even be built goes to a person. The intent is recorded and ended in one breath."""
    intended = EffectIntended(due.effect, due.generation, attempt, due.target, "", row.now, row.now, None)
    exhausted = EffectExhausted(due.effect, due.generation, attempt, reason)
    facts = [Fact(intended, f"{row.key}:{attempt}:intended"), Fact(exhausted, f"{row.key}:{attempt}")]
    commit(conn, relay.vault, row.key.store, row.key.order_id, order, facts)
    outbox.remove(conn, row.key, fence=row.fence)


def _subject(key: Key, order: Order) -> Subject:
    return Subject(key.store, key.order_id, reference(key), tuple(s.shop_id for s in order.shop.seen))


def _task(conn: sa.Connection, relay: Relay, line: Line, key: Key, order: Order, due: Due) -> Task:
    seen = order.shop.get(due.target)
    refund = next((r for r in order.refunds if r.refund == due.target), None)
    return Task(
        effect=due.effect,
        store=key.store,
        order_id=key.order_id,
        reference=reference(key),
        target=due.target,
        seen=seen.state if seen is not None else (ShopState.ORDER if due.effect is Effect.WITHDRAW else None),
        ids=due.ids,
        details=_details(conn, relay, key, order) if due.effect is Effect.DRAFT else None,
        amount=refund.amount if refund else None,
        currency=refund.currency if refund else None,
        reason=order.cancel_reason or (refund.reason if refund else "cancelled at Glopal"),
    )


def _details(conn: sa.Connection, relay: Relay, key_: Key, order: Order) -> bytes:
    """The newest details as they came, out of the sealed body of the event that recorded them."""
    query = (
        sa.select(events.c.position, events.c.event_id, events.c.body, events.c.body_key, events.c.clear)
        .where(
            events.c.store == key_.store,
            events.c.order_id == key_.order_id,
            events.c.type == DetailsFetched.__name__,
            events.c.body.is_not(None),
        )
        .order_by(events.c.version.desc())
        .limit(1)
    )
    row = conn.execute(query).one_or_none()
    if row is None or order.details is None:
        raise FreezeError("there are no details to build a shop order from")
    data_key = key(conn, relay.vault, key_.store, key_.order_id, row.body_key)
    return unseal(data_key, row.body, row.event_id, "body")
