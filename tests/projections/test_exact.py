"""Nothing is rounded, cut or lost on the way from Glopal's bytes to a row that BI reads."""

from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest
import sqlalchemy as sa

from orderflow import codec, intake, orders
from orderflow.domain import events as e
from orderflow.domain.events import Effect, Position
from orderflow.domain.machine import Report, Status
from orderflow.domain.order import Order
from orderflow.domain.returns import ReturnStep
from orderflow.glopal.codec import Page, read_page
from orderflow.glopal.details import Details, read_details
from orderflow.glopal.mapping import Mapping
from orderflow.orders import Fact
from orderflow.store import log
from orderflow.store.entry import Entry
from orderflow.store.log import Record
from orderflow.store.tables import orders as orders_table
from orderflow.store.vault import key, unseal

from .telling import _KINDS, T0, VAULT, entry, order, read_all, tell

PRICE = Decimal("19.990000000000000001")
EVENT = (
    b'{"event_id": "e1", "event_name": "order.received", "order_id": "1-1", "event_at": "2026-01-01T00:00:00.123456Z", '
    b'"amount": 19.990000000000000001}'
)
DETAILS = (
    b'{"id": "1-1", "status": "RECEIVED", "currency": "EUR", "environment": "live", "external": null, '
    b'"items": [{"sku": "MUG", "quantity": 1, "unit_price": 19.990000000000000001}], '
    b'"totals": {"total": 19.990000000000000001}}'
)


def test_a_price_survives(app, store):
    """19.990000000000000001: page, body, details, clear text, fold, snapshot, read model, and back from each."""
    page = read_page(b'{"events": [' + EVENT + b"]}")
    assert isinstance(page, Page)
    with app.begin() as conn:
        intake.record(conn, VAULT, store, page.elements)
    found = read_details(DETAILS, Mapping(), "1-1")
    assert isinstance(found, Details)
    assert (found.total, found.money, found.unmapped) == (PRICE, None, ())
    fetched = e.DetailsFetched(
        Position(1), T0, T0 + timedelta(minutes=1), found.status, found.said, None, "live", "EUR", found.total
    )
    with app.begin() as conn:
        orders.commit(conn, VAULT, store, "1-1", orders.load(conn, store, "1-1"), [Fact(fetched, "f1", body=DETAILS)])
        [first, second] = log.read_stream(conn, store, "1-1")
        for position, raw in ((1, EVENT), (2, DETAILS)):
            event_id, sealed = log.body(conn, store, position)
            assert unseal(key(conn, VAULT, store, "1-1", sealed.key), sealed.data, event_id, "body") == raw
    assert first.occurred_at.microsecond == 123456
    assert '"19.990000000000000001"' in second.clear
    assert codec.decode(second).event == fetched
    assert order(app, store, "1-1").details.total == PRICE
    read_all(app, store)
    with app.begin() as conn:
        row = conn.execute(sa.select(orders_table).where(orders_table.c.store == store)).one()
        text = conn.scalar(sa.text("SELECT total::text FROM orderflow.orders WHERE store = :s"), {"s": store})
    assert row.total == PRICE
    assert text == "19.990000000000000001"
    assert codec.thaw_order(row.snapshot).details.total == PRICE
    assert order(app, store, "1-1").details.total == PRICE


OLD_INTENT = (
    '{"effect":"draft","generation":0,"attempt":1,"target":"","digest":"d","send_by":"2026-01-01T00:00:00Z",'
    '"counts_from":"2026-01-01T00:00:00Z","seen":null}'
)
OLD_DETAILS = (
    '{"asked_after":1,"sent_at":"2026-01-01T00:00:00Z","settles_at":"2026-01-01T00:00:00Z","status":"READY",'
    '"said":"READY","external":null,"environment":null,"currency":null,"total":"19.990000000000000001",'
    '"created_at":null,"basis":"","unmapped":[],"money":null}'
)
"""As they were written before there was a base currency."""


def record(kind: str, clear: str, **more) -> Record:
    """A stored event as the log gives it."""
    given = {"source": "effect", "source_id": "s", "occurred_at": None, "meta": "{}"} | more
    return Record(position=7, order_id="a", version=3, type=kind, recorded_at=T0, clear=clear, **given)


@pytest.mark.parametrize("number", range(len(_KINDS)))
def test_every_event_reads_back_as_it_was(number):
    """Whatever stands in one, what is decoded equals what was encoded."""
    rng = Random(number)
    for _ in range(50):
        event = _KINDS[number](rng)
        written = entry("a", event)
        assert codec.decode(record(written.type, written.clear)).event == event


def test_an_order_reads_back_from_its_snapshot(app, store):
    """Marks, holds, disputes, slots, refunds: all of it, exactly."""
    tell(app, store, *(("a", kind(Random(3))) for kind in _KINDS * 3), ("a", e.Reported(Report.READY, T0)))
    for version in range(1, len(_KINDS) * 3 + 2):
        with app.begin() as conn:
            found = orders.as_of(conn, store, "a", version)
        assert codec.thaw_order(codec.freeze_order(found)) == found
    assert codec.thaw_order(codec.freeze_order(Order())) == Order()


@pytest.mark.parametrize(
    ("kind", "clear", "event"),
    [
        ("OrderReady", "no JSON", e.Reported(Report.READY)),
        ("OrderPainted", "{}", e.Unrecognised("OrderPainted")),
        ("DetailsFetched", "{", e.Unrecognised("DetailsFetched")),
        ("DetailsFetched", "{}", e.Unrecognised("DetailsFetched")),
        ("EffectIntended", '{"effect":"dance"}', e.Unrecognised("EffectIntended")),
        ("NoteAdded", '{"by":"ann","new":1}', e.NoteAdded("ann")),
        ("EffectIntended", OLD_INTENT, e.EffectIntended(Effect.DRAFT, 0, 1, "", "d", T0, T0, None)),
        ("DetailsFetched", OLD_DETAILS, e.DetailsFetched(Position(1), T0, T0, Status.READY, "READY", total=PRICE)),
        ("Unrecognised", '{"name":"order.painted"}', e.Unrecognised("order.painted")),
        ("Unrecognised", '{"name":"order.ready"}', e.Reported(Report.READY)),
        ("Unrecognised", '{"name":"return.requested","entity_id":"4"}', e.ReturnReported("4", ReturnStep.REQUESTED)),
        (
            "ReturnAuthorized",
            '{"name":"return.authorized","entity_id":"4"}',
            e.ReturnReported("4", ReturnStep.AUTHORIZED),
        ),
        ("ReturnCancelled", '{"entity_id":null}', e.ReturnReported("", ReturnStep.CANCELLED)),
        ("ReturnCancelled", "[", e.ReturnReported("", ReturnStep.CANCELLED)),
        ("Unrecognised", "[1", e.Unrecognised("")),
        ("Reported", "{}", e.Unrecognised("Reported")),
    ],
)
def test_reading_never_raises(kind, clear, event):
    """What this version cannot read is unrecognised; what it can read by now is read; new members are passed over."""
    assert codec.decode(record(kind, clear)).event == event


def test_an_event_known_by_now_moves_the_order(app, store):
    """A name that was unknown when it was recorded is judged by the version that knows it."""
    with app.begin() as conn:
        log.append(conn, store, [log.Unit((Entry("a", "Unrecognised", "glopal", "e1", '{"name":"order.ready"}'),))])
    assert order(app, store, "a").status is Status.READY
