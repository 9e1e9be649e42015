"""What an effect asks for: the decision that it carries out, and the request, built from the order as it stands.

It never sends anything and records nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from orderflow.connectors import FreezeError, Task
from orderflow.domain.decisions import Accept, Cancel, decide
from orderflow.domain.due import Due
from orderflow.domain.events import DetailsFetched, Effect, Event, ShopState
from orderflow.domain.order import Order
from orderflow.glopal.money import Base, converted
from orderflow.relay.work import POLICY, Turn
from orderflow.store.entry import Sealed
from orderflow.store.outbox import Key
from orderflow.store.tables import events, outbox
from orderflow.store.vault import ErasedError, Vault, key, keys_of, seal, unseal


def built(turn: Turn, due: Due) -> tuple[tuple[Event, ...], bytes]:
    """The decision that `due` carries out, unless it was taken before, and its request frozen.

    Raises `FreezeError` or `IllegalTransition`.
    """
    connector = turn.relay.tenants[turn.row.key.store].connectors[due.destination]
    return _decisions(turn.order, due), connector.freeze(_task(turn, due))


@dataclass(frozen=True, slots=True)
class Price:
    """What a draft enters the shop with; `rate` is None where nothing was converted. All None for other effects."""

    currency: str | None = None
    total: Decimal | None = None
    rate: Decimal | None = None


def price(turn: Turn, due: Due) -> Price:
    """The price in the request of `due`, for the intent. Raises `FreezeError` where the rate is not known."""
    details = turn.order.details
    if due.effect is not Effect.DRAFT or details is None:
        return Price()
    base = _base(turn)
    if base is None or details.total is None:
        return Price(details.currency, details.total)
    same = base.currency == details.currency
    return Price(base.currency, details.total if same else converted(details.total, base), base.rate)


def _base(turn: Turn) -> Base | None:
    """The store's own currency and its rate, as the details have it that the fold goes by; None: no conversion."""
    wanted, details = turn.policy.base_currency, turn.order.details
    if wanted is None:
        return None
    if details is None or details.rate is None or details.base_currency != wanted:
        raise FreezeError(f"no rate of {wanted} is known for this order: `retry fetch` asks Glopal for it")
    return Base(wanted, details.rate)


def sealed_request(turn: Turn, request: bytes, attempt: int) -> Sealed:
    """The request under the order's key, bound to its outbox key and attempt."""
    key_, vault = turn.row.key, turn.relay.vault
    order_key = keys_of(turn.conn, vault, key_.store, [key_.order_id])[key_.order_id]
    return seal(vault, order_key, request, _NOWHERE, f"{key_}:{attempt}")


@dataclass(frozen=True, slots=True)
class Frozen:
    """A request that stands in an order's outbox, opened: it may hold personal data. `planned`: it was not sent yet."""

    effect: str
    generation: int
    planned: bool
    digest: str
    request: bytes = field(repr=False)


def frozen_requests(conn: sa.Connection, vault: Vault, store: str, order_id: str) -> list[Frozen]:
    """What shadow would send, what is on its way, and what was sent last of that which is to be tried again.

    What was erased is left out.
    """
    query = sa.select(outbox).where(
        outbox.c.store == store, outbox.c.order_id == order_id, outbox.c.request_key.is_not(None)
    )
    found = []
    for row in conn.execute(query.order_by(outbox.c.planned_at)):
        place = Key(store, order_id, row.destination, row.effect, row.generation)
        try:
            data_key = key(conn, vault, store, order_id, row.request_key)
            request = unseal(data_key, row.request, _NOWHERE, f"{place}:{row.attempt}")
        except ErasedError:
            continue  # erased: what it was built from is gone, too
        found.append(Frozen(row.effect, row.generation, row.state == "planned", row.digest, request))
    return found


_NOWHERE: Final = UUID(int=0)
"""Frozen requests are bound to their outbox key and attempt instead of an event."""


def _decisions(order: Order, due: Due) -> tuple[Event, ...]:
    """The decision that this effect carries out, unless it was taken before."""
    if due.effect is Effect.ACCEPT and due.ids is not None:
        return decide(order, Accept(due.ids, POLICY))
    if due.effect is Effect.CANCEL and order.cancel_reason is None:
        return decide(order, Cancel(_REFUSED, POLICY))
    return ()


_REFUSED: Final = "the shop refused the order"


def _task(turn: Turn, due: Due) -> Task:
    order, key_ = turn.order, turn.row.key
    seen = order.shop.get(due.target)
    refund = next((r for r in order.refunds if r.refund == due.target), None)
    # What Glopal itself inserted into the shop (mode observe) is a real order that no look-up of ours has seen.
    inserted = ShopState.ORDER if due.effect is Effect.WITHDRAW else None
    # A cancellation that nobody asked for is being decided in this very transaction: `_decisions`.
    unasked = _REFUSED if due.effect is Effect.CANCEL else "cancelled at Glopal"
    return Task(
        effect=due.effect,
        store=key_.store,
        order_id=key_.order_id,
        reference=turn.reference,
        target=due.target,
        seen=seen.state if seen is not None else inserted,
        ids=due.ids,
        details=_details(turn) if due.effect is Effect.DRAFT else None,
        base=_base(turn) if due.effect is Effect.DRAFT else None,
        total=price(turn, due).total,
        amount=refund.amount if refund else None,
        currency=refund.currency if refund else None,
        reason=refund.reason if refund else order.cancel_reason or unasked,
    )


def _details(turn: Turn) -> bytes:
    """The newest details as they came, out of the sealed body of the event that recorded them."""
    key_, known = turn.row.key, turn.order.details
    query = (
        sa.select(events.c.event_id, events.c.body, events.c.body_key, events.c.clear)
        .where(
            events.c.store == key_.store,
            events.c.order_id == key_.order_id,
            events.c.type == DetailsFetched.__name__,
            events.c.body.is_not(None),
        )
        .order_by(events.c.version.desc())
    )
    for row in turn.conn.execute(query):
        if known is not None and known.basis in row.clear:  # the details that the fold goes by, not later stale ones
            try:
                data_key = key(turn.conn, turn.relay.vault, key_.store, key_.order_id, row.body_key)
            except ErasedError:
                raise FreezeError(
                    "the details that it is built from were erased: `retry fetch` asks Glopal for them again"
                ) from None
            return unseal(data_key, row.body, row.event_id, "body")
    raise FreezeError("there are no details to build a shop order from")
