"""The making of a Vendure draft, call by call: look, create, mark, fill.

It never leaves an order behind that bears our reference and passes for whole when it is not, and never says that
nothing was done once something stands in the shop.
"""

from __future__ import annotations

from dataclasses import dataclass

from orderflow.connectors import Delivered, Refused, Result, Retry, Unknown
from orderflow.connectors.calls import Calls
from orderflow.connectors.graphql import inside
from orderflow.connectors.shop_answers import is_id
from orderflow.connectors.vendure.documents import BEFORE, CREATE, DELETE, MARK, RENAME, Ids, filling
from orderflow.connectors.vendure.order import CANCELLED, Standing, standing
from orderflow.connectors.vendure.script import Script
from orderflow.connectors.vendure.talk import Halt, Said, write
from orderflow.domain.events import ShopState
from orderflow.glopal.jsontext import Json


def play(calls: Calls, draft: Script) -> Result:
    """Make the draft, all of it."""
    return _Making(calls, draft).play()


@dataclass(frozen=True, slots=True)
class _Making:
    calls: Calls
    draft: Script

    def play(self) -> Result:
        try:
            before = self._look()
            there = self._taken(before)
            if there is not None:
                return there
            ids = _ids(before, self.draft)
            order_id = self._create()
        except Halt as halt:
            return halt.result
        try:
            self._ask(MARK, {"order": order_id, "input": {"id": order_id, "customFields": self.draft.marks}})
        except Halt as halt:
            return self._unmarked(order_id, halt.result)
        try:
            return self._fill(order_id, ids)
        except Halt as halt:
            # It stands there, begun: even what was provably not sent leaves something behind.
            known = halt.result
            return Unknown(known.reason, known.status, known.reply) if isinstance(known, Retry) else known

    def _ask(self, document: str, variables: dict[str, Json]) -> Said:
        return write(self.calls, document, variables, self.draft.currency)

    # ---- before anything is written --------------------------------------------------------------------------------

    def _look(self) -> Said:
        draft = self.draft
        given: dict[str, Json] = {"reference": draft.reference, "skus": draft.skus, "method": draft.method}
        return self._ask(BEFORE, {**given, "email": draft.email})

    def _taken(self, before: Said) -> Result | None:
        """What has our reference already, as the result; None if it is free, or was freed.

        A draft that was cancelled, by a person or out of payment, keeps its reference for ever: it gets another one.
        """
        for order in _all(before, self.draft.reference):
            if order.state != CANCELLED or order.placed:
                return _found(order, before.body)
            other: dict[str, Json] = {"glopalReference": f"{order.reference}:{order.shop_id}"}
            self._ask(RENAME, {"input": {"id": order.shop_id, "customFields": other}})
        return None

    # ---- created, and nothing more ---------------------------------------------------------------------------------

    def _create(self) -> str:
        said = self._ask(CREATE, {})
        order_id = inside(said.data, "done", "id")
        if not isinstance(order_id, str) or not is_id(order_id):
            raise Halt(Unknown("200 without an order", 200, said.body))
        return order_id

    def _unmarked(self, order_id: str, why: Result) -> Result:
        """The mark failed: nobody will find the empty draft, so it goes. Was the reference taken meanwhile?"""
        try:
            self._ask(DELETE, {"order": order_id})
        except Halt:
            return Unknown(why.reason, why.status, why.reply) if not isinstance(why, Delivered) else why
        if not isinstance(why, Unknown) or why.status is None:
            return why
        try:
            again = self._look()
            taken = _all(again, self.draft.reference)
        except Halt:
            return why
        return _found(taken[0], again.body) if taken else why

    # ---- marked ----------------------------------------------------------------------------------------------------

    def _fill(self, order_id: str, ids: Ids) -> Result:
        said = None
        for document, variables in filling(self.draft, order_id, ids):
            said = self._ask(document, variables)
            refusal = said.refusal()
            if refusal:
                return Refused(f"200 {refusal}", 200, said.body)
        order = standing(said.data.get("method")) if said is not None else None
        if said is None or order is None or order.shop_id != order_id or order.reference != self.draft.reference:
            return Unknown("200 without the order", 200, b"" if said is None else said.body)
        if not order.whole:
            return Refused("200 another total: the shop adds or takes off something", 200, said.body)
        return Delivered(order.sighting, 200, said.body)


def _found(order: Standing, body: bytes) -> Result:
    """The order that has the reference already. One that is not whole is for a look-up to judge."""
    if order.sighting.state in (ShopState.DRAFT, ShopState.ORDER):
        return Delivered(order.sighting, 200, body)
    if order.sighting.state is ShopState.BEGUN:
        return Unknown("200 the reference is taken by a draft that was begun", 200, body)
    return Refused("200 the reference is taken by a cancelled order", 200, body)


def _all(said: Said, reference: str) -> list[Standing]:
    """The orders that bear exactly the reference. Raises `Halt` where one cannot be read."""
    found = [standing(row) for row in _items(said, "taken")]
    if any(order is None for order in found):
        raise Halt(Unknown("200 with an order that cannot be read", 200, said.body))
    return [order for order in found if order is not None and order.reference == reference]


def _ids(said: Said, draft: Script) -> Ids:
    """What the shop calls variants, shipping method and buyer. Raises `Halt`: `Refused` where it has no such thing."""
    variants: dict[str, str] = {}
    for sku in draft.skus:
        found = {row_id for row_id, name in _pairs(said, "variants", "sku") if name == sku}
        if len(found) != 1:
            lines = ", ".join(str(n) for n, (own, _) in enumerate(draft.lines) if own == sku)
            raise Halt(
                Refused(f"200 {'no' if not found else 'more than one'} variant for line {lines}", 200, said.body)
            )
        variants[sku] = found.pop()
    methods = [row_id for row_id, code in _pairs(said, "methods", "code") if code == draft.method]
    if not methods:
        raise Halt(Refused("200 no shipping method of that code", 200, said.body))
    buyers = [row_id for row_id, email in _pairs(said, "customers", "emailAddress") if email.lower() == draft.email]
    return Ids(variants, methods[0], buyers[0] if buyers else None)


def _pairs(said: Said, name: str, member: str) -> list[tuple[str, str]]:
    """Id and one more text of each row."""
    found = [(inside(row, "id"), inside(row, member)) for row in _items(said, name)]
    return [(row_id, text) for row_id, text in found if isinstance(row_id, str) and isinstance(text, str)]


def _items(said: Said, name: str) -> list[Json]:
    items = inside(said.data, name, "items")
    if not isinstance(items, list):
        raise Halt(Unknown("200 that cannot be read", 200, said.body))
    return items
