"""Looking one order up at the shop and at Glopal, and recording what they say as facts of the new epoch.

It never counts an answer that came too early: what was on its way when the log was lost may still arrive.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import sqlalchemy as sa

from orderflow.connectors import Found, Missing, Retry, Sight, Unreadable
from orderflow.domain.due import wanted
from orderflow.domain.events import (
    Destination,
    Effect,
    EffectClosed,
    EffectDelivered,
    EffectExhausted,
    EffectIntended,
    EffectUnknown,
    Event,
    ShopState,
)
from orderflow.domain.order import Order
from orderflow.domain.policy import Mode, StorePolicy, in_scope
from orderflow.orders import Fact, RaceError, ahead, commit, load
from orderflow.recovery.reopening import source_id
from orderflow.relay import Call, Relay, Reply, attempts, observed, perform
from orderflow.relay.work import Turn
from orderflow.store import epochs, progress
from orderflow.store.connect import transact
from orderflow.store.epochs import Recovery
from orderflow.store.outbox import Key, unplanned
from orderflow.store.vault import keys_of

LOST: Final = "what was sent was lost with the log"


class TooEarlyError(Exception):
    """Answers count from `at` on, by the database's clock."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        super().__init__(f"what was on its way may still arrive; answers count from {at:%Y-%m-%d %H:%M:%S} UTC on")


def counts_from(relay: Relay, recovery: Recovery) -> datetime:
    """From when an answer shows everything that was sent before the log was lost: as for any intent."""
    windows, connectors = relay.windows, relay.tenants[recovery.store].connectors.values()
    settle = max(connector.capabilities.settles for connector in connectors)
    return recovery.noticed_at + timedelta(seconds=windows.send + windows.call + settle)


@dataclass(frozen=True, slots=True)
class _Answer:
    """One question and what came back."""

    call: Call
    reply: Reply


def look_up(relay: Relay, recovery: Recovery, order_id: str) -> str | None:
    """Ask about one order and record what was learnt. None if that is done, else why it is not, for people.

    The shop is asked first, so that ids which Glopal shows are known to be ours; a shop that shows nothing is asked
    twice, as always. Raises `TooEarlyError`.
    """
    answers: list[_Answer] = []
    for place, effect in ((Destination.SHOP, Effect.REAP), (Destination.GLOPAL, Effect.FETCH)):
        stopped = _paused(relay, recovery.store, place)
        if stopped is not None:
            return stopped
        answers.append(_ask(relay, recovery, order_id, effect))
        if place is Destination.SHOP and _absent(answers[-1].reply.sight):
            answers.append(_ask(relay, recovery, order_id, effect))
    while True:
        try:
            return transact(relay.engine, partial(_record, relay=relay, recovery=recovery, answers=answers))
        except RaceError:
            continue


def _paused(relay: Relay, store: str, place: Destination) -> str | None:
    with relay.engine.begin() as conn:
        found = progress.paused(conn, store).get(place.value)
    return None if found is None else f"{place.value} is paused: {found[0]}"


def _ask(relay: Relay, recovery: Recovery, order_id: str, effect: Effect) -> _Answer:
    with relay.engine.begin() as conn:
        order = load(conn, recovery.store, order_id)
        now: datetime = conn.execute(sa.select(sa.func.orderflow.wall_clock())).scalar_one()
        at = counts_from(relay, recovery)
        if now < at:
            raise TooEarlyError(at)
        key = Key(recovery.store, order_id, effect.destination.value, effect.value, order.generation(effect))
    turn = Turn(relay, unplanned(key, now, "recovery"), order)
    call = Call(turn.row, "read", effect, order.position, turn.subject)
    return _Answer(call, perform(relay, call))


def _absent(sight: Sight | None) -> bool:
    return isinstance(sight, Found) and all(one.state is ShopState.GONE for one in sight.sightings)


def _record(conn: sa.Connection, relay: Relay, recovery: Recovery, answers: list[_Answer]) -> str | None:
    row = answers[0].call.row
    sealing = keys_of(conn, relay.vault, recovery.store, [row.key.order_id])[row.key.order_id]
    turn = Turn(relay, row, load(conn, recovery.store, row.key.order_id), sealing)
    own = source_id(row.key.order_id, recovery.epoch)
    problem = next((told for answer in answers if (told := _unanswered(answer.reply.sight)) is not None), None)
    facts: list[Fact] = []
    lines: list[Mapping[str, object]] = []
    for number, answer in enumerate(answers):
        # The last one, Glopal's, bears the name by which the order counts as looked up.
        name = own if answer is answers[-1] else f"{own}:shop:{number + 1}"
        sight = answer.reply.sight
        learnt = [] if sight is None or problem is not None else observed(turn, answer.call, sight, name)
        lines.append(attempts.line(turn, answer.call, answer.reply, learnt))
        facts += learnt
    attempts.keep(conn, lines)
    if problem is not None:
        return problem
    now: datetime = conn.execute(sa.select(sa.func.orderflow.wall_clock())).scalar_one()
    after = ahead(turn.order, [fact.event for fact in facts], now)
    for number, event in enumerate(_lost(turn.order, after, turn.policy, _Lost(relay, recovery, now))):
        facts.append(Fact(event, f"{own}:lost:{number + 1}"))
    epochs.take_in(conn, recovery.store, row.key.order_id)
    commit(conn, relay.vault, row.key.store, row.key.order_id, turn.order, facts)
    return None


def _unanswered(sight: Sight | None) -> str | None:
    match sight:
        case Retry(reason=reason) | Missing(reason=reason):
            return reason
        case Found() | Unreadable():
            return None  # what cannot be read holds the order until it can
        case None:
            return "no answer"


# --- what must have been sent ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Lost:
    """When requests that were lost with the log were on the wire at the latest, and from when answers show them."""

    relay: Relay
    recovery: Recovery
    now: datetime

    def intended(self, effect: Effect, generation: int, target: str = "") -> EffectIntended:
        """The intent that must have stood in the log. What was in the request is not known: no digest."""
        send_by = self.recovery.noticed_at + timedelta(seconds=self.relay.windows.send)
        counts = max(counts_from(self.relay, self.recovery), send_by)
        return EffectIntended(effect, generation, 1, target, "", send_by, counts)


def _lost(before: Order, after: Order, policy: StorePolicy, lost: _Lost) -> Iterator[Event]:
    """Outcomes of intents that the log has lost, as far as the answers show them; `after` knows the answers."""
    order = after
    for events in (_draft(before, after, policy, lost), _accept(after)):
        told = list(events)
        order = ahead(order, told, lost.now)
        yield from told
    while (refund := next((r for r in order.refunds if r.outcome == "requested"), None)) and order.glopal_slot is None:
        generation = order.generation(Effect.REFUND)
        told = [
            lost.intended(Effect.REFUND, generation, refund.refund),
            EffectExhausted(Effect.REFUND, generation, 1, f"{LOST}: look at Glopal whether this refund was made"),
        ]
        order = ahead(order, told, lost.now)
        yield from told


def _draft(before: Order, after: Order, policy: StorePolicy, lost: _Lost) -> Iterator[Event]:
    """A draft that was sent unknown to the log: recorded, so that strays are looked for as long as after any other."""
    known = {one.shop_id for one in before.shop.seen}
    new = [one for one in after.shop.seen if one.shop_id not in known]
    if after.shop_slot is not None or policy.mode is Mode.OBSERVE:
        return
    generation = after.generation(Effect.DRAFT)
    if new:
        own = after.shop.own
        yield lost.intended(Effect.DRAFT, generation)
        yield EffectUnknown(Effect.DRAFT, generation, 1, LOST)
        yield EffectDelivered(Effect.DRAFT, generation, 1, own if own in new else new[0])
        return
    want = wanted(after, policy, Destination.SHOP)
    drafting = want is not None and want.effect is Effect.DRAFT  # its own intent will have strays looked for
    if not known and not drafting and in_scope(after, policy):
        yield lost.intended(Effect.DRAFT, generation)
        yield EffectUnknown(Effect.DRAFT, generation, 1, "if it was sent, that was lost with the log")
        yield EffectClosed(Effect.DRAFT, generation, 1, "absent twice, and no longer due")


def _accept(after: Order) -> Iterator[Event]:
    """Glopal shows our own ids, so our accept was delivered: from then on ACCEPTED is waited for."""
    own = after.shop.own
    ours = (after.accept_ids, None if own is None else own.ids)
    if after.external is not None and after.external in ours and after.accepted is None and after.glopal_slot is None:
        yield EffectDelivered(Effect.ACCEPT, after.generation(Effect.ACCEPT), 1)
