"""One order at the fake Glopal: its state, the rules of accept, cancel and refund, and what it looked like when.

Pure state: no clock, no ids, no HTTP. Each rule returns None when it applied (or had applied), else the error code.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

from orderflow.sandbox.glopal.options import GlopalOptions

Ids = tuple[str, str]  # the merchant's order id and order number
By = Literal["glopal", "merchant"]
Initiator = Literal["merchant", "glopal", "lost_dispute"]  # STATED (7) that there are these three; the words ASSUMED


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
    """Money given back, in the order's currency. `glopal_amount`: the share that Glopal bears, if it was said."""

    refund_id: str
    amount: Decimal
    reason: str | None
    at: datetime
    by: Initiator = "merchant"
    glopal_amount: Decimal | None = None
    claim: str | None = None


@dataclass(frozen=True, slots=True)
class Return:
    """Goods on their way back. STATED (9) are both groups of statuses, and a carrier with a number once authorised."""

    request: Literal["REQUESTED", "AUTHORIZED", "CANCELLED"] = "REQUESTED"
    shipment: Literal["PENDING", "DELIVERED"] | None = None


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
    returns: dict[str, Return] = field(default_factory=dict)  # by id
    gets: int = 0
    quotes: int = 0
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

    def looks(self, body: bytes, at: datetime) -> None:
        """Keep what a GET shows from `at` on."""
        self._times.append(max(at, self._times[-1]) if self._times else at)
        self._bodies.append(body)

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
    if order.shipped:
        return "order_shipped"
    if order.status == "RECEIVED" and by == "merchant" and options.cancel_received == "refused":
        return "order_not_ready"
    return "order_completed" if order.status == "COMPLETED" and options.cancel_completed == "refused" else None


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
