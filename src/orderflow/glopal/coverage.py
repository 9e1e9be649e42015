"""How far a mapping reaches in the details of one order: what it finds, what it misses, what it leaves over.

It never changes what is read: the fields are those that a shop order is made of.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Dict
from dataclasses import dataclass, fields
from typing import Final

from orderflow.domain.aftersale import AfterSale
from orderflow.glopal.details import Details, read_details
from orderflow.glopal.jsontext import Json, parse, token
from orderflow.glopal.mapping import WITHIN, Mapping, Table
from orderflow.glopal.money import Base
from orderflow.glopal.places import Members, Place, chooses
from orderflow.glopal.reading import MOST_LINES, Field, read
from orderflow.glopal.shop_order import ShopOrder

KNOWN: Final = ("id", "status", "external", "currency", "environment", "created_at", "exchange_rates")
"""Members that Glopal's pages name themselves; no mapping is needed for them."""

_MOST: Final = 200


@dataclass(frozen=True, slots=True)
class Coverage:
    """One order through one mapping.

    `problem`: why these are no details at all; then the rest is empty. `order`, in its own currency, is None if no shop
    order can be made, for want of what `unmapped` names; `money` is the sum that does not hold. `base` is the store's
    own currency and its rate, where orders enter the shop in that. `left_over` names members that no place reads, those
    of lists as `items[].tax`. `after`: what is shown of cancellation, refunds and returns.
    """

    problem: str | None
    fields: tuple[Field, ...] = ()
    order: ShopOrder | None = None
    unmapped: tuple[str, ...] = ()
    money: str | None = None
    base: Base | None = None
    left_over: tuple[str, ...] = ()
    after: AfterSale | None = None

    @property
    def found(self) -> tuple[str, ...]:
        """Names of the fields that were taken."""
        return tuple(one.name for one in self.fields if one.value is not None)

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the fields without which there is no shop order."""
        return tuple(one.name for one in self.fields if one.blocks)

    @property
    def absent(self) -> tuple[str, ...]:
        """Names of optional fields that the mapping has a place for, and nothing was taken from there."""
        return tuple(one.name for one in self.fields if one.place and one.value is None and not one.blocks)


def coverage(raw: bytes, mapping: Mapping, order_id: str | None = None, base_currency: str | None = None) -> Coverage:
    """What `mapping` finds in the body of a GET. Never raises; names hold nothing personal, values do.

    `order_id` and `base_currency` as in `read_details`.
    """
    details = read_details(raw, mapping, order_id, base_currency)
    if not isinstance(details, Details):
        return Coverage(details)
    document = parse(raw)
    assert isinstance(document, Dict)  # read_details has read it
    reading = read(document, mapping, details.currency)
    left = dict.fromkeys(_left_over(document, _read_paths(mapping), ""))
    order = None if details.unmapped else reading.order
    return Coverage(
        None, reading.fields, order, details.unmapped, details.money, details.base, tuple(left)[:_MOST], details.after
    )


_EACH: Final = "*"
"""Any member of a list."""


def _read_paths(mapping: Mapping) -> list[tuple[str, ...]]:
    """Everything that is read, as the parts of paths."""
    found: list[tuple[str, ...]] = [(name,) for name in KNOWN]
    for one in fields(mapping):
        place = getattr(mapping, one.name)
        if isinstance(place, Place | Members) and one.name not in WITHIN.values():
            found += [tuple(path.split(".")) for path in place.paths()]
    found += [tuple(path.split(".")) for path in _inner_paths(mapping.cancelled)]
    for table, list_ in WITHIN.items():
        within = [tuple(path.split(".")) for path in _inner_paths(getattr(mapping, table))]
        for items in getattr(mapping, list_).paths():
            found += [(*items.split("."), _EACH, *parts) for parts in within]
    return found


def _inner_paths(table: Table) -> Iterator[str]:
    """All that a table of places reads."""
    for one in fields(table):
        yield from getattr(table, one.name).paths()


def _left_over(value: Json, tails: list[tuple[str, ...]], label: str) -> Iterator[str]:
    """The topmost members that no path leads to. `tails`: what is left of the paths that lead here."""
    if () in tails or (tails and value is None):
        return
    if not tails or not isinstance(value, Dict | list) or not value:
        yield label
    elif isinstance(value, Dict):
        for name, member in value.items():
            shown = token(name) or "(an odd name)"
            inner = [tail[1:] for tail in tails if tail[0] == name]
            yield from _left_over(member, inner, f"{label}.{shown}" if label else shown)
    else:
        for index, member in enumerate(value[:MOST_LINES]):
            inner = [tail[1:] for tail in tails if tail[0] == _EACH or chooses(tail[0], index, member)]
            inner += [(tail[0].partition("=")[0],) for tail in tails if "=" in tail[0]]
            yield from _left_over(member, inner, f"{label}[]")
