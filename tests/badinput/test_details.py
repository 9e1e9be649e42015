"""Bad details of one order: that order is held, or goes its way; all others go theirs."""

import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
import sqlalchemy as sa
from tests.badinput.corpus_details import DETAILS, BadDetails
from tests.badinput.test_feed import body, whole
from tests.relay.stage import Clock, Stage

from orderflow.domain.decisions import Retry
from orderflow.domain.events import DetailsFetched, Effect, HoldReason, Malformed
from orderflow.domain.machine import Status
from orderflow.glopal.jsontext import parse
from orderflow.sandbox import Request, Response
from orderflow.store.tables import anomalies, orders, timeline

FAMILIES = sorted({entry.family for entry in DETAILS})


def good(stage: Stage, order_id: str) -> dict[str, Any]:
    """The details as Glopal has them."""
    path, headers = f"/v2/orders/{stage.store}/{order_id}", {"authorization": "Bearer GL.sandbox"}
    value = parse(stage.glopal.handle(Request("GET", path, (), headers, b"")).body)
    assert isinstance(value, dict)
    return value


@pytest.fixture(scope="module")
def lived(app: sa.Engine, clock: Clock) -> Callable[[str], Stage]:
    """A store for each family: an order for each of its entries, between two good ones, as far as they go in time."""

    @cache
    def family_of(family: str) -> Stage:
        here = Stage(app, clock, f"details-{family}")
        entries = [entry for entry in DETAILS if entry.family == family]
        for order_id in ("good-1", *(entry.name for entry in entries), "good-2"):
            here.place(id=order_id)
            here.ready(order_id)
        for entry in entries:
            serve(here, entry)
        here.live(30)
        return here

    return family_of


def serve(stage: Stage, entry: BadDetails) -> None:
    """The bad answer to every GET; of an order that is taken as long as Glopal has it at READY."""
    raw = entry.make(good(stage, entry.name))
    stage.glopal.serve_instead(stage.store, entry.name, raw)
    if entry.becomes == "taken":
        before = stage.to_glopal.instead

        def instead(request: Request) -> Response | None:
            if request.method == "POST" and f"/{entry.name}/" in request.path:
                stage.glopal.serve_instead(stage.store, entry.name, None)
            return before(request)

        stage.to_glopal.instead = instead


@pytest.mark.parametrize("entry", DETAILS, ids=lambda entry: f"{entry.family}-{entry.name}")
def test_bad_details(lived: Callable[[str], Stage], entry: BadDetails):
    """The order is held with field and place named, or waits, or is taken exactly as it is."""
    here = lived(entry.family)
    order = here.order(entry.name)
    if entry.becomes == "taken":
        assert order.holds == ()
        assert order.status is Status.ACCEPTED
        [made] = here.made(entry.name)
        assert made.state == "order"
        exact(here, entry.name)
        return
    assert order.status is Status.READY, "what the event said"
    assert here.made(entry.name) == []
    assert not order.confirmed or order.holds or entry.becomes == "environment"
    if entry.becomes == "waits":
        assert order.holds == ()
        assert here.history(entry.name, DetailsFetched), "it was asked"
        assert "unconfirmed" in here.exceptions(entry.name) or here.rows(entry.name, "fetch")
        return
    reason = HoldReason(entry.becomes)
    assert f"held_{reason}" in here.exceptions(entry.name)
    said = here.exceptions(entry.name)[f"held_{reason}"]
    assert entry.told in said
    assert said.isprintable()
    unquoted(said, served(here, entry))
    kind = Malformed if entry.becomes == "malformed" else DetailsFetched
    kept = [r for r in here.records(entry.name) if r.type == kind.__name__]
    assert body(here.engine, here.store, kept[0]) == served(here, entry)


def exact(stage: Stage, order_id: str) -> None:
    """The shop was given what the newest details before it said, to the last digit and accent."""
    reference = f"glopal:{stage.store}:{order_id}"
    asked = [parse(request.body) for request in stage.to_shop.writes if request.path == "/orders"]
    [given] = [one for one in asked if isinstance(one, dict) and one["reference"] == reference]
    [record, *_] = [r for r in stage.records(order_id) if r.type == "DetailsFetched"]
    details = parse(body(stage.engine, stage.store, record))
    assert isinstance(details, dict)
    assert Decimal(given["total"]) == Decimal(details["totals"]["total"])
    assert (given["customer"], given["shipping_address"]) == (details["customer"], details["shipping_address"])
    assert given["note"] == (details["customer_note"] or None)


def served(stage: Stage, entry: BadDetails) -> bytes:
    """What Glopal answered."""
    path, headers = f"/v2/orders/{stage.store}/{entry.name}", {"authorization": "Bearer GL.sandbox"}
    return stage.glopal.handle(Request("GET", path, (), headers, b"")).body


def unquoted(said: str, raw: bytes) -> None:
    """No text of the document is in it, but for the environment and amounts, which are not personal."""
    for value in re.findall(rb':\s*"([^"]{4,})"', raw):
        text = value.decode("utf-8", "replace")
        assert text not in said or text in {"live", "test", "[/red]"}


@pytest.mark.parametrize("family", FAMILIES)
def test_everybody_else(lived: Callable[[str], Stage], family: str):
    """All other orders were accepted; the log is whole, read models can be filled anew and hold nothing unprintable."""
    here = lived(family)
    for order_id in ("good-1", "good-2"):
        assert here.status(order_id) is Status.ACCEPTED
    whole(here)
    with here.engine.begin() as conn:
        for table in (orders, timeline, anomalies):
            for row in conn.execute(sa.select(table).where(table.c.store == here.store)):
                for value in row:
                    assert not isinstance(value, str) or value.isprintable()
                    assert "example.com" not in str(value), "no buyer's address stands in clear"


@pytest.mark.parametrize("becomes", ["malformed", "unmapped", "money", "environment"])
def test_mended_at_glopal(stage, becomes):
    """Once Glopal shows good details, a retry of the fetch lifts the hold and the order goes its way."""
    here = stage()
    [entry, *_] = [one for one in DETAILS if one.becomes == becomes]
    order_id = here.place(id=entry.name)
    here.ready(order_id)
    here.glopal.serve_instead(here.store, order_id, entry.make(good(here, order_id)))
    here.live(5)
    assert here.order(order_id).confirmed or here.exceptions(order_id)
    assert here.made(order_id) == []
    here.glopal.serve_instead(here.store, order_id, None)
    here.command(order_id, Retry(Effect.FETCH, "ann", "mended"))
    here.live(10)
    assert here.status(order_id) is Status.ACCEPTED
    assert here.exceptions(order_id) == {}
