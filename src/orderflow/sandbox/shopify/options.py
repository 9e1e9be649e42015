"""The switches of the fake Shopify.

They never make it kinder than the real one: each turns a hard part on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

Span = timedelta | Callable[[], timedelta]
Refuse = Callable[[Mapping[str, Any]], str | None]  # the input of a create -> the field that is refused, or None

SCOPES: Final = frozenset(
    {"read_draft_orders", "write_draft_orders", "read_orders", "write_orders", "read_all_orders"},
)


def seconds(span: Span) -> timedelta:
    """A span, drawn anew where it is drawn by chance."""
    return span if isinstance(span, timedelta) else span()


@dataclass(frozen=True, slots=True)
class ShopifyOptions:
    """`search_lag`: how long a change stays hidden from searches; reads by id are immediate.

    `ready_lag`: how long Shopify calculates a new draft; `job_lag`: how long a cancellation takes, once asked for.
    `points` and `restore`: the bucket and how much comes back each second. `tax_rate`: charged on what is taxable,
    unless the draft is exempt. `surcharge`: what the shop puts onto every draft by itself, say by an app. `variants`:
    the number of each variant and its price. `stock`: pieces by variant, None for no end. `refuse`: asked first; a
    custom line with the SKU REFUSE-ME is refused in any case. `scopes`: what the app may do.
    """

    search_lag: Span = timedelta(0)
    ready_lag: Span = timedelta(0)
    job_lag: Span = timedelta(0)
    points: float = 2000.0
    restore: float = 100.0
    tax_rate: Decimal = Decimal(0)
    surcharge: Decimal = Decimal(0)
    variants: Mapping[int, Decimal] = field(default_factory=dict)
    stock: Mapping[int, int] | None = None
    refuse: Refuse | None = None
    scopes: frozenset[str] = SCOPES
    deletes_completed: bool = False  # UNKNOWN of the real one
    first_draft: int = 1
    first_order: int = 1001
