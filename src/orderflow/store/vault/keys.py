"""The keys of orders: made when first wanted, wrapped in the database, destroyed for good.

They stand beside the log, or in a database of their own; a key is committed there before anything is sealed with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from orderflow.store import chance
from orderflow.store.arrays import octets, texts, uuids
from orderflow.store.direct import fetch
from orderflow.store.tables import keys
from orderflow.store.vault.master import ErasedError, Vault, VaultError

_KEY: Final = 32


@dataclass(frozen=True, slots=True)
class Key:
    """The data key of one order."""

    store: str
    order_id: str
    key_id: UUID
    secret: bytes = field(repr=False)
    cipher: AESGCM = field(init=False, repr=False, compare=False)
    text: str = field(init=False, repr=False, compare=False)
    """Cipher and text of the id are made once: an order's events are sealed one behind the other."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "cipher", AESGCM(self.secret))
        object.__setattr__(self, "text", str(self.key_id))


def keys_of(conn: sa.Connection, vault: Vault, store: str, order_ids: Collection[str]) -> dict[str, Key]:
    """The current key of each order, made where there is none yet. None is destroyed before `conn` commits."""
    wanted = sorted(set(order_ids))
    fetch(conn, _SHARED, (store,))
    with _at(conn, vault) as there:
        found = _current(there, vault, store, wanted)
        missing = [order_id for order_id in wanted if order_id not in found]
        if missing:
            found |= _made(there, vault, store, missing)
            others = [order_id for order_id in missing if order_id not in found]  # somebody else was quicker
            found |= _current(there, vault, store, others) if others else {}
    return found


def key(conn: sa.Connection, vault: Vault, store: str, order_id: str, key_id: UUID) -> Key:
    """The key `key_id`. Raises `ErasedError` once it is destroyed, `VaultError` if no master key in use opens it."""
    query = sa.select(keys.c.wrapped, keys.c.master).where(
        keys.c.store == store, keys.c.order_id == order_id, keys.c.key_id == key_id
    )
    with _at(conn, vault) as there:
        row = there.execute(query).one_or_none()
    if row is None or row.wrapped is None:
        raise ErasedError(f"key {key_id} of order {order_id} is destroyed or was never here")
    return Key(store, order_id, key_id, _unwrapped(vault, store, order_id, key_id, row.wrapped, row.master))


def live(conn: sa.Connection, vault: Vault, store: str, some: Collection[Key]) -> bool:
    """Whether none of the keys was destroyed; none is, from now on, before `conn` commits.

    For whoever sealed with keys that an earlier transaction gave.
    """
    fetch(conn, _SHARED, (store,))
    with _at(conn, vault) as there:
        orders, ids = texts([one.order_id for one in some]), uuids([one.key_id for one in some])
        [(count,)] = fetch(there, _LIVE, {"store": store, "orders": orders, "ids": ids})
    return bool(count == len(some))


_LIVE: Final = """
    SELECT count(*) FROM unnest(%(orders)s, %(ids)s) AS one (order_id, key_id)
    CROSS JOIN LATERAL (
        SELECT FROM orderflow_vault.keys k
        WHERE k.store = %(store)s AND k.order_id = one.order_id AND k.key_id = one.key_id AND k.destroyed_at IS NULL
        LIMIT 1) k
    """
"""A look-up by index for each key, as in `_CURRENT`, whatever the plan was made for."""


def opens(conn: sa.Connection, vault: Vault, store: str) -> bool | None:
    """Whether the newest key of `store` opens with the master keys in use; None if there is no key yet."""
    with _at(conn, vault) as there:
        row = there.execute(_NEWEST, {"store": store}).one_or_none()
    if row is None:
        return None
    return vault.unwrap(row.wrapped, row.master, place(store, row.order_id, row.key_id)) is not None


_NEWEST: Final = sa.text(
    "SELECT order_id, key_id, wrapped, master FROM orderflow_vault.keys "
    "WHERE store = :store AND destroyed_at IS NULL ORDER BY created_at DESC LIMIT 1"
)


def exclusively(conn: sa.Connection, store: str) -> None:
    """Wait until nobody has sealed without committing, and let nobody begin, until `conn` commits."""
    conn.execute(_EXCLUSIVE, {"store": store})


def alive(conn: sa.Connection, vault: Vault, store: str, key_ids: Collection[UUID] | str) -> list[tuple[str, UUID]]:
    """Order and id of each key that is not destroyed: all keys of an order, or those of `key_ids` that are left."""
    one = keys.c.order_id == key_ids if isinstance(key_ids, str) else keys.c.key_id.in_(key_ids)
    query = sa.select(keys.c.order_id, keys.c.key_id).where(keys.c.store == store, keys.c.destroyed_at.is_(None), one)
    with _at(conn, vault) as there:
        return [(row.order_id, row.key_id) for row in there.execute(query.order_by(keys.c.created_at))]


def destroy(conn: sa.Connection, vault: Vault, store: str, key_ids: Collection[UUID]) -> int:
    """Destroy keys; how many were alive. What they sealed opens never again. Take `exclusively` first."""
    gone = sa.update(keys).where(keys.c.store == store, keys.c.key_id.in_(key_ids), keys.c.destroyed_at.is_(None))
    with _at(conn, vault) as there:
        return there.execute(gone.values(wrapped=None, master=None, destroyed_at=sa.func.clock_timestamp())).rowcount


@contextmanager
def _at(conn: sa.Connection, vault: Vault) -> Iterator[sa.Connection]:
    """Where the keys stand: `conn` itself, or a transaction in their own database, committed at the end."""
    if vault.engine is None:
        yield conn
    else:
        with vault.engine.begin() as own:
            yield own


_SHARED: Final = "SELECT pg_advisory_xact_lock_shared(hashtextextended('orderflow.vault ' || %s, 0))"
_EXCLUSIVE: Final = sa.text("SELECT pg_advisory_xact_lock(hashtextextended('orderflow.vault ' || :store, 0))")


def stored_at(vault: Vault, engine: sa.Engine) -> sa.Engine:
    """The engine that leads to the keys, `engine` being the log's."""
    return vault.engine or engine


def _current(conn: sa.Connection, vault: Vault, store: str, order_ids: list[str]) -> dict[str, Key]:
    return {
        order_id: Key(store, order_id, key_id, _unwrapped(vault, store, order_id, key_id, wrapped, master))
        for order_id, key_id, wrapped, master in fetch(conn, _CURRENT, {"store": store, "orders": texts(order_ids)})
    }


_CURRENT: Final = """
    SELECT one.order_id, k.key_id, k.wrapped, k.master FROM unnest(%(orders)s) AS one (order_id)
    CROSS JOIN LATERAL (
        SELECT k.key_id, k.wrapped, k.master FROM orderflow_vault.keys k
        WHERE k.store = %(store)s AND k.order_id = one.order_id AND k.destroyed_at IS NULL
        LIMIT 1) k
    """
"""A look-up by index for each order. (`= ANY (...)`, planned while there were few keys, went through all keys of the
store and compared each with every order, for as long as the connection lived.)"""


def _made(conn: sa.Connection, vault: Vault, store: str, order_ids: list[str]) -> dict[str, Key]:
    """New keys, of those orders that still had none."""
    chances = zip(order_ids, chance.ids(len(order_ids)), chance.pieces(len(order_ids), _KEY), strict=True)
    fresh = [Key(store, order_id, key_id, secret) for order_id, key_id, secret in chances]
    wrapped = [vault.current.wrap(one.secret, place(store, one.order_id, one.key_id)) for one in fresh]
    master = vault.current.master_id
    given = (store, master, texts(order_ids), uuids([one.key_id for one in fresh]), octets(wrapped))
    made = {key_id for (key_id,) in conn.exec_driver_sql(_MAKE, given)}
    return {one.order_id: one for one in fresh if one.key_id in made}


_MAKE: Final = """
    INSERT INTO orderflow_vault.keys (store, master, order_id, key_id, wrapped)
    SELECT %b, %b, fresh.* FROM unnest(%b, %b, %b) AS fresh
    ON CONFLICT DO NOTHING RETURNING key_id
    """


def place(store: str, order_id: str, key_id: UUID) -> bytes:
    """What a wrapped key is bound to."""
    return f"{store}\0{order_id}\0{key_id}".encode()


def _unwrapped(vault: Vault, store: str, order_id: str, key_id: UUID, wrapped: bytes, master: str | None) -> bytes:
    secret = vault.unwrap(wrapped, master, place(store, order_id, key_id))
    if secret is None:
        raise VaultError(f"key {key_id} does not open with this master key")
    return secret
