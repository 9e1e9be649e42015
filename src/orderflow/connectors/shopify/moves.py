"""The four writes: create, promote, delete and cancel; what stands there is read first, where that matters.

It never lets a draft stand, knowingly, that comes to another total than the order, and never promotes one.

Shopify knows no conditions on a write, so between our reading and our writing a person may still change a draft. What
stands there afterwards is seen by look-ups and by reconciliation, not prevented.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from orderflow.connectors import Delivered, Refused, Result, Retry
from orderflow.connectors.calls import Calls
from orderflow.connectors.exchange import Outbound
from orderflow.connectors.graphql import complaints, inside, question
from orderflow.connectors.shopify import documents
from orderflow.connectors.shopify.answering import Said, read, write
from orderflow.connectors.shopify.order import TOTAL
from orderflow.connectors.shopify.rows import attribute, draft_sighting, is_ours, order_sighting, total, wanted_total
from orderflow.domain.events import ShopState, Sighting
from orderflow.glopal.jsontext import Json, money

_SHIPPED: Final = frozenset({"FULFILLED", "PARTIALLY_FULFILLED"})
_READY_SECONDS: Final = 2.0


def create(calls: Calls, outbound: Outbound) -> Result:
    """Make a draft. One that comes to another total is taken away again: it would be sold for another price."""
    said = write(calls, outbound, "draftOrderCreate")
    if not isinstance(said, Said):
        return said
    row, reference = said.data.get("draftOrder"), outbound.expects.get("reference", "")
    refused = _complaint(said, "userErrors", unless=row is not None)
    if refused is not None:
        return refused
    seen = draft_sighting(row)
    if isinstance(seen, str):
        return said.unknown(f"with {seen}")
    if not is_ours(row, reference) or attribute(row, TOTAL) != outbound.expects.get(TOTAL):
        return said.unknown("about another order")
    if seen.state is ShopState.BEGUN:
        return _take_back(calls, outbound, said, row, seen)
    return _delivered(said, seen) if seen.state is ShopState.DRAFT else said.unknown("with a draft that is none")


def _take_back(calls: Calls, outbound: Outbound, made: Said, row: Json, seen: Sighting) -> Result:
    """Refused, once the draft is gone. If that is not certain, look-ups will show it, and the engine withdraws it."""
    deletion = question(documents.DELETE, {"input": {"id": seen.shop_id}}, target=outbound.target)
    said = write(calls, deletion, "draftOrderDelete")
    if isinstance(said, Said) and said.data.get("deletedId") == seen.shop_id:
        return made.refused(_other_total(row))
    return made.unknown(_other_total(row))


def promote(calls: Calls, outbound: Outbound) -> Result:
    """Make a draft an order, unless it is one already."""
    said = _read(calls, documents.DRAFT_BY_ID, outbound, outbound.expects.get("id", ""))
    if isinstance(said, Retry):
        return said
    row = said.data.get("draftOrder")
    seen = _own(said, row, outbound)
    if not isinstance(seen, Sighting):
        return seen
    if seen.state is ShopState.ORDER:
        return _delivered(said, seen)
    if seen.state is ShopState.GONE:
        return said.refused("the order is cancelled")
    if inside(row, "ready") is not True:
        return said.again("the draft is not ready", _READY_SECONDS)
    if seen.state is ShopState.BEGUN:
        return said.refused(_other_total(row))
    written = write(calls, outbound, "draftOrderComplete")
    if not isinstance(written, Said):
        return written
    now = draft_sighting(written.data.get("draftOrder"))
    if isinstance(now, Sighting) and now.shop_id != seen.shop_id:
        return written.unknown("about another order")
    if isinstance(now, Sighting) and now.state is ShopState.ORDER:
        return _delivered(written, now)  # whatever it complains of: "has been paid already" is the answer to a repeat
    return _complaint(written, "userErrors") or written.unknown("without an order")


def delete(calls: Calls, outbound: Outbound) -> Result:
    """Delete a draft, unless it has become an order."""
    wanted = outbound.expects.get("id", "")
    said = _read(calls, documents.DRAFT_BY_ID, outbound, wanted)
    if isinstance(said, Retry):
        return said
    gone = Sighting(wanted, "", ShopState.GONE)
    row = said.data.get("draftOrder")
    if row is None and "draftOrder" in said.data:
        return _delivered(said, gone)
    seen = _own(said, row, outbound)
    if not isinstance(seen, Sighting):
        return seen
    if seen.state not in {ShopState.DRAFT, ShopState.BEGUN}:
        return said.refused("the draft has become an order")
    written = write(calls, outbound, "draftOrderDelete")
    if not isinstance(written, Said):
        return written
    if written.data.get("deletedId") == wanted:
        return _delivered(written, gone)
    return _complaint(written, "userErrors") or written.unknown("that does not say so")


def cancel(calls: Calls, outbound: Outbound) -> Result:
    """Ask for an order's cancellation, which Shopify carries out later: only a look-up tells that it is done."""
    order_id = outbound.expects.get("order", "")
    said = _read(calls, documents.ORDER_BY_ID, outbound, order_id)
    if isinstance(said, Retry):
        return said
    row = said.data.get("order")
    seen = order_sighting(row, outbound.expects.get("id", ""))
    if isinstance(seen, str) or inside(row, "id") != order_id:
        return said.again("the order cannot be read")
    if seen.state is ShopState.GONE:
        return _delivered(said, seen)
    if inside(row, "displayFulfillmentStatus") in _SHIPPED:
        return said.refused("the order is fulfilled")
    written = write(calls, outbound, "orderCancel")
    if not isinstance(written, Said):
        return written
    refused = _complaint(written, "orderCancelUserErrors", unless=written.data.get("job") is not None)
    return refused or written.unknown("and the order is being cancelled")


MOVES: Final[Mapping[str, Callable[[Calls, Outbound], Result]]] = {
    "create": create,
    "promote": promote,
    "delete": delete,
    "cancel": cancel,
}


def _read(calls: Calls, document: str, outbound: Outbound, shop_id: str) -> Said | Retry:
    return read(calls, question(document, {"id": shop_id}, target=outbound.target))


def _own(said: Said, row: Json, outbound: Outbound) -> Sighting | Refused | Retry:
    """The draft that the request is about, as it stands now, if it is the one that we made."""
    if row is None and "draftOrder" in said.data:
        return said.refused("there is no such draft")
    seen = draft_sighting(row)
    if isinstance(seen, str):
        return said.again(seen)
    if seen.shop_id != outbound.expects.get("id") or not is_ours(row, outbound.expects.get("reference", "")):
        return said.refused("the draft carries another reference")
    return seen


def _delivered(said: Said, sighting: Sighting) -> Delivered:
    return Delivered(sighting, said.reply.status, said.reply.body, said.rest)


def _complaint(said: Said, name: str, *, unless: bool = False) -> Result | None:
    """The no inside a 200. Where what was asked for stands beside it, nobody knows what the no is about."""
    found = complaints(said.data.get(name))
    if found is None:
        return said.unknown("that cannot be read")
    if not found:
        return None
    return said.unknown(f"with {found}") if unless else said.refused(found)


def _other_total(row: Json) -> str:
    come, wanted = total(row), wanted_total(row)
    shown = [f"{money(one[0])} {one[1]}" if one else "nothing" for one in (come, wanted)]
    return f"the draft comes to {shown[0]}, not {shown[1]}"
