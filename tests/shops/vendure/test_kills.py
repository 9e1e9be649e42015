"""A worker dies between any two calls of a script, and another one goes on: one order, whole, and no stray.

The engine is the real one (prepare, perform, settle), and so is the Vendure; only time is virtual.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from tests.relay.stage import Stage
from tests.shops.bring_up import Running
from tests.shops.vendure import orders
from tests.shops.vendure.conftest import Connect

from orderflow import relay
from orderflow.domain.events import Destination
from orderflow.glopal.jsontext import parse
from orderflow.glopal.money import smallest_unit
from orderflow.relay import Call
from orderflow.sandbox import Request

pytestmark = [pytest.mark.real_shop, pytest.mark.timeout(900)]

LONG = 3 * 3600.0
"""Seconds of virtual time in which everything is looked up, tried again and done."""


class Killed(BaseException):
    """kill -9, as far as anybody in the process can tell."""


class Dying(httpx.HTTPTransport):
    """The network of a process that dies right after its call number `after` was executed."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        answer.read()
        self.left -= 1
        if not self.left:
            raise Killed
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


def killed(it: Stage, connect: Connect, call: Call, after: int) -> bool:
    """Perform the call in a process that dies after so many calls; False if it needed fewer."""
    alive = it.connectors[Destination.SHOP]
    it.connectors[Destination.SHOP] = connect(Dying(after))
    try:
        relay.perform(it.relay, call)
    except Killed:
        return True
    finally:
        it.connectors[Destination.SHOP] = alive
    return False


def rows(shop: Running, it: Stage, order_id: str) -> list[Any]:
    """Everything in the shop that bears the order's reference, or what became of it."""
    own = f"glopal:{it.store}:{order_id}"
    return [
        row
        for row in orders(shop.base_url, shop.key)
        if (row["customFields"]["glopalReference"] or "").split(":")[:3] == own.split(":")
    ]


def living(found: Sequence[Any]) -> list[Any]:
    return [row for row in found if row["state"] != "Cancelled"]


def is_right(it: Stage, order_id: str, row: Any) -> bool:
    """The goods and the total are Glopal's, to the last cent."""
    shown: Any = parse(it.glopal.handle(_get(it.store, order_id)).body)
    unit = smallest_unit(shown["currency"])
    goods: dict[tuple[str, Decimal], int] = {}
    for line in shown["items"]:
        price = (line["sku"], Decimal(line["unit_price"]))
        goods[price] = goods.get(price, 0) + line["quantity"]
    found = {
        (line["productVariant"]["sku"], line["unitPriceWithTax"] * unit): line["quantity"]
        for line in row["lines"]
        if line["customFields"]["glopalCharge"] is None
    }
    total = row["totalWithTax"] * unit
    return (found, total, row["currencyCode"]) == (goods, shown["totals"]["total"], shown["currency"])


def _get(store: str, order_id: str) -> Any:
    return Request("GET", f"/v2/orders/{store}/{order_id}", (), {"authorization": "Bearer GL.sandbox"})


def goes_on(it: Stage) -> None:
    """Another worker does all that is to be done."""
    it.live(LONG, it.worker("b"))


def test_a_draft(shop: Running, before_vendure: Callable[..., Stage], connect: Connect) -> None:
    """Look, create, mark, fill: whichever was the last."""
    connector = connect()
    for after in range(1, 10):
        it = before_vendure(f"-{after}")
        order_id = it.place()
        if not killed(it, connect, it.call("draft"), after):
            break
        goes_on(it)
        [row] = rows(shop, it, order_id)
        assert row["state"] == "Draft", after
        assert is_right(it, order_id, row), after
        assert it.exceptions(order_id) == {}, after
        it.ready(order_id)
        it.live(60)
        [row] = rows(shop, it, order_id)
        assert row["state"] == "PaymentSettled", after
        assert is_right(it, order_id, row), after
    assert after == 5
    # Killed behind `create`, it left an order that nobody can find, so it is swept.
    unmarked = [row for row in orders(shop.base_url, shop.key) if row["customFields"]["glopalReference"] is None]
    assert [(row["state"], row["lines"], row["customer"]) for row in unmarked] == [("Draft", [], None)]
    assert connector.sweep(timedelta(hours=1)) == 0
    assert connector.sweep(timedelta(0)) == 1
    assert all(row["customFields"]["glopalReference"] for row in orders(shop.base_url, shop.key))


def test_a_promotion(shop: Running, before_vendure: Callable[..., Stage], connect: Connect) -> None:
    """Look, make payable, pay: it is paid once."""
    for after in range(1, 10):
        it = before_vendure(f"-{after}")
        order_id = _drafted(it)
        it.ready(order_id)
        if not killed(it, connect, it.call("promote"), after):
            break
        goes_on(it)
        [row] = rows(shop, it, order_id)
        assert row["state"] == "PaymentSettled", after
        assert is_right(it, order_id, row), after
        assert [payment["state"] for payment in row["payments"]] == ["Settled"], after
        assert it.at_glopal(order_id).ids == (row["id"], row["code"]), after
    assert after == 4


@pytest.mark.parametrize("stands", ["draft", "in payment", "order"])
def test_a_withdrawal(shop: Running, before_vendure: Callable[..., Stage], connect: Connect, stands: str) -> None:
    """Look, delete or cancel; also of an order whose promotion broke off in the middle."""
    for after in range(1, 10):
        it = before_vendure(f"-{after}")
        order_id = _drafted(it)
        if stands == "in payment":
            it.ready(order_id)
            assert killed(it, connect, it.call("promote"), 2)
            assert [row["state"] for row in rows(shop, it, order_id)] == ["ArrangingPayment"]
        elif stands == "order":
            it.ready(order_id)
            it.live(60)
            assert [row["state"] for row in rows(shop, it, order_id)] == ["PaymentSettled"]
        it.cancel(order_id)
        if not killed(it, connect, _withdrawal(it), after):
            break
        goes_on(it)
        assert living(rows(shop, it, order_id)) == [], after
        assert it.exceptions(order_id) == {}, after
    assert after == 3


def _drafted(it: Stage) -> str:
    order_id = it.place()
    it.rest()
    return order_id


def _withdrawal(it: Stage) -> Call:
    """Once what is unknown has been looked up, which takes its time."""
    for _ in range(200):
        it.news()
        prepared = it.next()
        if prepared is None:
            it.clock.wait(15)
        elif isinstance(prepared, Call):
            if (prepared.effect, prepared.kind) == ("withdraw", "send"):
                return prepared
            it.finish(prepared)
    raise AssertionError("no withdrawal came up")
