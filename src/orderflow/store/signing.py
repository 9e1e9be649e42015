"""Signatures (Ed25519) over what has to be believed outside the database.

It never shows the private key, and never signs anything by itself.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_SEED: Final = 32


class SigningError(ValueError):
    """A signing key that is unusable. The message quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key in use. `public` is the 32 bytes that its signatures are verified with."""

    public: bytes
    _private: Ed25519PrivateKey = field(repr=False, compare=False)

    def sign(self, data: bytes) -> bytes:
        """The 64 bytes of the signature over `data`."""
        return self._private.sign(data)


def signing_key(text: str) -> SigningKey:
    """The signing key that `text` holds: 32 bytes in base64. Raises `SigningError`."""
    try:
        seed = base64.b64decode(text.strip(), validate=True)
    except (ValueError, binascii.Error):
        seed = b""
    if len(seed) != _SEED:
        raise SigningError(f"a sealing key is {_SEED} bytes in base64")
    private = Ed25519PrivateKey.from_private_bytes(seed)
    return SigningKey(private.public_key().public_bytes_raw(), private)


def verified(public: bytes, data: bytes, signature: bytes) -> bool:
    """Whether the owner of `public` signed exactly `data`."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True
