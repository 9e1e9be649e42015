"""Rotation: keys that another master key wrapped are wrapped anew by the current one, while everything goes on.

It never touches what is sealed, and never brings a key back that was destroyed meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from orderflow.store.connect import transact
from orderflow.store.vault import macs
from orderflow.store.vault.keys import place
from orderflow.store.vault.master import Vault, VaultError

_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Wrapped:
    """How many keys a master key wraps. `master` is None for those from before master keys had ids."""

    master: str | None
    keys: int


def wrapped_by(conn: sa.Connection) -> list[Wrapped]:
    """The keys of all stores that are not destroyed, by the master key that wraps them."""
    return [Wrapped(*row) for row in conn.execute(_COUNT)]


def mac_key_wrapped_by(conn: sa.Connection) -> str | None:
    """The master key that wraps the MAC key; None before the first MAC."""
    found: str | None = conn.scalar(sa.text("SELECT master FROM orderflow_vault.mac_key"))
    return found


def rewrap(engine: sa.Engine, vault: Vault) -> Iterator[int]:
    """Wrap everything anew with the current master key; yields how many keys were done, batch by batch.

    `engine` leads to the keys. Each batch is a transaction, so that it can be interrupted and go on later. Raises
    `VaultError` for a key that none of the master keys in use opens; what was done until then stays done.
    """
    transact(engine, lambda conn: _rewrap_mac_key(conn, vault))
    done, after = 0, ("", "", _LEAST)
    while True:
        count, after = transact(engine, lambda conn, after=after: _batch(conn, vault, after))  # type: ignore[misc]
        if not count:
            return
        done += count
        yield done


_LEAST: Final = "00000000-0000-0000-0000-000000000000"


def _rewrap_mac_key(conn: sa.Connection, vault: Vault) -> None:
    secret, current = macs.kept(conn, vault), vault.current
    values = {"wrapped": current.wrap(secret, macs.PLACE), "master": current.master_id}
    conn.execute(sa.text("UPDATE orderflow_vault.mac_key SET wrapped = :wrapped, master = :master"), values)


def _batch(conn: sa.Connection, vault: Vault, after: tuple[str, str, str]) -> tuple[int, tuple[str, str, str]]:
    """One batch behind the place `after`; how many keys it held, and its last place."""
    current = vault.current
    values = {"master": current.master_id, "store": after[0], "order_id": after[1], "key_id": after[2]}
    rows = conn.execute(_LEFT, values | {"limit": _BATCH}).all()
    if not rows:
        return 0, after
    conn.execute(_REWRAP, [_anew(vault, row) for row in rows])
    last = rows[-1]
    return len(rows), (last.store, last.order_id, str(last.key_id))


def _anew(vault: Vault, row: sa.Row[Any]) -> dict[str, object]:
    here = place(row.store, row.order_id, row.key_id)
    secret = vault.unwrap(row.wrapped, row.master, here)
    if secret is None:
        whose = f"master key {row.master}" if row.master else "a former master key"
        raise VaultError(f"key {row.key_id} of store {row.store} is wrapped by {whose}, which is not in use")
    named = {"store": row.store, "order_id": row.order_id, "key_id": row.key_id, "old": row.wrapped}
    return named | {"wrapped": vault.current.wrap(secret, here), "master": vault.current.master_id}


_COUNT: Final = sa.text(
    "SELECT master, count(*) FROM orderflow_vault.keys WHERE destroyed_at IS NULL GROUP BY master ORDER BY 2 DESC"
)
_LEFT: Final = sa.text(
    "SELECT store, order_id, key_id, wrapped, master FROM orderflow_vault.keys "
    "WHERE destroyed_at IS NULL AND master IS DISTINCT FROM :master "
    "AND (store, order_id, key_id) > (:store, :order_id, CAST(:key_id AS uuid)) "
    "ORDER BY store, order_id, key_id LIMIT :limit"
)
# Whoever destroyed or rewrapped the key meanwhile was quicker, and the row is left as it is.
_REWRAP: Final = sa.text(
    "UPDATE orderflow_vault.keys SET wrapped = :wrapped, master = :master "
    "WHERE store = :store AND order_id = :order_id AND key_id = :key_id AND wrapped = :old"
)
