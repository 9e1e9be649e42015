"""The six operations of the Order API, answered from the world's state.

Called under `glopal.Glopal`'s lock, with the time already settled. Marks as in the reference: STATED, SAMPLE, ASSUMED.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote

from orderflow.sandbox import ids
from orderflow.sandbox.feed import Entry, Feed, UnknownCursor
from orderflow.sandbox.glopal_options import GlopalOptions
from orderflow.sandbox.glopal_orders import (
    AcceptCall,
    CancelCall,
    GlopalOrder,
    Ids,
    Refund,
    amount_of,
    refuse_accept,
    refuse_cancel,
    refuse_refund,
)
from orderflow.sandbox.glopal_world import World
from orderflow.sandbox.wire import Json, Request, Response, decimal_of, json_object, json_response, render

OK: Json = {"status": "ok"}  # SAMPLE (reference 5)


def answer(world: World, request: Request, now: datetime) -> Response:
    """The answer to one request, by the route table; 404 and 405 for what it does not name (ASSUMED, 12)."""
    wrong_method = False
    for operation, (method, template) in world.options.routes.items():
        match = _pattern(template).fullmatch(request.path)
        if match is None:
            continue
        if method == request.method:
            return _answer(world, operation, [unquote(part) for part in match.groups()], request, now)
        wrong_method = True
    if wrong_method:
        return _error(world.options, 405, "method_not_allowed", f"{request.method} is not possible here")
    return _error(world.options, 404, "not_found", "there is no such address")


@lru_cache(maxsize=64)
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.escape(template).replace(r"\{store\}", "([^/]+)").replace(r"\{order\}", "([^/]+)"))


def _answer(world: World, operation: str, names: list[str], request: Request, now: datetime) -> Response:
    refusal = _refuse_key(world, names[0], request)
    if refusal is not None:
        return refusal
    if operation == "events":
        return _events(world, names[0], request, now)
    order = world.stores[names[0]].orders.get(names[1])
    if order is None:
        return _error(world.options, 404, "order_not_found", "there is no such order")
    return _ORDER_OPERATIONS[operation](world, order, request, now)


def _refuse_key(world: World, store: str, request: Request) -> Response | None:
    """Bearer authentication (SAMPLE, 1); which refusal has which code is ASSUMED (12)."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    key, own = world.key, world.options.store_keys
    if scheme.lower() != "bearer" or (given != key and given not in own.values()):
        return _error(world.options, 401, "unauthorized", "a valid key is needed")
    if store not in world.stores or (given != key and own.get(store) != given):
        return _error(world.options, 403, "forbidden", "the key is not for this store")
    return None


# ---- events --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Window:
    """Which part of the feed is asked for."""

    limit: int
    names: set[str] = field(default_factory=set)
    after: str | None = None
    before: str | None = None


def _events(world: World, name: str, request: Request, now: datetime) -> Response:
    """STATED (3.1): repeatable `event`, exclusive `after_event_id`, 20 by default; the other names are ASSUMED."""
    options, store = world.options, world.stores[name]
    window = _window(options, request)
    if isinstance(window, str):
        return _error(options, 400, "invalid_request", window)
    try:
        page = _page(store.feed, window, now)
    except UnknownCursor:
        return _error(options, 400, "invalid_cursor", "the cursor is not a valid event id")
    events = ",".join([world.event_text(store, entry) for entry in page])
    return Response(200, f'{{{_links(options, request, page, window)}"events":[{events}]}}'.encode())


def _window(options: GlopalOptions, request: Request) -> _Window | str:
    """What the query asks for, or what is wrong with it."""
    window = _Window(options.page_default)
    for key, value in request.query:
        if key == "event":
            window.names.add(value)
        elif key == "after_event_id":
            if not value and options.empty_cursor == "rejected":
                return "after_event_id must be a valid event id"
            window.after = value or None
        elif key == "before_event_id":
            window.before = value or None
        elif key == "limit":
            if not value.isascii() or not value.isdecimal() or int(value) < 1:
                return "limit must be a positive integer"
            window.limit = min(int(value), options.page_cap)
    if window.after and window.before:
        return "only one cursor at a time"
    if not window.names and options.event_filter == "required":
        return "name at least one event"
    return window


def _page(feed: Feed, window: _Window, now: datetime) -> list[Entry]:
    if window.before:
        return feed.before(window.before, window.names, window.limit, now)
    return feed.after(window.after, window.names, window.limit, now)


def _links(options: GlopalOptions, request: Request, page: list[Entry], window: _Window) -> str:
    """The member `links` with a comma behind it (SAMPLE names, UNKNOWN values, 3.2)."""
    if options.links == "absent":
        return ""
    root = "" if options.links == "relative" else f"http://{request.headers.get('host', 'glopal.sandbox')}"
    base = f"{root}{request.path}?limit={window.limit}"
    base += "".join([f"&event={quote(value)}" for key, value in request.query if key == "event"])
    first = page[0].event_id if page else None
    last = page[-1].event_id if page else window.after
    ended = options.links == "null at the end" and not page
    links: Json = {
        "next": None if ended or last is None else f"{base}&after_event_id={quote(last)}",
        "current": f"{base}&after_event_id={quote(window.after)}" if window.after else base,
        "previous": None if first is None else f"{base}&before_event_id={quote(first)}",
    }
    return f'"links":{render(links)},'


# ---- one order -----------------------------------------------------------------------------------------------------


def _get(world: World, order: GlopalOrder, _request: Request, now: datetime) -> Response:
    """The order's details; they may lag behind the events (UNKNOWN whether Glopal's do)."""
    order.gets += 1
    if order.served_instead is not None:
        return Response(*order.served_instead)
    lag = world.options.get_lag
    return Response(200, order.as_of(now - (lag if isinstance(lag, timedelta) else lag())))


def _accept(world: World, order: GlopalOrder, request: Request, now: datetime) -> Response:
    """STATED (5): once; the same ids again are fine; 400 with other ids or when cancelled. The body is ASSUMED."""
    given = _accept_ids(json_object(request.body), world.options.accept_body)
    if given is None:
        return _error(world.options, 400, "invalid_request", "order_id and order_number are needed, as strings")
    code = refuse_accept(order, given)
    applied = code is None and order.ids is None
    order.accepts.append(AcceptCall(given, now, 200 if code is None else 400, applied))
    if code is not None:
        return _error(world.options, 400, code, "the order cannot be accepted with these ids")
    if applied:
        world.take_ids(order, given, now)
    return json_response(200, OK)


def _accept_ids(body: Mapping[str, Any] | None, style: str) -> Ids | None:
    """The ids in `{"external": {...}}` or in the flat form, as far as `style` takes them."""
    source = body or {}
    nested = source.get("external")
    if isinstance(nested, dict) and style != "flat":
        source = nested
    elif style == "nested":
        return None
    one, two = source.get("order_id"), source.get("order_number")
    return (one, two) if isinstance(one, str) and isinstance(two, str) and one and two else None


def _cancel(world: World, order: GlopalOrder, request: Request, now: datetime) -> Response:
    """STATED (6): voids the payment, counts as the merchant's, not when shipped, emits `order.cancelled`."""
    body = json_object(request.body) if request.body else {}
    reason = None if body is None else body.get("reason")
    if body is None or not isinstance(reason, str | None):
        return _error(world.options, 400, "invalid_request", "the body must be an object; its reason a text")
    code = refuse_cancel(order, "merchant", world.options)
    applied = code is None and order.status != "CANCELLED"
    order.cancels.append(CancelCall(reason, now, 200 if code is None else 400, applied, "merchant"))
    if code is not None:
        return _error(world.options, 400, code, "the order cannot be cancelled")
    if applied:
        world.become_cancelled(order, reason, "merchant", now)
    return json_response(200, OK)


def _refund(world: World, order: GlopalOrder, request: Request, now: datetime) -> Response:
    """Every call moves money again: nothing says that it is idempotent (7). Body and answer are ASSUMED."""
    body = json_object(request.body) or {}
    amount, reason = decimal_of(body.get("amount")), body.get("reason")
    code = refuse_refund(order, amount, world.options)
    if code is not None or amount is None:
        return _error(world.options, 400, code or "invalid_amount", "this amount cannot be refunded")
    refund = Refund(ids.crockford(world.rng, 12), amount, reason if isinstance(reason, str) else None, now)
    order.refunds.append(refund)
    order.snapshot(now, world.options)
    return json_response(200, {"status": "ok", "refund_id": refund.refund_id})


def _quote(world: World, order: GlopalOrder, request: Request, _now: datetime) -> Response:
    """No side effect (INFERRED, 7). Body and answer are ASSUMED."""
    body = json_object(request.body) or {}
    amount, share = decimal_of(body.get("amount")), decimal_of(body.get("glopal_amount", 0))
    code = refuse_refund(order, amount, world.options)
    if code is not None or amount is None or share is None or not 0 <= share <= amount:
        return _error(world.options, 400, code or "invalid_amount", "this amount cannot be refunded")
    quoted: Json = {
        "amount": amount_of(amount, world.options),
        "currency": order.currency,
        "liability": {
            "merchant": amount_of(amount - share, world.options),
            "glopal": amount_of(share, world.options),
        },
    }
    return json_response(200, quoted)


_ORDER_OPERATIONS: Mapping[str, Callable[[World, GlopalOrder, Request, datetime], Response]] = {
    "order": _get,
    "accept": _accept,
    "cancel": _cancel,
    "refund": _refund,
    "quote": _quote,
}


def _error(options: GlopalOptions, status: int, code: str, message: str) -> Response:
    """A refusal in the chosen body style; STATED is only "400 with a JSON error description" (5, 12)."""
    match options.error_body:
        case "nested":
            return json_response(status, {"error": {"code": code, "message": message}})
        case "flat":
            return json_response(status, {"status": "error", "message": message})
        case "string":
            return json_response(status, {"error": message})
        case "problem":
            return json_response(
                status,
                {"title": code, "status": status, "detail": message},
                {"content-type": "application/problem+json"},
            )
        case "text":
            return Response(status, message.encode(), {"content-type": "text/plain"})
