"""The newest details of an order as Glopal sent them, out of the sealed body of the event that recorded them.

It never writes, and what it returns is personal: it goes nowhere but through a mask.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import msgspec
import sqlalchemy as sa

from orderflow.app import App
from orderflow.cli.finding import Place
from orderflow.domain.events import DetailsFetched, Malformed
from orderflow.store.tables import events
from orderflow.store.vault import key, unseal


@dataclass(frozen=True, slots=True)
class StoredDetails:
    """One answer to a GET, readable or not."""

    position: int
    recorded_at: datetime
    body: bytes = field(repr=False)


def newest_details(conn: sa.Connection, app: App, place: Place) -> StoredDetails | None:
    """The newest answer that is stored for the order; None if there is none yet. Raises `VaultError` if erased."""
    query = (
        sa.select(events.c.position, events.c.recorded_at, events.c.event_id, events.c.body, events.c.body_key)
        .add_columns(events.c.clear)
        .where(
            events.c.store == place.store,
            events.c.order_id == place.order_id,
            events.c.type.in_((DetailsFetched.__name__, Malformed.__name__)),
            events.c.body.is_not(None),
        )
        .order_by(events.c.version.desc())
    )
    for row in conn.execute(query):
        if msgspec.json.decode(row.clear).get("asked_after") is not None:  # else it is an element of the feed
            opened = key(conn, app.vault, place.store, place.order_id, row.body_key)
            return StoredDetails(row.position, row.recorded_at, unseal(opened, row.body, row.event_id, "body"))
    return None
