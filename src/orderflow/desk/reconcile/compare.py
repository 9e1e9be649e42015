"""The comparison itself: what our fold holds against what Glopal and the shop show. Pure.

It never rounds and knows no tolerance: after the conversion that the draft's intent froze, amounts are equal or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from orderflow.connectors import Missing, View
from orderflow.desk.reconcile.lines import in_shop_currency, lines_problem
from orderflow.domain.events import Destination, Drift, DriftKind, Ids, ShopState, Sighting
from orderflow.domain.machine import Status
from orderflow.domain.order import Order
from orderflow.domain.policy import Mode, StorePolicy, wants_cancel
from orderflow.glopal.details import Details
from orderflow.glopal.jsontext import money

_SHOP, _GLOPAL = Destination.SHOP, Destination.GLOPAL
NONE: Final = "nothing"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one order, asked at `sent_at`. `shop` is None where the shop could not be compared.

    `beside`: every shop order under `reference`. `settle`: so long Glopal's GET may lag behind its events.
    """

    sent_at: datetime
    reference: str
    details: Details
    shop: View | Missing | None = None
    beside: tuple[Sighting, ...] = ()
    settle: timedelta = timedelta(0)


def compare(order: Order, policy: StorePolicy, seen: Seen) -> tuple[Drift, ...]:
    """Every difference between `order`, whose history holds the answer of Glopal already, and what was `seen`.

    What a fold follows by itself, such as a status that moved without an event, is no difference any more.
    """
    return (*_at_glopal(order, policy, seen), *_in_shop(order, policy, seen))


def _at_glopal(order: Order, policy: StorePolicy, seen: Seen) -> Iterator[Drift]:
    details, own = seen.details, order.shop.own
    settled = order.moved is None or seen.sent_at >= order.moved.at + seen.settle
    if details.status is not None and details.status is not order.status and order.dispute is None and settled:
        yield Drift(DriftKind.STATUS_DIFFERS, _GLOPAL, order.status.value, details.said)
    ours = _our_ids(order)
    vanished = details.external is None and order.external is not None
    foreign = details.external is not None and details.external not in ours
    if policy.mode is not Mode.OBSERVE and (vanished or foreign):
        held = order.external if vanished else next(iter(ours), None)
        yield Drift(DriftKind.IDS_DIFFER, _GLOPAL, str(held or NONE), str(details.external or NONE))
    if own is not None and own.state is ShopState.ORDER and order.outdated:
        kind = DriftKind.TOTAL_DIFFERS
        if order.drafted is not None and order.total is not None and order.drafted.currency != order.total.currency:
            kind = DriftKind.CURRENCY_DIFFERS
        yield Drift(kind, _GLOPAL, str(order.drafted), str(order.total), own.shop_id)


def _our_ids(order: Order) -> tuple[Ids, ...]:
    own = order.shop.own
    known = (order.accept_ids, Ids(own.shop_id, own.number) if own is not None else None)
    return tuple(ids for ids in known if ids is not None)


def _in_shop(order: Order, policy: StorePolicy, seen: Seen) -> Iterator[Drift]:
    for one in seen.beside:
        if one.state is not ShopState.GONE and order.shop.get(one.shop_id) is None:
            yield Drift(DriftKind.UNKNOWN_IN_FOLD, _SHOP, NONE, f"{one.shop_id} ({one.state})", one.shop_id)
    own = order.shop.own
    if own is None or seen.shop is None:
        return
    if isinstance(seen.shop, Missing):
        if own.state is not ShopState.GONE and not _away(order, policy):
            yield Drift(DriftKind.MISSING_IN_SHOP, _SHOP, f"{own.shop_id} ({own.state})", NONE, own.shop_id)
        return
    yield from _state(order, policy, own, seen.shop)
    if seen.shop.sighting.state is not ShopState.GONE:
        yield from _names(own, seen)
        yield from _money(order, own, seen)


def _away(order: Order, policy: StorePolicy) -> bool:
    """It is being withdrawn, so that it is gone already changes nothing."""
    return order.status is Status.CANCELLED or wants_cancel(order, policy)


def _state(order: Order, policy: StorePolicy, own: Sighting, shop: View) -> Iterator[Drift]:
    now = shop.sighting.state
    if now is own.state:
        return
    kind = DriftKind.STATE_DIFFERS
    if now is ShopState.GONE:
        if _away(order, policy):
            return
        kind = DriftKind.CANCELLED_IN_SHOP
    elif own.state is ShopState.GONE and order.status is Status.CANCELLED:
        kind = DriftKind.CANCELLED_BUT_ALIVE
    yield Drift(kind, _SHOP, f"{own.shop_id} ({own.state})", f"{own.shop_id} ({now})", own.shop_id)


def _names(own: Sighting, seen: Seen) -> Iterator[Drift]:
    assert isinstance(seen.shop, View)
    number, reference = seen.shop.sighting.number, seen.shop.reference
    if own.number and number and number != own.number:
        yield Drift(DriftKind.NUMBER_DIFFERS, _SHOP, own.number, number, own.shop_id)
    if reference is not None and reference != seen.reference:  # a person's words may stand there: not repeated
        yield Drift(DriftKind.REFERENCE_DIFFERS, _SHOP, seen.reference, "another", own.shop_id)


def _money(order: Order, own: Sighting, seen: Seen) -> Iterator[Drift]:
    """Against what the draft entered the shop with, and Glopal's lines converted by the rate that was frozen then."""
    view, entered = seen.shop, order.entered
    if entered is None or not isinstance(view, View):
        return  # somebody else made it: nothing is known of what it should come to
    if view.currency is not None and view.currency != entered.currency:
        yield Drift(DriftKind.CURRENCY_DIFFERS, _SHOP, entered.currency, view.currency, own.shop_id)
        return
    if view.total is not None and view.total != entered.total:
        ours, theirs = (f"{money(total)} {entered.currency}" for total in (entered.total, view.total))
        yield Drift(DriftKind.TOTAL_DIFFERS, _SHOP, ours, theirs, own.shop_id)
    lines = in_shop_currency(seen.details, entered)
    if lines is not None and view.lines is not None:
        problem = lines_problem(lines, view.lines)
        if problem is not None:
            yield Drift(DriftKind.LINES_DIFFER, _SHOP, *problem, own.shop_id)
