"""The vault: personal bytes are sealed under a key per order, keys are wrapped by a master key.

It never lets a plain byte into the database, keeps no unwrapped key from one transaction to the next, and never gives
a destroyed key back.
"""

from orderflow.store.vault.keys import Key, alive, destroy, exclusively, key, keys_of, live, opens, stored_at
from orderflow.store.vault.macs import in_database, mac
from orderflow.store.vault.master import ErasedError, Vault, VaultError, master_key, new_master_key, of_text, open_vault
from orderflow.store.vault.sealing import seal, seal_all, unseal

__all__ = [
    "ErasedError",
    "Key",
    "Vault",
    "VaultError",
    "alive",
    "destroy",
    "exclusively",
    "in_database",
    "key",
    "keys_of",
    "live",
    "mac",
    "master_key",
    "new_master_key",
    "of_text",
    "open_vault",
    "opens",
    "seal",
    "seal_all",
    "stored_at",
    "unseal",
]
