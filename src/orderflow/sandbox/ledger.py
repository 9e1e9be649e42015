"""Judge a run: compare what Glopal and the shop know happened with what orderflow says.

Plain data in, a list of differences out; an empty list means that nothing was broken. It never asks orderflow's code.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from orderflow.sandbox.glopal import GlopalEntry
from orderflow.sandbox.shop import ShopEntry

Kind = Literal[
    "missing_order",  # Glopal has it, orderflow does not
    "unknown_order",  # orderflow has it, Glopal does not
    "status",
    "two_promoted",
    "two_accepts",
    "accept_ids",
    "accept_unfounded",
    "alive_though_cancelled",
    "stray_draft",
    "stray_order",
    "shop_state",
    "foreign_reference",
]


class Row(TypedDict):
    """What orderflow says about one order.

    `shop_state`: draft, order, gone (or cancelled, deleted), or None where it knows of none. `accept_ids`: the ids it
    sent to Glopal, or None. `held`: whether the order is held, for any reason.
    """

    store: str
    order_id: str
    status: str
    shop_order_id: str | None
    shop_state: str | None
    accept_ids: Sequence[str] | None
    held: bool


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One broken promise, about one order."""

    kind: Kind
    store: str
    order_id: str
    detail: str


def reference_of(store: str, order_id: str) -> str:
    """The reference that orderflow gives to the shop."""
    return f"glopal:{store}:{order_id}"


def compare(
    glopal_entries: Iterable[GlopalEntry],
    shop_entries: Iterable[ShopEntry],
    orderflow_rows: Iterable[Row],
    *,
    reference: Callable[[str, str], str] = reference_of,
    held_may_differ: bool = False,
) -> list[Difference]:
    """All differences, sorted. Call it when orderflow is at rest.

    With `held_may_differ` a held order may show another status and a living shop order: holding stops withdrawal.
    """
    rows = {(row["store"], row["order_id"]): row for row in orderflow_rows}
    in_shop: dict[str, list[ShopEntry]] = defaultdict(list)
    for made in shop_entries:
        in_shop[made.reference].append(made)
    found: list[Difference] = []
    for entry in glopal_entries:
        key = (entry.store, entry.order_id)
        made_for = in_shop.pop(reference(*key), [])
        row = rows.pop(key, None)
        lenient = held_may_differ and row is not None and row["held"]
        found += _promises(entry, made_for, lenient=lenient)
        if row is None:
            found.append(Difference("missing_order", *key, f"Glopal: {entry.status}"))
        else:
            found += _agreement(entry, made_for, row, lenient=lenient)
    found += [Difference("unknown_order", *key, f"orderflow: {row['status']}") for key, row in rows.items()]
    found += [
        Difference("foreign_reference", "", made.reference, f"shop order {made.id} is {made.state}")
        for orders in in_shop.values()
        for made in orders
    ]
    return sorted(found)


def _promises(entry: GlopalEntry, made: Sequence[ShopEntry], *, lenient: bool) -> list[Difference]:
    """What must hold between Glopal and the shop, whatever orderflow says."""
    found: list[Difference] = []

    def broken(kind: Kind, detail: str) -> None:
        found.append(Difference(kind, entry.store, entry.order_id, detail))

    promoted = [order for order in made if order.promoted_at is not None]
    if len(promoted) > 1:
        broken("two_promoted", ", ".join(order.id for order in promoted))
    calls = [call for call in entry.accepts if call.by == "api"]
    sets = dict.fromkeys(call.ids for call in calls)
    if len(sets) > 1:
        broken("two_accepts", ", ".join("/".join(ids) for ids in sets))
    for ids in sets:
        first = min(call.at for call in calls if call.ids == ids)
        if not any(
            (order.id, order.number) == ids and order.promoted_at is not None and order.promoted_at <= first
            for order in promoted
        ):
            broken("accept_unfounded", f"{'/'.join(ids)} was no promoted order when it was sent")
    if entry.status == "CANCELLED" and not lenient:
        for order in made:
            if order.state in ("draft", "order") and not order.fulfilled:  # what has left cannot be withdrawn
                broken("alive_though_cancelled", f"shop order {order.id} is {order.state}")
    return found


def _agreement(entry: GlopalEntry, made: Sequence[ShopEntry], row: Row, *, lenient: bool) -> list[Difference]:
    """What orderflow says, against what is."""
    found: list[Difference] = []

    def broken(kind: Kind, detail: str) -> None:
        found.append(Difference(kind, entry.store, entry.order_id, detail))

    if row["status"] != entry.status and not lenient:
        broken("status", f"Glopal: {entry.status}, orderflow: {row['status']}")
    recorded = row["shop_order_id"]
    for order in made:
        if order.id != recorded and order.state in ("draft", "order"):
            broken("stray_draft" if order.state == "draft" else "stray_order", f"{order.id}, recorded: {recorded}")
    if recorded is not None:
        true = next((order.state for order in made if order.id == recorded), None)
        if true is None:
            broken("shop_state", f"{recorded} does not exist")
        elif row["shop_state"] not in _SAID[true]:
            broken("shop_state", f"{recorded} is {true}, orderflow: {row['shop_state']}")
    said = tuple(row["accept_ids"]) if row["accept_ids"] is not None else None
    applied = next((call.ids for call in entry.applied_accepts if call.by == "api"), None)
    if applied is not None and said != applied:
        broken("accept_ids", f"Glopal: {'/'.join(applied)}, orderflow: {'/'.join(said) if said else said}")
    return found


_SAID: Mapping[str, tuple[str, ...]] = {
    "draft": ("draft",),
    "order": ("order",),
    "cancelled": ("gone", "cancelled"),
    "deleted": ("gone", "deleted"),
}
