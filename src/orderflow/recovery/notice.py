"""Noticing that the database is not where it was: another server, another timeline, or behind its own seal.

It never opens anything; noticing keeps the effects of the stores concerned back, and begins a new epoch of their logs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, Protocol

import sqlalchemy as sa

from orderflow.store import epochs, log, server
from orderflow.store.connect import transact
from orderflow.store.epochs import Recovery
from orderflow.store.tables import events


class Seal(Protocol):
    """What is known outside the database: the log had `size` events, the last of `epoch` and with the hash `chain`."""

    @property
    def size(self) -> int:
        """How many events."""
        ...

    @property
    def epoch(self) -> int:
        """The epoch of the last of them."""
        ...

    @property
    def chain(self) -> bytes:
        """The hash of the last of them."""
        ...


Seals = Callable[[str], Seal | None]
"""The newest seal of a store that was kept outside its database; None if there is none."""


def no_seals(_store: str) -> Seal | None:
    """For those who keep no seals: only another server or timeline is noticed then."""
    return None


def notice(engine: sa.Engine, stores: Sequence[str], seals: Seals) -> list[Recovery]:
    """Compare, and begin an epoch for every store whose log may have lost its end. Returns the new recoveries.

    Call it before anything is appended: at every start, and again whenever the database may have been changed under us.
    A seal that a recovery has dealt with is no reason for another one.
    """
    newest = {store: seals(store) for store in stores}
    with engine.begin() as conn:
        quiet = server.last_seen(conn) == server.here(conn) and not any(
            _sealed_reason(conn, store, seal) for store, seal in newest.items()
        )
    return [] if quiet else transact(engine, partial(_notice, newest=newest))


def _notice(conn: sa.Connection, newest: Mapping[str, Seal | None]) -> list[Recovery]:
    conn.execute(_ALONE)
    before, now = server.last_seen(conn), server.here(conn)
    moved = [] if before is None else list(server.differences(before, now))
    begun = []
    for store in sorted({*newest, *log.stores(conn)}):
        seal = newest.get(store)
        short = _sealed_reason(conn, store, seal)
        if short is not None or moved:  # also where the log is empty: it may have lost all there was
            reason = ", ".join([*([short] if short else []), *moved])
            size, chain = (None, None) if seal is None else (seal.size, seal.chain)
            epochs.begin(conn, store, reason, size, chain, 0 if seal is None else seal.epoch)
            begun.append(epochs.pending(conn, store))
    if before != now:
        server.note(conn)
    return [one for one in begun if one is not None]


_ALONE: Final = sa.text("SELECT pg_advisory_xact_lock(hashtextextended('orderflow.recovery', 0))")
"""Of several processes that start at once one notices; the others then find it noticed."""


def _sealed_reason(conn: sa.Connection, store: str, seal: Seal | None) -> str | None:
    """What a seal says against the log, if no recovery has dealt with that seal yet."""
    last = None if seal is None else epochs.newest(conn, store)
    if seal is None or (last is not None and (last.sealed_size, last.sealed_chain) == (seal.size, seal.chain)):
        return None
    return next(behind(conn, store, seal), None)


def behind(conn: sa.Connection, store: str, seal: Seal) -> Iterator[str]:
    """How the log of `store` falls short of `seal`, for people; nothing if it holds all that was sealed."""
    head = log.head(conn, store)
    if head < seal.size:
        yield f"behind its seal by {seal.size - head} positions (sealed {seal.size}, stands at {head})"
        return
    at = sa.select(events.c.hash).where(events.c.store == store, events.c.position == seal.size)
    if conn.scalar(at) != seal.chain:
        yield f"not what was sealed: another event stands at position {seal.size}"
