"""The promises, checked against the world's own ledgers.

It shares no decision with the engine: what it knows of orderflow it reads from the log and the outbox as text, and
what the fold holds. It never asks what is due to find out whether something was right; only whether all is at rest.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from tests.simulation.wire import stage_of

from orderflow import codec
from orderflow.domain.attention import attention
from orderflow.domain.due import effects_due
from orderflow.domain.events import EvidenceFound, Malformed, Reported, Unrecognised
from orderflow.domain.evolve import evolve
from orderflow.domain.order import Order
from orderflow.domain.policy import StorePolicy, held
from orderflow.orders import load
from orderflow.sandbox import Request
from orderflow.store import log, progress
from orderflow.store.verify import verify

if TYPE_CHECKING:
    from tests.simulation.simulate import Run
    from tests.simulation.world import World


class Promise(StrEnum):
    """What is promised. A broken one is a duplicate, something lost, or something left unknown; or it is a rule."""

    INTENT = "no write without a recorded intent"
    IN_TIME = "no byte after its send_by"
    LOOK_FIRST = "no write again before two look-ups that count"
    READ_BACK = "a refusal is read back before it counts"
    OVER = "nothing begun once a cancellation was known"
    HELD = "nothing begun while held"
    RECORDED = "only the recorded draft is promoted"
    FOUNDED = "accepted only with the ids of a promoted order"
    OURS = "nothing is done to anybody else's order"
    OBSERVED = "what is unknown ends by an observation"
    CLEAR = "cancelled at Glopal only once the shop is clear"
    FENCE = "a stale fence touches no row"
    ONE_OPEN = "one open row for an order and a destination"
    ONE_ORDER = "one promoted order"
    ONE_SET = "one set of accept ids"
    ONE_REFUND = "no refund twice"
    NO_STRAY = "no stray after the reap window"
    GONE = "nothing alive that was cancelled"
    EVENTS = "every event of the feed once"
    STATUS = "Glopal's status in the end"
    PROVED = "a success is proved"
    TOLD = "done, or an exception that has a name"
    RESOLVED = "nothing left unknown"
    REST = "it comes to rest"


DOUBLED: Final = {Promise.ONE_ORDER, Promise.ONE_SET, Promise.ONE_REFUND, Promise.NO_STRAY}
LOST: Final = {Promise.EVENTS, Promise.STATUS, Promise.PROVED, Promise.TOLD, Promise.GONE}
UNKNOWN: Final = {Promise.RESOLVED, Promise.REST}

CALL: Final = timedelta(seconds=30)
SETTLES: Final = {"shop": timedelta(seconds=15), "glopal": timedelta(seconds=60)}
"""How long a call may take, and after how long a look-up shows everything: as declared to the engine."""
REPORTS: Final = {f"order.{word}" for word in ("received", "ready", "accepted", "completed", "cancelled")}
BEGINNING: Final = ("draft", "promote", "accept")


class Broken(AssertionError):
    """A promise is broken."""

    def __init__(self, promise: Promise, text: str) -> None:
        self.promise = promise
        super().__init__(f"{promise.value}: {text}")


@dataclass
class Wiretap:
    """What went over the wires, and how much of the log stood when it did."""

    window: sa.Engine
    world: World
    sent: Counter[str] = field(default_factory=Counter)
    unanswered: dict[str, int] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)  # places that said no to a write, and were not asked anything since
    broken: Broken | None = None

    def write(self, place: str, request: Request) -> None:
        """A write leaves. What is wrong with it is kept: a connector would take an exception for a broken wire."""
        try:
            self._judge(place, request)
        except Broken as broken:
            self.broken = self.broken or broken

    def _judge(self, place: str, request: Request) -> None:
        """There is an intent for it, and if the last one like it was not answered, it was looked up."""
        order_id = order_of(self.world, request)
        with self.window.connect() as conn:
            events = _events(conn, self.world, order_id)
            order = load(conn, self.world.store, order_id)
        intents = [event for event in events if event["type"] == "EffectIntended" and _place(event) == place]
        self.sent[f"{place} {order_id}"] += 1
        what = f"{order_id}: {request.method} {request.path}"
        _must(self.sent[f"{place} {order_id}"] <= len(intents), Promise.INTENT, what)
        late = all(datetime.fromisoformat(event["send_by"]) < self.world.clock.now for event in intents)
        _must(not late, Promise.IN_TIME, what)
        known = self.unanswered.pop(self._name(place, request), None)
        if known is not None:
            _looked_up_since(events, known, place)
        self._fits(stage_of(place, request), order_id, order, request)

    def _fits(self, stage: str, order_id: str, order: Order, request: Request) -> None:
        """It acts upon what it should, as the world has it."""
        made = self.world.made(order_id)
        if stage == "promote":
            target = request.path.split("/")[-2]
            _must(target == order.shop.recorded, Promise.RECORDED, f"{target} instead of {order.shop.recorded}")
        elif stage == "accept" and not any(life.accepted_by_hand for life in self.world.lives):
            promoted = {one.id for one in made if one.promoted_at is not None}
            _must(any(one.encode() in request.body for one in promoted), Promise.FOUNDED, f"{order_id}: {promoted}")
        elif stage == "cancel":
            clear = order.shop_slot is None and not order.shop.living
            _must(clear, Promise.CLEAR, f"{order_id}: {order.shop.living} {order.shop_slot}")

    def answered(self, place: str, request: Request, *, vague: bool) -> None:
        """The client has heard: a clear word, or (`vague`) nothing that it could go by."""
        if vague:
            with self.window.connect() as conn:
                known = len(_events(conn, self.world, order_of(self.world, request)))
            self.unanswered[self._name(place, request)] = known

    def _name(self, place: str, request: Request) -> str:
        """Requests with the same name are attempts to do the same."""
        stage = stage_of(place, request)
        return f"{stage} {order_of(self.world, request)}" if stage == "draft" else f"{stage} {request.path}"


def order_of(world: World, request: Request) -> str:
    """The order that a write is about: it stands in the path, or the shop's order there does, or our reference."""
    for life in world.lives:
        names = {life.order_id, *(entry.id for entry in world.made(life.order_id))}
        if names & set(request.path.split("/")) or f'"glopal:{world.store}:{life.order_id}"'.encode() in request.body:
            return life.order_id
    raise Broken(Promise.OURS, f"{world.store}: {request.method} {request.path} is about no order of ours")


def _looked_up_since(events: list[dict[str, Any]], known: int, place: str) -> None:
    """Since the write that was not answered, two look-ups that count missed it, or one found it."""
    intent = [e for e in events[:known] if e["type"] == "EffectIntended" and _place(e) == place][-1]
    since = events[known:]
    if any(e["type"] == "EffectDelivered" and e["effect"] == intent["effect"] for e in since):
        return
    looks = [
        event
        for event in since
        if (event["type"] == "DetailsFetched" and place == "glopal")
        or (event["type"] == "LookedUp" and event["effect"] == intent["effect"])
    ]
    counts_from = datetime.fromisoformat(intent["send_by"]) + CALL + SETTLES[place]
    counting = [event for event in looks if datetime.fromisoformat(event["sent_at"]) >= counts_from]
    what = f"{intent['effect']} was sent again after {len(counting)} look-ups that count"
    _must(len(counting) >= 2, Promise.LOOK_FIRST, what)


def at_rest(engine: sa.Engine, run: Run) -> None:
    """Every promise at the end of a run."""
    world = run.world
    with engine.begin() as conn:
        for _ in verify(conn, world.store):
            pass
        stopped = progress.paused(conn, world.store)
        recorded = conn.execute(
            sa.text(
                "SELECT source_id FROM orderflow.events"
                " WHERE store = :s AND type LIKE 'Order%' AND type <> 'OrderReleased'"
            ),
            {"s": world.store},
        ).scalars()
        told = Counter(recorded)
    _must(not stopped, Promise.REST, f"paused: {stopped}")
    emitted = {e.event_id for e in world.feed() if e.name in REPORTS and e.order_id is not None}
    twice = [source_id for source_id, count in told.items() if count > 1]
    missing, invented = emitted - set(told) - world.out_of_reach(), set(told) - emitted
    ok = not (twice or missing or invented)
    _must(ok, Promise.EVENTS, f"{twice} twice, {missing} missing, {invented} invented")
    for life in world.lives:
        try:
            _at_rest(engine, run, life.order_id)
        except Broken as broken:
            raise Broken(broken.promise, f"{world.store} order {life.order_id}: {broken}") from None


def _at_rest(engine: sa.Engine, run: Run, order_id: str) -> None:
    world = run.world
    with engine.begin() as conn:
        order = load(conn, world.store, order_id)
        now = conn.scalar(sa.select(sa.func.orderflow.wall_clock()))
        rows = conn.execute(
            sa.text("SELECT effect, state, next_at, reason FROM orderflow.outbox WHERE store = :s AND order_id = :o"),
            {"s": world.store, "o": order_id},
        ).all()
        _nothing_begun_that_should_not_be(_events(conn, world, order_id))
        if world.odd:
            _count_odd_events(conn, run, order_id)
    [entry] = [one for one in world.glopal.ledger(world.store) if one.order_id == order_id]
    shop = world.made(order_id)
    named = {one.kind for one in attention(order, run.policy)}
    due = [one for one in effects_due(order, run.policy) if one.not_before <= now]

    promoted = [made for made in shop if made.promoted_at is not None]
    _must(len(promoted) <= 1, Promise.ONE_ORDER, f"{len(promoted)} shop orders were promoted")
    ids = {call.ids for call in entry.accepts if call.by == "api"}
    _must(len(ids) <= 1, Promise.ONE_SET, f"accepted with several sets of ids: {ids}")
    of_ours = all(call.ids[0] in {made.id for made in shop} for call in entry.accepts if call.by == "api")
    _must(of_ours, Promise.FOUNDED, "accept of nothing")
    _must(len(entry.refunds) <= len(order.refunds), Promise.ONE_REFUND, f"{len(entry.refunds)} of {order.refunds}")
    living = [made for made in shop if made.state in ("draft", "order")]
    recorded = order.shop.recorded
    strays = [made.id for made in living if made.id != recorded]
    _must(not strays, Promise.NO_STRAY, f"strays {strays} beside {recorded} ({named})")
    told = f"we say {order.status}, Glopal says {entry.status} ({named})"
    _must(order.status == entry.status, Promise.STATUS, told)
    _must(not due, Promise.REST, f"due now: {due}")
    open_rows = [row for row in rows if row.state != "planned" or row.next_at <= now]
    if "unknown_refund" in named:
        open_rows = [row for row in open_rows if row.effect != "refund"]
    _must(not open_rows, Promise.RESOLVED, f"unresolved rows: {open_rows}")
    _must(not held(order, run.policy), Promise.REST, f"held: {order.holds}")
    believed = named & {"accept_unseen", "cancel_unseen"}
    _must(not believed, Promise.PROVED, f"{believed}, though Glopal shows what it did")
    if entry.status == "CANCELLED":
        fulfilled = any(made.fulfilled for made in living)
        gone = not living or (fulfilled and "parked_withdraw" in named)
        _must(gone, Promise.GONE, f"alive though cancelled: {living} {named}")
    elif not named:
        _complete(order, entry, living)
    run.counts[f"end {entry.status}"] += 1
    for kind in named:
        run.counts[f"exception {kind}"] += 1


def _nothing_begun_that_should_not_be(events: list[dict[str, Any]]) -> None:
    """Once a cancellation is recorded (Glopal's or ours), and while held, no draft, promotion or accept is intended."""
    over = stopped = False
    unknown = set[tuple[str, int, int]]()
    for event in events:
        begins = event["type"] == "EffectIntended" and event["effect"] in BEGINNING
        _ends_by_observation(event, unknown)
        _must(not (over and begins), Promise.OVER, f"{event.get('effect')} after the cancellation was known")
        _must(
            not (stopped and begins), Promise.HELD, f"{event.get('effect')} while there was evidence against an event"
        )
        over = over or event["type"] in ("OrderCancelled", "CancelRequested") or event.get("status") == "CANCELLED"
        if event["type"] == "EvidenceFound" or (event["type"] == "OrderReleased" and event["reason"] == "evidence"):
            stopped = event["type"] == "EvidenceFound"


def _ends_by_observation(event: dict[str, Any], unknown: set[tuple[str, int, int]]) -> None:
    """`unknown`: attempts of which nobody has seen yet what became of them."""
    if event["type"] in ("LookedUp", "DetailsFetched"):
        unknown.clear()
    attempt = event.get("effect", ""), event.get("generation", 0), event.get("attempt", 0)
    if event["type"] == "EffectUnknown":
        unknown.add(attempt)
    elif event["type"] in ("EffectClosed", "EffectNotExecuted", "EffectRefused", "EffectExhausted"):
        _must(attempt not in unknown, Promise.OBSERVED, f"{event['type']} of {attempt}, unseen")


def _complete(order: Any, entry: Any, living: list[Any]) -> None:
    """Without a named exception nothing is left undone."""
    _must(order.cancel_reason is None, Promise.TOLD, "asked to be cancelled, lives on, and nobody is told")
    _must(len(living) == 1, Promise.TOLD, f"{len(living)} shop orders for an order that is {entry.status}")
    if entry.status == "RECEIVED":
        _must(living[0].state == "draft", Promise.TOLD, "promoted before it was ready")
    if entry.status in ("READY", "ACCEPTED", "COMPLETED"):
        _must(living[0].state == "order", Promise.TOLD, f"{entry.status}, but the shop has a {living[0].state}")
        ours = entry.ids is not None and entry.ids[0] == living[0].id
        _must(ours, Promise.TOLD, f"accepted as {entry.ids}")
        _must(entry.status != "READY", Promise.TOLD, "never accepted")


def _count_odd_events(conn: sa.Connection, run: Run, order_id: str) -> None:
    """Which odd events were recorded, and which effects were due or under way just then."""
    order, latest, fired = Order(), None, run.world.fired
    for record in log.read_stream(conn, run.world.store, order_id):
        recorded = codec.decode(record)
        fault = _oddity(recorded.event, latest)
        if fault is not None:
            fired.fire(fault, "feed")
            for stage in _at_hand(order, run.policy):
                fired.fire(fault, stage)
        if isinstance(recorded.event, Reported) and recorded.event.occurred_at is not None:
            at = recorded.event.occurred_at
            latest = at if latest is None else max(latest, at)
        order = evolve(order, recorded)


def _oddity(event: object, latest: datetime | None) -> str | None:
    match event:
        case EvidenceFound():
            return "E02"
        case Unrecognised():
            return "E07"
        case Malformed(asked_after=None):
            return "E08"
        case Reported(occurred_at=at) if at is not None and latest is not None and at < latest:
            return "E03"
        case _:
            return None


def _at_hand(order: Order, policy: StorePolicy) -> set[str]:
    under_way = {slot.effect.value for slot in (order.shop_slot, order.glopal_slot) if slot is not None}
    return under_way | {due.effect.value for due in effects_due(order, policy) if not due.effect.reads}


def _events(conn: sa.Connection, world: World, order_id: str) -> list[dict[str, Any]]:
    query = sa.text(
        "SELECT type, source_id, clear FROM orderflow.events WHERE store = :s AND order_id = :o ORDER BY position"
    )
    rows = conn.execute(query, {"s": world.store, "o": order_id})
    return [json.loads(row.clear) | {"type": row.type, "source_id": row.source_id} for row in rows]


def _place(event: dict[str, Any]) -> str:
    return "shop" if event["effect"] in ("draft", "promote", "withdraw") else "glopal"


def _must(holds: object, promise: Promise, text: str) -> None:
    if not holds:
        raise Broken(promise, text)
