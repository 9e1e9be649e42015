"""Which orders are a buyer's: every sealed body of a store is opened and looked through.

It never writes what it looks for, nor what it finds, anywhere: there is no index of buyers, not even a blind one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec
import sqlalchemy as sa

from orderflow.store.log import INTAKE
from orderflow.store.vault import Key, Vault, VaultError, key, unseal

_BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Looked:
    """How far the search has come: orders looked through, and those of them that are the buyer's."""

    orders: int
    found: tuple[str, ...]
    unreadable: int


def orders_of(conn: sa.Connection, vault: Vault, store: str, wanted: str) -> Iterator[Looked]:
    """The orders in whose stored bodies some text *is* `wanted`, batch by batch.

    Case, blanks at the ends and the form of accents do not matter; a part of a text does not count, or else the wrong
    buyer's data would be lost. What was erased before, or is damaged, cannot be looked through, and is counted.
    """
    needle, after = folded(wanted), ""
    while True:
        order_ids = list(conn.scalars(_ORDERS, {"store": store, "after": after, "limit": _BATCH, "intake": INTAKE}))
        if not order_ids:
            return
        found, unreadable = [], 0
        for order_id in order_ids:
            mine, closed = _mentions(conn, vault, store, order_id, needle)
            unreadable += closed
            if mine:
                found.append(order_id)
        yield Looked(len(order_ids), tuple(found), unreadable)
        after = order_ids[-1]


def _mentions(conn: sa.Connection, vault: Vault, store: str, order_id: str, needle: str) -> tuple[bool, int]:
    opened: dict[UUID, Key] = {}
    closed = 0
    for row in conn.execute(_SEALED, {"store": store, "order_id": order_id}):
        try:
            if row.key not in opened:
                opened[row.key] = key(conn, vault, store, order_id, row.key)
            plain = unseal(opened[row.key], row.data, row.event_id, "body")
        except VaultError:
            closed += 1
            continue
        if said_in(plain, needle):
            return True, closed
    return False, closed


def folded(text: str) -> str:
    """`text` as it is compared."""
    return unicodedata.normalize("NFKC", text).strip().casefold()


def said_in(plain: bytes, needle: str) -> bool:
    """Whether some text in `plain` is `needle`: a value of its JSON, or all of it."""
    text = plain.decode("utf-8", "replace")
    if "\\" not in text and needle not in folded(text):
        return False  # most bodies end here
    try:
        value = msgspec.json.decode(plain)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return folded(text) == needle or needle in folded(text).split()
    return _holds(value, needle)


def _holds(value: object, needle: str) -> bool:
    rest = [value]
    while rest:
        match rest.pop():
            case str(text):
                if folded(text) == needle or _embedded(text, needle):
                    return True
            case dict(members):
                rest += members.values()
            case list(members):
                rest += members
            case _:
                pass
    return False


def _embedded(text: str, needle: str) -> bool:
    """JSON within a text, such as the body of a frozen request."""
    return text[:1] in {"{", "["} and said_in(text.encode("utf-8", "replace"), needle)


_ORDERS: Final = sa.text(
    "SELECT order_id FROM orderflow.streams WHERE store = :store AND order_id > :after AND order_id <> :intake "
    "ORDER BY order_id LIMIT :limit"
)
# The newest first: the same buyer stands in all of an order's details.
_SEALED: Final = sa.text(
    "SELECT body_key AS key, body AS data, event_id FROM orderflow.events "
    "WHERE store = :store AND order_id = :order_id AND body IS NOT NULL ORDER BY version DESC"
)
