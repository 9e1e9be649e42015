"""What Glopal's details show of the time after the sale: how an order ended, money that went back, goods on their way.

It never holds anything personal: reasons and initiators are codes, and what is no code is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from orderflow.domain.returns import ReturnStep


@dataclass(frozen=True, slots=True)
class Ending:
    """Who cancelled the order, why and when, as far as Glopal says. `by` is `merchant`, `glopal` or another code."""

    by: str = ""
    reason: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ShownRefund:
    """A refund that Glopal shows, whoever made it: a merchant, Glopal, a lost dispute.

    `amount` is None where it could not be read: then nobody can say what is left. `currency` is None where the refund
    names none: the order's.
    """

    refund_id: str
    amount: Decimal | None
    currency: str | None = None
    reason: str = ""
    by: str = ""
    made_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ShownReturn:
    """A return that Glopal shows. `said`: its status words as they came; `steps` those of them that have a name here.

    The step of the request comes before that of its parcel.
    """

    return_id: str
    said: str
    steps: tuple[ReturnStep, ...]


@dataclass(frozen=True, slots=True)
class AfterSale:
    """What Glopal shows of the time after the sale; what is not there is empty."""

    ending: Ending | None = None
    refunds: tuple[ShownRefund, ...] = ()
    returns: tuple[ShownReturn, ...] = ()
