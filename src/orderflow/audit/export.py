"""Writing a bundle: an order's events with their paths to the root of a seal.

It never hands out a bundle that does not check, and opens nothing that is sealed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from orderflow.audit import bundle, seals, tree
from orderflow.audit.bundle import Bundle, BundleError, Event
from orderflow.audit.note import PublicKey
from orderflow.audit.seals import Signed
from orderflow.store import chain
from orderflow.store.tables import events, seal_nodes

_TILE = 1 << tree.TILE


def export(conn: sa.Connection, store: str, order_id: str, signed: Signed, keys: Sequence[PublicKey]) -> bytes:
    """The bundle of everything of an order that is sealed by `signed`, the newest seal.

    Raises `BundleError` if the order has nothing there, or if the log does not prove it: then it is damaged.
    """
    rows = _rows(conn, store, order_id, signed.seal.size)
    if not rows:
        raise BundleError(f"order {order_id} of {store} has no event that is sealed")
    paths = _Paths(conn, store, signed.seal.size)
    epoch_of = seals.begun(conn, store)
    made = tuple(
        _event(row, max(e for first, e in epoch_of if first <= row.position), paths, store, conn) for row in rows
    )
    raw = bundle.written(Bundle(bundle.FORMAT, store, order_id, signed.raw.decode(), made))
    try:
        bundle.check(raw, keys)
    except BundleError as error:
        raise BundleError(f"the log does not prove this order: {error}; see `orderflow verify {store}`") from None
    return raw


def _rows(conn: sa.Connection, store: str, order_id: str, size: int) -> Sequence[sa.Row[Any]]:
    mine = (events.c.store == store, events.c.order_id == order_id, events.c.position <= size)
    return conn.execute(sa.select(events).where(*mine).order_by(events.c.version)).all()


def _event(row: sa.Row[Any], epoch: int, paths: _Paths, store: str, conn: sa.Connection) -> Event:
    before = chain.genesis(store)
    if row.position > 1:
        [before] = seals.hashes(conn, store, row.position - 2, row.position - 1)
    return Event(
        row.position,
        row.version,
        epoch,
        bundle.in_iso(row.recorded_at),
        str(row.event_id),
        row.type,
        row.source,
        row.source_id,
        None if row.occurred_at is None else bundle.in_iso(row.occurred_at),
        row.clear,
        None if row.body is None else bundle.in_base64(row.body),
        None if row.body_key is None else str(row.body_key),
        None if row.body_mac is None else bundle.in_base64(row.body_mac),
        row.meta,
        bundle.in_base64(before),
        tuple(bundle.in_base64(node) for node in paths.of(row.position)),
    )


class _Paths:
    """Inclusion paths in the tree of `size` entries: from the nodes that are kept, and the entries of single tiles."""

    def __init__(self, conn: sa.Connection, store: str, size: int) -> None:
        self._conn, self._store, self._size = conn, store, size
        self._tiles: dict[int, list[bytes]] = {}
        whole = size >> tree.TILE
        query = sa.select(seal_nodes.c.hash).where(seal_nodes.c.store == store, seal_nodes.c.number < whole)
        self._top = [bytes(one) for one in conn.scalars(query.order_by(seal_nodes.c.number))]
        if len(self._top) < whole:
            raise BundleError(f"nodes of the tree of {store} are missing; see `orderflow verify {store}`")
        if size % _TILE:
            self._top.append(tree.root_of(self._leaves(whole)))

    def of(self, position: int) -> Iterator[bytes]:
        """The path of the event at `position`, the lowest hash first."""
        tile, index = divmod(position - 1, _TILE)
        yield from tree.path(self._leaves(tile), index)
        yield from tree.path(self._top, tile)

    def _leaves(self, tile: int) -> list[bytes]:
        if tile not in self._tiles:
            first = tile * _TILE
            entries = seals.hashes(self._conn, self._store, first, min(first + _TILE, self._size))
            self._tiles[tile] = [tree.leaf(entry) for entry in entries]
        return self._tiles[tile]
