"""Look-ups: everything under our reference in one question, and one order whole.

It never takes silence for absence: half an answer, an order that cannot be read, or more than one page is asked again.

Three places are asked at once: drafts and orders by our tag, which Shopify's search shows only after a while, and each
known id by itself, which shows writes at once. An order that a draft of ours has become counts once, under the draft's
id. A known draft that is no longer there is gone, unless an order of ours lives whose draft is not there either: drafts
are purged after a year, and orders stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orderflow.connectors import Found, Missing, Retry, Sight, Subject, View, Viewed, ViewedLine
from orderflow.connectors.calls import Calls
from orderflow.connectors.graphql import inside, question
from orderflow.connectors.shopify import documents
from orderflow.connectors.shopify.answering import read
from orderflow.connectors.shopify.order import PART, REFERENCE, tag
from orderflow.connectors.shopify.rows import (
    attribute,
    draft_sighting,
    global_id,
    is_draft_id,
    is_ours,
    order_number,
    order_sighting,
    total,
)
from orderflow.domain.events import ShopState, Sighting
from orderflow.glopal.jsontext import Json, amount


class _Unclear(Exception):
    """The answer does not say what stands there; the message says why, and nothing personal."""


def find(calls: Calls, target: str, subject: Subject) -> Sight:
    """All that stands under the reference, oldest first, and what became of each known id."""
    known = {shop_id: asked for shop_id in subject.known if (asked := global_id(shop_id)) is not None}
    variables: dict[str, Json] = {"tag": f"tag:'{tag(subject.reference)}'", "ids": list(known.values())}
    said = read(calls, question(documents.FIND, variables, target=target))
    if isinstance(said, Retry):
        return said
    try:
        drafts, orders = (_listed(said.data.get(n), subject.reference) for n in ("draftOrders", "orders"))
        seen = tuple(_together(drafts, orders, _each(said.data.get("nodes"), list(known))))
    except _Unclear as error:
        return said.again(str(error))
    return Found(seen, status=said.reply.status, rest=said.rest)


def _each(nodes: Json, known: Sequence[str]) -> dict[str, Json]:
    """What stands under each known id; None where nothing does."""
    if not isinstance(nodes, list) or len(nodes) != len(known):
        raise _Unclear("an answer without the known orders")
    return dict(zip(known, nodes, strict=True))


def _listed(connection: Json, reference: str) -> list[Json]:
    """The rows of one search that carry the reference exactly."""
    rows = inside(connection, "nodes")
    if not isinstance(rows, list) or inside(connection, "pageInfo", "hasNextPage") is not False:
        raise _Unclear("a search that is not whole")
    return [row for row in rows if is_ours(row, reference)]


def _together(drafts: list[Json], orders: list[Json], known: dict[str, Json]) -> Iterator[Sighting]:
    seen: dict[str, Sighting] = {}
    for row in drafts:
        one = _read(draft_sighting(row))
        seen[one.shop_id] = one
    missing = []
    for shop_id, row in known.items():
        if row is not None:
            one = _read(draft_sighting(row) if is_draft_id(shop_id) else order_sighting(row, shop_id))
            if one.shop_id != shop_id:
                raise _Unclear("another order than was asked for")
            seen[shop_id] = one
        elif is_draft_id(shop_id):
            seen.pop(shop_id, None)
            missing.append(shop_id)
        else:
            # Without the scope read_all_orders, Shopify shows no order older than 60 days: that is no proof (STATED).
            raise _Unclear("an order that cannot be read")
    linked = {number for one in seen.values() if (number := one.real_id or order_number(one.shop_id))}
    alone = [one for row in orders if (one := _read(order_sighting(row))).shop_id not in linked]
    yield from sorted((*seen.values(), *alone), key=_age)
    if not any(one.state is ShopState.ORDER for one in alone):
        yield from (Sighting(shop_id, "", ShopState.GONE) for shop_id in missing)


def _read(seen: Sighting | str) -> Sighting:
    if isinstance(seen, str):
        raise _Unclear(seen)
    return seen


def _age(seen: Sighting) -> tuple[bool, int]:
    """Ids grow. Drafts before orders that have none: theirs are other numbers."""
    return not is_draft_id(seen.shop_id), int(seen.shop_id.rpartition("/")[2])


def view(calls: Calls, target: str, shop_id: str) -> Viewed:
    """The order as it stands; of a completed draft, the order that it has become."""
    asked = global_id(shop_id)
    if asked is None:
        return Missing("no id of Shopify's")
    said = read(calls, question(documents.VIEW, {"id": asked}, target=target))
    if isinstance(said, Retry):
        return said
    row = said.data.get("node")
    if row is None and "node" in said.data and is_draft_id(shop_id):
        return Missing("there is no such draft", said.reply.status, said.rest)
    seen = draft_sighting(row) if is_draft_id(shop_id) else order_sighting(row, shop_id)
    if isinstance(seen, str):
        return said.again("an order that cannot be read" if row is None else seen)
    if seen.shop_id != shop_id:
        return said.again("another order than was asked for")
    shown = inside(row, "order") if seen.real_id and is_draft_id(shop_id) else row
    come = total(shown)
    return View(
        seen,
        reference=attribute(row, REFERENCE),
        currency=come[1] if come else None,
        total=come[0] if come else None,
        lines=_lines(inside(shown, "lineItems")),
        status=said.reply.status,
        rest=said.rest,
    )


def _lines(connection: Json) -> tuple[ViewedLine, ...] | None:
    """The goods; None if not all of them are shown."""
    rows = inside(connection, "nodes")
    if not isinstance(rows, list) or inside(connection, "pageInfo", "hasNextPage") is not False:
        return None
    lines = [_line(row) for row in rows if attribute(row, PART) is None]
    return tuple(line for line in lines if line is not None) if None not in lines else None


def _line(row: Json) -> ViewedLine | None:
    sku, quantity = inside(row, "sku"), inside(row, "quantity")
    if not isinstance(quantity, int) or isinstance(quantity, bool):
        return None
    price = amount(inside(row, "originalUnitPriceSet", "presentmentMoney", "amount"))
    return ViewedLine(sku if isinstance(sku, str) and sku else None, quantity, price)
