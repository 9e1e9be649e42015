"""What a person should look at: the named exceptions of an order, each with the commands that help.

It never acts, and it names nothing that the order will resolve by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orderflow.domain.aftercare import after_sale
from orderflow.domain.asking import poll_at
from orderflow.domain.due import fetch_due_at
from orderflow.domain.events import Effect, HoldReason, Position, ShopState, Sighting
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
        *(Attention(*told) for told in after_sale(order, policy)),
        *_shop(order, policy),
        *_silence(order, policy),
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


def asks(order: Order, policy: StorePolicy) -> bool:
    """Is a fetch coming that is more than the routine ones: at the age limit, and for open returns?"""
    fetch = fetch_due_at(order, policy)
    if fetch is None or order.answered_at is None:
        return fetch is not None
    limit = policy.age_limits.get(order.status)
    routine = [] if limit is None else [order.answered_at + limit]
    routine += [at for one in order.returns if (at := poll_at(order, policy, one)) is not None]
    return not routine or fetch < min(routine)
