"""Orders and events of the fake Glopal as JSON text, in the style that the switches choose.

Marks as in the reference: STATED, SAMPLE, ASSUMED. It changes no state.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from orderflow.sandbox.glopal.options import GlopalOptions
from orderflow.sandbox.glopal.orders import GlopalOrder, Refund, Return
from orderflow.sandbox.ids import stamp
from orderflow.sandbox.wire import Json, render, render_members

_UNHEARD_OF: Mapping[str, Json] = {"x_new": {"since": "2.4.0", "values": [1, None, True]}, "": "", "été": "\u2028"}


def order_text(order: GlopalOrder, options: GlopalOptions) -> str:
    """The order. STATED/SAMPLE: id, status, external, returns[].id; ASSUMED (8.3): the other members that move."""
    members: dict[str, Json] = {
        "payment": {
            "method": "card",
            "status": {"RECEIVED": "pending", "CANCELLED": "voided"}.get(order.status, "confirmed"),
        },
        "refunds": _refunds(order, options),
        "cancellation": _cancellation(order, options),
        "returns": [_return(key, value, options) for key, value in order.returns.items()],
    }
    if options.refunds_shown == "hidden":
        del members["refunds"]
    return (
        f'{{"id":{render(order.order_id)},"status":{render(order.status)}'
        f"{external_text(order, options)},{order.fixed},{render_members(_styled(members, options))}}}"
    )


def described(details: Mapping[str, Json], options: GlopalOptions) -> str:
    """The members of an order that its life does not change, without braces."""
    chosen: dict[str, Any] = dict(details)
    language, rates = chosen.get("language"), chosen.get("exchange_rates")
    if isinstance(language, str) and options.language != "string":  # the object is a SAMPLE artefact (8.1)
        chosen["language"] = {"0": language} if options.language == "object" else [language]
    if options.cart == "present":
        chosen.setdefault("cart", _cart(chosen))
    if options.extra_members:
        chosen |= _UNHEARD_OF
    if options.exchange_rates == "absent":
        chosen.pop("exchange_rates", None)
    styled = _styled(chosen, options)
    if "exchange_rates" in styled:  # SAMPLE: a rate is a number, whatever amounts are
        styled["exchange_rates"] = _as_text(rates) if options.exchange_rates == "string" else rates
    return render_members(styled)


def external_text(order: GlopalOrder | None, options: GlopalOptions) -> str:
    """The member `external` with a comma before it, or "" where it is left out (UNKNOWN before acceptance, 3.2)."""
    ids = None if order is None or _hides_ids(order, options) else order.ids
    if ids is not None:
        return f',"external":{render({"order_id": ids[0], "order_number": ids[1]})}'
    match options.external_before_accept:
        case "absent":
            return ""
        case "null":
            return ',"external":null'
        case "null members":
            return ',"external":{"order_id":null,"order_number":null}'


def event_head(event_id: str, name: str, at: datetime, order_id: str, options: GlopalOptions) -> str:
    """The start of an event, up to `external` (SAMPLE, 3.2)."""
    return (
        f'{{"event_id":{render(event_id)},"event_name":{render(name)},'
        f'"event_at":"{stamp(at, options.times)}","order_id":{render(order_id)}'
    )


def event_tail(order_id: str, entity_id: str | None, options: GlopalOptions) -> str:
    """The end of an event, with `entity_id` (STATED on returns, UNKNOWN on orders, 3.2)."""
    extra = f",{render_members(_UNHEARD_OF)}" if options.extra_members else ""
    if entity_id is None and options.entity_id == "absent":
        return f"{extra}}}"
    value = order_id if entity_id is None and options.entity_id == "order id" else entity_id
    return f',"entity_id":{render(value)}{extra}}}'


def amount_of(amount: Decimal, options: GlopalOptions) -> Json:
    """An amount as number or as string: UNKNOWN which (8.2)."""
    return format(amount, "f") if options.amounts == "string" else amount


def _hides_ids(order: GlopalOrder, options: GlopalOptions) -> bool:
    if order.status == "CANCELLED":
        return options.cancelled_ids == "cleared"
    return order.status == "RECEIVED" and options.early_ids == "hidden"


def _refunds(order: GlopalOrder, options: GlopalOptions) -> list[Json]:
    return [_refund(one, options) for one in order.refunds]


def _refund(one: Refund, options: GlopalOptions) -> Json:
    at = stamp(one.at, options.times)
    shown: dict[str, Json] = {"id": one.refund_id, "amount": one.amount, "reason": one.reason, "created_at": at}
    return shown | ({"by": one.by} if options.initiators == "shown" else {})


def _cancellation(order: GlopalOrder, options: GlopalOptions) -> Json:
    if order.cancelled_at is None:
        return None
    shown: dict[str, Json] = {"reason": order.cancel_reason, "cancelled_at": stamp(order.cancelled_at, options.times)}
    return shown | ({"by": order.cancelled_by} if options.initiators == "shown" else {})


def _return(return_id: str, one: Return, options: GlopalOptions) -> Json:
    """STATED (9): its id, its statuses, and carrier and tracking number once authorised; those names are ASSUMED."""
    number = options.return_ids == "number" and return_id.isascii() and return_id.isdecimal()
    shown: dict[str, Json] = {"id": int(return_id) if number else return_id, "status": one.request}
    if options.return_status == "one field":
        shown["status"] = one.shipment or one.request
    else:
        shown["shipment"] = None if one.shipment is None else {"status": one.shipment}
    if one.request == "AUTHORIZED":
        shown |= {"carrier": "DHL", "tracking_number": f"SANDBOX{return_id}"}
    return shown


def _cart(details: Mapping[str, Any]) -> Json:
    """The stored copy of the cart, as the Checkout API would have taken it (SIBLING, 8.3); in the cart's currency."""
    lines = details.get("items")
    return {
        "short_name": "mystore",
        "cart": {"currency": "USD"},
        "items": [
            {key: line.get(key) for key in ("sku", "name", "quantity")}
            for line in lines or ()
            if isinstance(line, dict)
        ],
    }


def _styled(members: Mapping[str, Json], options: GlopalOptions) -> dict[str, Json]:
    """The members with amounts and empty values as the switches want them."""
    shown = members if options.empty_members == "null" else _without_empty(members)
    return {key: _as_text(value) for key, value in shown.items()} if options.amounts == "string" else dict(shown)


def _as_text(value: Json) -> Json:
    """`value` with every amount as a string."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        return {key: _as_text(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_text(item) for item in value]
    return value


def _without_empty(members: Mapping[str, Json]) -> dict[str, Json]:
    return {
        key: _without_empty(value) if isinstance(value, Mapping) else value
        for key, value in members.items()
        if value is not None
    }
