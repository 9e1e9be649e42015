"""Identifiers and timestamps in the forms that Glopal's samples show; drawn from the given generator only.

Ids are opaque: nothing may be read from their order.
"""

from __future__ import annotations

from datetime import datetime
from random import Random
from uuid import UUID

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # base 32 without I, L, O and U


def crockford(rng: Random, length: int) -> str:
    """`length` random characters of Crockford's base 32."""
    bits = rng.getrandbits(5 * length)
    letters = []
    for _ in range(length):
        letters.append(_CROCKFORD[bits & 31])
        bits >>= 5
    return "".join(letters)


def event_id(rng: Random, style: str = "crockford") -> str:
    """16 characters, unordered, like `47CE0V5XR9CAWJ2Y` (SAMPLE, reference 3.2 and 11.2); or a "uuid", or digits."""
    if style == "uuid":
        return str(UUID(int=rng.getrandbits(128), version=4))
    if style == "numeric":
        return str(rng.getrandbits(62))
    return crockford(rng, 16)


def order_id(rng: Random, style: str) -> str:
    """`310678-936140` (SAMPLE, 8.1), or `3S7Z7N5X-Q4PSJMC1` in style "alphanumeric" (SAMPLE, 11.1)."""
    if style == "alphanumeric":
        return f"{crockford(rng, 8)}-{crockford(rng, 8)}"
    return f"{rng.randrange(100_000, 1_000_000)}-{rng.randrange(100_000, 1_000_000)}"


def stamp(at: datetime, style: str = "milliseconds") -> str:
    """UTC with milliseconds and Z, like `2025-07-02T07:37:45.854Z` (SAMPLE, reference 13). `at` must be aware UTC.

    Other styles: "seconds", "microseconds", and "offset", which says `+00:00` instead of Z.
    """
    if style == "offset":
        return at.isoformat(timespec="milliseconds")
    return at.isoformat(timespec=style).replace("+00:00", "Z")
