"""The Merkle tree of RFC 6962 over a log's entries: roots, a frontier that grows, and inclusion paths.

It never sees more of an entry than its bytes, and never reads a database. `docs/reference/log-format.md` says what an
entry is and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

HASH: Final = 32
"""Bytes of a hash."""
TILE: Final = 10
"""The level whose nodes are kept beside the log: each stands for 1024 entries, so that a path needs few rows."""


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree of `size` entries as its perfect subtrees, the largest first: one hash for each bit of `size`."""

    size: int = 0
    nodes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError where hashes and size do not fit together."""
        if len(self.nodes) != self.size.bit_count() or any(len(node) != HASH for node in self.nodes):
            raise ValueError("a frontier has one hash for each bit of its size")

    @property
    def root(self) -> bytes:
        """The tree's root hash (RFC 6962, section 2.1)."""
        if not self.nodes:
            return sha256().digest()
        found = self.nodes[-1]
        for node in reversed(self.nodes[:-1]):
            found = parent(node, found)
        return found

    def packed(self) -> bytes:
        """The hashes, one behind the other."""
        return b"".join(self.nodes)


def unpacked(size: int, packed: bytes) -> Frontier:
    """What `Frontier.packed` made. Raises ValueError."""
    if len(packed) % HASH:
        raise ValueError("a frontier is made of whole hashes")
    return Frontier(size, tuple(packed[at : at + HASH] for at in range(0, len(packed), HASH)))


def leaf(entry: bytes) -> bytes:
    """The hash of an entry as a leaf."""
    return sha256(b"\0" + entry).digest()


def parent(left: bytes, right: bytes) -> bytes:
    """The hash of two nodes as one."""
    return sha256(b"\1" + left + right).digest()


def extended(frontier: Frontier, entries: Sequence[bytes]) -> tuple[Frontier, list[bytes]]:
    """The frontier with `entries` behind it, and the nodes of level `TILE` that became whole, in their order."""
    level = [sha256(b"\0" + entry).digest() for entry in entries]
    kept, loose = list(frontier.nodes), []
    tiles: list[bytes] = []
    at, height = frontier.size, 0
    while level:
        if height == TILE:
            tiles = level.copy()
        if at & 1:
            level.insert(0, kept.pop())
        if len(level) & 1:
            loose.append(level.pop())
        level = _paired(level)
        at, height = at >> 1, height + 1
    return Frontier(frontier.size + len(entries), (*kept, *reversed(loose))), tiles


def _paired(level: Sequence[bytes]) -> list[bytes]:
    halves = iter(level)
    return [sha256(b"\1" + left + right).digest() for left, right in zip(halves, halves, strict=True)]


def root_of(nodes: Sequence[bytes]) -> bytes:
    """The node above all of `nodes`, of which only the last may stand for fewer entries than the others."""
    level = list(nodes)
    while len(level) > 1:
        last = [level.pop()] if len(level) & 1 else []
        level = _paired(level) + last
    return level[0]


def path(nodes: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes beside the way from node `index` up to `root_of(nodes)`, the lowest first."""
    level, found = list(nodes), []
    while len(level) > 1:
        if index ^ 1 < len(level):
            found.append(level[index ^ 1])
        last = [level.pop()] if len(level) & 1 else []
        level, index = _paired(level) + last, index >> 1
    return found


def includes(root: bytes, size: int, index: int, entry: bytes, beside: Sequence[bytes]) -> bool:
    """Is `entry` number `index` (from 0) of the tree of `size` entries with that root? (RFC 9162, section 2.1.3.2)"""
    if not 0 <= index < size:
        return False
    here, last, found = index, size - 1, leaf(entry)
    for node in beside:
        if last == 0:
            return False
        if here & 1 or here == last:
            found = parent(node, found)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            found = parent(found, node)
        here, last = here >> 1, last >> 1
    return last == 0 and found == root
