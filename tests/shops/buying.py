"""Orders whose goods the real shops have, as Glopal's GET shows them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from random import Random
from typing import Any

from orderflow.sandbox import Glopal, Request

STORE = "acme"
PERSONAL = ("Muster", "buyer@example.com", "Hauptstr")
_ADDRESS = {
    "first_name": "Ada",
    "last_name": "Muster",
    "line1": "Hauptstr. 1",
    "city": "Berlin",
    "postal_code": "10115",
    "country": "DE",
    "phone": "+49301234567",
}
_numbers = count(1)


def members(*lines: tuple[str, str, int], shipping: str = "12.50", **more: str) -> dict[str, Any]:
    """What `Glopal.place` takes: lines as SKU, price and quantity; `more` of tax, duty, fees, discount and total."""
    goods = sum((Decimal(price) * quantity for _, price, quantity in lines), Decimal(0))
    totals: dict[str, Any] = {"items": goods, "shipping": Decimal(shipping)}
    totals |= {name: Decimal(more.get(name, "0")) for name in ("tax", "duty", "fees", "discount")}
    charged = goods + Decimal(shipping) + totals["tax"] + totals["duty"] + totals["fees"] - totals["discount"]
    return {
        "currency": "EUR",
        "customer": {"email": "buyer@example.com", "first_name": "Ada", "last_name": "Muster"},
        "billing_address": _ADDRESS,
        "shipping_address": _ADDRESS,
        "items": [
            {"id": str(number), "sku": sku, "name": sku, "quantity": quantity, "unit_price": Decimal(price)}
            for number, (sku, price, quantity) in enumerate(lines, 1)
        ],
        "shipping": {"method": "DHL Express", "price": Decimal(shipping)},
        "totals": totals | {"total": Decimal(more.get("total", charged))},
    }


BOOTS = members(("WALKER-42", "74.99", 2))
"""74.99 × 2 + 12.50 = 162.48 EUR."""


def random_members(rng: Random) -> dict[str, Any]:
    """One order of a few things, with taxes and what else there may be."""
    lines = [
        (sku, price, rng.choice((1, 1, 2, 3)))
        for sku, price in rng.sample(
            [("WALKER-43", "74.99"), ("SCARF-RED", "29.95"), ("MUG-01", "12.50")], rng.choice((1, 2))
        )
    ]
    return members(
        *lines, tax=rng.choice(("0", "13.57")), duty=rng.choice(("0", "4.11")), discount=rng.choice(("0", "5.00"))
    )


def fresh_id() -> str:
    """An order id that no other test has."""
    return f"310678-{next(_numbers):06}"


def details(order_id: str, given: dict[str, Any] = BOOTS) -> bytes:
    """The order as Glopal's GET shows it."""
    glopal = Glopal(clock=lambda: datetime.now(UTC), rng=Random(1), key="GL.key")
    glopal.place(STORE, id=order_id, **given)
    glopal.ready(STORE, order_id)
    return glopal.handle(Request("GET", f"/v2/orders/{STORE}/{order_id}", (), {"authorization": "Bearer GL.key"})).body
