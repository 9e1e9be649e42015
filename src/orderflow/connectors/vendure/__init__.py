"""Vendure, by its admin API: a shop whose draft takes several calls, and whose answers are 200 whatever they say.

It never takes a draft for made that is not whole, and never writes without having looked.

A draft is created without a word (`createDraftOrder` takes none), then marked with our reference and with what it must
come to, then filled. What breaks off before the mark is empty, and swept; what breaks off behind it is found as begun.
Promoting is two steps as well, and goes on from wherever the order stands. What Vendure must be taught for this stands
in docs/how-to/connect-vendure.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, Unpack

from orderflow.connectors import (
    Capabilities,
    Found,
    FreezeError,
    Missing,
    Refused,
    Result,
    Retry,
    Sight,
    Subject,
    Task,
    Viewed,
)
from orderflow.connectors.calls import Calls
from orderflow.connectors.graphql import inside
from orderflow.connectors.shop_answers import is_id
from orderflow.connectors.vendure.documents import DELETE
from orderflow.connectors.vendure.making import play
from orderflow.connectors.vendure.moves import promote, withdraw
from orderflow.connectors.vendure.order import FIELDS, LINES, standing, view
from orderflow.connectors.vendure.script import Script, script, thawed
from orderflow.connectors.vendure.talk import Halt, Said, read, write
from orderflow.domain.events import Effect, ShopState, Sighting
from orderflow.glopal.client import Endpoint, EndpointOptions
from orderflow.glopal.details import read_order
from orderflow.glopal.jsontext import Json, canonical, instant, money, parse
from orderflow.glopal.mapping import Mapping as Places

KEY_HEADER: Final = "vendure-api-key"
"""An API key, not a login: it has rights of its own, can be withdrawn alone, and keeps nothing in memory that expires.

The price is Vendure's: it hashes the key on each call, about 0.3 s, where a session costs next to nothing.
"""


class Vendure:
    """The connector for one Vendure; thread-safe. `base_url` is what stands before `/admin-api`.

    `shipping_method` and `payment_method` are codes in the shop, `charges_sku` the variant that stands for tax, duty,
    fees, discount and rounding.
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        mapping: Places | None = None,
        capabilities: Capabilities | None = None,
        *,
        shipping_method: str = "glopal",
        payment_method: str = "glopal",
        charges_sku: str | None = None,
        **options: Unpack[EndpointOptions],
    ) -> None:
        self._endpoint = Endpoint(base_url, key, key_header=KEY_HEADER, **options)
        self._mapping = mapping or Places()
        self._capabilities = capabilities or Capabilities(unique_reference=True)
        self._shipping_method = shipping_method
        self._payment_method = payment_method
        self._charges_sku = charges_sku

    @property
    def capabilities(self) -> Capabilities:
        """What was declared for this shop."""
        return self._capabilities

    def close(self) -> None:
        """Close the idle connections."""
        self._endpoint.close()

    # ---- freeze ----------------------------------------------------------------------------------------------------

    def freeze(self, task: Task) -> bytes:
        """The whole script of DRAFT, PROMOTE or WITHDRAW. Raises `FreezeError`."""
        if task.effect is Effect.DRAFT:
            return canonical({"step": "draft", **self._script(task).plain()})
        if not is_id(task.target):
            raise FreezeError("target is no shop id")
        about: dict[str, Json] = {"id": task.target, "reference": task.reference}
        match task.effect, task.seen:
            case Effect.PROMOTE, _:
                payment: dict[str, Json] = {"method": self._payment_method, "transaction": task.order_id}
                return canonical({"step": "promote", **about, **payment})
            case Effect.WITHDRAW, ShopState.BEGUN | ShopState.DRAFT | ShopState.ORDER:
                placed = task.seen is ShopState.ORDER
                return canonical({"step": "withdraw", **about, "placed": placed, "reason": task.reason})
            case Effect.WITHDRAW, _:
                raise FreezeError("seen must be begun, draft or order")
            case _:
                raise FreezeError(f"a shop knows no {task.effect}")

    def _script(self, task: Task) -> Script:
        if task.details is None:
            raise FreezeError("details are needed")
        order = read_order(task.details, self._mapping, task.order_id, task.base)
        if isinstance(order, str):
            raise FreezeError(order)
        if task.total is not None and order.total != task.total:
            known, now = money(task.total), money(order.total)
            raise FreezeError(f"the mapping gives {now} where {known} was recorded: `retry fetch` reads it anew")
        return script(order, task.reference, self._shipping_method, self._charges_sku)

    # ---- send ------------------------------------------------------------------------------------------------------

    def send(self, request: bytes, *, key: str, in_time: Callable[[], bool]) -> Result:
        """Play a frozen script: its first call leaves in time, and the last one ends as if it were a single call."""
        del key  # Vendure knows no idempotency keys
        calls = Calls(self._endpoint, in_time)
        match parse(request):
            case {"step": "draft"} as value if (known := thawed(value)) is not None:
                return play(calls, known)
            case {
                "step": "promote",
                "id": str(shop_id),
                "reference": str(reference),
                "method": str(method),
                "transaction": str(transaction),
            }:
                return promote(calls, shop_id, reference, method, transaction)
            case {"step": "withdraw", "id": str(shop_id), "placed": bool(placed), "reason": str(reason)}:
                return withdraw(calls, shop_id, reason, placed=placed)
            case _:
                return Refused("the frozen request cannot be read")

    # ---- find ------------------------------------------------------------------------------------------------------

    def find(self, subject: Subject) -> Sight:
        """Everything under the reference, and each known id by itself, in one question."""
        known = {f"known{number}": shop_id for number, shop_id in enumerate(subject.known)}
        heads = "".join(f", ${name}: ID!" for name in known)
        fields = " ".join(f"{name}: order(id: ${name}) {{ {FIELDS} }}" for name in known)
        document = f"query ($reference: String!{heads}) {{ {_OURS} {fields} }}"
        said = read(Calls(self._endpoint), document, {"reference": subject.reference, **known})
        if isinstance(said, Retry):
            return said
        seen = _seen(said, subject.reference, known)
        return _unreadable(said) if seen is None else Found(seen, status=200)

    def view(self, shop_id: str) -> Viewed:
        """The order with this id, whole. One that is deleted is `Missing`; an id that cannot be is, too."""
        document = f"query ($order: ID!) {{ order(id: $order) {{ {FIELDS} {LINES} }} }}"
        said = read(Calls(self._endpoint), document, {"order": shop_id})
        if isinstance(said, Retry):
            return said
        row = said.data.get("order", "")
        if row is None:
            return Missing("200 order_not_found", 200)
        order = standing(row)
        if order is None or order.shop_id != shop_id or not isinstance(row, Mapping):
            return _unreadable(said)
        return view(row, order)

    # ---- sweep -----------------------------------------------------------------------------------------------------

    def sweep(self, older_than: timedelta) -> int:
        """Delete drafts that were created and never marked; how many.

        Only what is empty goes: a draft without reference, lines and buyer. A page at a time, the oldest first.
        """
        before = datetime.now(UTC) - older_than
        said = read(Calls(self._endpoint), _EMPTY, {"before": before.isoformat()})
        rows = inside(said.data, "drafts", "items") if isinstance(said, Said) else None
        empty = [row for row in rows if _is_empty(row, before)] if isinstance(rows, list) else []
        return sum(self._delete(str(inside(row, "id"))) for row in empty)

    def _delete(self, shop_id: str) -> bool:
        try:
            said = write(Calls(self._endpoint), DELETE, {"order": shop_id})
        except Halt:
            return False
        return inside(said.data, "done", "result") == "DELETED"


_OURS: Final = (
    "ours: orders(options: {filter: {glopalReference: {eq: $reference}}, sort: {createdAt: ASC}}) "
    f"{{ items {{ {FIELDS} }} }}"
)
_EMPTY: Final = """
query ($before: DateTime!) {
  drafts: orders(options: {
    filter: {state: {eq: "Draft"}, glopalReference: {isNull: true}, createdAt: {before: $before}}
    sort: {createdAt: ASC}
    take: 50
  }) { items { id state createdAt customer { id } lines { id } customFields { glopalReference } } }
}"""


def _seen(said: Said, reference: str, known: Mapping[str, str]) -> tuple[Sighting, ...] | None:
    """What the look-up shows: our reference oldest first, then known ids that do not bear it; None if unclear."""
    rows = inside(said.data, "ours", "items")
    if not isinstance(rows, list):
        return None
    ours = [standing(row) for row in rows]
    if any(order is None for order in ours):
        return None
    found = {order.shop_id: order.sighting for order in ours if order is not None and order.reference == reference}
    for name, shop_id in known.items():
        row = said.data.get(name, "")
        order = standing(row)
        if row is None:
            found[shop_id] = Sighting(shop_id, "", ShopState.GONE)
        elif order is None or order.shop_id != shop_id:
            return None
        else:
            found[shop_id] = order.sighting
    return tuple(found.values())


def _unreadable(said: Said) -> Retry:
    return Retry("200 with an order that cannot be read", status=200, reply=said.body)


def _is_empty(row: Json, before: datetime) -> bool:
    """Asked once more of the row itself: a filter may be ignored."""
    match row:
        case {"id": str(), "state": "Draft", "createdAt": str(at), "customer": None, "lines": []}:
            made = instant(at)
            unmarked = (
                inside(row, "customFields") is not None and inside(row, "customFields", "glopalReference") is None
            )
            return made is not None and made < before and unmarked
        case _:
            return False
