"""What becomes of a Vendure draft: it is promoted in two steps, or it goes.

It never takes a step without having read where the order stands, so each goes on from wherever the last one broke off.
"""

from __future__ import annotations

from typing import Final

from orderflow.connectors import Delivered, Refused, Result, Unknown
from orderflow.connectors.calls import Calls
from orderflow.connectors.graphql import inside
from orderflow.connectors.vendure.documents import DELETE
from orderflow.connectors.vendure.order import CANCELLED, DRAFT, FIELDS, FULFILLED, PAYING, Standing, standing
from orderflow.connectors.vendure.talk import Halt, Said, write
from orderflow.domain.events import ShopState, Sighting
from orderflow.glopal.jsontext import Json

_SHOWN: Final = f"__typename ... on ErrorResult {{ errorCode }} ... on Order {{ {FIELDS} }}"
_LOOK: Final = f"query ($order: ID!) {{ order(id: $order) {{ {FIELDS} }} }}"
_PAYABLE: Final = (
    f'mutation ($order: ID!) {{ order: transitionOrderToState(id: $order, state: "{PAYING}") {{ {_SHOWN} }} }}'
)
_PAID: Final = (
    f"mutation ($input: ManualPaymentInput!) {{ order: addManualPaymentToOrder(input: $input) {{ {_SHOWN} }} }}"
)
_CANCEL: Final = f"mutation ($input: CancelOrderInput!) {{ order: cancelOrder(input: $input) {{ {_SHOWN} }} }}"


def promote(calls: Calls, order_id: str, reference: str, method: str, transaction: str) -> Result:
    """Make the draft payable, then pay it by hand: only then it is a real order. One in payment goes on from there.

    A draft that does not come to what it was made for is refused: somebody changed it in the shop.
    """
    try:
        order, body = _look(calls, order_id)
        if order is None:
            return Refused("200 order_not_found", 200, body)
        if order.reference != reference:
            return Refused("200 another_reference", 200, body)
        if order.state == CANCELLED:
            return Refused("200 order_cancelled", 200, body)
        if order.placed:
            return Delivered(order.sighting, 200, body)
        if not order.whole:
            return Refused("200 order_changed", 200, body)
        if order.state != PAYING:
            said = write(calls, _PAYABLE, {"order": order_id}, order.currency)
            order = _shown(said, order_id)
        payment: dict[str, Json] = {"orderId": order_id, "method": method, "transactionId": transaction, "metadata": {}}
        said = write(calls, _PAID, {"input": payment}, order.currency)
        order = _shown(said, order_id)
    except Halt as halt:
        return halt.result
    if not order.placed or order.state == CANCELLED:
        return Unknown("200, but the order is not placed", 200, said.body)
    return Delivered(order.sighting, 200, said.body)


def withdraw(calls: Calls, order_id: str, reason: str, *, placed: bool) -> Result:
    """Delete what is a draft, cancel what is more. `placed`: it was known to be a real order.

    A draft that has become an order meanwhile is refused, and so is one of which something was sent. The reply of a
    cancellation is what was read before it, since Vendure counts nothing of a cancelled order any more.
    """
    try:
        order, body = _look(calls, order_id)
        if order is None:
            return Delivered(Sighting(order_id, "", ShopState.GONE), 200, body)
        if order.state == CANCELLED:
            return Delivered(order.sighting, 200, body)
        if order.placed and not placed:
            return Refused("200 order_placed", 200, body)
        if order.state in FULFILLED:
            return Refused("200 order_fulfilled", 200, body)
        if order.state == DRAFT:
            return _delete(calls, order_id)
        return _cancel(calls, order, body, reason)
    except Halt as halt:
        return halt.result


def _delete(calls: Calls, order_id: str) -> Result:
    said = write(calls, DELETE, {"order": order_id})
    result = inside(said.data, "done", "result")
    if result != "DELETED":
        return _gone_after_all(calls, order_id, Refused("200 not_deleted", 200, said.body))
    return Delivered(Sighting(order_id, "", ShopState.GONE), 200, said.body)


def _cancel(calls: Calls, order: Standing, before: bytes, reason: str) -> Result:
    cancelled: dict[str, Json] = {"orderId": order.shop_id, "cancelShipping": True, "reason": reason}
    try:
        said = write(calls, _CANCEL, {"input": cancelled}, order.currency)
        now = _shown(said, order.shop_id)
    except Halt as halt:
        if isinstance(halt.result, Refused):
            return _gone_after_all(calls, order.shop_id, halt.result)
        raise
    if now.state != CANCELLED:
        return Unknown("200, but the order is not cancelled", 200, said.body)
    return Delivered(now.sighting, 200, before)


def _gone_after_all(calls: Calls, order_id: str, refusal: Refused) -> Result:
    """It was refused: because somebody else was quicker?"""
    order, body = _look(calls, order_id)
    if order is None:
        return Delivered(Sighting(order_id, "", ShopState.GONE), 200, body)
    return Delivered(order.sighting, 200, body) if order.state == CANCELLED else refusal


def _look(calls: Calls, order_id: str) -> tuple[Standing | None, bytes]:
    """Where the order stands; None if there is none. Raises `Halt`."""
    said = write(calls, _LOOK, {"order": order_id})
    if "order" in said.data and said.data["order"] is None:
        return None, said.body
    return _shown(said, order_id), said.body


def _shown(said: Said, order_id: str) -> Standing:
    """The very order that was spoken of. Raises `Halt`: `Refused` where a result union says no."""
    refusal = said.refusal()
    if refusal:
        raise Halt(Refused(f"200 {refusal}", 200, said.body))
    order = standing(said.data.get("order"))
    if order is None or order.shop_id != order_id:
        raise Halt(Unknown("200 without the order", 200, said.body))
    return order
