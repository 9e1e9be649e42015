"""What a person should look at: the named exceptions of an order, each with the commands that help.

It never acts, and it names nothing that the order will resolve by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from orderflow.domain.aftercare import Told, after_sale
from orderflow.domain.asking import poll_at
from orderflow.domain.due import fetch_due_at
from orderflow.domain.events import Destination, Drift, DriftKind, Effect, HoldReason, Position, ShopState, Sighting
from orderflow.domain.exceptions import CLASSES, Of
from orderflow.domain.machine import Status
from orderflow.domain.order import Hold, Mark, Order, Parked, Phase
from orderflow.domain.policy import Mode, StorePolicy, held, in_scope, is_foreign
from orderflow.domain.quick import quick


@quick
@dataclass(frozen=True, slots=True)
class Attention:
    """One exception. `commands` are command lines without program name, store and order.

    `kind` and `subject` say which one it is: the same again is the same exception, one with another subject is a new
    one. `settling`: Glopal is still being asked, so it may yet resolve itself. `opens_at`: it counts from then on, if
    nothing ends it before. `owner`: the person it was given to, "" if to nobody.
    """

    kind: str
    of: Of
    text: str
    position: Position
    commands: tuple[str, ...] = ()
    settling: bool = False
    subject: str = ""
    opens_at: datetime | None = None
    owner: str = ""

    @property
    def owned_by(self) -> str:
        """Whose turn it is."""
        return self.owner or CLASSES[self.of].owner


def attention(order: Order, policy: StorePolicy, now: datetime | None = None) -> tuple[Attention, ...]:
    """Everything about `order` that waits for a person or a change of configuration.

    Only with `now` also what is one by its age, without any news.
    """
    return tuple(one for one in judged(order, policy) if one.opens_at is None or (now and one.opens_at <= now))


def judged(order: Order, policy: StorePolicy) -> tuple[Attention, ...]:
    """The same with what will be one at its `opens_at`; what a person has dismissed is left out.

    Asked at every step of every order, and mostly of orders without trouble: each part is looked at only where it may
    hold something.
    """
    found: list[Attention] = []
    holds = held(order, policy)
    if holds:
        found += _holds(order, policy, holds)
    if order.parked:
        found += _parked(order)
    if order.shop_slot is not None or order.glopal_slot is not None:
        found += _unknown(order, policy)
    if order.refunds or order.shown or order.returns:
        found += map(_after_sale, after_sale(order, policy))
    if order.shop.recorded is not None or order.external is not None:
        found += _shop(order, policy)
    if not _still_early(order, policy):
        found += _silence(order, policy)
    if order.drifts:
        found += _drifts(order, policy)
    return tuple(_ruled(order, found) if found and order.rulings else found)


def _ruled(order: Order, found: Sequence[Attention]) -> Iterator[Attention]:
    for one in found:
        ruling = order.ruling(one.kind, one.subject)
        if ruling is None:
            yield one
        elif not ruling.dismissed:
            yield replace(one, owner=ruling.owner)


def _holds(order: Order, policy: StorePolicy, holds: Sequence[Hold]) -> Iterator[Attention]:
    for hold in holds:
        settling = hold.reason in _ASKED_ABOUT and asks(order, policy)
        lack = "the details lack " if hold.reason is HoldReason.UNMAPPED else ""
        text = f"held: {lack}{hold.detail}" + ("; Glopal is being asked" if settling else "")
        mend = ("retry fetch",) if hold.reason in _READ_ANEW else ()
        commands = (*mend, f"release {hold.reason} {hold.position}")
        subject = str(hold.position) if hold in order.holds else _environment(order)
        yield Attention(
            f"held_{hold.reason}", _HELD[hold.reason], text, hold.position, commands, settling, subject=subject
        )


_HELD: Final = {
    HoldReason.CONTRADICTION: Of.CONTRADICTION,
    HoldReason.EVIDENCE: Of.EVIDENCE,
    HoldReason.ENVIRONMENT: Of.ENVIRONMENT,
    HoldReason.MONEY: Of.MONEY,
    HoldReason.UNMAPPED: Of.NOT_MAPPED,
    HoldReason.MALFORMED: Of.MALFORMED,
    HoldReason.OVERRULED: Of.OVERRULED,
}
_ASKED_ABOUT = (HoldReason.CONTRADICTION, HoldReason.MALFORMED)
_READ_ANEW = (HoldReason.MONEY, HoldReason.UNMAPPED, HoldReason.MALFORMED)
"""What fetching again lifts, once Glopal, the order or the mapping is mended."""


def _environment(order: Order) -> str:
    """Each new answer shows it anew; it is the same exception as long as it says the same."""
    return "" if order.details is None else order.details.environment or ""


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
            _turned_down(parked),
            f"{parked.effect} {verb}: {parked.reason}",
            parked.position,
            commands,
            subject=f"{parked.position}",
        )


def _turned_down(parked: Parked) -> Of:
    if not parked.refused:
        return Of.GIVEN_UP
    return Of.REFUSED_BY_SHOP if parked.effect.destination is Destination.SHOP else Of.REFUSED_BY_GLOPAL


def _unknown(order: Order, policy: StorePolicy) -> Iterator[Attention]:
    """A write whose outcome nobody has learnt: look-ups tell it within minutes, so only its age makes it one."""
    for slot in (order.shop_slot, order.glopal_slot):
        if slot is None or slot.phase is not Phase.OPEN or slot.effect is Effect.REFUND:
            continue
        seen = f", {slot.absents} look-ups did not find it" if slot.absents else ""
        why = f" ({slot.reason})" if slot.reason else ""
        text = f"nobody can tell what became of {slot.effect}, attempt {slot.attempt}{why}{seen}"
        yield Attention(
            f"unknown_{slot.effect}",
            Of.UNKNOWN_TOO_LONG,
            text,
            order.position,
            ("why",),
            subject=f"{slot.effect} {slot.generation} {slot.attempt}",
            opens_at=slot.since + policy.unknown_after,
        )


def _after_sale(told: Told) -> Attention:
    return Attention(
        told.kind, told.of, told.text, told.position, told.commands, subject=told.subject, opens_at=told.opens_at
    )


def _shop(order: Order, policy: StorePolicy) -> Iterator[Attention]:
    own = order.shop.own
    if is_foreign(order, policy):
        ours = f"; our shop order {own.shop_id} stands" if own is not None and own.state is ShopState.ORDER else ""
        yield Attention(
            "accepted_elsewhere",
            Of.ACCEPTED_ELSEWHERE,
            f"Glopal shows the ids {order.external}{ours}",
            order.position,
            ("cancel",),
            subject=str(order.external),
        )
    if own is None:
        return
    away = order.status is Status.CANCELLED or order.cancel_reason is not None
    if own.state is ShopState.GONE and own.promoted and not away:
        yield Attention(
            "shop_order_gone",
            Of.SHOP_ORDER_GONE,
            f"shop order {own.shop_id} is gone",
            order.position,
            ("cancel",),
            subject=own.shop_id,
        )
    if _unnumbered(order, own, policy) and not away:
        text = f"shop order {own.shop_id} has no number, without which Glopal takes no acceptance"
        yield Attention(
            "no_number", Of.NO_NUMBER, text, order.position, (f"accept {own.ids.order_id}",), subject=own.shop_id
        )
    if own.state is ShopState.ORDER and not away and _may_accept(order, policy) and order.outdated:
        text = f"shop order {own.shop_id} was made for {order.drafted}, Glopal's total is {order.total} now"
        yield Attention(
            "total_changed",
            Of.TOTAL_CHANGED,
            text,
            order.position,
            ("cancel", f"accept {own.ids.order_id}"),
            subject=f"{own.shop_id} {order.total}",
        )
    others = _others(order, own)
    if others and not away:
        yield Attention(
            "several_shop_orders",
            Of.SEVERAL_SHOP_ORDERS,
            f"besides {own.shop_id}: {', '.join(others)}",
            order.position,
            ("cancel",),
            subject=" ".join(others),
        )
    if order.accept_ids is not None and order.accepted is None and own.ids.order_id != order.accept_ids.order_id:
        text = f"accept was asked for with {order.accept_ids}, our shop order is {own.ids.order_id}"
        yield Attention("ids_differ", Of.IDS_DIFFER, text, order.position, ("cancel",), subject=own.shop_id)


def _others(order: Order, own: Sighting) -> list[str]:
    if len(order.shop.seen) < 2:
        return []
    return [s.shop_id for s in order.shop.living if s.state is ShopState.ORDER and s.shop_id != own.shop_id]


def _unnumbered(order: Order, own: Sighting, policy: StorePolicy) -> bool:
    """Would the order be accepted now if the shop had given its order a number?"""
    return own.state is ShopState.ORDER and not own.number and _may_accept(order, policy)


def _may_accept(order: Order, policy: StorePolicy) -> bool:
    """Is it time to accept, and has nobody done so or asked for it?"""
    accepting = order.status is Status.READY or (order.status is Status.RECEIVED and policy.early_accept)
    begun = order.accept_ids is not None or order.accepted is not None or order.external is not None
    return accepting and not begun and policy.mode is not Mode.OBSERVE


def _still_early(order: Order, policy: StorePolicy) -> bool:
    """Is it plain that Glopal is asked again before anything awaited reaches its limit? `asks` says it at more length.

    Of an order that gets no effects nothing is awaited.
    """
    if order.moved is None or not in_scope(order, policy):
        return True
    limit, last = policy.age_limits.get(order.status), policy.ask_again[-1] if policy.ask_again else None
    if limit is None or last is None or limit <= last or order.parked:
        return False
    return order.answered_at is None or order.answered_at < order.moved.at + last


def _silence(order: Order, policy: StorePolicy) -> Iterator[Attention]:
    """Something awaited did not come within the age limit."""
    if order.moved is None or order.dispute is not None or asks(order, policy):
        return
    if not order.confirmed:
        text = f"Glopal's details never showed {order.status}"
        yield _silent("unconfirmed", text, order.moved)
    elif order.accepted is not None and order.status is Status.READY:
        yield _silent("accept_unseen", "Glopal took our accept but never showed ACCEPTED", order.accepted)
    elif order.cancelled is not None and order.status is not Status.CANCELLED:
        yield _silent("cancel_unseen", "Glopal took our cancellation but never showed CANCELLED", order.cancelled)
    else:
        yield from _stuck(order, policy, order.moved)


def _silent(kind: str, text: str, since: Mark) -> Attention:
    return Attention(kind, Of.UNCONFIRMED, text, since.position, ("retry fetch",), subject=f"{since.position}")


def _stuck(order: Order, policy: StorePolicy, moved: Mark) -> Iterator[Attention]:
    """Asked at the age limit, Glopal said that the order is still where it was: so no report was lost."""
    limit = policy.age_limits.get(order.status)
    if limit is None or order.answered_at is None or order.answered_at < moved.at + limit:
        return
    text = f"{order.status} since {moved.at:%Y-%m-%d %H:%M} UTC, longer than {told(limit)}; Glopal confirms it"
    cancel = ("cancel",) if order.status in (Status.RECEIVED, Status.READY) else ()
    kind, subject = f"stuck_in_{order.status.lower()}", f"{moved.position}"
    yield Attention(kind, Of.STUCK, text, moved.position, ("retry fetch", *cancel), subject=subject)


def told(length: timedelta) -> str:
    """A length of time for people, exactly: `7 d`, `36 h`, `90 min`, `75 s`."""
    seconds = round(length.total_seconds())
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"


def _drifts(order: Order, policy: StorePolicy) -> Iterator[Attention]:
    """What the last reconciliation found, as far as it is still so and nothing else tells of it."""
    if order.reconciled is None:
        return
    for drift in order.drifts:
        if _stands(order, policy, drift):
            text = f"{drift.kind.replace('_', ' ')}: we hold {drift.ours}, {drift.place} shows {drift.theirs}"
            mends = _MENDS.get(drift.kind, _LOOK_AGAIN)
            subject = f"{drift.place} {drift.shop_id} {drift.ours} {drift.theirs}"
            kind = f"drift_{drift.kind}"
            yield Attention(kind, Of.DRIFT, text, order.reconciled.position, mends, subject=subject)


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
    """Is a fetch coming that is more than the routine ones: at the age limit, and for open returns?"""
    fetch = fetch_due_at(order, policy)
    if fetch is None or order.answered_at is None:
        return fetch is not None
    limit = policy.age_limits.get(order.status)
    routine = [] if limit is None else [order.answered_at + limit]
    routine += [at for one in order.returns if (at := poll_at(order, policy, one)) is not None]
    return not routine or fetch < min(routine)
