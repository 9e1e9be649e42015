"""When to ask again: Glopal for an order's details, the shop for strays.

It never asks for ever: whatever is awaited has a limit, and beyond it waits for a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from orderflow.domain.events import Effect, HoldReason
from orderflow.domain.machine import Status
from orderflow.domain.order import Order, Return
from orderflow.domain.policy import REFUNDABLE, StorePolicy, is_stopped
from orderflow.domain.refunds import unchecked
from orderflow.domain.returns import CLOSED


def fetch_at(order: Order, policy: StorePolicy) -> datetime | None:
    """When to ask Glopal: for whatever is waiting on an answer, else when routine says so."""
    return _first((*_reasons_to_ask(order, policy), *_routine(order, policy)))


def awaited_at(order: Order, policy: StorePolicy) -> datetime | None:
    """When to ask Glopal for something awaited; None where nothing is, or not any longer."""
    return _first(_reasons_to_ask(order, policy))


def _first(times: Iterable[datetime | None]) -> datetime | None:
    return min((time for time in times if time is not None), default=None)


def _routine(order: Order, policy: StorePolicy) -> Iterator[datetime | None]:
    """At the age limit, also when parked; and for open returns."""
    limit = policy.age_limits.get(order.status)
    if limit is not None and order.first is not None:
        parked = order.parking(Effect.FETCH)
        times = [
            order.answered_at,
            order.moved.at if order.moved else None,
            parked.at if parked else None,
        ]
        yield (max((time for time in times if time is not None), default=order.first.at) + limit)
    if order.parking(Effect.FETCH) is None:
        yield from (poll_at(order, policy, one) for one in order.returns)


def _reasons_to_ask(order: Order, policy: StorePolicy) -> Iterator[datetime | None]:
    if order.parking(Effect.FETCH) is not None:
        return
    details = order.details
    if order.asked is not None:
        yield order.asked.at
    if order.dispute is not None:
        again = _again(order, policy, order.dispute.since.at)
        settles = order.dispute.settles_at
        yield (max(again, settles) if again is not None and settles is not None else again)
    elif not order.confirmed:
        since_move = order.moved or order.first
        yield None if since_move is None else _again(order, policy, since_move.at)
    malformed = order.hold(HoldReason.MALFORMED)
    if (
        malformed is not None
        and order.last is not None
        and (details is None or details.asked_after < malformed.position)
    ):
        yield _again(order, policy, (order.moved or order.first or order.last).at)
    if order.accepted is not None and order.status is Status.READY:
        since_accept = order.accepted.at if order.moved is None else max(order.accepted.at, order.moved.at)
        yield _again(order, policy, since_accept)
    if order.cancelled is not None and order.status is not Status.CANCELLED:
        yield _again(order, policy, order.cancelled.at)
    if order.status in REFUNDABLE:
        yield from (_again(order, policy, line.asked.at) for line in unchecked(order) if line.asked is not None)
    yield from (_again(order, policy, one.awaits.at) for one in order.returns if one.awaits is not None)


def poll_at(order: Order, policy: StorePolicy, one: Return) -> datetime | None:
    """When to ask how a return goes on: no event tells of its parcel. None once it is closed, or too long silent."""
    if one.state in CLOSED or one.awaits is not None:
        return None
    at = max(one.since.at, order.answered_at or one.since.at) + policy.returns_every
    return at if at <= one.since.at + policy.returns_for else None


def _again(order: Order, policy: StorePolicy, since: datetime) -> datetime | None:
    """The next time to ask for something awaited `since`; None when the waiting has reached its limit."""
    limit = policy.age_limits.get(order.status, timedelta(days=1))
    asked = order.answered_at
    for offset in policy.ask_again:
        if asked is None or since + offset > asked:
            return since + offset
    assert asked is not None
    last = policy.ask_again[-1] if policy.ask_again else timedelta(0)
    hours = (asked - since - last) // _HOUR + 1
    offset = last + hours * _HOUR
    return since + offset if offset <= limit else None


_HOUR = timedelta(hours=1)


def reap_at(order: Order, policy: StorePolicy) -> datetime | None:
    """When to look for strays: until the reap window has closed after the last draft, never beside a shop write."""
    sent = order.draft_send_by
    if sent is None or order.shop_slot is not None or order.parking(Effect.REAP) is not None or is_stopped(order):
        return None
    looks = (sent + offset for offset in policy.reap_after)
    return next((look for look in looks if order.reaped_at is None or order.reaped_at < look), None)
