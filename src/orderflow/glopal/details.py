"""Order details as Glopal's GET gives them, read as far as orderflow needs them.

It never guesses a field that is not there, and never lets personal data out but in `body` and `basis`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from orderflow.domain.events import Ids
from orderflow.domain.machine import Status


@dataclass(frozen=True, slots=True)
class Details:
    """One answer. `said` is the status word as it came; `status` None where Glopal's documents do not name it.

    `basis` is everything that a shop request is built from, in canonical bytes (personal: digest it with a key).
    `unmapped` names required fields that were not found, `money` the first sum that does not hold, if any.
    """

    said: str
    status: Status | None
    external: Ids | None
    environment: str | None
    currency: str | None
    total: Decimal | None
    created_at: datetime | None
    unmapped: tuple[str, ...]
    money: str | None
    basis: bytes = field(repr=False)
    body: bytes = field(repr=False)
