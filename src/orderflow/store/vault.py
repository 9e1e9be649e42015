"""The vault: personal bytes are sealed under a key per order, keys are wrapped by a master key.

It never lets a plain byte into the database, and never gives a destroyed key back.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from orderflow.store.arrays import octets, texts, uuids
from orderflow.store.entry import Sealed
from orderflow.store.tables import keys

_NONCE: Final = 12
_KEY: Final = 32


class VaultError(Exception):
    """The master key is unusable, a key was destroyed, or sealed bytes are not what was sealed."""


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


@dataclass(frozen=True, slots=True)
class Vault:
    """A master key in use: one half wraps data keys, the other makes MACs."""

    wrapping: bytes = field(repr=False)
    mac_key: bytes = field(repr=False)
    inner: Any = field(init=False, repr=False, compare=False)
    outer: Any = field(init=False, repr=False, compare=False)
    """What HMAC (RFC 2104) begins its two hashes with; beginning anew took longer than an event's whole MAC."""

    def __post_init__(self) -> None:
        block = self.mac_key.ljust(64, b"\0")
        object.__setattr__(self, "inner", hashlib.sha256(bytes(byte ^ 0x36 for byte in block)))
        object.__setattr__(self, "outer", hashlib.sha256(bytes(byte ^ 0x5C for byte in block)))


def open_vault(master: bytes) -> Vault:
    """The vault of a 32-byte master key."""
    if len(master) != _KEY:
        raise VaultError(f"a master key has {_KEY} bytes, this one has {len(master)}")
    derive = [HKDF(SHA256(), _KEY, None, f"orderflow {use}".encode()).derive(master) for use in ("wrap", "mac")]
    return Vault(*derive)


def master_key(path: Path) -> bytes:
    """The master key in the file at `path`: 32 bytes in base64. Raises `VaultError` naming the file."""
    try:
        return base64.b64decode(path.read_text().strip(), validate=True)
    except (OSError, ValueError, binascii.Error) as error:
        raise VaultError(f"no master key could be read from {path}: {error}") from None


def new_master_key(path: Path) -> None:
    """Make a master key file readable by its owner only. Refuses to overwrite one."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(base64.b64encode(os.urandom(_KEY)).decode() + "\n")


def keys_of(conn: sa.Connection, vault: Vault, store: str, order_ids: Collection[str]) -> dict[str, Key]:
    """The current key of each order, made where there is none yet: two statements, or three if somebody was quicker."""
    wanted = sorted(set(order_ids))
    found = _current(conn, vault, store, wanted)
    missing = [order_id for order_id in wanted if order_id not in found]
    if missing:
        found |= _made(conn, vault, store, missing)
        found |= _current(conn, vault, store, [order_id for order_id in missing if order_id not in found])
    return found


def key(conn: sa.Connection, vault: Vault, store: str, order_id: str, key_id: UUID) -> Key:
    """The key `key_id`. Raises `VaultError` once it is destroyed."""
    query = sa.select(keys.c.wrapped).where(keys.c.store == store, keys.c.order_id == order_id, keys.c.key_id == key_id)
    wrapped = conn.scalar(query)
    if wrapped is None:
        raise VaultError(f"key {key_id} of order {order_id} is destroyed or was never here")
    return Key(store, order_id, key_id, _unwrap(AESGCM(vault.wrapping), store, order_id, key_id, wrapped))


def seal(vault: Vault, key: Key, plain: bytes, event_id: UUID, name: str) -> Sealed:
    """`plain` sealed under `key` and bound to its place: it opens nowhere else."""
    nonce = os.urandom(_NONCE)
    data = nonce + key.cipher.encrypt(nonce, plain, _bound(key, event_id, name))
    return Sealed(data, key.key_id, mac(vault, key.store, plain))


def unseal(key: Key, data: bytes, event_id: UUID, name: str) -> bytes:
    """The plain bytes. Raises `VaultError` if they were altered or belong elsewhere."""
    try:
        return key.cipher.decrypt(data[:_NONCE], data[_NONCE:], _bound(key, event_id, name))
    except Exception:  # noqa: BLE001  the library's InvalidTag has no text, and other errors may carry key material
        raise VaultError(f"sealed {name} of order {key.order_id} is not what was sealed") from None


def mac(vault: Vault, store: str, plain: bytes) -> bytes:
    """A keyed MAC: equal bytes are recognised, guessing the plain text from it needs the master key."""
    inner, outer = vault.inner.copy(), vault.outer.copy()
    inner.update(len(store).to_bytes(4, "big") + store.encode() + plain)
    outer.update(inner.digest())
    return bytes(outer.digest())


def _current(conn: sa.Connection, vault: Vault, store: str, order_ids: list[str]) -> dict[str, Key]:
    if not order_ids:
        return {}
    cipher = AESGCM(vault.wrapping)
    return {
        order_id: Key(store, order_id, key_id, _unwrap(cipher, store, order_id, key_id, wrapped))
        for order_id, key_id, wrapped in conn.execute(_CURRENT, {"store": store, "order_ids": order_ids})
    }


_CURRENT: Final = sa.text(
    """
    SELECT order_id, key_id, wrapped FROM orderflow_vault.keys
    WHERE store = :store AND order_id = ANY (CAST(:order_ids AS text[])) AND destroyed_at IS NULL
    """
)


def _made(conn: sa.Connection, vault: Vault, store: str, order_ids: list[str]) -> dict[str, Key]:
    """New keys of `order_ids`, all by one statement; without those that got one meanwhile."""
    cipher = AESGCM(vault.wrapping)
    fresh = {order_id: Key(store, order_id, uuid4(), os.urandom(_KEY)) for order_id in order_ids}
    wrapped = [_wrap(cipher, one) for one in fresh.values()]
    given = (store, texts(order_ids), uuids([one.key_id for one in fresh.values()]), octets(wrapped))
    return {order_id: fresh[order_id] for (order_id,) in conn.exec_driver_sql(_MAKE, given)}


_MAKE: Final = """
    INSERT INTO orderflow_vault.keys (store, order_id, key_id, wrapped)
    SELECT %b, t.* FROM unnest(%b, %b, %b) AS t
    ON CONFLICT DO NOTHING RETURNING order_id
    """


def _wrap(cipher: AESGCM, key: Key) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + cipher.encrypt(nonce, key.secret, _place(key.store, key.order_id, key.key_id))


def _unwrap(cipher: AESGCM, store: str, order_id: str, key_id: UUID, wrapped: bytes) -> bytes:
    try:
        return cipher.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], _place(store, order_id, key_id))
    except Exception:  # noqa: BLE001  as in `unseal`
        raise VaultError(f"key {key_id} does not open with this master key") from None


def _place(store: str, order_id: str, key_id: UUID) -> bytes:
    return f"{store}\0{order_id}\0{key_id}".encode()


def _bound(key: Key, event_id: UUID, name: str) -> bytes:
    return f"{key.store}\0{key.order_id}\0{event_id}\0{name}\0{key.text}".encode()
