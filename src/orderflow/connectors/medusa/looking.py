"""Finds the orders of a Medusa that carry our reference.

It never trusts a filter: the reference is compared in every row, and a list that could not be read whole is no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote, urlencode

from orderflow.connectors import Retry
from orderflow.connectors.exchange import Outbound, Outcome, json_object, unread
from orderflow.connectors.medusa.answers import FIELDS, no_such_order, reference, sighting
from orderflow.glopal.jsontext import Json, instant
from orderflow.glopal.replies import Reply

Ask = Callable[[Outbound], Outcome]
Order = Mapping[str, Json]

_LISTS: Final = ("draft-orders", "orders")
"""In this order: one that is promoted in between is seen at least once."""
_PAGE: Final = 100
_TICK: Final = timedelta(milliseconds=1)
"""Times in answers are cut off here; in the database they may be finer."""


def carrying(ask: Ask, wanted: str, *, since: datetime | None) -> list[Order] | Retry:
    """Every order, draft or not, that carries this reference.

    The shop is asked to search for it, which it can where the reference is the display id; else everything made
    `since` is read through.
    """
    search = {"q": wanted} if since is None else {"created_at[$gte]": _said(since)}
    found: dict[str, Order] = {}
    for name in _LISTS:
        for page in _pages(ask, name, search):
            if isinstance(page, Retry):
                return page
            found |= {str(row["id"]): row for row in page if reference(row) == wanted}
    return list(found.values())


def one(ask: Ask, shop_id: str, fields: str = FIELDS) -> Order | Retry | None:
    """The order or draft with this id; None if it is deleted."""
    reply = ask(Outbound("GET", f"/admin/orders/{quote(shop_id, safe='')}?fields={fields}"))
    if isinstance(reply, Reply) and no_such_order(reply):
        return None
    if not isinstance(reply, Reply) or reply.status != 200:
        return unread(reply)
    order = (json_object(reply.body) or {}).get("order")
    if not isinstance(order, Mapping) or sighting(order) is None or order["id"] != shop_id:
        return Retry("the order cannot be read", status=200, reply=reply.body)
    return order


def _pages(ask: Ask, name: str, search: Mapping[str, str]) -> Iterator[list[Order] | Retry]:
    """Newest first, page after page from the last one's time on: offsets would skip rows when others are deleted."""
    until: datetime | None = None
    while True:
        bound = {} if until is None else {"created_at[$lte]": _said(until)}
        query = urlencode({**search, **bound, "fields": FIELDS, "order": "-created_at", "limit": str(_PAGE)})
        reply = ask(Outbound("GET", f"/admin/{name}?{query}"))
        if not isinstance(reply, Reply) or reply.status != 200:
            yield unread(reply)
            return
        rows = _rows((json_object(reply.body) or {}).get(name.replace("-", "_")))
        if rows is None:
            yield Retry("the list of orders cannot be read", status=200, reply=reply.body)
            return
        yield rows
        if len(rows) < _PAGE:
            return
        before, until = until, _made(rows[-1])
        if until is None or (before is not None and until + _TICK >= before):
            yield Retry("the list of orders does not go on", status=200, reply=reply.body)
            return
        until += _TICK


def _rows(rows: Json) -> list[Order] | None:
    """The orders in a list; None unless each can be read."""
    if not isinstance(rows, list):
        return None
    orders = [row for row in rows if isinstance(row, Mapping) and sighting(row) is not None]
    return orders if len(orders) == len(rows) else None


def _made(order: Order) -> datetime | None:
    at = order.get("created_at")
    return instant(at) if isinstance(at, str) else None


def oldest_first(orders: list[Order]) -> list[Order]:
    """By the time they were made; as they came, if one does not tell."""
    times = {str(order["id"]): made for order in orders if (made := _made(order)) is not None}
    return sorted(orders, key=lambda order: times[str(order["id"])]) if len(times) == len(orders) else orders


def _said(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
