"""Every mode of a store over real HTTP with a real worker: what stands in the shop, and what Glopal got.

One worker serves all the stores; each test lives in a store of its own mode.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from orderflow.cli.demo.judge import differences
from orderflow.domain.attention import attention
from orderflow.domain.decisions import Command, Retry
from orderflow.domain.events import Effect
from orderflow.orders import handle
from orderflow.relay.shadow import SHADOW
from orderflow.sandbox import WITHHELD, Request
from orderflow.sandbox.wire import render

from .stage import Stage, staged, wait

BEGAN = datetime.now(UTC)
STORES = {
    "observe": 'mode = "observe"',
    "drafts": 'mode = "draft_on_received"',
    "orders": 'mode = "order_on_received"',
    "early": 'mode = "order_on_received"\nearly_accept = true',
    "ready": 'mode = "create_on_ready"',
    "cancels": 'on_refusal = "cancel"',
    "late": f"effects_from = {BEGAN - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
    "dark": "shadow = true",
    "dollars": 'import_currency = "base"\nbase_currency = "USD"',
}
OURS = ("drafts", "orders", "early", "ready")
"""The stores whose orders we insert."""
REFUSED = {
    "currency": "EUR",
    "items": [{"sku": "REFUSE-ME", "name": "Nothing", "quantity": 1, "unit_price": Decimal("10.00")}],
    "shipping": {"method": "standard", "price": Decimal("0.00")},
    "totals": {"total": Decimal("10.00")},
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, module_database_url: str) -> Iterator[Stage]:
    """All the stores, and one worker for them."""
    home: Path = tmp_path_factory.mktemp("modes")
    with staged(home, module_database_url, STORES) as made, made.working():
        yield made


def in_shop(stage: Stage, store: str, order_id: str) -> list[str]:
    """The states of every shop order that we ever made for it."""
    reference = f"glopal:{store}:{order_id}"
    return [made.state for made in stage.shop.ledger() if made.reference == reference]


def at_glopal(stage: Stage, store: str, order_id: str) -> Any:
    return next(entry for entry in stage.glopal.ledger(store) if entry.order_id == order_id)


def accepted_by_us(stage: Stage, store: str, order_id: str) -> list[tuple[str, str]]:
    """The ids of every accept that Glopal got from us."""
    return [call.ids for call in at_glopal(stage, store, order_id).accepts if call.by == "api"]


def settled(stage: Stage, store: str, order_id: str, status: str) -> None:
    """Both sides have come to this status, and nothing is due any more."""
    wait(lambda: stage.glopal.status(store, order_id) == status, 40, lambda: stage.order(order_id, store))
    wait(lambda: stage.order(order_id, store).status == status, 40, lambda: stage.order(order_id, store))
    stage.rest()


def against(stage: Stage, store: str) -> list[Any]:
    """What the ledgers of both sides say against orderflow about this store."""
    return [one for one in differences(stage.app, stage.glopal, stage.shop) if one.store == store]


def command(stage: Stage, store: str, order_id: str, what: Command) -> None:
    assert handle(stage.app.engine, stage.app.vault, store, order_id, what, f"{order_id} {what}").written


# --- where we insert the orders -------------------------------------------------------------------------------------


@pytest.mark.parametrize("store", OURS)
def test_straight_to_completed(stage: Stage, store: str) -> None:
    """When it enters the shop and when it is accepted differ; in the end the same stands everywhere."""
    order_id = stage.place(store=store)
    settled(stage, store, order_id, "RECEIVED")
    at_received = {"drafts": ["draft"], "orders": ["order"], "early": ["order"], "ready": []}
    assert in_shop(stage, store, order_id) == at_received[store]
    assert len(accepted_by_us(stage, store, order_id)) == (store == "early")

    stage.glopal.ready(store, order_id)
    settled(stage, store, order_id, "ACCEPTED")
    stage.glopal.complete(store, order_id)
    settled(stage, store, order_id, "COMPLETED")
    [made] = [made for made in stage.shop.ledger() if made.reference == f"glopal:{store}:{order_id}"]
    assert [state for _, state in made.states] == ["draft", "order"]
    assert accepted_by_us(stage, store, order_id) == [(made.id, made.number)]
    assert at_glopal(stage, store, order_id).ids == (made.id, made.number)
    assert attention(stage.order(order_id, store), stage.app.policy(store)) == ()
    assert against(stage, store) == []


@pytest.mark.parametrize("store", OURS)
def test_cancelled_before_ready(stage: Stage, store: str) -> None:
    """A draft is deleted, an order is cancelled, and what never entered the shop never will."""
    order_id = stage.place(store=store)
    settled(stage, store, order_id, "RECEIVED")
    stage.glopal.cancel(store, order_id)
    settled(stage, store, order_id, "CANCELLED")
    left = {"drafts": ["deleted"], "orders": ["cancelled"], "early": ["cancelled"], "ready": []}
    assert in_shop(stage, store, order_id) == left[store]
    assert [call.by for call in at_glopal(stage, store, order_id).cancels] == ["glopal"]
    assert against(stage, store) == []


@pytest.mark.parametrize("store", OURS)
def test_cancelled_after_acceptance(stage: Stage, store: str) -> None:
    """The shop order is cancelled in every mode."""
    order_id = stage.place(store=store, ready=True)
    settled(stage, store, order_id, "ACCEPTED")
    stage.glopal.cancel(store, order_id, by="merchant")
    settled(stage, store, order_id, "CANCELLED")
    assert in_shop(stage, store, order_id) == ["cancelled"]
    assert len(accepted_by_us(stage, store, order_id)) == 1
    assert against(stage, store) == []


def test_an_early_accept_takes_effect_at_ready(stage: Stage) -> None:
    """Glopal has the ids while the order is RECEIVED; it becomes ACCEPTED when it is READY, without another call."""
    order_id = stage.place(store="early")
    wait(lambda: accepted_by_us(stage, "early", order_id))
    stage.rest()
    assert [status for _, status in at_glopal(stage, "early", order_id).statuses] == ["RECEIVED"]
    assert stage.order(order_id, "early").status == "RECEIVED"
    stage.glopal.ready("early", order_id)
    settled(stage, "early", order_id, "ACCEPTED")
    assert [status for _, status in at_glopal(stage, "early", order_id).statuses] == ["RECEIVED", "READY", "ACCEPTED"]
    assert len(accepted_by_us(stage, "early", order_id)) == 1
    assert against(stage, "early") == []


# --- where Glopal inserts them --------------------------------------------------------------------------------------


def inserted(stage: Stage, order_id: str) -> str:
    """Glopal's plug-in puts the order into the shop and tells Glopal its ids. Returns the shop's id."""
    body = {"reference": f"plugin {order_id}", "currency": "EUR", "total": "1.00"}
    body |= {"items": [{"sku": "X", "quantity": 1, "unit_price": "1.00"}]}
    headers = {"authorization": f"Bearer {stage.shop.key}"}
    assert stage.shop.handle(Request("POST", "/orders", (), headers, render(body).encode())).status == 201
    made = stage.shop.ledger()[-1]
    stage.shop.promote_by_hand(made.id)
    stage.glopal.accept_elsewhere("observe", order_id, made.id, made.number)
    return str(made.id)


def shop_state(stage: Stage, shop_id: str) -> str:
    return next(made.state for made in stage.shop.ledger() if made.id == shop_id)


def test_observe_only_looks(stage: Stage) -> None:
    """A whole life: Glopal gets no call that changes anything, the shop none at all."""
    order_id = stage.place(store="observe", ready=True)
    shop_id = inserted(stage, order_id)
    settled(stage, "observe", order_id, "ACCEPTED")
    stage.glopal.complete("observe", order_id)
    settled(stage, "observe", order_id, "COMPLETED")
    assert shop_state(stage, shop_id) == "order"
    assert in_shop(stage, "observe", order_id) == []
    assert accepted_by_us(stage, "observe", order_id) == []
    assert attention(stage.order(order_id, "observe"), stage.app.policy("observe")) == ()
    assert against(stage, "observe") == []


def test_observe_withdraws_what_glopal_inserted(stage: Stage) -> None:
    """Cancelled after acceptance: the order that the plug-in made is cancelled in the shop."""
    order_id = stage.place(store="observe", ready=True)
    shop_id = inserted(stage, order_id)
    settled(stage, "observe", order_id, "ACCEPTED")
    stage.glopal.cancel("observe", order_id)
    settled(stage, "observe", order_id, "CANCELLED")
    assert shop_state(stage, shop_id) == "cancelled"
    [found] = [one for one in against(stage, "observe") if one.order_id == order_id]
    assert (found.kind, found.detail) == ("shop_state", f"{shop_id} does not exist"), "it has another's reference"


def test_observe_leaves_alone_what_was_never_inserted(stage: Stage) -> None:
    """Cancelled before READY: nothing was there, nothing is asked of anybody."""
    order_id = stage.place(store="observe")
    settled(stage, "observe", order_id, "RECEIVED")
    stage.glopal.cancel("observe", order_id)
    settled(stage, "observe", order_id, "CANCELLED")
    assert in_shop(stage, "observe", order_id) == []


# --- refusals -------------------------------------------------------------------------------------------------------


def test_a_refused_order_is_cancelled_where_the_policy_says_so(stage: Stage) -> None:
    """With the reason, once, and a late report of READY brings nothing back."""
    order_id = stage.place(store="cancels", ready=True, **REFUSED)
    settled(stage, "cancels", order_id, "CANCELLED")
    stage.glopal.report("cancels", order_id, "order.ready")
    order = stage.order(order_id, "cancels")
    wait(lambda: stage.order(order_id, "cancels").version > order.version)
    stage.rest()
    [call] = at_glopal(stage, "cancels", order_id).cancels
    assert (call.by, call.reason) == ("merchant", "the shop refused the order")
    assert in_shop(stage, "cancels", order_id) == []
    assert stage.order(order_id, "cancels").status == "CANCELLED"
    assert against(stage, "cancels") == []


def test_a_refused_order_waits_for_a_person_otherwise(stage: Stage) -> None:
    """Parked, named, and Glopal hears nothing of it."""
    order_id = stage.place(store="drafts", ready=True, **REFUSED)
    wait(lambda: stage.order(order_id, "drafts").parked)
    stage.rest()
    [told] = attention(stage.order(order_id, "drafts"), stage.app.policy("drafts"))
    assert (told.kind, told.text) == ("parked_draft", "draft was refused: 422 unknown_sku")
    assert at_glopal(stage, "drafts", order_id).cancels == ()
    assert stage.glopal.status("drafts", order_id) == "READY"
    assert against(stage, "drafts") == []


# --- effects_from ---------------------------------------------------------------------------------------------------


def old(stage: Stage) -> str:
    """An order from before `effects_from`, whose events come only now."""
    order_id = stage.place(store="late", emission=WITHHELD, created_at="2025-01-01T00:00:00.000Z")
    stage.glopal.ready("late", order_id, emission=WITHHELD)
    for name in ("order.received", "order.ready"):
        stage.glopal.report("late", order_id, name, event_at=BEGAN - timedelta(days=2))
    wait(lambda: stage.order(order_id, "late").status == "READY")
    return order_id


def test_older_orders_are_recorded_and_left_alone(stage: Stage) -> None:
    """Not even their details are fetched; a newer order of the same store flows."""
    order_id, newer = old(stage), stage.place(store="late", ready=True)
    settled(stage, "late", newer, "ACCEPTED")
    assert at_glopal(stage, "late", order_id).gets == 0
    assert in_shop(stage, "late", order_id) == []
    assert accepted_by_us(stage, "late", order_id) == []
    with stage.app.engine.connect() as conn:
        query = sa.text("SELECT status FROM orderflow.orders WHERE store = 'late' AND order_id = :id")
        assert conn.scalar(query, {"id": order_id}) == "READY"
    assert against(stage, "late") == []


def test_an_older_order_is_redriven_alone_and_by_hand(stage: Stage) -> None:
    """A retried fetch only asks; a retried draft takes this order in, to the end, and no other."""
    order_id, other = old(stage), old(stage)
    command(stage, "late", order_id, Retry(Effect.FETCH, "ann", "what is it today?"))
    wait(lambda: stage.order(order_id, "late").confirmed)
    stage.rest()
    assert in_shop(stage, "late", order_id) == []
    command(stage, "late", order_id, Retry(Effect.DRAFT, "ann", "take it in"))
    settled(stage, "late", order_id, "ACCEPTED")
    assert in_shop(stage, "late", order_id) == ["order"]
    assert (in_shop(stage, "late", other), accepted_by_us(stage, "late", other)) == ([], [])
    assert against(stage, "late") == []


# --- import_currency ------------------------------------------------------------------------------------------------


def test_orders_enter_the_shop_in_the_stores_own_currency(stage: Stage) -> None:
    """Whatever the buyer paid in: the shop's parts make its total, the log has the rate, Glopal's total is its own."""
    for order_id in [stage.place(store="dollars", ready=True) for _ in range(6)]:
        settled(stage, "dollars", order_id, "ACCEPTED")
        [made] = [made for made in stage.shop.ledger() if made.reference == f"glopal:dollars:{order_id}"]
        request, details = stage.shop.created_from(made.id), stage.order(order_id, "dollars").details
        assert request["currency"] == "USD"
        assert details.currency in {"EUR", "JPY", "NOK"}
        assert abs(Decimal(request["total"]) * details.rate - details.total) <= Decimal("0.005") * details.rate
        items = sum(Decimal(item["unit_price"]) * item["quantity"] for item in request["items"])
        others = ("tax", "duty", "fees", "rounding")
        given = items + Decimal(request["shipping"]["price"]) + sum(Decimal(request.get(name, "0")) for name in others)
        assert given - Decimal(request["discount"]) == Decimal(request["total"])
        lines = stage.run("orders", "timeline", f"dollars/{order_id}", "--json").data
        assert f"({request['total']} USD, rate {details.rate})" in " ".join(line["what"] for line in lines)
    assert against(stage, "dollars") == []


def test_without_a_rate_an_order_is_held(stage: Stage) -> None:
    """It is never taken for one to one; nothing enters the shop, and the place is named."""
    order_id = stage.place(store="dollars", ready=True, exchange_rates={"EUR": {"rate": Decimal(1)}})
    wait(lambda: stage.order(order_id, "dollars").holds)
    stage.rest()
    [hold] = stage.order(order_id, "dollars").holds
    assert (hold.reason, hold.detail) == ("unmapped", "exchange_rates.USD.rate")
    assert in_shop(stage, "dollars", order_id) == []
    assert stage.glopal.status("dollars", order_id) == "READY"


# --- shadow ---------------------------------------------------------------------------------------------------------


def planned(stage: Stage, store: str, order_id: str) -> list[Any]:
    """Its writes in the outbox."""
    query = sa.text("SELECT * FROM orderflow.outbox WHERE store = :store AND order_id = :id AND NOT reads")
    with stage.app.engine.connect() as conn:
        return list(conn.execute(query, {"store": store, "id": order_id}))


def test_shadow_shows_and_sends_nothing(stage: Stage) -> None:
    """Details are fetched, the draft's request is built and kept, and neither shop nor Glopal is told anything."""
    order_id = stage.place(store="dark", ready=True)
    wait(lambda: [row.parked for row in planned(stage, "dark", order_id)] == [True])
    [row] = planned(stage, "dark", order_id)
    assert (row.effect, row.state, row.reason, row.attempt) == ("draft", "planned", SHADOW, 0)
    [request] = stage.run("effects", "show", f"dark/{order_id}", "--json").data["requests"]
    assert (request["method"], request["target"], request["sent"]) == ("POST", "/orders", False)
    assert "body" not in request
    assert "would send POST /orders" in stage.run("effects", "show", f"dark/{order_id}").out
    told = stage.run("effects", "show", f"dark/{order_id}", "draft", "--personal", "--json")
    [request] = told.data["requests"]
    assert json.loads(request["body"])["total"] == str(stage.order(order_id, "dark").details.total)
    assert "unsealed 1 requests" in told.err
    assert at_glopal(stage, "dark", order_id).gets > 0
    assert in_shop(stage, "dark", order_id) == []
    assert accepted_by_us(stage, "dark", order_id) == []
    stage.glopal.cancel("dark", order_id)
    settled(stage, "dark", order_id, "CANCELLED")
    assert planned(stage, "dark", order_id) == []
    assert against(stage, "dark") == []


def test_out_of_shadow_each_order_is_asked_for(tmp_path: Path, database_url: str) -> None:
    """After the change of settings nothing fires by itself; a retry sends one order, and news their own way."""
    with staged(tmp_path, database_url, {"dark": "shadow = true"}) as stage:
        one, other, third = (stage.place(store="dark") for _ in range(3))
        with stage.working():
            wait(lambda: all(planned(stage, "dark", i) and planned(stage, "dark", i)[0].parked for i in (one, other)))
            wait(lambda: planned(stage, "dark", third) and planned(stage, "dark", third)[0].parked)
        text = (stage.home / "orderflow.toml").read_text()
        (stage.home / "orderflow.toml").write_text(text.replace("shadow = true", "shadow = false"))
        with stage.working():
            newer = stage.place(store="dark")
            stage.glopal.ready("dark", third)
            wait(lambda: in_shop(stage, "dark", newer) == ["draft"])
            settled(stage, "dark", third, "ACCEPTED")
            assert in_shop(stage, "dark", one) == in_shop(stage, "dark", other) == []
            command(stage, "dark", one, Retry(Effect.DRAFT, "ann", "seen and found good"))
            wait(lambda: in_shop(stage, "dark", one) == ["draft"])
            stage.rest()
        assert in_shop(stage, "dark", other) == []
        assert against(stage, "dark") == []
