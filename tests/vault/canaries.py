"""Strings that must never be seen, in every personal field of an order, and where to look for them.

It must never look for less than what it planted: each field has a string of its own, so that a leak names its field.
"""

import base64
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from orderflow.sandbox import Request, Response
from orderflow.sandbox.wire import json_response
from orderflow.store.embedded_programs import find_programs, server_user

PERSONAL: Final = (
    *("customer-email", "customer-first_name", "customer-last_name", "customer-phone"),
    *(
        f"{address}-{part}"
        for address in ("billing_address", "shipping_address", "shipping_address_romanized")
        for part in ("first_name", "last_name", "line1", "line2", "city", "postal_code", "phone", "company")
    ),
    *("customer_note", "internal_note", "gift_message"),
    *("cart-name", "cart-email", "cart-url", "language-text", "payment_details-holder", "tax_id", "item-engraving"),
)
"""The personal fields of an order as the sandbox's Glopal shows it: member, or member and its member."""


def canary(name: str) -> str:
    """The string in the field `name`: one word of letters, as a surname is, so that it passes for a code or an id."""
    letters = "".join(one for one in name.replace("1", "-one").replace("2", "-two").title() if one.isalpha())
    return f"Zq{letters}Qz"


def order(**more: Any) -> dict[str, Any]:
    """The members of an order with a canary in every personal field."""
    made: dict[str, Any] = {}
    for name in PERSONAL:
        member, _, inner = name.partition("-")
        if inner:
            made.setdefault(member, {})[inner] = canary(name)
        else:
            made[member] = canary(name)
    made["customer"]["email"] = f"{canary('customer-email')}@example.org"
    made["cart"]["url"] = f"https://shop.example.com/cart?email={canary('cart-url')}"
    made["language"] = "ja-JP"
    made["language_texts"] = {"greeting": canary("language-text")}
    engraving = made.pop("item")["engraving"]
    price = Decimal("10.00")
    item = {"id": "1", "sku": "MUG-01", "name": "Mug", "quantity": 1, "unit_price": price, "total": price,
            "engraving": engraving}  # fmt: skip
    totals = {"items": price, "shipping": Decimal(0), "tax": Decimal(0), "duty": Decimal(0), "total": price}
    return made | {"currency": "EUR", "items": [item], "shipping": {"price": Decimal(0)}, "totals": totals} | more


def forms(name: str) -> Iterator[str]:
    """How the canary of a field may look: as it is, in any case, as bytes shown in hexadecimal or base64."""
    plain = canary(name)
    yield plain.lower()
    yield plain.encode().hex()
    for shift in range(3):  # base64 looks different at each place within three bytes
        encoded = base64.b64encode(b"x" * shift + plain.encode()).decode()
        yield encoded[4 if shift else 0 : -4].lower()


_FORMS: Final = {form: name for name in PERSONAL for form in forms(name)}
_ANY: Final = re.compile("|".join(map(re.escape, _FORMS)))


def leaks(where: str, text: str) -> list[str]:
    """Every canary in `text`, with the place it was found in."""
    names = {_FORMS[found] for found in _ANY.findall(text.lower())}
    return [f"{canary(name)} in {where}" for name in sorted(names)]


@dataclass
class Evil:
    """A shop and a Glopal that say back what they were told, in every place that an answer has.

    `answers` by order are the shop's, and Glopal takes no write for the orders in `refused`. `urls` is what an access
    log would hold: every address that was called, with its headers.
    """

    urls: list[str] = field(default_factory=list)
    answers: dict[str, Response] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def seen(self, request: Request) -> None:
        query = "&".join(f"{name}={value}" for name, value in request.query)
        self.urls.append(f"{request.method} {request.path}?{query} {dict(request.headers)}")

    def at_shop(self, request: Request) -> Response | None:
        """An answer in the shop's place for an order whose number is in `answers`."""
        self.seen(request)
        text = request.body.decode("utf-8", "replace")
        for order_id, answer in self.answers.items():
            if request.method == "POST" and f":{order_id}" in text:
                return answer
        return None


def echoes() -> Mapping[str, Response]:
    """Answers of a shop to a new order, each with canaries in another place."""
    name, mail = canary("customer-last_name"), f"{canary('customer-email')}@example.org"
    address = canary("shipping_address-line1")
    everything = order()
    said = {"message": f"{name} at {address} owes us money", "customer": everything["customer"], "detail": mail}
    named = {"location": f"https://shop.example.com/{name}?mail={mail}", "retry-after": name, "x-buyer": name}
    html = f"<html><title>{name}</title>{json.dumps(everything, default=str)}</html>".encode()
    return {
        "a code that is a name": json_response(422, {"error": {"code": name, **said}}),
        "an error that is a name": json_response(422, {"error": name}),
        "a title that is a name": json_response(400, {"title": name, "detail": mail}),
        "a sentence": json_response(409, {"error": f"{name} has ordered before"}),
        "server error": Response(500, html),
        "busy": Response(503, html, {"retry-after": name}),
        "throttled": Response(429, html, {"retry-after": mail}),
        "redirect": Response(302, html, named),
        "success that is none": json_response(200, {"id": None, **said}),
        "success about another": json_response(201, {"id": "1", "reference": name, "state": "draft", **said}),
        "a state that is a name": json_response(201, {"id": "1", "state": name, **said}),
        "no JSON": Response(200, html),
        "twice": Response(422, f'{{"{name}":1,"{name}":2}}'.encode()),
        "taken": json_response(409, {"error": {"code": "reference_taken"}, "order": {"id": "9", "reference": name}}),
        "reason phrase": Response(418, b"", {"x-error": mail}),
    }


def dumped(url: str, folder: Path) -> str:
    """Everything in the database as pg_dump writes it: schema, rows, comments."""
    run_as = server_user(folder)
    programs = find_programs(run_as)
    plain = url.replace("postgresql+psycopg://", "postgresql://")
    found = subprocess.run(
        [str(programs / "pg_dump"), "--inserts", plain], capture_output=True, text=True, check=True, env=os.environ
    )
    return found.stdout
