"""The operations of the Order API, answered from the world's state; `glopal.pages` has the feed.

Called under `glopal.Glopal`'s lock, with the time already settled. Marks as in the reference: STATED, SAMPLE, ASSUMED.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from orderflow.sandbox.glopal.orders import (
    AcceptCall,
    CancelCall,
    GlopalOrder,
    Ids,
    refuse_accept,
    refuse_cancel,
    refuse_refund,
)
from orderflow.sandbox.glopal.pages import events
from orderflow.sandbox.glopal.refusals import refusal
from orderflow.sandbox.glopal.routes import routes_of
from orderflow.sandbox.glopal.texts import amount_of
from orderflow.sandbox.glopal.world import World
from orderflow.sandbox.wire import Json, Request, Response, decimal_of, json_object, json_response

OK: Json = {"status": "ok"}  # SAMPLE (reference 5)


def answer(world: World, request: Request, now: datetime) -> Response:
    """The answer to one request, by the route table; 404 and 405 for what it does not name (ASSUMED, 12)."""
    wrong_method = False
    for operation, (method, template) in routes_of(world.options.routes).items():
        match = _pattern(template).fullmatch(request.path)
        if match is None:
            continue
        if method == request.method:
            return _answer(world, operation, [unquote(part) for part in match.groups()], request, now)
        wrong_method = True
    if wrong_method:
        return refusal(world.options, 405, "method_not_allowed", f"{request.method} is not possible here")
    return refusal(world.options, 404, "not_found", "there is no such address")


@lru_cache(maxsize=64)
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.escape(template).replace(r"\{store\}", "([^/]+)").replace(r"\{order\}", "([^/]+)"))


def _answer(world: World, operation: str, names: list[str], request: Request, now: datetime) -> Response:
    refused = _refuse_key(world, names[0], request)
    if refused is not None:
        return refused
    if operation == "events":
        return events(world, names[0], request, now)
    order = world.stores[names[0]].orders.get(names[1])
    if order is None:
        return refusal(world.options, 404, "order_not_found", "there is no such order")
    return _ORDER_OPERATIONS[operation](world, order, request, now)


def _refuse_key(world: World, store: str, request: Request) -> Response | None:
    """Bearer authentication (SAMPLE, 1); which refusal has which code is ASSUMED (12)."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    key, own = world.key, world.options.store_keys
    if scheme.lower() != "bearer" or (given != key and given not in own.values()):
        return refusal(world.options, 401, "unauthorized", "a valid key is needed")
    if store not in world.stores or (given != key and own.get(store) != given):
        return refusal(world.options, 403, "forbidden", "the key is not for this store")
    return None


# ---- one order -----------------------------------------------------------------------------------------------------


def _get(world: World, order: GlopalOrder, request: Request, now: datetime) -> Response:
    """The order's details; they may lag behind the events (UNKNOWN whether Glopal's do)."""
    order.gets += 1
    if order.served_instead is not None:
        return Response(*order.served_instead)
    lag = world.options.get_lag
    return Response(200, order.as_of(now - request.stale - (lag if isinstance(lag, timedelta) else lag())))


def _accept(world: World, order: GlopalOrder, request: Request, now: datetime) -> Response:
    """STATED (5): once; the same ids again are fine; 400 with other ids or when cancelled. The body is ASSUMED."""
    given = _accept_ids(json_object(request.body), world.options.accept_body)
    if given is None:
        return refusal(world.options, 400, "invalid_request", "order_id and order_number are needed, as strings")
    code = refuse_accept(order, given)
    applied = code is None and order.ids is None
    order.accepts.append(AcceptCall(given, now, 200 if code is None else 400, applied))
    if code is not None:
        return refusal(world.options, 400, code, "the order cannot be accepted with these ids")
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
        return refusal(world.options, 400, "invalid_request", "the body must be an object; its reason a text")
    if not reason and world.options.cancel_reason == "required":
        return refusal(world.options, 400, "invalid_request", "a reason is needed")
    code = refuse_cancel(order, "merchant", world.options)
    applied = code is None and order.status != "CANCELLED"
    order.cancels.append(CancelCall(reason, now, 200 if code is None else 400, applied, "merchant"))
    if code is not None:
        return refusal(world.options, 400, code, "the order cannot be cancelled")
    if applied:
        world.become_cancelled(order, reason, "merchant", now)
    match world.options.cancel_reply:
        case "status ok":
            return json_response(200, OK)
        case "the order":
            return Response(200, order.as_of(now))
        case "empty":
            return Response(200, b"", {})


def _refund(world: World, order: GlopalOrder, request: Request, now: datetime) -> Response:
    """Every call moves money again, as far as is known: nothing says otherwise (7). Body and answer are ASSUMED."""
    body = json_object(request.body) or {}
    amount, given = decimal_of(body.get("amount")), body.get("reason")
    reason = given if isinstance(given, str) else None
    share, claim = decimal_of(body.get("glopal_amount")), body.get("claim")
    done = next((one for one in order.refunds if (one.amount, one.reason) == (amount, reason)), None)
    if done is None or world.options.refund_repeat == "refunds again":
        code = refuse_refund(order, amount, world.options)
        if code is not None or amount is None:
            return refusal(world.options, 400, code or "invalid_amount", "this amount cannot be refunded")
        done = world.give_back(order, amount, reason, "merchant", now, share, claim if isinstance(claim, str) else None)
    match world.options.refund_reply:
        case "with id":
            return json_response(200, {"status": "ok", "refund_id": done.refund_id})
        case "status ok":
            return json_response(200, OK)
        case "empty":
            return Response(200, b"", {})


def _quote(world: World, order: GlopalOrder, request: Request, _now: datetime) -> Response:
    """No side effect (INFERRED, 7). Body and answer are ASSUMED."""
    body = json_object(request.body) or {}
    amount, share = decimal_of(body.get("amount")), decimal_of(body.get("glopal_amount", 0))
    code = refuse_refund(order, amount, world.options)
    if code is not None or amount is None or share is None or not 0 <= share <= amount:
        return refusal(world.options, 400, code or "invalid_amount", "this amount cannot be refunded")
    order.quotes += 1
    merchant, glopal = amount_of(amount - share, world.options), amount_of(share, world.options)
    asked: dict[str, Json] = {"amount": amount_of(amount, world.options), "currency": order.currency}
    match world.options.quote_reply:
        case "nested":
            return json_response(200, asked | {"liability": {"merchant": merchant, "glopal": glopal}})
        case "flat":
            return json_response(200, asked | {"merchant_amount": merchant, "glopal_amount": glopal})
        case "status ok":
            return json_response(200, OK)


_ORDER_OPERATIONS: Mapping[str, Callable[[World, GlopalOrder, Request, datetime], Response]] = {
    "order": _get,
    "accept": _accept,
    "cancel": _cancel,
    "refund": _refund,
    "quote": _quote,
}
