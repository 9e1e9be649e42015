"""The fake shop keeps its contract, and its switches break it only as real shops do."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from orderflow.sandbox import Request, ShopOptions

from .world import SHOP_KEY, World, new_order

R = "glopal:acme:1-1"


def found(world: World) -> list[tuple[str, str]]:
    """Id and state of everything found by the reference."""
    status, body = world.at_shop("GET", "/orders", reference=R)
    assert status == 200
    return [(order["id"], order["state"]) for order in body["orders"]]


def code(answer: tuple[int, Any]) -> tuple[int, str]:
    return answer[0], answer[1]["error"]["code"]


def test_a_draft_becomes_an_order_and_is_cancelled() -> None:
    world = World()
    draft = world.draft()
    assert (draft["reference"], draft["state"], draft["fulfilled"], draft["total"]) == (R, "draft", False, "28.00")
    assert re.fullmatch(r"0\d+", draft["number"])
    path = f"/orders/{draft['id']}"
    assert world.at_shop("POST", f"{path}/promote") == (200, {**draft, "state": "order"})
    assert code(world.at_shop("POST", f"{path}/promote")) == (409, "not_a_draft")
    assert code(world.at_shop("DELETE", path)) == (409, "not_a_draft")
    assert world.at_shop("POST", f"{path}/cancel", {"reason": "x"})[1]["state"] == "cancelled"
    assert code(world.at_shop("POST", f"{path}/cancel")) == (409, "already_cancelled")
    assert code(world.at_shop("POST", f"{path}/promote")) == (409, "not_a_draft")
    assert world.at_shop("GET", path)[1]["state"] == "cancelled"
    assert found(world) == [(draft["id"], "cancelled")]


def test_a_draft_is_deleted_not_cancelled_and_then_gone() -> None:
    world = World()
    path = f"/orders/{world.draft()['id']}"
    assert code(world.at_shop("POST", f"{path}/cancel")) == (409, "is_a_draft")
    assert world.at_shop("DELETE", path) == (204, None)
    for method, action in (("GET", ""), ("DELETE", ""), ("POST", "/promote"), ("POST", "/cancel")):
        assert code(world.at_shop(method, path + action)) == (404, "order_not_found")
    assert found(world) == []
    (entry,) = world.shop.ledger()
    assert (entry.state, entry.promoted_at, entry.deleted_at) == ("deleted", None, world.clock())


def test_what_has_left_cannot_be_cancelled() -> None:
    world = World()
    order_id = world.draft()["id"]
    with pytest.raises(ValueError, match="draft"):
        world.shop.fulfil(order_id)
    world.shop.promote_by_hand(order_id)
    world.shop.fulfil(order_id)
    status, body = world.at_shop("POST", f"/orders/{order_id}/cancel")
    assert (status, body["error"]["code"], body["order"]["fulfilled"]) == (409, "fulfilled", True)


def test_a_repeated_create_makes_a_second_draft() -> None:
    world = World()
    first, second = world.draft(), world.draft()
    assert found(world) == [(first["id"], "draft"), (second["id"], "draft")]


def test_a_unique_reference_is_taken_until_its_draft_is_deleted() -> None:
    world = World(shop=ShopOptions(unique_reference=True))
    draft = world.draft()
    status, body = world.at_shop("POST", "/orders", new_order())
    assert (status, body["error"]["code"], body["order"]["id"]) == (409, "reference_taken", draft["id"])
    world.shop.delete_by_hand(draft["id"])
    again = world.draft()
    world.shop.promote_by_hand(again["id"])
    world.shop.cancel_by_hand(again["id"])
    assert code(world.at_shop("POST", "/orders", new_order())) == (409, "reference_taken")


def test_the_search_lags_and_the_read_by_id_does_not() -> None:
    world = World(shop=ShopOptions(search_lag=timedelta(seconds=10)))
    draft = world.draft()
    world.clock.pass_(5)
    assert found(world) == []
    assert world.at_shop("GET", f"/orders/{draft['id']}")[0] == 200
    world.shop.promote_by_hand(draft["id"])
    world.clock.pass_(5)
    assert found(world) == [(draft["id"], "draft")]
    world.clock.pass_(5)
    assert found(world) == [(draft["id"], "order")]


def test_a_deleted_draft_is_still_found_while_the_search_lags() -> None:
    world = World(shop=ShopOptions(search_lag=timedelta(seconds=10)))
    draft = world.draft()
    world.clock.pass_(10)
    world.shop.delete_by_hand(draft["id"])
    assert found(world) == [(draft["id"], "draft")]
    world.clock.pass_(10)
    assert found(world) == []


def test_refusals_make_nothing() -> None:
    world = World(shop=ShopOptions(refuse=lambda body: "too_dear" if body["total"] == "99.00" else None))
    assert code(world.at_shop("POST", "/orders", new_order(sku="REFUSE-ME"))) == (422, "unknown_sku")
    assert code(world.at_shop("POST", "/orders", {**new_order(), "total": "99.00"})) == (422, "too_dear")
    assert world.shop.ledger() == []


@pytest.mark.parametrize(
    "change",
    [
        {"reference": ""},
        {"reference": None},
        {"currency": "eur"},
        {"items": []},
        {"items": [{"sku": "A", "quantity": 0, "unit_price": "1"}]},
        {"items": [{"sku": "A", "quantity": 1.5, "unit_price": "1"}]},
        {"items": [{"sku": "A", "quantity": 1, "unit_price": 1.0}]},
        {"total": "1e3"},
        {"total": 28.0},
        {"shipping": {"method": "express"}},
    ],
)
def test_malformed_creates(change: dict[str, Any]) -> None:
    world = World()
    assert code(world.at_shop("POST", "/orders", {**new_order(), **change})) == (400, "invalid_request")


def test_malformed_requests() -> None:
    world = World()
    assert world.shop.handle(Request("POST", "/orders", (), SHOP_KEY, b"{")).status == 400
    assert world.shop.handle(Request("POST", "/orders", (), SHOP_KEY, b"[]")).status == 400
    assert world.shop.handle(Request("GET", "/orders", (), {})).status == 401
    assert world.at_shop("GET", "/orders")[0] == 400
    assert world.at_shop("PUT", "/orders")[0] == world.at_shop("GET", "/orders/x/promote")[0] == 405
    assert world.at_shop("GET", "/nothing")[0] == 404


def test_success_without_an_id_has_made_the_draft_all_the_same() -> None:
    world = World(shop=ShopOptions(answer_without_id=1.0))
    assert world.at_shop("POST", "/orders", new_order()) == (200, {})
    assert len(found(world)) == 1


def test_every_digit_of_an_amount_survives() -> None:
    world = World()
    status, order = world.at_shop("POST", "/orders", {**new_order(), "total": "19.990000000000000001"})
    assert (status, order["total"]) == (201, "19.990000000000000001")
    assert world.shop.created_from(order["id"])["items"][0]["unit_price"] == "12.50"


def test_ids_are_percent_decoded() -> None:
    world = World()
    encoded = world.draft()["id"].replace("_", "%5F")
    assert json.loads(world.shop.handle(Request("GET", f"/orders/{encoded}", (), SHOP_KEY)).body)["state"] == "draft"
