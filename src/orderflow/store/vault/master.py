"""Master keys: the one that wraps keys, and a second one that only unwraps, while the first takes over or retires.

It never shows a byte of them, and never writes one anywhere but into a new file of its owner's.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY: Final = 32
_NONCE: Final = 12


class VaultError(Exception):
    """The master key is unusable, a key was destroyed, or sealed bytes are not what was sealed."""


class ErasedError(VaultError):
    """The key was destroyed: what it sealed opens never again."""


@dataclass(frozen=True, slots=True)
class Master:
    """One master key: `wrapping` wraps keys, `founding` is the MAC key of a vault that began with it.

    `master_id` tells master keys apart and gives nothing away: it is derived like the others.
    """

    master_id: str
    wrapping: bytes = field(repr=False)
    founding: bytes = field(repr=False)
    cipher: AESGCM = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cipher", AESGCM(self.wrapping))

    def wrap(self, secret: bytes, place: bytes) -> bytes:
        """`secret` wrapped and bound to `place`."""
        nonce = os.urandom(_NONCE)
        return nonce + self.cipher.encrypt(nonce, secret, place)

    def unwrap(self, wrapped: bytes, place: bytes) -> bytes | None:
        """What was wrapped; None if not by this key, or for another place."""
        try:
            return self.cipher.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], place)
        except (InvalidTag, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class Vault:
    """The master keys in use, the first of which wraps; the MAC key as a MAC to go on from; and where the keys stand.

    `engine` leads to the database of the keys where that is not the log's own.
    """

    masters: tuple[Master, ...]
    mac_key: Callable[[], HMAC] = field(repr=False, compare=False)
    engine: sa.Engine | None = field(default=None, repr=False, compare=False)

    @property
    def current(self) -> Master:
        """The master key that wraps."""
        return self.masters[0]

    def unwrap(self, wrapped: bytes, master_id: str | None, place: bytes) -> bytes | None:
        """What was wrapped by any of the master keys; None if by none. Without an id, from before there were ids."""
        for master in self.masters:
            if master_id in (None, master.master_id):
                secret = master.unwrap(wrapped, place)
                if secret is not None:
                    return secret
        return None


def open_vault(master: bytes, second: bytes | None = None, *, engine: sa.Engine | None = None) -> Vault:
    """The vault of a 32-byte master key, with another one that still opens what it wrapped.

    Its MAC key is the one of a vault that begins with `master`; `macs.in_database` knows the one that is in use.
    """
    masters = tuple(_master(one) for one in (master, second) if one is not None)
    begun = HMAC(masters[0].founding, SHA256())
    return Vault(masters, lambda: begun, engine)


def _master(secret: bytes) -> Master:
    if len(secret) != _KEY:
        raise VaultError(f"a master key has {_KEY} bytes, this one has {len(secret)}")
    wrap, mac, name = (HKDF(SHA256(), _KEY, None, f"orderflow {use}".encode()).derive(secret) for use in _USES)
    return Master(name[:8].hex(), wrap, mac)


_USES: Final = ("wrap", "mac", "id")


def of_text(text: str) -> bytes:
    """The master key that `text` holds in base64. Raises `VaultError`, which quotes nothing of it."""
    try:
        return base64.b64decode(text.strip(), validate=True)
    except (ValueError, binascii.Error):
        raise VaultError("a master key is 32 bytes in base64") from None


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
