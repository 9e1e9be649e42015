"""Sealing: AES-GCM under an order's key, bound to store, order, event, field and key id.

It never opens anything anywhere but in its own place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from orderflow.store import chance
from orderflow.store.entry import Sealed
from orderflow.store.vault.keys import Key
from orderflow.store.vault.macs import begun, ended
from orderflow.store.vault.master import Vault, VaultError

_NONCE: Final = 12


def seal(vault: Vault, key: Key, plain: bytes, event_id: UUID, name: str) -> Sealed:
    """`plain` sealed under `key` and bound to its place: it opens nowhere else."""
    [sealed] = seal_all(vault, key.store, [(key, plain, event_id)], name)
    return sealed


def seal_all(vault: Vault, store: str, given: Sequence[tuple[Key, bytes, UUID]], name: str) -> list[Sealed]:
    """As `seal`, many of one store: what they have in common is done once."""
    macs = begun(vault, store)
    return [
        Sealed(nonce + key.cipher.encrypt(nonce, plain, _bound(key, event_id, name)), key.key_id, ended(macs, plain))
        for nonce, (key, plain, event_id) in zip(chance.pieces(len(given), _NONCE), given, strict=True)
    ]


def unseal(key: Key, data: bytes, event_id: UUID, name: str) -> bytes:
    """The plain bytes. Raises `VaultError` if they were altered or belong elsewhere."""
    try:
        return key.cipher.decrypt(data[:_NONCE], data[_NONCE:], _bound(key, event_id, name))
    except Exception:  # noqa: BLE001  the library's InvalidTag has no text, and other errors may carry key material
        raise VaultError(f"sealed {name} of order {key.order_id} is not what was sealed") from None


def _bound(key: Key, event_id: UUID, name: str) -> bytes:
    return f"{key.store}\0{key.order_id}\0{event_id}\0{name}\0{key.text}".encode()
