"""What is appended: an event on its way into the log, and the sealed bytes that may belong to it.

It never holds a plain personal byte. (Structs of msgspec: every event passes here, and a frozen dataclass takes three
times as long to make.)
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

import msgspec


class Sealed(msgspec.Struct, frozen=True, gc=False):
    """Sealed bytes, the vault key they are sealed with, and a keyed MAC of the plain bytes."""

    data: bytes
    key: UUID
    mac: bytes


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One event on its way into the log. `(source, source_id)` is its identity; `clear` is allow-listed JSON."""

    order_id: str
    type: str
    source: str
    source_id: str
    clear: str
    occurred_at: datetime | None = None
    body: Sealed | None = None
    meta: str = "{}"
    event_id: UUID = msgspec.field(default_factory=uuid4)
