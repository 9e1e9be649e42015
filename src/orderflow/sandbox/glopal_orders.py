"""One order at the fake Glopal: its state, the rules of accept, cancel and refund, and what it looked like when.

Pure state: no clock, no ids, no HTTP. Each rule returns None when it applied (or had applied), else the error code.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from orderflow.sandbox.glopal_options import GlopalOptions
from orderflow.sandbox.ids import stamp
from orderflow.sandbox.wire import Json, render

Ids = tuple[str, str]  # the merchant's order id and order number
By = Literal["glopal", "merchant"]


@dataclass(frozen=True, slots=True)
class AcceptCall:
    """One accept as it came in. `applied`: it was this call that set the ids. `by`: through the API or elsewhere."""

    ids: Ids
    at: datetime
    status: int
    applied: bool
    by: Literal["api", "elsewhere"] = "api"


@dataclass(frozen=True, slots=True)
class CancelCall:
    """One cancel through the API (or by the driver, with answer 0). `applied`: it was this one that cancelled."""

    reason: str | None
    at: datetime
    status: int
    applied: bool
    by: By


@dataclass(frozen=True, slots=True)
class Refund:
    """Money given back, in the order's currency."""

    refund_id: str
    amount: Decimal
    reason: str | None
    at: datetime


@dataclass(slots=True)
class GlopalOrder:
    """Mutable record of one order; `fixed` is the JSON text of the members that its life does not change."""

    store: str
    order_id: str
    created_at: datetime
    currency: str = ""
    total: Decimal = Decimal(0)
    fixed: str = ""
    status: str = "RECEIVED"
    ids: Ids | None = None
    shipped: bool = False
    cancelled_by: By | None = None
    cancel_reason: str | None = None
    cancelled_at: datetime | None = None
    refunds: list[Refund] = field(default_factory=list)
    returns: dict[str, str] = field(default_factory=dict)  # return id -> status
    gets: int = 0
    accepts: list[AcceptCall] = field(default_factory=list)
    cancels: list[CancelCall] = field(default_factory=list)
    statuses: list[tuple[datetime, str]] = field(default_factory=list)
    served_instead: tuple[int, bytes] | None = None
    _times: list[datetime] = field(default_factory=list)
    _bodies: list[bytes] = field(default_factory=list)

    def became(self, status: str, at: datetime) -> None:
        """Note a new status."""
        self.status = status
        self.statuses.append((at, status))

    def snapshot(self, at: datetime, options: GlopalOptions) -> None:
        """Keep what a GET shows from `at` on."""
        self._times.append(max(at, self._times[-1]) if self._times else at)
        self._bodies.append(order_text(self, options).encode())

    def as_of(self, at: datetime) -> bytes:
        """What a GET showed at `at`; before the creation, what it showed first."""
        return self._bodies[max(0, bisect_right(self._times, at) - 1)]


def refuse_accept(order: GlopalOrder, ids: Ids) -> str | None:
    """Why these ids cannot accept the order (STATED, reference 5: once; the same again is fine; not when cancelled)."""
    if order.status == "CANCELLED":
        return "order_cancelled"
    if order.ids is not None and order.ids != ids:
        return "already_accepted"
    return None


def refuse_cancel(order: GlopalOrder, by: By, options: GlopalOptions) -> str | None:
    """Why the order cannot be cancelled (STATED, 6: not when shipped; the answer to a repeat is ASSUMED)."""
    if order.status == "CANCELLED":
        again = by == "merchant" == order.cancelled_by and options.repeat_cancel == "accepted"
        return None if again else "already_cancelled"
    return "order_shipped" if order.shipped else None


def refuse_refund(order: GlopalOrder, amount: Decimal | None, options: GlopalOptions) -> str | None:
    """Why this amount cannot be refunded. STATED (7): for shipped orders; all checks and codes are ASSUMED."""
    if order.status not in ("ACCEPTED", "COMPLETED"):
        return "not_refundable"
    if options.refund_needs_shipping and not order.shipped:
        return "not_shipped"
    if amount is None or amount <= 0:
        return "invalid_amount"
    refunded = sum((refund.amount for refund in order.refunds), Decimal(0))
    return "amount_too_high" if refunded + amount > order.total else None


def external_text(ids: Ids | None, options: GlopalOptions) -> str:
    """The member `external` with a comma before it, or "" where it is left out (UNKNOWN before acceptance, 3.2)."""
    if ids is None:
        if options.external_before_accept == "absent":
            return ""
        if options.external_before_accept == "null":
            return ',"external":null'
        return ',"external":{"order_id":null,"order_number":null}'
    return f',"external":{render({"order_id": ids[0], "order_number": ids[1]})}'


def order_text(order: GlopalOrder, options: GlopalOptions) -> str:
    """The order as JSON. STATED/SAMPLE: id, status, external, returns[].id; ASSUMED (8.3): the others."""
    cancellation: Json = None
    if order.cancelled_at is not None:
        cancellation = {
            "by": order.cancelled_by,
            "reason": order.cancel_reason,
            "cancelled_at": stamp(order.cancelled_at),
        }
    refunds: list[Json] = [
        {"id": r.refund_id, "amount": amount_of(r.amount, options), "reason": r.reason, "created_at": stamp(r.at)}
        for r in order.refunds
    ]
    payment = {"RECEIVED": "pending", "CANCELLED": "voided"}.get(order.status, "confirmed")
    moving: Json = {
        "payment": {"method": "card", "status": payment},
        "refunds": refunds,
        "cancellation": cancellation,
        "returns": [{"id": key, "status": value} for key, value in order.returns.items()],
    }
    return (
        f'{{"id":{render(order.order_id)},"status":{render(order.status)}'
        f"{external_text(order.ids, options)},{order.fixed},{render(moving)[1:]}"
    )


def amount_of(amount: Decimal, options: GlopalOptions) -> Json:
    """An amount as number or as string: UNKNOWN which (8.2)."""
    return format(amount, "f") if options.amounts == "string" else amount
