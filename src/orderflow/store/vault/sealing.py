"""Sealing: AES-GCM under an order's key, bound to store, order, event, field and key id.

It never opens anything anywhere but in its own place.
"""

from __future__ import annotations

import os
from typing import Final
from uuid import UUID

from orderflow.store.entry import Sealed
from orderflow.store.vault.keys import Key
from orderflow.store.vault.macs import mac
from orderflow.store.vault.master import Vault, VaultError

_NONCE: Final = 12


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


def _bound(key: Key, event_id: UUID, name: str) -> bytes:
    return f"{key.store}\0{key.order_id}\0{event_id}\0{name}\0{key.text}".encode()
