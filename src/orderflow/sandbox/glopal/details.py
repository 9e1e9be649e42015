"""Invented, self-consistent contents of a Glopal order: who bought what, for how much.

Only the keys of reference 8.1 are known from Glopal; every other key here is ASSUMED (8.3) and must not be taken for
Glopal's. Money is exact Decimal in the buyer's currency; items + shipping + tax + duty = total.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from random import Random
from typing import Any

_CATALOGUE = (
    ("WALKER-42", "Walker boots, size 42", Decimal("74.99")),
    ("WALKER-43", "Walker boots, size 43", Decimal("74.99")),
    ("SCARF-RED", "Merino scarf, red", Decimal("29.95")),
    ("MUG-01", "Enamel mug", Decimal("12.50")),
    ("TENT-2P", "Tent for two", Decimal("219.00")),
)
# name, e-mail name, street, city, postal code, country, language, currency, rate of 1 USD, tax rate
_BUYERS = (
    ("Ada", "Muster", "Hauptstr. 1", "Berlin", "10115", "DE", "de-DE", "EUR", "0.9102", "0.19"),
    ("Zoé", "Lefèvre", "12 rue de la Paix", "Paris", "75002", "FR", "fr-FR", "EUR", "0.9102", "0.20"),
    ("Sean", "O'Neill", "5 Quay St", "Galway", "H91 X0PV", "IE", "en-IE", "EUR", "0.9102", "0.23"),
    ("花子", "山田", "丸の内1-1", "東京", "100-0005", "JP", "ja-JP", "JPY", "147.31250000", "0.10"),
    ("Ina", "Berg", "Storgata 9", "Oslo", "0155", "NO", "nb-NO", "NOK", "10.4825", "0.25"),
)
_EXPONENT = {"JPY": Decimal(1)}  # ISO 4217: no decimals; all the others here have two


def order_details(rng: Random) -> dict[str, Any]:
    """All members of an order that its life does not change, in the sample's key order (from `currency` on)."""
    first, last, street, city, code, country, language, currency, rate, tax_rate = rng.choice(_BUYERS)
    address = {
        "first_name": first,
        "last_name": last,
        "line1": street,
        "city": city,
        "postal_code": code,
        "country": country,
        "phone": f"+{rng.randrange(10**9, 10**10)}",
    }
    items = [
        _item(rng, index, Decimal(rate), Decimal(tax_rate), currency)
        for index in range(1, rng.choice((1, 1, 2, 3)) + 1)
    ]
    shipping = _round(rng.choice((Decimal("9.90"), Decimal("15.00"), Decimal(0))) * Decimal(rate), currency)
    goods: Decimal = sum((item["total"] for item in items), Decimal(0))
    tax: Decimal = sum((item["tax"] for item in items), Decimal(0))
    duty: Decimal = sum((item["duty"] for item in items), Decimal(0))
    zero = _round(Decimal(0), currency)
    details: dict[str, Any] = {
        # SAMPLE keys (8.1)
        "currency": currency,
        "language": language,
        "environment": "live",
        "customer_note": rng.choice((None, "", "Please ring twice", "Ground floor, left")),
        "internal_note": None,
        "exchange_rates": {"USD": {"rate": Decimal(rate)}},
        "created_at": None,  # filled in when the order is placed
        # ASSUMED from here on (8.3): the real names are unknown
        "customer": {
            "email": f"buyer{rng.randrange(10**6)}@example.com",
            "first_name": first,
            "last_name": last,
            "phone": address["phone"],
        },
        "billing_address": address,
        "shipping_address": address,
        "items": items,
        "shipping": {"method": rng.choice(("standard", "express")), "price": shipping},
        "totals": {
            "items": goods,
            "discount": zero,
            "shipping": shipping,
            "tax": tax,
            "duty": duty,
            "fees": zero,
            "total": goods + shipping + tax + duty,
        },
    }
    if (
        country == "JP"
    ):  # STATED (8.1): a Latin-1 copy of the address, only where the feature is on; its name is ASSUMED
        details["shipping_address_romanized"] = {
            **address,
            "first_name": "Hanako",
            "last_name": "Yamada",
            "line1": "Marunouchi 1-1",
            "city": "Tokyo",
        }
    return details


def _item(rng: Random, index: int, rate: Decimal, tax_rate: Decimal, currency: str) -> dict[str, Any]:
    sku, name, usd = rng.choice(_CATALOGUE)
    quantity = rng.choice((1, 1, 1, 2, 3))
    price = _round(usd * rate, currency)
    total = price * quantity
    return {
        "id": str(index),
        "sku": sku,
        "name": name,
        "quantity": quantity,
        "unit_price": price,
        "total": total,
        "tax": _round(total * tax_rate, currency),
        "duty": _round(total * Decimal("0.05"), currency) if rng.random() < 0.3 else _round(Decimal(0), currency),
    }


def _round(amount: Decimal, currency: str) -> Decimal:
    return amount.quantize(_EXPONENT.get(currency, Decimal("0.01")), ROUND_HALF_UP)
