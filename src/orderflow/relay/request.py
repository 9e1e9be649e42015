"""What an effect asks for: the decision that it carries out, and the request, built from the order as it stands.

It never sends anything and records nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from orderflow.connectors import FreezeError, Task
from orderflow.domain.decisions import Accept, Cancel, decide
from orderflow.domain.due import Due
from orderflow.domain.events import Effect, Event, ShopState
from orderflow.domain.order import Order
from orderflow.domain.refunds import line_of
from orderflow.glopal.money import Base, converted
from orderflow.relay.work import POLICY, SealedDetails, Turn
from orderflow.store.arrays import texts
from orderflow.store.direct import fetch
from orderflow.store.entry import Sealed
from orderflow.store.outbox import Key as Place
from orderflow.store.tables import outbox
from orderflow.store.vault import ErasedError, Key, Vault, key, keys_of, seal, unseal


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
    if turn.key is None:
        raise ValueError(f"no key to seal the request of {turn.row.key}")
    return seal(turn.relay.vault, turn.key, request, _NOWHERE, f"{turn.row.key}:{attempt}")


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
        place = Place(store, order_id, row.destination, row.effect, row.generation)
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
    refund = line_of(order, due.target) if due.effect is Effect.REFUND else None
    quote = next((q for q in order.quotes if q.quote == due.target), None) if due.effect is Effect.QUOTE else None
    asked = refund or quote
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
        real_id=seen.real_id if seen is not None else "",
        ids=due.ids,
        details=_details(turn) if due.effect is Effect.DRAFT else None,
        base=_base(turn) if due.effect is Effect.DRAFT else None,
        total=price(turn, due).total,
        amount=asked.amount if asked else None,
        currency=asked.currency if asked else None,
        glopal_amount=asked.glopal_amount if asked else None,
        claim=refund.claim if refund else "",
        reason=refund.reason if refund else order.cancel_reason or unasked,
    )


def _details(turn: Turn) -> bytes:
    """The newest details as they came."""
    found = turn.details
    if found is None and turn.order.details is not None:
        raise FreezeError("the details that it is built from were erased: `retry fetch` asks Glopal for them again")
    if found is None:
        raise FreezeError("there are no details to build a shop order from")
    return unseal(found.key, found.body, found.event_id, "body")


def equipped(conn: sa.Connection, turns: Sequence[Turn], dues: Sequence[Due]) -> list[Turn]:
    """`turns` of one store with what their requests are sealed with and built from, fetched for all at once."""
    if not turns:
        return []
    vault, store = turns[0].relay.vault, turns[0].row.key.store
    keys = keys_of(conn, vault, store, [turn.row.key.order_id for turn in turns])
    drafts = [turn for turn, due in zip(turns, dues, strict=True) if due.effect is Effect.DRAFT]
    found = _sealed_details(conn, vault, store, drafts, keys)
    return [replace(turn, key=keys[turn.row.key.order_id], details=found.get(turn.row.key.order_id)) for turn in turns]


def _sealed_details(
    conn: sa.Connection, vault: Vault, store: str, turns: Sequence[Turn], keys: Mapping[str, Key]
) -> dict[str, SealedDetails]:
    known = [(turn.row.key.order_id, turn.order.details.basis) for turn in turns if turn.order.details is not None]
    if not known:
        return {}
    order_ids, bases = zip(*known, strict=True)
    found = {}
    for order_id, event_id, body, body_key in fetch(conn, _DETAILS, (texts(order_ids), texts(bases), store)):
        current = keys[order_id]
        try:
            own = current if current.key_id == body_key else key(conn, vault, store, order_id, body_key)
        except ErasedError:  # there are no details any more, and this order's turn says so
            continue
        found[order_id] = SealedDetails(event_id, body, own)
    return found


# The details that the fold goes by, not later stale ones.
_DETAILS: Final = """
    SELECT w.order_id, e.event_id, e.body, e.body_key
    FROM unnest(%s, %s) AS w (order_id, basis)
    CROSS JOIN LATERAL (
        SELECT e.event_id, e.body, e.body_key FROM orderflow.events e
        WHERE e.store = %s AND e.order_id = w.order_id AND e.type = 'DetailsFetched' AND e.body IS NOT NULL
          AND strpos(e.clear, w.basis) > 0
        ORDER BY e.version DESC LIMIT 1
    ) AS e
"""
