"""The promises, checked against the world's own ledgers.

It shares no decision with the engine: what it knows of orderflow it reads from the log and the outbox as text.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from orderflow.domain.attention import attention
from orderflow.domain.policy import effects_due, held
from orderflow.orders import load
from orderflow.sandbox import Request
from orderflow.store import log

if TYPE_CHECKING:
    from tests.simulation.simulate import Run
    from tests.simulation.world import World


class Broken(AssertionError):
    """A promise is broken."""


def writes_have_intents(engine: sa.Engine, world: World, place: str, request: Request) -> None:
    """Called for every write that reaches a destination: no more of them than recorded intents, the same bytes."""
    with engine.begin() as conn:
        intents = [
            event for event in _events(conn, world) if event["type"] == "EffectIntended" and _place(event) == place
        ]
    sent = sum(1 for other, _ in world.writes if other == place)
    _must(sent <= len(intents), world, f"{sent} writes at {place}, {len(intents)} intents: {request.method} {request.path}")


def at_rest(engine: sa.Engine, run: Run) -> None:
    """Every promise at the end of a run."""
    world = run.world
    with engine.begin() as conn:
        for _ in log.verify(conn, world.store):
            pass
        order = load(conn, world.store, world.order_id)
        now = conn.scalar(sa.select(sa.func.orderflow.wall_clock()))
        rows = conn.execute(
            sa.text("SELECT effect, state, next_at, reason FROM orderflow.outbox WHERE store = :s"), {"s": world.store}
        ).all()
        _looked_up_before_resent(_events(conn, world), world)
    [entry] = world.glopal.ledger(world.store)
    shop = world.shop.ledger()
    named = {one.kind for one in attention(order, run.policy)}
    due = [one for one in effects_due(order, run.policy) if one.not_before <= now]

    promoted = [made for made in shop if made.promoted_at is not None]
    _must(len(promoted) <= 1, world, f"{len(promoted)} shop orders were promoted")
    ids = {call.ids for call in entry.accepts if call.by == "api"}
    _must(len(ids) <= 1, world, f"accepted with several ids: {ids}")
    _must(all(call.ids[0] in {made.id for made in shop} for call in entry.accepts if call.by == "api"), world, "accept of nothing")
    living = [made for made in shop if made.state in ("draft", "order")]
    recorded = order.shop.recorded
    strays = [made for made in living if made.id != recorded]
    _must(not strays, world, f"strays {[s.id for s in strays]} beside {recorded} ({named})")
    _must(order.status == entry.status, world, f"we say {order.status}, Glopal says {entry.status} ({named})")
    _must(not due, world, f"due now: {due}")
    open_rows = [row for row in rows if row.state != "planned" or row.next_at <= now]
    _must(not open_rows, world, f"unresolved rows: {open_rows}")
    _must(not held(order, run.policy), world, f"held: {order.holds}")
    if entry.status == "CANCELLED":
        fulfilled = any(made.fulfilled for made in living)
        _must(not living or (fulfilled and "parked_withdraw" in named), world, f"alive though cancelled: {living} {named}")
    elif not named:
        _complete(world, run, order, entry, living)
    run.counts[f"end {entry.status}"] += 1
    for kind in named:
        run.counts[f"exception {kind}"] += 1


def _complete(world: World, run: Run, order: Any, entry: Any, living: list[Any]) -> None:
    """Without a named exception nothing is left undone."""
    if order.cancel_reason is not None:
        _must(False, world, "asked to be cancelled, lives on, and nobody is told")
    _must(len(living) == 1, world, f"{len(living)} shop orders for an order that is {entry.status}")
    if entry.status == "RECEIVED":
        _must(living[0].state == "draft", world, "promoted before it was ready")
    if entry.status in ("READY", "ACCEPTED", "COMPLETED"):
        _must(living[0].state == "order", world, f"{entry.status}, but the shop has a {living[0].state}")
        _must(entry.ids is not None and entry.ids[0] == living[0].id, world, f"accepted as {entry.ids}")
        _must(entry.status != "READY", world, "never accepted")


def _looked_up_before_resent(events: list[dict[str, Any]], world: World) -> None:
    """Between two intents of one key stands proof that the first did nothing: a plain no, or two look-ups in time."""
    open_: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for event in events:
        key = (event.get("effect", ""), event.get("generation", -1))
        if event["type"] == "EffectIntended":
            past = open_.get(key)
            if past is not None:
                _proved(past, world)
            open_[key] = [event]
        elif event["type"] == "DetailsFetched":
            for past in open_.values():
                past.append(event)
        elif key in open_:
            open_[key].append(event)


def _proved(past: list[dict[str, Any]], world: World) -> None:
    intent, *rest = past
    unknown = any(e["type"] == "EffectUnknown" for e in rest) or not any(
        e["type"] in ("EffectNotExecuted", "EffectRefused") and e["source_id"].count(":") == 4 for e in rest
    )
    if not unknown:
        return
    looks = [e for e in rest if e["type"] in ("LookedUp", "DetailsFetched") and e["sent_at"] >= intent["counts_from"]]
    _must(len(looks) >= 2, world, f"{intent['effect']} was sent again after {len(looks)} look-ups that count")


def _events(conn: sa.Connection, world: World) -> list[dict[str, Any]]:
    query = sa.text(
        "SELECT type, source_id, clear FROM orderflow.events WHERE store = :s AND order_id = :o ORDER BY position"
    )
    rows = conn.execute(query, {"s": world.store, "o": world.order_id})
    return [json.loads(row.clear) | {"type": row.type, "source_id": row.source_id} for row in rows]


def _place(event: dict[str, Any]) -> str:
    return "shop" if event["effect"] in ("draft", "promote", "withdraw") else "glopal"


def _must(holds: bool, world: World, text: str) -> None:
    if not holds:
        raise Broken(f"{world.store} order {world.order_id}: {text}")
