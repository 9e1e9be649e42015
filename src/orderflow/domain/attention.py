"""What a person should look at: the named exceptions of an order, each with the commands that help.

It never acts, and it names nothing that the order will resolve by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from orderflow.domain.due import fetch_due_at
from orderflow.domain.events import Destination, Drift, DriftKind, Effect, HoldReason, Position, ShopState, Sighting
from orderflow.domain.machine import Status
from orderflow.domain.order import Order
from orderflow.domain.policy import Mode, StorePolicy, held, is_foreign


@dataclass(frozen=True, slots=True)
class Attention:
    """One exception. `commands` are command lines without program name, store and order.

    `settling`: Glopal is still being asked, so it may yet resolve itself.
    """

    kind: str
    text: str
    position: Position
    commands: tuple[str, ...] = ()
    settling: bool = False


def attention(order: Order, policy: StorePolicy) -> tuple[Attention, ...]:
    """Everything about `order` that waits for a person or a change of configuration."""
    return (
        *_holds(order, policy),
        *_parked(order),
        *_refund(order),
        *_shop(order, policy),
        *_silence(order, policy),
        *_drifts(order, policy),
    )


def _holds(order: Order, policy: StorePolicy) -> Iterator[Attention]:
    for hold in held(order, policy):
        settling = hold.reason in _ASKED_ABOUT and asks(order, policy)
        lack = "the details lack " if hold.reason is HoldReason.UNMAPPED else ""
        text = f"held: {lack}{hold.detail}" + ("; Glopal is being asked" if settling else "")
        mend = ("retry fetch",) if hold.reason in _READ_ANEW else ()
        commands = (*mend, f"release {hold.reason} {hold.position}")
        yield Attention(f"held_{hold.reason}", text, hold.position, commands, settling)


_ASKED_ABOUT = (HoldReason.CONTRADICTION, HoldReason.MALFORMED)
_READ_ANEW = (HoldReason.MONEY, HoldReason.UNMAPPED, HoldReason.MALFORMED)
"""What fetching again lifts, once Glopal, the order or the mapping is mended."""


def _parked(order: Order) -> Iterator[Attention]:
    for parked in order.parked:
        verb = "was refused" if parked.refused else "was given up"
        commands: tuple[str, ...] = (f"retry {parked.effect}",)
        if parked.effect is Effect.WITHDRAW and order.status in (
            Status.ACCEPTED,
            Status.COMPLETED,
        ):
            commands = ("refund", *commands)
        yield Attention(
            f"parked_{parked.effect}",
            f"{parked.effect} {verb}: {parked.reason}",
            parked.position,
            commands,
        )


def _refund(order: Order) -> Iterator[Attention]:
    """A refund made is not to be told from one made elsewhere, so this one never resolves itself."""
    slot = order.glopal_slot
    if slot is not None and slot.effect is Effect.REFUND and slot.unknown:
        text = f"nobody can tell whether refund {slot.target} was made: look it up at Glopal"
        yield Attention("unknown_refund", text, order.position)


def _shop(order: Order, policy: StorePolicy) -> Iterator[Attention]:
    own = order.shop.own
    if is_foreign(order, policy):
        ours = f"; our shop order {own.shop_id} stands" if own is not None and own.state is ShopState.ORDER else ""
        yield Attention(
            "accepted_elsewhere",
            f"Glopal shows the ids {order.external}{ours}",
            order.position,
            ("cancel",),
        )
    if own is None:
        return
    away = order.status is Status.CANCELLED or order.cancel_reason is not None
    if own.state is ShopState.GONE and own.promoted and not away:
        yield Attention(
            "shop_order_gone",
            f"shop order {own.shop_id} is gone",
            order.position,
            ("cancel",),
        )
    if _unnumbered(order, own, policy) and not away:
        text = f"shop order {own.shop_id} has no number, without which Glopal takes no acceptance"
        yield Attention("no_number", text, order.position, (f"accept {own.shop_id}",))
    if own.state is ShopState.ORDER and order.outdated and _may_accept(order, policy) and not away:
        text = f"shop order {own.shop_id} was made for {order.drafted}, Glopal's total is {order.total} now"
        yield Attention("total_changed", text, order.position, ("cancel", f"accept {own.shop_id}"))
    others = [s.shop_id for s in order.shop.living if s.state is ShopState.ORDER and s.shop_id != own.shop_id]
    if others and not away:
        yield Attention(
            "several_shop_orders",
            f"besides {own.shop_id}: {', '.join(others)}",
            order.position,
            ("cancel",),
        )
    if order.accept_ids is not None and order.accepted is None and own.shop_id != order.accept_ids.order_id:
        text = f"accept was asked for with {order.accept_ids}, our shop order is {own.shop_id}"
        yield Attention("ids_differ", text, order.position, ("cancel",))


def _unnumbered(order: Order, own: Sighting, policy: StorePolicy) -> bool:
    """Would the order be accepted now if the shop had given its order a number?"""
    return own.state is ShopState.ORDER and not own.number and _may_accept(order, policy)


def _may_accept(order: Order, policy: StorePolicy) -> bool:
    """Is it time to accept, and has nobody done so or asked for it?"""
    accepting = order.status is Status.READY or (order.status is Status.RECEIVED and policy.early_accept)
    begun = order.accept_ids is not None or order.accepted is not None or order.external is not None
    return accepting and not begun and policy.mode is not Mode.OBSERVE


def _silence(order: Order, policy: StorePolicy) -> Iterator[Attention]:
    """Something awaited did not come within the age limit."""
    if order.moved is None or order.dispute is not None or asks(order, policy):
        return
    if not order.confirmed:
        yield Attention(
            "unconfirmed",
            f"Glopal's details never showed {order.status}",
            order.moved.position,
            ("retry fetch",),
        )
    elif order.accepted is not None and order.status is Status.READY:
        text = "Glopal took our accept but never showed ACCEPTED"
        yield Attention("accept_unseen", text, order.accepted.position, ("retry fetch",))
    elif order.cancelled is not None and order.status is not Status.CANCELLED:
        text = "Glopal took our cancellation but never showed CANCELLED"
        yield Attention("cancel_unseen", text, order.cancelled.position, ("retry fetch",))


def _drifts(order: Order, policy: StorePolicy) -> Iterator[Attention]:
    """What the last reconciliation found, as far as it is still so and nothing else tells of it."""
    if order.reconciled is None:
        return
    for drift in order.drifts:
        if _stands(order, policy, drift):
            text = f"{drift.kind.replace('_', ' ')}: we hold {drift.ours}, {drift.place} shows {drift.theirs}"
            yield Attention(f"drift_{drift.kind}", text, order.reconciled.position, _MENDS.get(drift.kind, _LOOK_AGAIN))


def _stands(order: Order, policy: StorePolicy, drift: Drift) -> bool:
    own, kind = order.shop.own, drift.kind
    if kind is DriftKind.STATUS_DIFFERS:
        return drift.ours == order.status
    if kind is DriftKind.IDS_DIFFER:
        return not is_foreign(order, policy)  # else it is told as "accepted elsewhere"
    if kind is DriftKind.UNKNOWN_IN_FOLD:
        return order.shop.get(drift.shop_id) is None
    if own is None or own.shop_id != drift.shop_id:
        return False  # another one took its place
    if drift.place is Destination.GLOPAL:
        return not _may_accept(order, policy)  # else it is told as "total changed"
    return own.state is not ShopState.GONE or kind in (DriftKind.CANCELLED_BUT_ALIVE, DriftKind.STATE_DIFFERS)


_LOOK_AGAIN: Final = ("reconcile",)
_MENDS: Final = {
    DriftKind.IDS_DIFFER: ("cancel", *_LOOK_AGAIN),
    DriftKind.MISSING_IN_SHOP: ("cancel", *_LOOK_AGAIN),
    DriftKind.CANCELLED_IN_SHOP: ("cancel", *_LOOK_AGAIN),
    DriftKind.CURRENCY_DIFFERS: ("cancel", *_LOOK_AGAIN),
    DriftKind.TOTAL_DIFFERS: ("cancel", *_LOOK_AGAIN),
    DriftKind.LINES_DIFFER: ("cancel", *_LOOK_AGAIN),
    DriftKind.STATUS_DIFFERS: ("retry fetch",),
}
"""What helps, where more does than to mend it there and to look again."""


def asks(order: Order, policy: StorePolicy) -> bool:
    """Is a fetch coming that is more than the routine one at the age limit?"""
    fetch = fetch_due_at(order, policy)
    limit = policy.age_limits.get(order.status)
    if fetch is None or order.answered_at is None:
        return fetch is not None
    return limit is None or fetch < order.answered_at + limit
