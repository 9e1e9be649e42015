"""What the read models say about one order's life, row by row."""

from datetime import timedelta
from decimal import Decimal

import sqlalchemy as sa

from orderflow.domain import events as e
from orderflow.domain.events import Effect, Ids, ShopState, Sighting
from orderflow.domain.machine import Report, Status
from orderflow.store.tables import anomalies, effects, timeline
from orderflow.store.tables import orders as orders_table

from .telling import T0, details, read_all, tell

LATER = T0 + timedelta(minutes=1)
DRAFT = Sighting("s1", "1001", ShopState.DRAFT)
ORDER = Sighting("s1", "1001", ShopState.ORDER)
LIFE = (
    e.Reported(Report.RECEIVED, T0),
    details(1),
    e.EffectIntended(Effect.DRAFT, 0, 1, "", "d", T0, LATER),
    e.EffectUnknown(Effect.DRAFT, 0, 1, "timeout"),
    e.LookedUp(Effect.DRAFT, 0, 1, LATER),
    e.LookedUp(Effect.DRAFT, 0, 1, LATER),
    e.EffectNotExecuted(Effect.DRAFT, 0, 1, "absent 2 times", 4.0),
    e.EffectIntended(Effect.DRAFT, 0, 2, "", "d", T0, LATER),
    e.EffectDelivered(Effect.DRAFT, 0, 2, DRAFT),
    e.EffectUnknown(Effect.DRAFT, 0, 2, "learnt late"),
    e.Reported(Report.ACCEPTED),
    details(11, Status.ACCEPTED, external=Ids("s1", "1001")),
    e.EffectIntended(Effect.PROMOTE, 0, 1, "s1", "d", T0, LATER),
    e.EffectRefused(Effect.PROMOTE, 0, 1, "422 no stock"),
    e.LookedUp(Effect.REAP, 0, 0, LATER, (ORDER, Sighting("s2", "1002", ShopState.DRAFT))),
    e.Reported(Report.CANCELLED),
    e.Reported(Report.READY),
    e.EvidenceFound("e9"),
    e.Unrecognised("order.painted"),
)


def all_of(app: sa.Engine, store: str, table: sa.Table, *names: str) -> list[tuple]:
    columns = [table.c[name] for name in names]
    query = sa.select(*columns).where(table.c.store == store).order_by(*table.primary_key.columns.values())
    with app.begin() as conn:
        return [tuple(row) for row in conn.execute(query)]


def test_one_life(app, store):
    """Effects with their attempts and look-ups, anomalies, the timeline, and the order as it stands."""
    tell(app, store, *(("a", event) for event in LIFE))
    read_all(app, store, batch=4)
    assert all_of(
        app, store, effects, "destination", "effect", "generation", "target", "state", "attempts", "look_ups", "reason"
    ) == [
        ("shop", "draft", 0, "", "delivered", 2, 2, ""),
        ("shop", "promote", 0, "s1", "refused", 1, 0, "422 no stock"),
    ]
    ended = all_of(app, store, effects, "first_intent_at", "ended_at")
    assert all(first is not None and end is not None for first, end in ended)
    assert all_of(app, store, anomalies, "position", "kind") == [
        (11, "leap"),
        (15, "stray s2"),
        (17, "conflict"),
        (18, "evidence"),
        (19, "unrecognised"),
    ]
    lines = all_of(app, store, timeline, "position", "type", "summary", "status")
    assert lines[0] == (1, "OrderReceived", "Glopal reports received", "RECEIVED")
    assert lines[1] == (2, "DetailsFetched", "details say RECEIVED, 28.00 EUR", "RECEIVED")
    assert lines[4] == (5, "LookedUp", "looked up for draft: nothing", "RECEIVED")
    assert lines[8] == (9, "EffectDelivered", "draft: done, s1 is now draft", "RECEIVED")
    assert lines[11][2:] == ("details say ACCEPTED, 28.00 EUR, accepted as s1 / 1001", "ACCEPTED")
    assert lines[16] == (17, "OrderReady", "Glopal reports ready", "CANCELLED")
    [row] = all_of(
        app, store, orders_table, "status", "held", "confirmed", "shop_order_id", "shop_number", "shop_state", "version"
    )
    assert row == ("CANCELLED", ["contradiction", "evidence"], False, "s1", "1001", "order", 19)
    [row] = all_of(
        app, store, orders_table, "external_order_id", "external_number", "currency", "total", "environment", "born_at"
    )
    assert row == ("s1", "1001", "EUR", Decimal("28.00"), "live", T0)
    [(attention,)] = all_of(app, store, orders_table, "attention")
    assert {"held_contradiction", "held_evidence", "parked_promote"} <= set(attention)
