"""A Medusa 2 as the shop, by its admin API: a draft in one call, promoted in place, deleted or cancelled.

It never cancels a draft, which Medusa would bring back to life when it is promoted: drafts are deleted.

Freezing calls nobody, so the variant of a line is known beforehand: from the mapping, else from `Place.variants`.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Unpack
from urllib.parse import quote

from orderflow.connectors import (
    Capabilities,
    Consistency,
    Delivered,
    Found,
    FreezeError,
    Missing,
    Refused,
    Result,
    Retry,
    Sight,
    Subject,
    Task,
    Unknown,
    Viewed,
)
from orderflow.connectors.exchange import Outbound, Outcome, exchange, thawed, unsent
from orderflow.connectors.medusa import answers, looking
from orderflow.connectors.medusa.answers import FIELDS
from orderflow.connectors.medusa.order import Place, new_draft, shop_order
from orderflow.connectors.shop_answers import is_id
from orderflow.domain.events import Effect, ShopState, Sighting
from orderflow.glopal.client import Endpoint, EndpointOptions
from orderflow.glopal.mapping import Mapping
from orderflow.glopal.replies import Reply, always

__all__ = ["Medusa", "Place"]


class Medusa:
    """The connector for one Medusa; thread-safe. `key` is a secret API key of its admin.

    `unique_reference`: its order module makes the reference the display id, so that it is searched and kept unique.
    Else a look-up reads everything that was made within `look_back`.
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        place: Place,
        mapping: Mapping | None = None,
        *,
        unique_reference: bool = True,
        settle_window: float = 15.0,
        look_back: timedelta = timedelta(days=3),
        **options: Unpack[EndpointOptions],
    ) -> None:
        self._endpoint = Endpoint(base_url, key, **options)
        self._credentials = {"authorization": f"Basic {b64encode(f'{key}:'.encode()).decode()}"}
        self._place = place
        self._mapping = mapping or Mapping()
        self._look_back = None if unique_reference else look_back
        self._capabilities = Capabilities(
            unique_reference=unique_reference, look_up=Consistency.STRONG, settle_window=settle_window
        )

    @property
    def capabilities(self) -> Capabilities:
        """What a Medusa can do, and what was declared for this one."""
        return self._capabilities

    def close(self) -> None:
        """Close the idle connections."""
        self._endpoint.close()

    # ---- freeze ------------------------------------------------------------------------------------------------

    def freeze(self, task: Task) -> bytes:
        """The request for DRAFT, PROMOTE or WITHDRAW. Raises `FreezeError`."""
        if task.effect is Effect.DRAFT:
            body = new_draft(shop_order(task, self._mapping), task.reference, self._place)
            expects = {"step": "create", "reference": task.reference}
            return Outbound("POST", f"/admin/draft-orders?fields={FIELDS}", body, expects).frozen()
        if not is_id(task.target):
            raise FreezeError("target is no shop id")
        shop_id = quote(task.target, safe="")
        match task.effect, task.seen:
            case Effect.PROMOTE, _:
                method, target, step = (
                    "POST",
                    f"/admin/draft-orders/{shop_id}/convert-to-order?fields={FIELDS}",
                    "promote",
                )
            case Effect.WITHDRAW, ShopState.DRAFT | ShopState.BEGUN:
                method, target, step = "DELETE", f"/admin/draft-orders/{shop_id}", "delete"
            case Effect.WITHDRAW, ShopState.ORDER:
                method, target, step = "POST", _cancel(shop_id), "cancel"
            case Effect.WITHDRAW, _:
                raise FreezeError("seen must be draft or order")
            case _:
                raise FreezeError(f"a Medusa knows no {task.effect}")
        return Outbound(method, target, expects={"step": step, "id": task.target}).frozen()

    # ---- send --------------------------------------------------------------------------------------------------

    def send(self, request: bytes, *, key: str, in_time: Callable[[], bool]) -> Result:  # noqa: ARG002
        """Send a frozen request. Medusa ignores idempotency keys: that there is one draft only is the relay's work."""
        outbound = thawed(request)
        if isinstance(outbound, Refused):
            return outbound
        step, wanted = outbound.expects.get("step", ""), outbound.expects.get("id", "")
        if step == "promote" and (no := self._no_living_draft(wanted)) is not None:
            return no
        reply = self._call(outbound, in_time)
        if not isinstance(reply, Reply):
            return unsent(reply)
        if reply.status >= 300:
            gone = step in {"delete", "cancel"} and answers.no_such_order(reply)
            shown = Sighting(wanted, "", ShopState.GONE, promoted=step == "cancel")
            return Delivered(shown, reply.status, reply.body) if gone else answers.refused(reply)
        match step:
            case "create":
                return answers.reached(reply, "draft_order", "", outbound.expects.get("reference", ""), ShopState.DRAFT)
            case "promote" if answers.revived(reply):
                return self._cancel_again(wanted, in_time)
            case "promote":
                return answers.reached(reply, "order", wanted, "", ShopState.ORDER)
            case "delete":
                return answers.deleted(reply, wanted)
            case _:
                return answers.reached(reply, "order", wanted, "", ShopState.GONE)

    def _no_living_draft(self, shop_id: str) -> Refused | Retry | None:
        """Why the draft must not be promoted: Medusa would promote a cancelled one, too, and that would be alive."""
        order = looking.one(self._ask, shop_id)
        if isinstance(order, Retry):
            return order
        shown = None if order is None else answers.sighting(order)
        if shown is None:
            return Refused("the draft is deleted", 404)
        return None if shown.state is ShopState.DRAFT else Refused(f"it is no draft any more, but {shown.state}", 200)

    def _cancel_again(self, shop_id: str, in_time: Callable[[], bool]) -> Result:
        """Somebody cancelled the draft while it was promoted: cancel what Medusa brought back to life."""
        reply = self._call(Outbound("POST", _cancel(quote(shop_id, safe=""))), in_time)
        if isinstance(reply, Reply) and reply.status < 300:
            return Refused("the draft was cancelled in the shop", reply.status)
        return Unknown("the draft was cancelled in the shop, and came back to life")

    # ---- find --------------------------------------------------------------------------------------------------

    def find(self, subject: Subject) -> Sight:
        """Everything under the reference, and each known id by itself."""
        since = None if self._look_back is None else datetime.now(UTC) - self._look_back
        listed = looking.carrying(self._ask, subject.reference, since=since)
        if isinstance(listed, Retry):
            return listed
        orders = {str(order["id"]): order for order in listed}
        gone = []
        for shop_id in subject.known:
            order = looking.one(self._ask, shop_id)
            if isinstance(order, Retry):
                return order
            if order is None:
                orders.pop(shop_id, None)
                gone.append(Sighting(shop_id, "", ShopState.GONE))
            else:
                orders[shop_id] = order
        seen = [answers.sighting(order) for order in looking.oldest_first(list(orders.values()))]
        return Found((*(one for one in seen if one is not None), *gone), status=200)

    def view(self, shop_id: str) -> Viewed:
        """The shop order with this id, for comparing."""
        order = looking.one(self._ask, shop_id, f"{FIELDS},*items")
        if isinstance(order, Retry):
            return order
        shown = None if order is None else answers.sighting(order)
        if order is None or shown is None:
            return Missing("the shop order is deleted", 404)
        return answers.view(order, shown)

    def _ask(self, outbound: Outbound) -> Outcome:
        return self._call(outbound, always)

    def _call(self, outbound: Outbound, in_time: Callable[[], bool]) -> Outcome:
        return exchange(self._endpoint, outbound, headers=self._credentials, in_time=in_time)


def _cancel(shop_id: str) -> str:
    return f"/admin/orders/{shop_id}/cancel?fields={FIELDS}"
