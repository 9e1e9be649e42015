"""Sealing one store's log: the next signed root from the last one's frontier, and what a seal says against the log.

It never signs a log that an earlier seal speaks against, and never reads again what is sealed already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from orderflow.audit import note, tree
from orderflow.audit.note import NoteError, PublicKey, Seal
from orderflow.audit.tree import Frontier
from orderflow.store import log, verify
from orderflow.store.log import LogDamagedError
from orderflow.store.signing import SigningKey, signing_key
from orderflow.store.tables import epochs, events, seal_nodes, seals

_AT_ONCE: Final = 20_480
"""Hashes that are read by one statement."""
_KEPT: Final = 1000
"""So many of its own seals a database keeps for each store; the exporters keep all."""


class SealRefusedError(Exception):
    """The log is not what was sealed before: it is not sealed again. The text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs, and whose signatures count besides: the public keys of the past."""

    key: SigningKey
    former: tuple[PublicKey, ...] = ()

    @property
    def public(self) -> PublicKey:
        """The key that verifiers pin."""
        return PublicKey(self.key.public)

    @property
    def trusted(self) -> tuple[PublicKey, ...]:
        """Every key whose signature counts."""
        return (self.public, *self.former)


def signer(secret: str, former: tuple[PublicKey, ...] = ()) -> Signer:
    """The signer whose key is 32 bytes in base64. Raises `SigningError`, which does not quote it."""
    return Signer(signing_key(secret), former)


@dataclass(frozen=True, slots=True)
class Signed:
    """A seal, and the note in which it is handed out."""

    seal: Seal
    raw: bytes = field(repr=False)


# --- a seal against the log -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Agrees:
    """The log holds what was sealed, as far as its last hash tells; `verify` recomputes the rest."""


@dataclass(frozen=True, slots=True)
class Behind:
    """The log ends at `head`, before the end of what was sealed."""

    head: int


@dataclass(frozen=True, slots=True)
class Forked:
    """Another log stands here: another first event, or another one where the seal ends."""


@dataclass(frozen=True, slots=True)
class Lost:
    """What was sealed from `first` on was lost in a restore, after which `epoch` was begun there."""

    epoch: int
    first: int


Compared = Agrees | Behind | Forked | Lost


def compare(conn: sa.Connection, store: str, seal: Seal) -> Compared:
    """What `seal` says against the log as it stands, at the price of two rows."""
    lost = lost_in(begun(conn, store), seal)
    if lost is not None:
        return lost
    head = log.head(conn, store)
    if head < seal.size:
        return Behind(head)
    same = _hash_at(conn, store, seal.size) == seal.chain and origin(conn, store) == seal.origin
    return Agrees() if same else Forked()


def begun(conn: sa.Connection, store: str) -> list[tuple[int, int]]:
    """Where each epoch of the log begins: first position and epoch, in the order of the log."""
    query = sa.select(epochs.c.first_position, epochs.c.epoch).where(epochs.c.store == store)
    return [(row[0], row[1]) for row in conn.execute(query.order_by(epochs.c.first_position, epochs.c.epoch))]


def lost_in(begun: Sequence[tuple[int, int]], seal: Seal) -> Lost | None:
    """The first restore after which the log holds no longer all that `seal` holds."""
    return next((Lost(epoch, first) for first, epoch in begun if epoch > seal.epoch and first <= seal.size), None)


def origin(conn: sa.Connection, store: str) -> str | None:
    """The name of the log that stands here; None for an empty one."""
    first = _hash_at(conn, store, 1)
    return None if first is None else note.origin_of(store, first)


def unsealed_since(conn: sa.Connection, store: str, size: int) -> datetime | None:
    """When the first event behind the first `size` ones was recorded; None if there is none."""
    return conn.scalar(sa.select(events.c.recorded_at).where(events.c.store == store, events.c.position == size + 1))


def _hash_at(conn: sa.Connection, store: str, position: int) -> bytes | None:
    return conn.scalar(sa.select(events.c.hash).where(events.c.store == store, events.c.position == position))


def told(store: str, seal: Seal, compared: Compared) -> str | None:
    """What is wrong, for people; None if nothing is."""
    signed = f"the seal of {seal.time:%Y-%m-%d %H:%M:%S} UTC holds {seal.size} events"
    match compared:
        case Agrees():
            return None
        case Behind(head):
            return f"the log of store {store} is behind: it ends at position {head}, and {signed}"
        case Forked():
            return f"the log of store {store} is forked: {signed}, and they are others than those up to there"
        case Lost(epoch, first):
            return f"the log of store {store} lost positions {first} to {seal.size} before epoch {epoch}: {signed}"


# --- sealing --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Own:
    """A seal as the database keeps it."""

    epoch: int
    size: int
    raw: bytes = field(repr=False)
    packed: bytes = field(repr=False)

    def frontier(self, signer: Signer) -> tuple[Seal, Frontier] | None:
        """The seal and what to go on from, if both are what was signed for."""
        try:
            seal = note.opened(self.raw, signer.trusted)
            found = tree.unpacked(self.size, self.packed)
        except (NoteError, ValueError):
            return None
        whole = (seal.epoch, seal.size, seal.root) == (self.epoch, self.size, found.root)
        return (seal, found) if whole else None


def own(conn: sa.Connection, store: str, skip: int = 0, limit: int = _KEPT) -> list[Own]:
    """The seals that the database itself keeps, the newest first."""
    columns = (seals.c.epoch, seals.c.size, seals.c.note, seals.c.frontier)
    query = sa.select(*columns).where(seals.c.store == store).order_by(seals.c.epoch.desc(), seals.c.size.desc())
    return [Own(*row) for row in conn.execute(query.offset(skip).limit(limit))]


def seal(conn: sa.Connection, store: str, signer: Signer) -> Signed | None:
    """Sign what was appended since the newest seal. Returns the newest seal, an old one if there is nothing new.

    None if another process seals this store right now, or there is nothing to seal. Reads only what is new. Raises
    `SealRefusedError` if the log is not what was sealed before, `LogDamagedError` at a hole.
    """
    if not conn.execute(_ALONE, {"store": store}).scalar_one():
        return None
    head = log.head(conn, store)
    last, base = _base(conn, store, signer)
    if last is not None and last.seal.size == head:
        return last
    name, chain = origin(conn, store), _hash_at(conn, store, head)
    if name is None or chain is None:
        return None
    frontier = _grown(conn, store, base, head)
    epoch, now = conn.execute(_EPOCH_AND_TIME, {"store": store, "head": head}).one()
    made = Seal(name, head, frontier.root, epoch, now, chain)
    raw = note.signed(made, signer.key)
    row = {"store": store, "epoch": epoch, "size": head, "note": raw, "frontier": frontier.packed(), "sealed_at": now}
    same = (seals.c.store == store, seals.c.epoch == epoch, seals.c.size == head)
    conn.execute(sa.delete(seals).where(*same))  # one that we do not trust, or we would not be here
    conn.execute(insert(seals), row)
    conn.execute(_TRIM, {"store": store, "kept": _KEPT})
    return Signed(made, raw)


_ALONE: Final = sa.text("SELECT pg_try_advisory_xact_lock(hashtextextended('orderflow.seal ' || :store, 0))")
_EPOCH_AND_TIME: Final = sa.text(
    "SELECT (SELECT max(epoch) FROM orderflow.epochs WHERE store = :store AND first_position <= :head), "
    "CAST(orderflow.wall_clock() AS timestamptz)"
)
_TRIM: Final = sa.text(
    """
    DELETE FROM orderflow.seals AS s USING (
        SELECT epoch, size FROM orderflow.seals WHERE store = :store ORDER BY epoch DESC, size DESC OFFSET :kept LIMIT 1
    ) AS old
    WHERE s.store = :store AND (s.epoch, s.size) <= (old.epoch, old.size)
    """
)


def _base(conn: sa.Connection, store: str, signer: Signer) -> tuple[Signed | None, Frontier]:
    """The newest seal if it still holds, and the frontier to go on from: an empty one if there is none to trust."""
    for number in count():
        one = next(iter(own(conn, store, number, 1)), None)
        if one is None:
            break
        found = one.frontier(signer)
        if found is None:
            break  # not ours, or touched: `verify` tells, and here all is read anew
        compared = compare(conn, store, found[0])
        if isinstance(compared, Lost):
            continue
        problem = told(store, found[0], compared)
        if problem is not None:
            raise SealRefusedError(problem)
        return Signed(found[0], one.raw), found[1]
    return None, Frontier()


def _grown(conn: sa.Connection, store: str, frontier: Frontier, head: int) -> Frontier:
    """The frontier at `head`; the nodes above whole tiles are kept on the way."""
    stale = (seal_nodes.c.store == store, seal_nodes.c.number >= frontier.size >> tree.TILE)
    conn.execute(sa.delete(seal_nodes).where(*stale))
    while frontier.size < head:
        first = frontier.size >> tree.TILE
        upto = min(head, frontier.size + _AT_ONCE)
        frontier, nodes = tree.extended(frontier, hashes(conn, store, frontier.size, upto))
        if nodes:
            rows = [{"store": store, "number": first + at, "hash": one} for at, one in enumerate(nodes)]
            conn.execute(insert(seal_nodes), rows)
    return frontier


def hashes(conn: sa.Connection, store: str, after: int, upto: int) -> list[bytes]:
    """The chain hashes after position `after` up to `upto`. Raises `LogDamagedError` where one is missing."""
    found: list[Any] = verify.raw(conn, store, after, upto, "position, hash")
    for expected, (position, _) in enumerate(found, start=after + 1):
        if int.from_bytes(position, "big") != expected:
            raise LogDamagedError(store, expected, "it is missing")
    if len(found) < upto - after:
        raise LogDamagedError(store, after + len(found) + 1, "it is missing")
    return [hash_ for _, hash_ in found]
