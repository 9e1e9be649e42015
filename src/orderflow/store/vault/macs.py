"""Keyed MACs: equal bytes are recognised without being opened. Their key outlives every master key.

Digests of details and of requests stand in the log and are compared with later ones, so that a MAC key that changed
would make every order look as if its details had. It is that of the first master key, kept wrapped in the vault, and
is never made anew.
"""

from __future__ import annotations

from dataclasses import replace
from threading import Lock
from typing import Final

import sqlalchemy as sa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from orderflow.store.connect import transact
from orderflow.store.vault.master import Master, Vault, VaultError

PLACE: Final = b"orderflow mac key"
"""What the wrapped MAC key is bound to."""


def mac(vault: Vault, store: str, plain: bytes) -> bytes:
    """A keyed MAC: equal bytes are recognised, guessing the plain text from it needs the MAC key."""
    return ended(begun(vault, store), plain)


def begun(vault: Vault, store: str) -> HMAC:
    """The beginning that all MACs of a store have in common: beginning anew takes longer than an event's whole MAC."""
    one = vault.mac_key().copy()
    one.update(len(store).to_bytes(4, "big") + store.encode())
    return one


def ended(begun_: HMAC, plain: bytes) -> bytes:
    """The MAC of `plain`; `begun_` stays what it was."""
    one = begun_.copy()
    one.update(plain)
    return one.finalize()


def in_database(vault: Vault, engine: sa.Engine) -> Vault:
    """`vault` with the MAC key that its database keeps, which is asked once, when the first MAC is wanted.

    `engine` leads to the log; the vault's own counts where it has one. Wanting a MAC raises `VaultError` if the MAC
    key is wrapped by a master key that is not in use.
    """
    found: list[HMAC] = []
    asking = Lock()

    def mac_key() -> HMAC:
        if not found:
            with asking:
                if not found:
                    secret = transact(vault.engine or engine, lambda conn: kept(conn, vault))
                    found.append(HMAC(secret, SHA256()))
        return found[0]

    return replace(vault, mac_key=mac_key)


def kept(conn: sa.Connection, vault: Vault) -> bytes:
    """The MAC key that the database behind `conn` keeps; kept from now on if it was not yet."""
    row = conn.execute(_KEPT).one_or_none()
    if row is None:
        founder = _founder(conn, vault)
        conn.execute(_KEEP, {"wrapped": founder.wrap(founder.founding, PLACE), "master": founder.master_id})
        row = conn.execute(_KEPT).one()
    secret = vault.unwrap(row.wrapped, row.master, PLACE)
    if secret is None:
        raise VaultError(f"the MAC key is wrapped by master key {row.master}, which is not in use: put it back")
    return secret


def _founder(conn: sa.Connection, vault: Vault) -> Master:
    """The master key that wrapped the oldest key: its MACs are in the log. The current one where there is no key."""
    row = conn.execute(_OLDEST).one_or_none()
    if row is None:
        return vault.current
    place = f"{row.store}\0{row.order_id}\0{row.key_id}".encode()
    for master in vault.masters:
        if master.unwrap(row.wrapped, place) is not None:
            return master
    raise VaultError("the oldest key does not open with this master key: put the former one back")


_KEPT: Final = sa.text("SELECT wrapped, master FROM orderflow_vault.mac_key")
_KEEP: Final = sa.text(
    "INSERT INTO orderflow_vault.mac_key (wrapped, master) VALUES (:wrapped, :master) ON CONFLICT DO NOTHING"
)
_OLDEST: Final = sa.text(
    "SELECT store, order_id, key_id, wrapped FROM orderflow_vault.keys "
    "WHERE destroyed_at IS NULL ORDER BY created_at LIMIT 1"
)
