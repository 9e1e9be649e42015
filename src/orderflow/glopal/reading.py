"""Reads order details through a mapping, field by field, and says of each what was found.

It never guesses: what is not there is None, never zero, and what is there but makes no sense is named.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Final, TypeVar

from orderflow.glopal.jsontext import Json, amount
from orderflow.glopal.mapping import Mapping, Whole
from orderflow.glopal.places import Place
from orderflow.glopal.shop_order import Line, ShopOrder, Unmapped

MOST_LINES: Final = 2000
"""An order of a consumer has fewer; a longer list is an attack or a mistake."""

_TOLD: Final = 20
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the mapping in one order. `place`: where it was looked for, "" where the mapping names none.

    `value` is what was taken, None for nothing; `problem` says why something that is there was not taken. A field that
    `blocks` keeps the shop order from being made: a required one that was not taken, and an amount that is there but is
    none, since it must not be taken for zero.
    """

    name: str
    place: str
    value: Json = field(repr=False)
    problem: str = ""
    blocks: bool = False
    personal: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What the mapping found. `order` is None if a field blocks it."""

    fields: tuple[Field, ...]
    order: ShopOrder | None

    @property
    def missing(self) -> tuple[str, ...]:
        """The places of the fields that block, else their names; of very many only the first."""
        names = [one.place or one.name for one in self.fields if one.blocks]
        return (*names[:_TOLD], *([f"and {len(names) - _TOLD} more"] if len(names) > _TOLD else ()))


def shop_order(details: Json, mapping: Mapping, currency: str | None) -> ShopOrder | Unmapped:
    """The shop order in these details (as `jsontext.parse` gives them). `currency` is the one that was read already."""
    reading = read(details, mapping, currency)
    return Unmapped(reading.missing) if reading.order is None else reading.order


def read(details: Json, mapping: Mapping, currency: str | None) -> Reading:
    """Every field of the mapping, in these details."""
    reader = _Reader()
    lines = reader.lines(details, mapping)
    total = reader.amount("total", details, mapping.total, required=True)
    reader.fields.append(Field("currency", "currency", currency, blocks=currency is None))
    order = partial(
        ShopOrder,
        shipping=reader.amount("shipping_price", details, mapping.shipping_price),
        discount=reader.amount("discount", details, mapping.discount),
        tax=reader.amount("tax", details, mapping.tax),
        duty=reader.amount("duty", details, mapping.duty),
        fees=reader.amount("fees", details, mapping.fees),
        shipping_method=reader.text("shipping_method", details, mapping.shipping_method),
        language=reader.take("language", details, mapping.language, _language, "is neither text nor list"),
        customer=reader.whole("customer", details, mapping.customer),
        billing_address=reader.whole("billing_address", details, mapping.billing_address),
        shipping_address=reader.whole("shipping_address", details, mapping.shipping_address),
        shipping_address_romanised=reader.whole(
            "shipping_address_romanised", details, mapping.shipping_address_romanised
        ),
        note=reader.text("note", details, mapping.note, personal=True),
        internal_note=reader.text("internal_note", details, mapping.internal_note, personal=True),
        payment=reader.whole("payment", details, mapping.payment),
        cart=reader.whole("cart", details, mapping.cart),
    )
    found = tuple(reader.fields)
    if total is None or currency is None or any(one.blocks for one in found):
        return Reading(found, None)
    return Reading(found, order(currency, lines, total))


class _Reader:
    """Takes fields and remembers what became of each."""

    def __init__(self) -> None:
        self.fields: list[Field] = []

    def lines(self, details: Json, mapping: Mapping) -> tuple[Line, ...]:
        items, where = mapping.items.of(details), str(mapping.items)
        if not isinstance(items, list) or not 0 < len(items) <= MOST_LINES:
            self.fields.append(Field("items", where, None, _no_items(items), blocks=True))
            return ()
        self.fields.append(Field("items", where, len(items)))
        found = [self._line(item, index, mapping) for index, item in enumerate(items)]
        return tuple(line for line in found if line is not None)

    def _line(self, item: Json, index: int, mapping: Mapping) -> Line | None:
        line, where, name = mapping.line, f"{mapping.items}[{index}].", f"items[{index}]."
        sku = self.take(f"{name}sku", item, line.sku, _id, _NO_ID, where=where, required=True)
        label = self.text(f"{name}name", item, line.name, where=where)
        quantity = self.take(
            f"{name}quantity", item, line.quantity, _quantity, "is no whole number from 1", where=where, required=True
        )
        price = self.amount(f"{name}unit_price", item, line.unit_price, where=where, required=True)
        made = partial(
            Line,
            tax=self.amount(f"{name}tax", item, line.tax, where=where),
            discount=self.amount(f"{name}discount", item, line.discount, where=where),
            total=self.amount(f"{name}total", item, line.total, where=where),
            product_id=self.take(f"{name}product_id", item, line.product_id, _id, _NO_ID, where=where),
            variant_id=self.take(f"{name}variant_id", item, line.variant_id, _id, _NO_ID, where=where),
        )
        return None if sku is None or quantity is None or price is None else made(sku, label, quantity, price)

    def amount(
        self, name: str, document: Json, place: Place, *, where: str = "", required: bool = False
    ) -> Decimal | None:
        return self.take(name, document, place, amount, "is no amount", where=where, required=required)

    def text(self, name: str, document: Json, place: Place, *, where: str = "", personal: bool = False) -> str | None:
        return self.take(name, document, place, _text, "is no text", where=where, personal=personal)

    def whole(self, name: str, document: Json, place: Whole) -> Json:
        found = place.of(document)
        self.fields.append(Field(name, str(place), found, personal=True))
        return found

    def take(
        self,
        name: str,
        document: Json,
        place: Place,
        made: Callable[[Json], _T | None],
        otherwise: str,
        *,
        where: str = "",
        required: bool = False,
        personal: bool = False,
    ) -> _T | None:
        """What `made` makes of what stands there; `otherwise` is the problem where it can make nothing of it."""
        value = place.of(document)
        taken = made(value)
        problem = "" if taken is not None or value is None else "is empty" if value == "" else otherwise
        blocks = taken is None and (required or (made is amount and value is not None))
        if place or required or not where:  # what no place is named for is told once, not for every line
            shown = f"{where}{place}" if place else ""
            self.fields.append(Field(name, shown, taken, problem, blocks, personal))  # type: ignore[arg-type]  # is Json
        return taken


def _no_items(items: Json) -> str:
    """What is wrong with what should be the list of lines; "" if it is not there."""
    if items is None:
        return ""
    if not isinstance(items, list):
        return "is no list"
    return f"has more than {MOST_LINES} lines" if items else "is empty"


_NO_ID: Final = "is neither text nor whole number"


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) and value else None


def _id(value: Json) -> str | None:
    """An id is a text; one that comes as a whole number loses nothing by becoming one."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _quantity(value: Json) -> int | None:
    """A whole number from 1; `2`, `2.0` and `"2"` are."""
    found = amount(value)
    return int(found) if found is not None and found >= 1 and found == int(found) else None


def _language(value: Json) -> str | None:
    """A text, or the first of several: Glopal's sample shows an object with the keys 0, 1, ... (reference 11.3)."""
    if isinstance(value, list):
        value = value[0] if value else None
    elif isinstance(value, dict):
        value = value.get("0")
    return _text(value)
