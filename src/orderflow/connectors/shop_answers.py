"""What the answers of a shop that keeps the contract (`shop.openapi.yaml`) say.

It never takes an answer for a success that does not show the very order that was spoken about.
"""

from __future__ import annotations

from typing import Final

from orderflow.connectors import Delivered, Result, Unknown, View, ViewedLine
from orderflow.connectors.exchange import json_object
from orderflow.domain.events import ShopState, Sighting
from orderflow.glopal.jsontext import Json, amount, instant, problem_of_text
from orderflow.glopal.replies import Reply

_STATES: Final = {"draft": ShopState.DRAFT, "order": ShopState.ORDER, "cancelled": ShopState.GONE}


def is_id(shop_id: str) -> bool:
    """Fit to be part of a path: percent-encoding leaves dots alone."""
    return problem_of_text(shop_id) is None and shop_id not in {".", ".."}


def sighting(order: Json) -> Sighting | None:
    """The order as the contract shows it; None where id or state are missing. Without a number the id stands for it."""
    if not isinstance(order, dict):
        return None
    shop_id, number, state = order.get("id"), order.get("number"), order.get("state")
    if not isinstance(shop_id, str) or not is_id(shop_id) or not isinstance(state, str) or state not in _STATES:
        return None
    known = _STATES[state]
    shown = number if isinstance(number, str) and problem_of_text(number) is None else shop_id
    return Sighting(shop_id, shown, known, promoted=known is not ShopState.DRAFT)


def view(order: dict[str, Json]) -> View | None:
    """The order whole, for comparing; None where something that it shows is not what the contract says."""
    seen = sighting(order)
    total, items = order.get("total"), order.get("items")
    reference, currency = order.get("reference"), order.get("currency")
    lines = None if items is None else _lines(items)
    if seen is None or (total is not None and amount(total) is None) or (items is not None and lines is None):
        return None
    return View(
        seen,
        reference if isinstance(reference, str) else None,
        currency if isinstance(currency, str) else None,
        amount(total),
        lines,
        200,
    )


def _lines(items: Json) -> tuple[ViewedLine, ...] | None:
    if not isinstance(items, list):
        return None
    found = []
    for item in items:
        line = _line(item)
        if line is None:
            return None
        found.append(line)
    return tuple(found)


def _line(item: Json) -> ViewedLine | None:
    if not isinstance(item, dict):
        return None
    sku, price = item.get("sku"), item.get("unit_price")
    quantity = None if isinstance(item.get("quantity"), str) else amount(item.get("quantity"))
    if quantity is None or quantity != quantity.to_integral_value() or (price is not None and amount(price) is None):
        return None
    return ViewedLine(sku if isinstance(sku, str) and sku else None, int(quantity), amount(price))


def oldest_first(rows: list[dict[str, Json]]) -> list[dict[str, Json]]:
    """By `created_at`; as they came, if not every row has one."""
    dated = [(instant(at), index) for index, row in enumerate(rows) if isinstance(at := row.get("created_at"), str)]
    if len(dated) < len(rows):
        return rows
    known = [(at, index) for at, index in dated if at is not None]
    return [rows[index] for _, index in sorted(known)] if len(known) == len(rows) else rows


def done(reply: Reply, step: str, wanted: str, reference: str) -> Result:
    """A 2xx counts only if it shows the very order it should show, in the state it should have."""
    if step == "delete":
        document = json_object(reply.body) if reply.body else {"id": wanted}
        if reply.status not in {200, 204} or document is None or document.get("id", wanted) != wanted:
            return Unknown(f"{reply.status} that does not say so", reply.status, reply.body)
        return Delivered(Sighting(wanted, "", ShopState.GONE), reply.status, reply.body)
    document = json_object(reply.body)
    shown = sighting(document)
    if document is None or shown is None:
        return Unknown(f"{reply.status} without an order", reply.status, reply.body)
    if document.get("reference", reference) != reference or (wanted and shown.shop_id != wanted):
        return Unknown(f"{reply.status} about another order", reply.status, reply.body)
    if step == "create" and "reference" not in document:
        return Unknown(f"{reply.status} without a reference", reply.status, reply.body)
    reached = {"promote": ShopState.ORDER, "cancel": ShopState.GONE}.get(step, shown.state)
    if shown.state is not reached:
        return Unknown(f"{reply.status}, but the order is not {reached}", reply.status, reply.body)
    return Delivered(shown, reply.status, reply.body)


def taken(reply: Reply, reference: str) -> Result:
    """409 reference_taken: the order that has the reference is ours, if the answer shows it."""
    document = json_object(reply.body) or {}
    order = document.get("order")
    shown = sighting(order)
    if shown is None or not isinstance(order, dict) or order.get("reference") != reference:
        return Unknown(f"{reply.summary} without the order", reply.status, reply.body)
    return Delivered(shown, reply.status, reply.body)
