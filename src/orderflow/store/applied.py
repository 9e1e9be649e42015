"""What a reader has applied of a log: how many events, and the chain over them as the reader computed it itself.

It never asks whether a reader understood an event, and never takes a hash from the log for one it computes: that both
come out the same is the proof that nothing was missed, doubled or changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from orderflow.store import chain
from orderflow.store.log import Record


@dataclass(frozen=True, slots=True)
class Applied:
    """A reader's place, the number of events it applied on the way there, and the chain over them.

    Law: a reader that applied every event once and in order has `count == position`, and `hash` is that of the event
    at `position` in the log; any other reader has not.
    """

    position: int
    count: int
    hash: bytes


def nothing(store: str) -> Applied:
    """Where every reader of `store` begins."""
    return Applied(0, 0, chain.genesis(store))


@dataclass(frozen=True, slots=True)
class Links:
    """What the chain needs beside the records: leaves of consecutive events from `first` on, and the epochs' begins."""

    first: int
    leaves: bytes
    epochs: Sequence[tuple[int, int]]

    def leaf(self, position: int) -> bytes:
        """The leaf of the event at `position`."""
        place = 32 * (position - self.first)
        return self.leaves[place : place + 32]

    def epoch(self, position: int) -> int:
        """The epoch that `position` belongs to; 0 where the log names none."""
        return max((epoch for first, epoch in self.epochs if first <= position), default=0)


def links(conn: sa.Connection, store: str, after: int, upto: int) -> Links:
    """The links of the positions after `after` up to `upto`, in one reading."""
    row = conn.execute(_LINKS, {"store": store, "after": after, "upto": upto}).one()
    return Links(after + 1, row.leaves or b"", [(first, epoch) for first, epoch in row.epochs or ()])


_LINKS: Final = sa.text(
    """
    SELECT
        (SELECT string_agg(e.leaf, '') FROM (
            SELECT leaf FROM orderflow.events
            WHERE store = :store AND position > :after AND position <= :upto ORDER BY position
        ) AS e) AS leaves,
        (SELECT array_agg(ARRAY[first_position, epoch]) FROM orderflow.epochs WHERE store = :store) AS epochs
    """
)


def further(applied: Applied, records: Sequence[Record], known: Links) -> Applied:
    """After `records`, which were handed to the reader."""
    count, hash_, position = applied.count, applied.hash, applied.position
    one_epoch = known.epoch(records[0].position) if records else 0
    several = bool(records) and known.epoch(records[-1].position) != one_epoch
    for record in records:
        position = record.position
        epoch = known.epoch(position) if several else one_epoch
        hash_ = chain.chain(hash_, epoch, position, record.version, record.recorded_at, known.leaf(position))
        count += 1
    return Applied(position, count, hash_)


def flaws(conn: sa.Connection, store: str, readers: Mapping[str, Applied]) -> dict[str, str]:
    """What is wrong with what each of `readers` has applied, by reader; those without a flaw are missing."""
    places = sorted({applied.position for applied in readers.values()})
    rows = conn.execute(_HASHES, {"store": store, "positions": places})
    logged = {0: chain.genesis(store)} | {row.position: row.hash for row in rows}
    found = {name: _flaw(applied, logged.get(applied.position)) for name, applied in readers.items()}
    return {name: flaw for name, flaw in found.items() if flaw is not None}


_HASHES: Final = sa.text(
    "SELECT position, hash FROM orderflow.events WHERE store = :store AND position = ANY (CAST(:positions AS bigint[]))"
)


def _flaw(applied: Applied, logged: bytes | None) -> str | None:
    if logged is None:
        return f"stands at {applied.position}, where the log has no event"
    missed = applied.position - applied.count
    if missed:
        what = f"{missed} were never applied" if missed > 0 else f"{-missed} more than there are"
        return f"has applied {applied.count} events up to position {applied.position}: {what}"
    if applied.hash != logged:
        return f"has applied {applied.count} events up to position {applied.position}, but not those of the log"
    return None
