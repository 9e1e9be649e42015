"""The fake's drafts, orders and jobs, and the rules by which they change.

It never makes a write conditional and knows no idempotency key: the same create again makes a second draft.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from random import Random
from threading import RLock
from typing import Any, Final
from uuid import UUID

from orderflow.sandbox.shop import ShopEntry, State
from orderflow.sandbox.shopify.options import ShopifyOptions, seconds
from orderflow.sandbox.shopify.pricing import bag, problem, problems, total, variant_number
from orderflow.sandbox.shopify.rows import Draft, Order, draft_document, order_document

Document = dict[str, Any]

_TAG: Final = re.compile(r"""tag:(?:'([^']*)'|"([^"]*)"|(\S+))""")
_RECENT: Final = timedelta(days=60)
_REFERENCE: Final = "glopal_reference"
_LONGEST_NOTE: Final = 255


class World:
    """What stands in one store. Hold `lock` around several calls that belong together."""

    def __init__(self, clock: Callable[[], datetime], rng: Random, options: ShopifyOptions) -> None:
        self.options = options
        self.lock = RLock()
        self._clock = clock
        self._rng = rng
        self._drafts: dict[int, Draft] = {}
        self._orders: dict[int, Order] = {}
        self._jobs: dict[str, Order] = {}
        self._sold: dict[int, int] = {}

    def shows(self, order_id: str) -> bool:
        """May this app see the order? Without `read_all_orders` only those of the last 60 days (STATED)."""
        order = self._orders[_number(order_id)]
        return "read_all_orders" in self.options.scopes or self._clock() - order.created_at < _RECENT

    # ---- reading -----------------------------------------------------------------------------------------------

    def draft(self, global_id: str) -> Document | None:
        """The draft with this id; None where there is none."""
        draft = self._drafts.get(_number(global_id)) if "/DraftOrder/" in global_id else None
        return draft_document(draft, self._clock(), self.options) if draft and draft.living else None

    def order(self, global_id: str) -> Document | None:
        """The order with this id; None where there is none."""
        order = self._orders.get(_number(global_id)) if "/Order/" in global_id else None
        return order_document(order, self.options) if order else None

    def node(self, global_id: str) -> Document | None:
        """The draft or order with this id."""
        return self.draft(global_id) or self.order(global_id)

    def job(self, global_id: str) -> Document | None:
        """A cancellation that was asked for. It is done, too, if it did nothing."""
        order = self._jobs.get(global_id)
        return None if order is None else {"id": global_id, "done": order.cancels_at is None}

    def drafts(self, query: str, first: int) -> Document:
        """What the search shows of drafts by now."""
        now = self._clock()
        found = [one for one in self._drafts.values() if one.living and one.seen_at <= now and _matches(one, query)]
        return _page([draft_document(one, now, self.options) for one in found], first)

    def orders(self, query: str, first: int) -> Document:
        """What the search shows of orders by now."""
        now = self._clock()
        found = [one for one in self._orders.values() if one.seen_at <= now and _matches(one, query)]
        return _page([order_document(one, self.options) for one in found], first)

    # ---- writing -----------------------------------------------------------------------------------------------

    def create(self, given: Document) -> Document:
        """`draftOrderCreate`."""
        wrong = list(problems(given, self.options))
        if wrong:
            return {"draftOrder": None, "userErrors": wrong}
        now, number = self._clock(), self._new_number()
        draft = Draft(
            number,
            f"#D{self.options.first_draft + len(self._drafts)}",
            given,
            now,
            now + seconds(self.options.ready_lag),
            now + seconds(self.options.search_lag),
        )
        self._drafts[number] = draft
        return {"draftOrder": self.draft(draft.id), "userErrors": []}

    def complete(self, global_id: str, *, pending: bool = False) -> Document:
        """`draftOrderComplete`."""
        draft = self._drafts.get(_number(global_id))
        if draft is None or not draft.living:
            return {"draftOrder": None, "userErrors": [problem("Draft order does not exist", "id")]}
        wrong = self._why_not(draft)
        if wrong is None:
            draft.order = self._promoted(draft, pending=pending)
        return {"draftOrder": self.draft(global_id), "userErrors": [] if wrong is None else [problem(wrong)]}

    def _why_not(self, draft: Draft) -> str | None:
        if draft.order is not None:
            return "This order has been paid"
        if self._clock() < draft.ready_at:
            return "This draft order is not ready to be completed"
        short = self.options.stock is not None and any(
            self._sold.get(number, 0) + pieces > self.options.stock.get(number, 0)
            for number, pieces in _pieces(draft.given)
        )
        return "Some items are out of stock" if short else None

    def _promoted(self, draft: Draft, *, pending: bool) -> Order:
        now, number = self._clock(), self._new_number()
        come = bag(total(draft.given, draft.currency, self.options), draft.currency)["presentmentMoney"]
        order = Order(
            number,
            f"#{self.options.first_order + len(self._orders)}",
            draft.given,
            draft.currency,
            come["amount"],  # type: ignore[index, call-overload, arg-type]
            now,
            now + seconds(self.options.search_lag),
            pending,
        )
        self._orders[number] = order
        for variant, pieces in _pieces(draft.given):
            self._sold[variant] = self._sold.get(variant, 0) + pieces
        return order

    def delete(self, global_id: str) -> Document:
        """`draftOrderDelete`."""
        draft = self._drafts.get(_number(global_id))
        wrong = None
        if draft is None or not draft.living:
            wrong = problem("Draft order does not exist", "id")
        elif draft.order is not None and not self.options.deletes_completed:
            wrong = problem("A completed draft order cannot be deleted", "id")
        else:
            draft.deleted_at = self._clock()
        return {"deletedId": None if wrong else global_id, "userErrors": [wrong] if wrong else []}

    def cancel(self, global_id: str, *, restock: bool, note: str) -> Document:
        """`orderCancel`: it is only asked for here."""
        order = self._orders.get(_number(global_id))
        wrong = None
        if order is None:
            wrong = {**problem("Order does not exist", "orderId"), "code": "NOT_FOUND"}
        elif order.cancelled_at is not None or order.cancels_at is not None:
            wrong = {**problem("Cannot cancel an order that has already been canceled", "orderId"), "code": "INVALID"}
        elif order.fulfilled_at is not None:
            wrong = {**problem("Cannot cancel a fulfilled order", "orderId"), "code": "INVALID"}
        elif len(note) > _LONGEST_NOTE:
            wrong = {**problem("Staff note is too long.", "staffNote"), "code": "INVALID"}
        if order is None or wrong is not None:
            return {"job": None, "orderCancelUserErrors": [wrong]}
        order.cancels_at, order.restock = self._clock() + seconds(self.options.job_lag), restock
        job = f"gid://shopify/Job/{UUID(int=self._rng.getrandbits(128), version=4)}"
        self._jobs[job] = order
        return {"job": {"id": job, "done": False}, "orderCancelUserErrors": []}

    def run_jobs(self) -> None:
        """Cancellations whose time has come. One whose goods have left meanwhile does nothing, and nobody is told."""
        now = self._clock()
        for order in self._orders.values():
            if order.cancels_at is not None and order.cancels_at <= now:
                if order.fulfilled_at is None:
                    self._cancelled(order, order.cancels_at)
                order.cancels_at = None

    def _cancelled(self, order: Order, at: datetime) -> None:
        order.cancelled_at = at
        if order.restock:
            for variant, pieces in _pieces(order.given):
                self._sold[variant] -= pieces

    def _new_number(self) -> int:
        return 10**12 + self._rng.randrange(10**6) + (len(self._drafts) + len(self._orders)) * 10**6

    # ---- the people in the shop --------------------------------------------------------------------------------

    def complete_by_hand(self, draft_id: str) -> None:
        """A person completes a draft. ValueError unless it is an open one."""
        with self.lock:
            wrong = self.complete(draft_id)["userErrors"]
            if wrong:
                raise ValueError(f"{draft_id}: {wrong}")

    def delete_by_hand(self, draft_id: str) -> None:
        """A person deletes a draft. ValueError unless it is an open one."""
        with self.lock:
            wrong = self.delete(draft_id)["userErrors"]
            if wrong:
                raise ValueError(f"{draft_id}: {wrong}")

    def change_by_hand(self, draft_id: str, **members: Any) -> None:
        """A person changes a draft: the members of its input are replaced."""
        with self.lock:
            self._drafts[_number(draft_id)].given |= members

    def duplicate_by_hand(self, draft_id: str) -> str:
        """A person duplicates a draft; tags and attributes come along. The new draft's id."""
        with self.lock:
            made: str = self.create(dict(self._drafts[_number(draft_id)].given))["draftOrder"]["id"]
            return made

    def cancel_by_hand(self, order_id: str) -> None:
        """A person cancels an order, at once."""
        with self.lock:
            self._cancelled(self._orders[_number(order_id)], self._clock())

    def fulfil(self, order_id: str) -> None:
        """The goods leave."""
        with self.lock:
            self._orders[_number(order_id)].fulfilled_at = self._clock()

    def purge(self, draft_id: str) -> None:
        """A year has passed: Shopify removes the draft, and its order stays."""
        with self.lock:
            self._drafts[_number(draft_id)].purged = True

    # ---- judging -----------------------------------------------------------------------------------------------

    def sold(self, variant: int) -> int:
        """Pieces of a variant that stand in orders."""
        with self.lock:
            return self._sold.get(variant, 0)

    def created_from(self, draft_id: str) -> dict[str, Any]:
        """The input of a draft, as parsed JSON."""
        with self.lock:
            return self._drafts[_number(draft_id)].given

    def ledger(self) -> list[ShopEntry]:
        """Every draft ever made with what became of it, in order of creation.

        An order stands under its own id and number, which are those that the merchant knows; before, the draft's.
        """
        with self.lock:
            self.run_jobs()
            return [_entry(draft) for draft in self._drafts.values()]


def _entry(draft: Draft) -> ShopEntry:
    order = draft.order
    cancelled_at = order.cancelled_at if order else None
    states: list[tuple[datetime, State]] = [(draft.created_at, "draft")]
    if order is not None:
        states.append((order.created_at, "order"))
    elif draft.deleted_at is not None:
        states.append((draft.deleted_at, "deleted"))
    if cancelled_at is not None:
        states.append((cancelled_at, "cancelled"))
    return ShopEntry(
        str(order.number) if order else draft.id,
        order.name if order else draft.name,
        next((one["value"] for one in draft.given.get("customAttributes") or [] if one["key"] == _REFERENCE), ""),
        states[-1][1],
        order is not None and order.fulfilled_at is not None,
        tuple(states),
        draft.created_at,
        order.created_at if order else None,
        None if order else draft.deleted_at,
        cancelled_at,
    )


def _matches(row: Draft | Order, query: str) -> bool:
    """By tag, whatever its case; a search that is not understood filters nothing, as there."""
    asked = _TAG.search(query)
    if asked is None:
        return True
    wanted = next(group for group in asked.groups() if group is not None).lower()
    return wanted in (tag.lower() for tag in row.given.get("tags") or [])


def _page(rows: list[dict[str, Any]], first: int) -> dict[str, Any]:
    return {"nodes": rows[:first], "pageInfo": {"hasNextPage": len(rows) > first, "endCursor": None}}


def _pieces(given: Mapping[str, Any]) -> Iterator[tuple[int, int]]:
    for line in given["lineItems"]:
        number = variant_number(line)
        if number is not None:
            yield number, line["quantity"]


def _number(global_id: str) -> int:
    last = global_id.rpartition("/")[2]
    return int(last) if last.isdecimal() else 0
