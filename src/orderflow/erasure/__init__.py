"""Erasing a buyer: every key that seals an order's personal data is destroyed, with a signed receipt outside.

It never touches the log, and never begins while a call for the order may be on its way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

import sqlalchemy as sa

from orderflow.domain.events import BuyerErased, Destination
from orderflow.domain.order import Order, Phase
from orderflow.erasure.receipts import Receipt
from orderflow.orders import Fact, RaceError, UnknownOrderError, commit, load, unit
from orderflow.store import log, outbox
from orderflow.store.connect import transact
from orderflow.store.tables import outbox as outbox_table
from orderflow.store.vault import Vault, alive, destroy, exclusively, stored_at

Register = Callable[[Receipt], None]
"""Puts a receipt where it outlives the database; when it returns, the receipt is on disk."""
SOURCE: Final = "command"


class OpenIntentError(Exception):
    """A call for the order may be on its way: its outcome has to be known before its keys are destroyed."""


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks for an erasure, and why; `why` names nobody. `receipt` is its id."""

    by: str
    why: str
    receipt: UUID


def request(by: str, why: str) -> Request:
    """A new one."""
    return Request(by, why, uuid4())


def erase(
    engine: sa.Engine, vault: Vault, register: Register, store: str, order_id: str, asked: Request
) -> Receipt | None:
    """Destroy the keys of one order; the receipt, or None if there was none to destroy.

    The receipt is in the register before the first key is gone. Raises `OpenIntentError`, or `UnknownOrderError`.
    """
    # A transaction may run again, after its keys are gone in their own database, too: one receipt for what was alive.
    written: dict[frozenset[UUID], Receipt] = {}

    def work(conn: sa.Connection) -> Receipt | None:
        rows = outbox.rows_of(conn, store, order_id)  # locked in the order in which the relay locks: rows, then keys
        exclusively(conn, store)
        order = load(conn, store, order_id)
        if order.version == 0:
            raise UnknownOrderError(f"store {store} has no order {order_id}")
        _refuse_if_open(store, order_id, order, rows)
        keys = [key_id for _, key_id in alive(conn, vault, store, order_id)]
        if keys and frozenset(keys) not in written:
            receipt = Receipt.now(conn, store, order_id, keys, asked.by, asked.why, asked.receipt)
            register(receipt)
            written[frozenset(keys)] = receipt
        if not written:
            return None
        _forget_requests(conn, store, order_id)
        destroy(conn, vault, store, keys)
        commit(conn, vault, store, order_id, order, [_fact(receipt) for receipt in written.values()])
        return [*written.values()][-1]

    while True:
        try:
            return transact(engine, work)
        except RaceError:
            continue


def reapply(engine: sa.Engine, vault: Vault, receipts: Sequence[Receipt]) -> int:
    """Destroy once more what `receipts` name, in a database that was restored; how many keys had come back.

    Open intents do not hinder it: they belong to a time before the erasure. The log is told again, too.
    """
    return sum(transact(engine, lambda conn, one=one: _again(conn, vault, one)) for one in receipts)  # type: ignore[misc]


def returned(engine: sa.Engine, vault: Vault, receipts: Sequence[Receipt]) -> list[Receipt]:
    """The receipts of which a key is alive: the database is older than the erasure, or it did not come to its end."""
    by_store: dict[str, list[Receipt]] = {}
    for receipt in receipts:
        by_store.setdefault(receipt.store, []).append(receipt)
    found: list[Receipt] = []
    with stored_at(vault, engine).connect() as conn:
        for store, ours in by_store.items():
            keys = [key for receipt in ours for key in receipt.keys]
            left = {key_id for _, key_id in alive(conn, vault, store, keys)}
            found += [receipt for receipt in ours if left.intersection(receipt.keys)]
    return found


def begun(engine: sa.Engine, vault: Vault) -> bool:
    """Was any key ever destroyed? Then there is a register somewhere."""
    with stored_at(vault, engine).connect() as conn:
        return bool(conn.scalar(sa.text("SELECT EXISTS (SELECT FROM orderflow_vault.keys WHERE wrapped IS NULL)")))


def _again(conn: sa.Connection, vault: Vault, receipt: Receipt) -> int:
    exclusively(conn, receipt.store)
    _forget_requests(conn, receipt.store, receipt.order_id)
    gone = destroy(conn, vault, receipt.store, receipt.keys)
    log.append(conn, receipt.store, [unit(conn, vault, receipt.store, receipt.order_id, [_fact(receipt)])])
    return gone


def _fact(receipt: Receipt) -> Fact:
    event = BuyerErased(receipt.by, receipt.why, str(receipt.receipt))
    return Fact(event, f"{receipt.receipt}:{receipt.order_id}:{receipt.digest}", SOURCE)


def _refuse_if_open(store: str, order_id: str, order: Order, rows: Sequence[outbox.Row]) -> None:
    """By the rows and by the fold: each may know a little earlier than the other."""
    open_ = {row.key.effect for row in rows if row.state != "planned"}
    slots = [order.slot(destination) for destination in Destination]
    open_ |= {slot.effect for slot in slots if slot is not None and slot.phase is Phase.OPEN}
    if open_:
        what = ", ".join(sorted(open_))
        raise OpenIntentError(f"order {store}/{order_id} has a call under way ({what}): erase it once that has ended")


def _forget_requests(conn: sa.Connection, store: str, order_id: str) -> None:
    """What shadow shows of requests was sealed with these keys; it is built anew when it is wanted."""
    ours = sa.update(outbox_table).where(
        outbox_table.c.store == store, outbox_table.c.order_id == order_id, outbox_table.c.state == "planned"
    )
    conn.execute(ours.values(request=None, request_key=None, digest=None))


__all__ = ["OpenIntentError", "Receipt", "Register", "Request", "erase", "reapply", "request", "returned"]
