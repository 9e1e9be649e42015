"""Ask Glopal and the shop about one order, outside any transaction, and record what differs.

It never records an answer about a shop order that changed while it was asked, and writes no fact that says nothing
new: a reconciliation that finds what was known before leaves Glopal's answer in the log, like any GET, and no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import uuid4

import sqlalchemy as sa

from orderflow.connectors import Found, Missing, Retry, ShopConnector, Sight, Subject, Unreadable, View, Viewed
from orderflow.desk.reconcile.compare import Seen, compare
from orderflow.domain.events import Destination, Drift, Effect, Reconciled, Sighting
from orderflow.domain.order import Order
from orderflow.orders import Fact, RaceError, UnknownOrderError, ahead, commit, load
from orderflow.relay import Call, Relay, Reply, attempts, observed, perform
from orderflow.relay.pacing import why_shut
from orderflow.relay.work import Turn
from orderflow.store import epochs, gates, progress
from orderflow.store.connect import transact
from orderflow.store.outbox import Key, unplanned
from orderflow.store.vault import keys_of

_TURNS = 3
"""How often an order is asked about that changes while it is asked about."""


@dataclass(frozen=True, slots=True)
class Report:
    """What came of one order. `followed`: the status that Glopal showed and no event had told, if so.

    `problem` says why it, or its shop order, could not be compared, in words without anything personal. `rest`: the
    seconds for which a destination wants to be left alone.
    """

    order_id: str
    status: str = ""
    drifts: tuple[Drift, ...] = ()
    followed: str = ""
    problem: str = ""
    rest: float = 0.0


@dataclass(frozen=True, slots=True)
class _Asked:
    """The order as it stood, what it was asked with, and the answers."""

    order: Order
    turn: Turn
    calls: tuple[tuple[Call, Reply], ...]
    details: Sight | None
    shop: Viewed | None = None
    beside: Sight | None = None


def reconcile(relay: Relay, store: str, order_id: str) -> Report:
    """Compare one order three ways. Raises `UnknownOrderError`."""
    for _ in range(_TURNS):
        why = transact(relay.engine, partial(stopped, store=store))
        if why:
            return Report(order_id, problem=why)
        asked = _ask(relay, store, order_id)
        report = _recorded(relay, store, order_id, asked)
        if report is not None:
            return report
    return Report(order_id, problem="it changed whenever it was asked about")


def stopped(conn: sa.Connection, store: str) -> str:
    """Why nobody should be asked now."""
    if epochs.pending(conn, store) is not None:
        return "effects are kept back after a restore: `recover reconcile` looks orders up"
    pauses = progress.paused(conn, store)
    paused = (f"{p.value} is paused: {pauses[p.value][0]}" for p in Destination if p.value in pauses)
    return next(paused, "") or _shut(conn, store)


def _shut(conn: sa.Connection, store: str) -> str:
    """A destination that rests, or whose breaker is open, is left to those whose orders wait for it."""
    now: datetime = conn.execute(sa.select(sa.func.orderflow.wall_clock())).scalar_one()
    shut = (gate for gate in gates.standing(conn, store) if gate.shut_until is not None and gate.shut_until > now)
    return next((f"{gate.destination} is not called: {why_shut(gate, now)}" for gate in shut), "")


def _ask(relay: Relay, store: str, order_id: str) -> _Asked:
    """Glopal first: what it shows decides what the shop is compared with."""
    with relay.engine.begin() as conn:
        order = load(conn, store, order_id)
        now: datetime = conn.execute(sa.select(sa.func.orderflow.wall_clock())).scalar_one()
    if order.version == 0:
        raise UnknownOrderError(f"store {store} has no order {order_id}")
    turn = _turn(relay, store, order_id, order, now, Effect.FETCH)
    call = Call(turn.row, "read", Effect.FETCH, order.position, turn.subject)
    reply = perform(relay, call)
    asked = _Asked(order, turn, ((call, reply),), reply.sight)
    connector = relay.tenants[store].connectors[Destination.SHOP]
    if not isinstance(reply.sight, Found) or not isinstance(connector, ShopConnector) or order.shop_slot is not None:
        return asked
    there = _turn(relay, store, order_id, order, now, Effect.REAP)
    subject = Subject(store, order_id, there.reference)
    look = Call(there.row, "read", Effect.REAP, order.position, subject)
    beside = perform(relay, look)
    shop, calls = None, [*asked.calls, (look, beside)]
    if order.shop.own is not None and isinstance(beside.sight, Found):
        began = relay.boottime()
        shop = connector.view(order.shop.own.shop_id)
        calls.append((look, Reply(None, _as_sight(shop), relay.boottime() - began)))
    return _Asked(order, turn, tuple(calls), reply.sight, shop, beside.sight)


def _turn(relay: Relay, store: str, order_id: str, order: Order, now: datetime, effect: Effect) -> Turn:
    key = Key(store, order_id, effect.destination.value, effect.value, order.generation(effect))
    return Turn(relay, unplanned(key, now, "reconcile"), order)


def _as_sight(shop: Viewed) -> Sight:
    """For the line about the call."""
    return Found((shop.sighting,), status=shop.status) if isinstance(shop, View) else shop


def _recorded(relay: Relay, store: str, order_id: str, asked: _Asked) -> Report | None:
    """What was found, recorded; None if the order's shop side has changed meanwhile."""
    while True:
        try:
            return transact(relay.engine, partial(_record, relay=relay, store=store, order_id=order_id, asked=asked))
        except RaceError:
            continue


def _record(conn: sa.Connection, relay: Relay, store: str, order_id: str, asked: _Asked) -> Report | None:
    before = load(conn, store, order_id)
    same = (before.shop, before.shop_slot) == (asked.order.shop, asked.order.shop_slot)
    call, reply = asked.calls[0]
    key = keys_of(conn, relay.vault, store, [order_id])[order_id]
    turn = Turn(relay, asked.turn.row, before, key)
    name = f"{order_id}:reconcile:{uuid4()}"
    facts = [] if asked.details is None else observed(turn, call, asked.details, name)
    now: datetime = conn.execute(sa.select(sa.func.orderflow.wall_clock())).scalar_one()
    order = ahead(before, [fact.event for fact in facts], now)
    problem = _problem(asked)
    drifts = _drifts(order, turn, asked) if same else before.drifts
    if drifts != order.drifts:
        facts.append(Fact(Reconciled(asked.turn.row.now, drifts), f"{name}:drifts"))
    lines: list[Mapping[str, object]] = [attempts.line(turn, call, reply, facts)]
    lines += [attempts.line(Turn(relay, c.row, before, key), c, r, []) for c, r in asked.calls[1:]]
    attempts.keep(conn, lines)
    commit(conn, relay.vault, store, order_id, before, facts)
    if not same:
        return None
    followed = f"{before.status} -> {order.status}" if order.status is not before.status else ""
    return Report(order_id, order.status.value, drifts, followed, problem, _rest(asked))


def _drifts(order: Order, turn: Turn, asked: _Asked) -> tuple[Drift, ...]:
    """What differs now, and of what could not be compared, what was known of it."""
    if not isinstance(asked.details, Found) or asked.details.details is None:
        return order.drifts
    settle = timedelta(seconds=turn.relay.windows.get_settle)
    beside: tuple[Sighting, ...] = asked.beside.sightings if isinstance(asked.beside, Found) else ()
    shop = asked.shop if isinstance(asked.shop, View | Missing) else None
    seen = Seen(asked.turn.row.now, turn.reference, asked.details.details, shop, beside, settle)
    found = compare(order, turn.policy, seen)
    if _problem(asked):
        return (*(d for d in found if d.place is Destination.GLOPAL), *_of_shop(order.drifts))
    return found


def _of_shop(drifts: tuple[Drift, ...]) -> Iterator[Drift]:
    return (drift for drift in drifts if drift.place is Destination.SHOP)


def _problem(asked: _Asked) -> str:
    """Why Glopal, or the shop, could not be compared."""
    for who, answer in (("Glopal", asked.details), ("the shop", asked.beside), ("the shop", asked.shop)):
        match answer:
            case Retry(reason=reason):
                return f"{who} gave no answer: {reason}"
            case Unreadable(problem=problem):
                return f"{who} cannot be read: {problem}"
            case Missing(reason=reason) if who == "Glopal":
                return f"Glopal does not know it: {reason}"
            case _:
                pass
    if asked.order.shop_slot is not None:
        return f"{asked.order.shop_slot.effect} is under way in the shop"
    return "" if asked.beside is not None else "this shop's connector shows no orders"


def _rest(asked: _Asked) -> float:
    answers = (asked.details, asked.beside, asked.shop)
    return max(max(getattr(a, "rest", 0.0), getattr(a, "after", 0.0)) for a in answers)
