"""Chance for many at once: the system is asked one time for all of them, which costs as much as for one.

It keeps nothing: what was drawn is in the hands of the caller alone, so that no two callers, and no process forked
meanwhile, can come by the same.
"""

from __future__ import annotations

import os
from uuid import UUID


def pieces(number: int, size: int) -> list[bytes]:
    """So many pieces of `size` random bytes."""
    drawn = os.urandom(number * size)
    return [drawn[at : at + size] for at in range(0, number * size, size)]


def ids(number: int) -> list[UUID]:
    """So many ids, as `uuid4` makes them."""
    return [UUID(bytes=piece, version=4) for piece in pieces(number, 16)]
