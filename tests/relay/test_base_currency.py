"""Orders that enter the shop in the store's own currency: the rate is frozen in the intent, and none is made up."""

from decimal import Decimal
from typing import Any

from tests.relay.conftest import NewStage
from tests.relay.stage import Stage

from orderflow.connectors.glopal import Glopal
from orderflow.domain import decisions
from orderflow.domain.events import Destination, DetailsFetched, Effect, EffectIntended, HoldReason
from orderflow.domain.machine import Status
from orderflow.domain.policy import StorePolicy
from orderflow.sandbox import ShopOptions

DOLLARS = StorePolicy(base_currency="USD")


def rate(text: str) -> dict[str, Any]:
    return {"currency": "EUR", "exchange_rates": {"USD": {"rate": Decimal(text)}}, **CONTENTS}


CONTENTS: dict[str, Any] = {
    "items": [{"sku": "MUG", "name": "Mug", "quantity": 3, "unit_price": Decimal("10.00")}],
    "shipping": {"method": "standard", "price": Decimal("5.00")},
    "totals": {"tax": Decimal("6.65"), "total": Decimal("41.65")},
    **dict.fromkeys(("customer", "billing_address", "shipping_address", "customer_note", "language")),
}


def drafted_as(it: Stage, order_id: str) -> dict[str, Any]:
    """The request that made the one shop order."""
    [made] = it.made(order_id)
    return it.shop.created_from(made.id)


def test_the_shop_gets_the_base_currency_and_the_log_the_rate(stage: NewStage) -> None:
    """Request, intent and details agree; Glopal's own total stays what it was."""
    it = stage(policy=DOLLARS)
    order_id = it.place(**rate("0.9102"))
    it.ready(order_id)
    it.live(60)
    assert it.status(order_id) is Status.ACCEPTED
    request = drafted_as(it, order_id)
    assert (request["currency"], request["total"], request["rounding"]) == ("USD", "45.76", "-0.01")
    assert (request["items"][0]["unit_price"], request["shipping"]["price"], request["tax"]) == (
        "10.99",
        "5.49",
        "7.31",
    )
    [draft] = [one for one in it.history(order_id, EffectIntended) if one.effect is Effect.DRAFT]
    assert (draft.currency, draft.total, draft.rate) == ("USD", Decimal("45.76"), Decimal("0.9102"))
    others = [one for one in it.history(order_id, EffectIntended) if one.effect is not Effect.DRAFT]
    assert {(one.currency, one.total, one.rate) for one in others} == {(None, None, None)}
    details = it.order(order_id).details
    assert (details.base_currency, details.rate) == ("USD", Decimal("0.9102"))
    assert (details.currency, details.total) == ("EUR", Decimal("41.65"))
    [clear, *_] = [record.clear for record in it.records(order_id) if record.type == "EffectIntended"]
    assert '"rate":"0.9102"' in clear
    assert '"total":"45.76"' in clear


def test_in_its_own_currency_an_order_says_so(stage: NewStage) -> None:
    """Currency and total stand in the intent, and no rate: nothing was converted."""
    it = stage()
    order_id = it.place(**rate("0.9102"))
    it.live(60)
    [draft] = it.history(order_id, EffectIntended)
    assert (draft.currency, draft.total, draft.rate) == ("EUR", Decimal("41.65"), None)
    assert "rounding" not in drafted_as(it, order_id)


def test_without_a_rate_the_order_is_held_until_there_is_one(stage: NewStage) -> None:
    """The place is named; a rate that comes later frees the order by itself."""
    it = stage(policy=DOLLARS)
    order_id = it.place(**rate("0.9102") | {"exchange_rates": {}})
    it.live(60)
    assert it.exceptions(order_id)["held_unmapped"].endswith("exchange_rates.USD.rate")
    assert it.made(order_id) == []
    it.glopal.amend(it.store, order_id, **rate("0.9102"))
    it.command(order_id, decisions.Retry(Effect.FETCH, "ann", "the rate is there now"))
    it.live(60)
    assert drafted_as(it, order_id)["total"] == "45.76"


def test_a_released_order_without_a_rate_is_not_taken_for_one_to_one(stage: NewStage) -> None:
    """A person may lift the hold, and still nothing is sent: the request cannot be built, and says so."""
    it = stage(policy=DOLLARS)
    order_id = it.place(**rate("0.9102") | {"exchange_rates": {"USD": {"rate": Decimal(0)}}})
    it.live(60)
    [hold] = it.order(order_id).holds
    assert (hold.reason, hold.detail) == (HoldReason.MONEY, "exchange_rates.USD.rate is no rate above zero")
    it.command(order_id, decisions.Release(hold.reason, hold.position, "ann", "let it go"))
    it.live(60)
    assert it.to_shop.writes == []
    assert "no rate of USD is known" in it.exceptions(order_id)["parked_draft"]


def test_a_rate_that_changes_later_leaves_the_draft_alone(stage: NewStage) -> None:
    """What stands in the shop stands; the next order comes by the new rate."""
    it = stage(policy=DOLLARS)
    order_id = it.place(**rate("0.9102"))
    it.live(60)
    it.glopal.amend(it.store, order_id, **rate("0.5"))
    it.ready(order_id)
    it.live(60)
    assert it.status(order_id) is Status.ACCEPTED
    assert [event.rate for event in it.history(order_id, DetailsFetched)][-1] == Decimal("0.5")
    assert drafted_as(it, order_id)["total"] == "45.76"
    assert len([request for request in it.to_shop.writes if request.path == "/orders"]) == 1


def test_a_refused_draft_is_tried_again_at_another_rate(stage: NewStage) -> None:
    """The rate is part of what the request is built from; the same rate again changes nothing."""
    it = stage(
        policy=DOLLARS, shop_options=ShopOptions(refuse=lambda body: "odd" if body["total"] == "45.76" else None)
    )
    order_id = it.place(**rate("0.9102"))
    it.live(60)
    assert it.order(order_id).parking(Effect.DRAFT) is not None
    it.command(order_id, decisions.Retry(Effect.FETCH, "ann", "the same?"))
    it.live(60)
    assert it.order(order_id).parking(Effect.DRAFT) is not None
    it.glopal.amend(it.store, order_id, **rate("0.8"))
    it.command(order_id, decisions.Retry(Effect.FETCH, "ann", "another?"))
    it.live(60)
    assert drafted_as(it, order_id)["total"] == "52.06"


def test_details_fetched_before_the_store_had_a_base_currency(stage: NewStage) -> None:
    """They know no rate: the draft waits, says what to do, and that does it."""
    it = stage()
    order_id = it.place(**rate("0.9102"))
    it.finish(it.call("fetch", "read"))
    it.policy = DOLLARS
    it.connectors |= {Destination.GLOPAL: Glopal(it.feed.client, base_currency="USD")}
    it.relay = it.worker("b")
    it.live(60)
    assert it.to_shop.writes == []
    assert "`retry fetch` asks Glopal for it" in it.exceptions(order_id)["parked_draft"]
    it.command(order_id, decisions.Retry(Effect.FETCH, "ann", "as it says"))
    it.live(60)
    assert drafted_as(it, order_id)["total"] == "45.76"
