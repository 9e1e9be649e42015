"""Histories out of a seed, put into a real log, and ways to look at what became of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from random import Random

import sqlalchemy as sa

from orderflow import codec, orders
from orderflow.domain import events as e
from orderflow.domain.aftersale import AfterSale, Ending, ShownRefund, ShownReturn
from orderflow.domain.events import Effect, Event, HoldReason, Ids, Position, ShopState, Sighting
from orderflow.domain.machine import Report, Status
from orderflow.domain.policy import StorePolicy
from orderflow.domain.returns import ReturnStep
from orderflow.projections import Projection, beside, catch_up
from orderflow.projections.anomalies import Anomalies
from orderflow.projections.differences import Differences
from orderflow.projections.effects import Effects
from orderflow.projections.exceptions import Exceptions
from orderflow.projections.orders import Orders
from orderflow.projections.timeline import Timeline
from orderflow.store import log
from orderflow.store.entry import Entry
from orderflow.store.log import INTAKE, Unit
from orderflow.store.vault import open_vault

VAULT = open_vault(b"k" * 32)
POLICY = StorePolicy()
ALL: tuple[Projection, ...] = (Orders(), Timeline(), Anomalies(), Effects(), Exceptions())
T0 = datetime(2026, 1, 1, tzinfo=UTC)
_numbers = count(1)


def entry(order_id: str, event: Event) -> Entry:
    """The event as it would stand in the log. Reports stand there as Glopal's events do."""
    source_id = f"t{next(_numbers)}"
    if isinstance(event, e.Reported):
        name = f"order.{event.report}"
        return Entry(order_id, codec.type_of(name), "glopal", source_id, f'{{"name":"{name}"}}', event.occurred_at)
    if isinstance(event, e.ReturnReported):
        name = f"return.{event.step}"
        clear = json.dumps({"name": name, "entity_id": event.return_id or None})
        return Entry(order_id, codec.type_of(name), "glopal", source_id, clear, event.occurred_at)
    if isinstance(event, e.Unrecognised):
        return Entry(order_id, "Unrecognised", "glopal", source_id, f'{{"name":"{event.name}"}}')
    kind, clear = codec.encode(event)
    return Entry(order_id, kind, "effect", source_id, clear)


def tell(engine: sa.Engine, store: str, *told: tuple[str, Event]) -> None:
    """Record these, each as a unit."""
    with engine.begin() as conn:
        log.append(conn, store, [Unit((entry(order_id, event),)) for order_id, event in told])


def details(asked_after: int = 99, status: Status = Status.RECEIVED, **more) -> e.DetailsFetched:
    given = {"currency": "EUR", "total": Decimal("28.00"), "environment": "live", "basis": "b"} | more
    return e.DetailsFetched(Position(asked_after), T0, T0 + timedelta(minutes=1), status, status.value, **given)


def history(seed: int, size: int, many: int = 6) -> list[tuple[str, Event]]:
    """Events of some orders in a random order: sane, contradictory, and senseless ones, and some that name no order."""
    rng = Random(seed)
    return [_one(rng, many) for _ in range(size)]


def _one(rng: Random, many: int) -> tuple[str, Event]:
    order_id = f"o{rng.randrange(many)}"
    if rng.random() < 0.05:
        return INTAKE, e.Malformed("the event is no object")
    if rng.random() < 0.3:
        return order_id, e.Reported(rng.choice(list(Report)), rng.choice([None, _time(rng)]))
    return order_id, rng.choice(_KINDS)(rng)


def _time(rng: Random) -> datetime:
    return T0 + timedelta(seconds=rng.randrange(100_000), microseconds=rng.randrange(1_000_000))


def _fetched(rng: Random) -> Event:
    status = rng.choice([*list(Status)[1:], None])
    return e.DetailsFetched(
        asked_after=Position(rng.choice([0, 5, 10**6])),
        sent_at=_time(rng),
        settles_at=_time(rng),
        status=status,
        said=status.value if status else "ODD",
        external=rng.choice([None, Ids("s1", "1"), Ids("x9", "9")]),
        environment=rng.choice([None, "live", "test"]),
        currency=rng.choice([None, "EUR", "JPY"]),
        total=rng.choice([None, Decimal("19.990000000000000001"), Decimal(5), Decimal("1E+3")]),
        created_at=rng.choice([None, _time(rng)]),
        basis=rng.choice("ab"),
        unmapped=rng.choice([(), (), ("items[0].sku",)]),
        money=rng.choice([None, None, "5 is not 6"]),
        aftersale=rng.choice([None, _aftersale(rng)]),
    )


def _aftersale(rng: Random) -> AfterSale:
    amount = rng.choice([None, Decimal("0.010000000000000001"), Decimal(3)])
    step = rng.choice(list(ReturnStep))
    return AfterSale(
        rng.choice([None, Ending("glopal", "fraud_detected", _time(rng))]),
        rng.choice([(), (ShownRefund(rng.choice(["g1", "g2"]), amount, "EUR", "damaged", "lost_dispute"),)]),
        rng.choice([(), (ShownReturn(rng.choice("45"), step.upper(), (step,)),)]),
    )


def _key(rng: Random) -> tuple[Effect, int, int]:
    return rng.choice(list(Effect)), rng.randrange(2), rng.randrange(1, 3)


def _sighting(rng: Random) -> Sighting:
    return Sighting(rng.choice(["s1", "s2", "s3"]), rng.choice(["1", ""]), rng.choice(list(ShopState)))


def _intended(rng: Random) -> Event:
    return e.EffectIntended(
        *_key(rng), rng.choice(["", "s1"]), "d", _time(rng), _time(rng), rng.choice([None, ShopState.DRAFT])
    )


def _looked_up(rng: Random) -> Event:
    return e.LookedUp(*_key(rng), _time(rng), tuple(_sighting(rng) for _ in range(rng.randrange(3))))


def _exception(rng: Random) -> tuple[str, str, Position]:
    kind = rng.choice(["accepted_elsewhere", "unknown_draft", "held_environment", "shop_order_gone"])
    return kind, rng.choice(["x9 / 9", "draft 0 1", "test", "s1"]), Position(1)


def _drift(rng: Random) -> e.Drift:
    place = rng.choice(list(e.Destination))
    return e.Drift(rng.choice(list(e.DriftKind)), place, "19.990000000000000001 EUR", "5", rng.choice(["", "s1"]))


_BY_EVENT = (ReturnStep.REQUESTED, ReturnStep.AUTHORIZED, ReturnStep.CANCELLED)
_KINDS = (
    _fetched,
    _fetched,
    _intended,
    _intended,
    _looked_up,
    lambda rng: e.EffectDelivered(*_key(rng), rng.choice([None, _sighting(rng)])),
    lambda rng: e.EffectRefused(*_key(rng), "no"),
    lambda rng: e.EffectNotExecuted(*_key(rng), "busy", rng.choice([0.0, 1.5, 1e9]), rng.random() < 0.5),
    lambda rng: e.EffectUnknown(*_key(rng), "timeout"),
    lambda rng: e.EffectClosed(*_key(rng), "no longer due"),
    lambda rng: e.EffectExhausted(*_key(rng), "given up"),
    lambda _: e.EvidenceFound("e1"),
    lambda _: e.Malformed("id is missing", Position(3)),
    lambda _: e.Unrecognised("order.painted"),
    lambda rng: e.AcceptRequested(Ids("s1", rng.choice("12")), "ann"),
    lambda rng: e.CancelRequested(rng.choice(["out of stock", "no"]), "ann"),
    lambda rng: e.ReturnReported(rng.choice("45"), rng.choice(_BY_EVENT)),
    lambda _: e.RefundQuoted("q", Decimal("1.25"), Decimal("0.25"), "EUR"),
    lambda rng: e.RefundSettled(rng.choice(["a", "b", "g1"]), rng.random() < 0.5, "ann", "seen"),
    lambda rng: e.RefundRequested(rng.choice("ab"), Decimal("19.990000000000000001"), "EUR", "why", "ann"),
    lambda _: e.QuoteRequested("q", Decimal("1.5"), "EUR", "ann"),
    lambda rng: e.OrderReleased(rng.choice(list(HoldReason)), Position(rng.choice([1, 10**6])), "ann", "why"),
    lambda rng: e.RetryRequested(rng.choice(list(Effect)), "ann", "why"),
    lambda rng: e.ExceptionAssigned(*_exception(rng), "bo", "ann", "hers"),
    lambda rng: e.ExceptionDismissed(*_exception(rng), "ann", "seen"),
    lambda _: e.NoteAdded("ann"),
    lambda rng: e.Reconciled(T0, tuple(_drift(rng) for _ in range(rng.randrange(3)))),
    lambda _: e.BuyerErased("ann", "asked for by letter", "r1"),
)


# --- what became of it ----------------------------------------------------------------------------------------------


def read_all(
    engine: sa.Engine,
    store: str,
    projections: Sequence[Projection] = ALL,
    *,
    policy: StorePolicy = POLICY,
    batch: int = 500,
) -> int:
    """Catch up to the end; how many events were applied."""
    applied = 0
    while True:
        with engine.begin() as conn:
            count_ = catch_up(conn, store, projections, policy, batch)
        if not count_:
            return applied
        applied += count_


def anew(
    engine: sa.Engine, store: str, projection: Projection, policy: StorePolicy = POLICY, page: int = 500
) -> Differences:
    """Rebuild, and what differed."""
    return beside.rebuild(engine, store, projection, policy, lambda _: None, page)


def dump(engine: sa.Engine, store: str, projection: Projection) -> list[tuple[object, ...]]:
    """Every row of a read model of `store`, in the order of its key."""
    table = projection.table
    with engine.begin() as conn:
        return [
            tuple(row)
            for row in conn.execute(
                sa.select(table).where(table.c.store == store).order_by(*table.primary_key.columns.values())
            )
        ]


def order(engine: sa.Engine, store: str, order_id: str) -> orders.Order:
    with engine.begin() as conn:
        return orders.load(conn, store, order_id)
