"""Empty drafts that a dead worker left in a shop, where a draft takes several calls: now and then they are deleted.

It never calls a shop that is paused, shadowed, only observed, or kept back after a restore.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from orderflow.connectors import Sweeps
from orderflow.domain.events import Destination
from orderflow.domain.policy import Mode
from orderflow.relay.work import Relay
from orderflow.store import epochs, progress
from orderflow.store.connect import transact

FORGOTTEN: Final = timedelta(hours=1)
"""Much longer than a send may take: whoever made it is dead, or has given it up."""


def sweep(relay: Relay, older_than: timedelta = FORGOTTEN) -> int:
    """Delete them in every shop that keeps such drafts; how many."""
    swept = 0
    for store, tenant in relay.tenants.items():
        shop: object = tenant.connectors.get(Destination.SHOP)
        idle = tenant.policy.shadow or tenant.policy.mode is Mode.OBSERVE
        if isinstance(shop, Sweeps) and not idle and _is_open(relay, store):
            swept += shop.sweep(older_than)
    return swept


def _is_open(relay: Relay, store: str) -> bool:
    def ask(conn: sa.Connection) -> bool:
        return Destination.SHOP not in progress.paused(conn, store) and epochs.pending(conn, store) is None

    return transact(relay.engine, ask)
