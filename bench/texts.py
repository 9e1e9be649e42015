"""What is written: order details as a shop's buyers would make them, of a wanted length, and whole lives of orders.

They do not compress much better than real ones: names, ids and amounts differ in every text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any, Final
from uuid import UUID

from orderflow import codec
from orderflow.domain.events import (
    AcceptRequested,
    DetailsFetched,
    Effect,
    EffectDelivered,
    EffectIntended,
    Event,
    Ids,
    Position,
    ShopState,
    Sighting,
)
from orderflow.domain.machine import Report, Status
from orderflow.store.entry import Entry, Sealed

VARIETY: Final = 256
"""Different texts of each length; more would only cost memory."""
_ITEM: Final = 160
"""No line of an order is longer."""
_FIRST: Final = ("Amélie", "Jürgen", "Siobhán", "Łukasz", "Yuki", "Ngozi", "Mateo", "Ingrid", "Rahul", "Zeynep")
_LAST: Final = (
    "Dubois",
    "Müller",
    "O'Connor",
    "Kowalski",
    "Tanaka",
    "Okafor",
    "García",
    "Lindqvist",
    "Sharma",
    "Öztürk",
)
_STREETS: Final = ("rue de la Paix", "Hauptstraße", "Patrick Street", "ulica Długa", "Calle Mayor", "Storgatan")
_GOODS: Final = ("merino jumper", "trail shoe", "espresso cup", "linen shirt", "desk lamp", "ceramic bowl", "rain coat")


@cache
def bodies(size: int, seed: int = 7) -> list[bytes]:
    """So many different orders as JSON, each within a few bytes of `size`. Everybody gets the same list."""
    rng = Random(seed)  # noqa: S311  figures, not secrets
    return [_body(rng, size) for _ in range(VARIETY)]


def _body(rng: Random, size: int) -> bytes:
    order: dict[str, Any] = {
        "id": f"{rng.randrange(10**6):06}-{rng.randrange(10**6):06}",
        "currency": rng.choice(("EUR", "USD", "GBP", "PLN", "JPY")),
        "customer": {
            "name": f"{rng.choice(_FIRST)} {rng.choice(_LAST)}",
            "email": f"{rng.randbytes(6).hex()}@example.com",
        },
        "ship_to": {"street": f"{rng.choice(_STREETS)} {rng.randrange(300)}", "zip": f"{rng.randrange(10**5):05}"},
        "items": [],
    }
    room = size - len(json.dumps(order, ensure_ascii=False).encode())
    while room > _ITEM:
        item = {
            "sku": rng.randbytes(5).hex(),
            "name": f"{rng.choice(_GOODS)} {rng.randrange(1000)}",
            "quantity": rng.randrange(1, 9),
            "unit_price": f"{rng.randrange(100, 90000) / 100}",
            "tax": f"{rng.randrange(10, 9000) / 100}",
            "hs_code": f"{rng.randrange(10**8):08}",
        }
        order["items"].append(item)
        room -= len(json.dumps(item)) + 2
    order["note"] = rng.randbytes(max(0, (room - 12) // 2)).hex()
    return json.dumps(order, ensure_ascii=False).encode()


BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)
STEPS: Final = 14
"""Events of one life: what the log holds of an order that went well."""


def life(number: int) -> str:
    """The order id of a life."""
    return f"{number % 1_000_000:06}-{number:09}"


def _events(number: int, step: int, after: int, at: datetime) -> Event | Report:
    """What happens to order `number` in this step; `after` is the position of the report before."""
    ids, later = Ids(f"s{number}", f"#{number}"), at + timedelta(minutes=1)

    def details(status: Status, external: Ids | None = None) -> Event:
        return DetailsFetched(
            asked_after=Position(after),
            sent_at=at,
            settles_at=later,
            status=status,
            said=status.value,
            external=external,
            environment="live",
            currency="EUR",
            total=Decimal("129.90"),
            created_at=at,
            basis=f"{number:064x}",
        )

    def intended(effect: Effect, target: str = "", seen: ShopState | None = None) -> Event:
        return EffectIntended(effect, 0, 1, target, f"{number:064x}", later, later, seen)

    match step:
        case 0:
            return Report.RECEIVED
        case 1:
            return details(Status.RECEIVED)
        case 2:
            return intended(Effect.DRAFT)
        case 3:
            return EffectDelivered(Effect.DRAFT, 0, 1, Sighting(ids.order_id, ids.number, ShopState.DRAFT))
        case 4:
            return Report.READY
        case 5:
            return details(Status.READY)
        case 6:
            return intended(Effect.PROMOTE, ids.order_id, ShopState.DRAFT)
        case 7:
            return EffectDelivered(
                Effect.PROMOTE, 0, 1, Sighting(ids.order_id, ids.number, ShopState.ORDER, promoted=True)
            )
        case 8:
            return AcceptRequested(ids, "orderflow")
        case 9:
            return intended(Effect.ACCEPT)
        case 10:
            return EffectDelivered(Effect.ACCEPT, 0, 1)
        case 11:
            return details(Status.ACCEPTED, ids)
        case 12:
            return Report.COMPLETED
        case _:
            return details(Status.COMPLETED, ids)


def history(events: int, size: int, width: int = 100, begin: int = 0) -> Iterator[Entry]:
    """A store's history: `width` orders live side by side, then the next ones. Bodies stand in as random bytes.

    Reports and fetched details carry a body of `size` bytes and a vault's 28; nothing here can be unsealed.
    """
    rng = Random(begin)  # noqa: S311  as above
    sealed = [rng.randbytes(size + 28) for _ in range(VARIETY)]
    key, mac = UUID(int=rng.getrandbits(128)), rng.randbytes(32)
    made, first = 0, begin
    while True:
        reported = dict.fromkeys(range(width), 0)
        for step in range(STEPS):
            for one in range(width):
                if made == events:
                    return
                number, at = first + one, BEGIN + timedelta(seconds=made)
                happened = _events(number, step, reported[one], at)
                order_id, source = life(number), "effect"
                body, occurred = None, None
                if isinstance(happened, Report):
                    reported[one] = made + 1
                    name = f"order.{happened.value}"
                    kind, source, occurred = codec.type_of(name), "glopal", at
                    clear = f'{{"name":"{name}","entity_id":null,"event_at":"{at:%Y-%m-%dT%H:%M:%SZ}"}}'
                else:
                    kind, clear = codec.encode(happened)
                if isinstance(happened, Report | DetailsFetched):
                    body = Sealed(sealed[rng.getrandbits(8)], key, mac)
                made += 1
                unique = UUID(int=rng.getrandbits(128))
                yield Entry(
                    order_id, kind, source, f"{order_id}:{step}", clear, occurred, body, '{"machine":2}', unique
                )
        first += width
