"""Do the newest orders fit: their environment, what the mapping finds in them, their sums?

It fetches their details and records nothing. It shows names of fields and ids of orders, never what stands in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from orderflow import app as composition
from orderflow.config import StoreSettings, policy
from orderflow.doctor.at_glopal import ASSUMPTIONS
from orderflow.doctor.finding import Finding, failure, ok, warning
from orderflow.glopal.client import Client, RawPage
from orderflow.glopal.codec import Unparsable, read_page
from orderflow.glopal.coverage import Coverage, coverage
from orderflow.glopal.details import Details, read_details
from orderflow.glopal.links import behind
from orderflow.glopal.mapping import Mapping
from orderflow.glopal.replies import Reply

LOOKED_AT: Final = 20
_PAGES: Final = 20
_TOLD: Final = 3


@dataclass(frozen=True, slots=True)
class Looked:
    """One order: its details, and what the mapping finds in them."""

    order_id: str
    details: Details
    cover: Coverage


@dataclass(frozen=True, slots=True)
class Unread:
    """One order whose details cannot be had, and why."""

    order_id: str
    problem: str


def checked(name: str, store: StoreSettings, client: Client, known: Sequence[str], command: str) -> Iterator[Finding]:
    """Everything about the newest orders of one store: those that are `known`, else those of the feed."""
    order_ids, whole = (known, True) if known else in_feed(client, store)
    if not order_ids:
        mend = "place a test order through Glopal's checkout, then run this again"
        yield warning("newest orders", "there is no order to look at", mend, name)
        return
    mapping, base = composition.mapping_of(name, store), policy(store).base_currency
    orders = [_looked(client, mapping, base, order_id) for order_id in order_ids]
    yield _readable(name, orders, command, whole=whole)
    good = [one for one in orders if isinstance(one, Looked)]
    if good:
        yield _environment(name, store, good)
        yield _mapped(name, good, command)
        yield _money(name, good, command)


def recorded(conn: sa.Connection, store: str) -> list[str]:
    """The orders with the newest events in our log."""
    return list(conn.scalars(_NEWEST, {"store": store, "limit": LOOKED_AT}))


_NEWEST: Final = sa.text(
    "SELECT order_id FROM orderflow.orders WHERE store = :store ORDER BY last_recorded_at DESC, order_id LIMIT :limit"
)


def in_feed(client: Client, store: StoreSettings) -> tuple[list[str], bool]:
    """The last orders that the first pages of the feed name, newest first; and whether that was the whole feed."""
    cursor, found = None, dict[str, None]()
    for _ in range(_PAGES):
        answer = client.events(cursor, store.glopal.events, store.glopal.page_size)
        if not isinstance(answer, RawPage):
            break
        page = read_page(answer.raw)
        if isinstance(page, Unparsable):
            break
        after = behind(page, answer.raw, client.cursor_name)
        if after in {None, cursor}:
            return list(reversed(found))[:LOOKED_AT], True
        cursor = after
        for element in page.elements:
            if element.order_id:
                found.pop(element.order_id, None)
                found[element.order_id] = None
    return list(reversed(found))[:LOOKED_AT], False


def _looked(client: Client, mapping: Mapping, base_currency: str | None, order_id: str) -> Looked | Unread:
    reply = client.order(order_id)
    if not isinstance(reply, Reply):
        return Unread(order_id, reply.reason)
    if reply.status != 200:
        return Unread(order_id, reply.summary)
    details = read_details(reply.body, mapping, order_id, base_currency)
    if isinstance(details, str):
        return Unread(order_id, details)
    return Looked(order_id, details, coverage(reply.body, mapping, order_id, base_currency))


def _readable(name: str, orders: Sequence[Looked | Unread], command: str, *, whole: bool) -> Finding:
    bad = [one for one in orders if isinstance(one, Unread)]
    if bad:
        mend = f"mend stores.{name}.glopal.routes.order, or show Glopal these orders"
        told = "; ".join(f"{one.order_id}: {one.problem}" for one in bad[:_TOLD])
        return failure("newest orders", f"the details of {_of(bad, orders)} cannot be read ({told})", mend, name)
    found = f"the details of {_of(orders, orders)} can be read"
    if whole:
        return ok("newest orders", found, name)
    mend = f"`{command} pull {name}`, which only reads, then run this again"
    return warning("newest orders", f"{found}; newer ones stand further on in the feed", mend, name)


def _environment(name: str, store: StoreSettings, orders: Sequence[Looked]) -> Finding:
    own = store.environment
    other = [one for one in orders if one.details.environment not in {None, own}]
    if other:
        said = ", ".join(sorted({str(one.details.environment) for one in other}))
        mend = f"set stores.{name}.environment, or name the other address and key"
        return failure("environment", f"of {_of(other, orders)} it is {said}, of this store {own}", mend, name)
    silent = [one for one in orders if one.details.environment is None]
    if silent:
        mend = "ask Glopal how test orders are told from live ones"
        return warning("environment", f"of {_of(silent, orders)} it is not told", mend, name)
    return ok("environment", f"{own}, as the settings say", name)


def _mapped(name: str, orders: Sequence[Looked], command: str) -> Finding:
    """Whether a shop order can be made of each, and what no order has."""
    file = f"the file of stores.{name}.glopal.mapping"
    bad = [one for one in orders if one.cover.order is None]
    if bad:
        missing = sorted({field for one in bad for field in one.cover.missing or one.cover.unmapped})
        found = f"no shop order can be made of {_of(bad, orders)}; not found: {', '.join(missing)}"
        show = f"`{command} map {name}/{bad[0].order_id} --fetch` shows one"
        return failure("mapping", found, f"say in {file} where they stand, see {ASSUMPTIONS}; {show}", name)
    found = f"a shop order can be made of {_of(orders, orders)}"
    absent = sorted(set.intersection(*(set(one.cover.absent) for one in orders)))
    if not absent:
        return ok("mapping", found, name)
    mend = f'in {file}, say where they stand, or "" where Glopal has no such thing; '
    mend += f"`{command} map {name}/{orders[0].order_id} --fetch` shows what nobody reads"
    return warning("mapping", f"{found}; in none is found: {', '.join(absent)}", mend, name)


def _money(name: str, orders: Sequence[Looked], command: str) -> Finding:
    bad = [one for one in orders if one.details.money]
    if not bad:
        return ok("money", "every sum holds", name)
    first = bad[0]
    mend = (
        f"mend the places of amounts in the file of stores.{name}.glopal.mapping; where prices hold the tax, write "
        f'tax = ""; `{command} map {name}/{first.order_id} --fetch` shows one'
    )
    found = f"the sums of {_of(bad, orders)} do not hold ({first.order_id}: {first.details.money})"
    return failure("money", found, mend, name)


def _of(some: Sequence[object], orders: Sequence[object]) -> str:
    """How many of the newest orders."""
    if len(orders) == 1:
        return "the newest order"
    return (
        f"the {len(orders)} newest orders" if len(some) == len(orders) else f"{len(some)} of the {len(orders)} newest"
    )
