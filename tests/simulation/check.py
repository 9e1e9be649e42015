"""The promises, checked against the world's own ledgers.

It shares no decision with the engine: what it knows of orderflow it reads from the log and the outbox as text.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from orderflow.domain.attention import attention
from orderflow.domain.due import effects_due
from orderflow.domain.policy import held
from orderflow.orders import load
from orderflow.sandbox import Request
from orderflow.store.verify import verify

if TYPE_CHECKING:
    from tests.simulation.simulate import Run
    from tests.simulation.world import World


class Broken(AssertionError):
    """A promise is broken."""


@dataclass
class Wiretap:
    """What went over the wires, and how much of the log stood when it did."""

    window: sa.Engine
    world: World
    sent: Counter[str] = field(default_factory=Counter)
    unanswered: dict[str, int] = field(default_factory=dict)
    broken: Broken | None = None

    def write(self, place: str, request: Request) -> None:
        """A write leaves. What is wrong with it is kept: a connector would take an exception for a broken wire."""
        try:
            self._judge(place, request)
        except Broken as broken:
            self.broken = self.broken or broken

    def _judge(self, place: str, request: Request) -> None:
        """There is an intent for it, and if the last one like it was not answered, it was looked up."""
        order_id = _order_of(self.world, request)
        with self.window.connect() as conn:
            events = _events(conn, self.world, order_id)
        intents = [event for event in events if event["type"] == "EffectIntended" and _place(event) == place]
        self.sent[f"{place} {order_id}"] += 1
        what = f"{request.method} {request.path}"
        _must(self.sent[f"{place} {order_id}"] <= len(intents), f"{order_id}: {what} without an intent")
        known = self.unanswered.pop(_name(place, request), None)
        if known is not None:
            _looked_up_since(events, known, place)

    def answered(self, place: str, request: Request, status: int | None, body: bytes) -> None:
        """What the client heard: `status` None where it heard nothing."""
        vague = status is None or status >= 500 or (200 <= status < 300 and status != 204 and b'"' not in body)
        if vague:
            with self.window.connect() as conn:
                known = len(_events(conn, self.world, _order_of(self.world, request)))
            self.unanswered[_name(place, request)] = known


def _name(place: str, request: Request) -> str:
    """Requests with the same name are attempts of the same effect."""
    return request.headers.get("idempotency-key", f"{place} {request.method} {request.path}")


def _order_of(world: World, request: Request) -> str:
    """The order that a write is about: it stands in the path, or the shop's order there does, or our reference."""
    for life in world.lives:
        names = {life.order_id, *(entry.id for entry in world.made(life.order_id))}
        if names & set(request.path.split("/")) or f'"glopal:{world.store}:{life.order_id}"'.encode() in request.body:
            return life.order_id
    raise Broken(f"{world.store}: {request.method} {request.path} is about no order of ours")


def _looked_up_since(events: list[dict[str, Any]], known: int, place: str) -> None:
    intent = [e for e in events[:known] if e["type"] == "EffectIntended" and _place(e) == place][-1]
    looks = [
        event
        for event in events[known:]
        if (event["type"] == "DetailsFetched" and place == "glopal")
        or (event["type"] == "LookedUp" and event["effect"] == intent["effect"])
    ]
    counting = [event for event in looks if event["sent_at"] >= intent["counts_from"]]
    _must(len(counting) >= 2, f"{intent['effect']} was sent again after {len(counting)} look-ups that count")


def at_rest(engine: sa.Engine, run: Run) -> None:
    """Every promise at the end of a run."""
    with engine.begin() as conn:
        for _ in verify(conn, run.world.store):
            pass
    for life in run.world.lives:
        try:
            _at_rest(engine, run, life.order_id)
        except Broken as broken:
            raise Broken(f"{run.world.store} order {life.order_id}: {broken}") from None


def _at_rest(engine: sa.Engine, run: Run, order_id: str) -> None:
    world = run.world
    with engine.begin() as conn:
        order = load(conn, world.store, order_id)
        now = conn.scalar(sa.select(sa.func.orderflow.wall_clock()))
        rows = conn.execute(
            sa.text("SELECT effect, state, next_at, reason FROM orderflow.outbox WHERE store = :s AND order_id = :o"),
            {"s": world.store, "o": order_id},
        ).all()
        _nothing_begun_after_the_end(_events(conn, world, order_id))
    [entry] = [one for one in world.glopal.ledger(world.store) if one.order_id == order_id]
    shop = world.made(order_id)
    named = {one.kind for one in attention(order, run.policy)}
    due = [one for one in effects_due(order, run.policy) if one.not_before <= now]

    promoted = [made for made in shop if made.promoted_at is not None]
    _must(len(promoted) <= 1, f"{len(promoted)} shop orders were promoted")
    ids = {call.ids for call in entry.accepts if call.by == "api"}
    _must(len(ids) <= 1, f"accepted with several ids: {ids}")
    _must(
        all(call.ids[0] in {made.id for made in shop} for call in entry.accepts if call.by == "api"),
        "accept of nothing",
    )
    living = [made for made in shop if made.state in ("draft", "order")]
    recorded = order.shop.recorded
    strays = [made for made in living if made.id != recorded]
    _must(not strays, f"strays {[s.id for s in strays]} beside {recorded} ({named})")
    _must(order.status == entry.status, f"we say {order.status}, Glopal says {entry.status} ({named})")
    _must(not due, f"due now: {due}")
    open_rows = [row for row in rows if row.state != "planned" or row.next_at <= now]
    _must(not open_rows, f"unresolved rows: {open_rows}")
    _must(not held(order, run.policy), f"held: {order.holds}")
    if entry.status == "CANCELLED":
        fulfilled = any(made.fulfilled for made in living)
        _must(not living or (fulfilled and "parked_withdraw" in named), f"alive though cancelled: {living} {named}")
    elif not named:
        _complete(order, entry, living)
    run.counts[f"end {entry.status}"] += 1
    for kind in named:
        run.counts[f"exception {kind}"] += 1


def _nothing_begun_after_the_end(events: list[dict[str, Any]]) -> None:
    """Once a cancellation is recorded (Glopal's or ours), no draft, promotion or accept is intended."""
    over = False
    for event in events:
        begins = event["type"] == "EffectIntended" and event["effect"] in ("draft", "promote", "accept")
        _must(not (over and begins), f"{event.get('effect')} was intended after the cancellation was known")
        over = over or event["type"] in ("OrderCancelled", "CancelRequested") or event.get("status") == "CANCELLED"


def _complete(order: Any, entry: Any, living: list[Any]) -> None:
    """Without a named exception nothing is left undone."""
    _must(order.cancel_reason is None, "asked to be cancelled, lives on, and nobody is told")
    _must(len(living) == 1, f"{len(living)} shop orders for an order that is {entry.status}")
    if entry.status == "RECEIVED":
        _must(living[0].state == "draft", "promoted before it was ready")
    if entry.status in ("READY", "ACCEPTED", "COMPLETED"):
        _must(living[0].state == "order", f"{entry.status}, but the shop has a {living[0].state}")
        _must(entry.ids is not None and entry.ids[0] == living[0].id, f"accepted as {entry.ids}")
        _must(entry.status != "READY", "never accepted")


def _events(conn: sa.Connection, world: World, order_id: str) -> list[dict[str, Any]]:
    query = sa.text(
        "SELECT type, source_id, clear FROM orderflow.events WHERE store = :s AND order_id = :o ORDER BY position"
    )
    rows = conn.execute(query, {"s": world.store, "o": order_id})
    return [json.loads(row.clear) | {"type": row.type, "source_id": row.source_id} for row in rows]


def _place(event: dict[str, Any]) -> str:
    return "shop" if event["effect"] in ("draft", "promote", "withdraw") else "glopal"


def _must(holds: object, text: str) -> None:
    if not holds:
        raise Broken(text)
