"""Do the newest orders fit: their environment, what the mapping finds in them, their sums?

It fetches their details and records nothing. It shows names of fields and ids of orders, never what stands in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from orderflow import app as composition
from orderflow.config import StoreSettings
from orderflow.doctor.at_glopal import ASSUMPTIONS
from orderflow.doctor.finding import Finding, failure, ok, warning
from orderflow.glopal.client import Client, RawPage
from orderflow.glopal.codec import Unparsable, read_page
from orderflow.glopal.coverage import Coverage, coverage
from orderflow.glopal.details import Details, read_details
from orderflow.glopal.replies import Reply

LOOKED_AT: Final = 20
_PAGES: Final = 20
_TOLD: Final = 3


@dataclass(frozen=True, slots=True)
class Looked:
    """One order: its details and what the mapping finds in them, or why there are none."""

    order_id: str
    details: Details | None = None
    cover: Coverage | None = None
    problem: str = ""


def checked(name: str, store: StoreSettings, client: Client, known: Sequence[str]) -> Iterator[Finding]:
    """Everything about the newest orders of one store: those that are `known`, else those of the feed."""
    order_ids = known or in_feed(client, store)
    if not order_ids:
        mend = "place a test order through Glopal's checkout, then run this again"
        yield warning("newest orders", "there is no order to look at", mend, name)
        return
    mapping = composition.mapping_of(name, store)
    orders = [
        _looked(client, order_id, lambda raw, one: (read_details(raw, mapping, one), coverage(raw, mapping, one)))
        for order_id in order_ids
    ]
    yield _readable(name, orders)
    good = [one for one in orders if one.details is not None]
    if good:
        yield _environment(name, store, good)
        yield _mapped(name, good)
        yield _money(name, good)


def recorded(conn: sa.Connection, store: str) -> list[str]:
    """The orders with the newest events in our log."""
    return list(conn.scalars(_NEWEST, {"store": store, "limit": LOOKED_AT}))


_NEWEST: Final = sa.text(
    "SELECT order_id FROM orderflow.orders WHERE store = :store ORDER BY last_recorded_at DESC, order_id LIMIT :limit"
)


def in_feed(client: Client, store: StoreSettings) -> list[str]:
    """The last orders that the first pages of the feed name, newest first."""
    cursor, found = None, dict[str, None]()
    for _ in range(_PAGES):
        answer = client.events(cursor, store.glopal.events, store.glopal.page_size)
        page = read_page(answer.raw) if isinstance(answer, RawPage) else None
        if page is None or isinstance(page, Unparsable) or page.last_id in {None, cursor}:
            break
        cursor = page.last_id
        for element in page.elements:
            if element.order_id:
                found.pop(element.order_id, None)
                found[element.order_id] = None
    return list(reversed(found))[:LOOKED_AT]


def _looked(client: Client, order_id: str, read: Callable[[bytes, str], tuple[Details | str, Coverage]]) -> Looked:
    reply = client.order(order_id)
    if not isinstance(reply, Reply):
        return Looked(order_id, problem=reply.reason)
    if reply.status != 200:
        return Looked(order_id, problem=reply.summary)
    details, cover = read(reply.body, order_id)
    return Looked(order_id, problem=details) if isinstance(details, str) else Looked(order_id, details, cover)


def _readable(name: str, orders: Sequence[Looked]) -> Finding:
    bad = [one for one in orders if one.problem]
    if not bad:
        return ok("newest orders", f"the details of {_count(orders)} can be read", name)
    mend = f"mend stores.{name}.glopal.routes.order, or show Glopal these orders"
    told = "; ".join(f"{one.order_id}: {one.problem}" for one in bad[:_TOLD])
    return failure(
        "newest orders", f"the details of {len(bad)} of {_count(orders)} cannot be read ({told})", mend, name
    )


def _environment(name: str, store: StoreSettings, orders: Sequence[Looked]) -> Finding:
    said = [one.details.environment for one in orders if one.details is not None]
    other = sorted({one for one in said if one not in {None, store.environment}})
    if other:
        count = sum(one in other for one in said)
        found = f"{count} of {_count(orders)} belong to {', '.join(other)}, this store to {store.environment}"
        return failure("environment", found, f"set stores.{name}.environment, or name the other host and key", name)
    if None in said:
        mend = "ask Glopal how test orders are told from live ones"
        return warning("environment", f"{said.count(None)} of {_count(orders)} do not tell theirs", mend, name)
    return ok("environment", f"{store.environment}, as the settings say", name)


def _mapped(name: str, orders: Sequence[Looked]) -> Finding:
    """Whether a shop order can be made of each."""
    covers = [one.cover for one in orders if one.cover is not None]
    bad = [cover for cover in covers if cover.order is None]
    if bad:
        missing = sorted({field for cover in bad for field in cover.missing})
        mend = f"say where they stand in the file of stores.{name}.glopal.mapping; see {ASSUMPTIONS}"
        found = f"{len(bad)} of {_count(orders)} make no shop order; not found: {', '.join(missing)}"
        return failure("mapping", found, mend, name)
    absent = sorted(set.intersection(*(set(cover.absent) for cover in covers)))
    left = sorted({member for cover in covers for member in cover.left_over})
    told = f"a shop order can be made of {_count(orders)}"
    if not absent:
        return ok("mapping", told, name)
    mend = f'in the file of stores.{name}.glopal.mapping, say where they stand, or "" where Glopal has no such thing'
    if left:
        mend += f"; nobody reads {', '.join(left[:12])}"
    return warning("mapping", f"{told}; in none of them found: {', '.join(absent)}", mend, name)


def _money(name: str, orders: Sequence[Looked]) -> Finding:
    bad = [one for one in orders if one.details is not None and one.details.money]
    if not bad:
        return ok("money", "every sum holds", name)
    first = bad[0]
    told = f"{first.order_id}: {first.details.money}" if first.details is not None else ""
    mend = f'mend places of amounts in the file of stores.{name}.glopal.mapping; where prices hold the tax, tax = ""'
    return failure("money", f"{len(bad)} of {_count(orders)} do not add up ({told})", mend, name)


def _count(orders: Sequence[Looked]) -> str:
    return "the newest order" if len(orders) == 1 else f"the {len(orders)} newest orders"
