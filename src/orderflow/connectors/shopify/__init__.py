"""Shopify as a shop, by its Admin GraphQL API.

It never takes an error inside HTTP 200 for a success, never promotes a draft that comes to another total than it
should, and never takes an order for cancelled before the order itself says so: Shopify cancels later, in a job.

Written to the published contract; docs/how-to/connect-shopify.md tells what of it is assumed.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as Dict
from typing import Final, Unpack

from orderflow.connectors import (
    Capabilities,
    FreezeError,
    Refused,
    Result,
    Sight,
    Subject,
    Task,
    Viewed,
)
from orderflow.connectors.calls import Calls
from orderflow.connectors.exchange import Outbound, thawed
from orderflow.connectors.graphql import question
from orderflow.connectors.shopify import documents, looking, moves
from orderflow.connectors.shopify.order import TOTAL, draft_input
from orderflow.connectors.shopify.rows import global_id, is_draft_id
from orderflow.domain.events import Effect, ShopState
from orderflow.glopal.client import Endpoint, EndpointOptions
from orderflow.glopal.details import read_order
from orderflow.glopal.jsontext import Json, money
from orderflow.glopal.mapping import Mapping

API_VERSION: Final = "2026-04"
SEARCH_SECONDS: Final = 60.0
"""How long a write may stay hidden from Shopify's search (ASSUMED: no figure is published)."""
_LONGEST_NOTE: Final = 255


class Shopify:
    """The connector for one Shopify store; thread-safe. `key`: the access token of an app in it.

    `pending`: promoted orders wait for their payment, instead of being marked as paid.
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        mapping: Mapping | None = None,
        capabilities: Capabilities | None = None,
        *,
        api_version: str = API_VERSION,
        pending: bool = False,
        **options: Unpack[EndpointOptions],
    ) -> None:
        self._endpoint = Endpoint(base_url, key, key_header="x-shopify-access-token", **options)
        self._mapping = mapping or Mapping()
        self._capabilities = capabilities or Capabilities(settle_window=SEARCH_SECONDS)
        self._target = f"/admin/api/{api_version}/graphql.json"
        self._pending = pending

    @property
    def capabilities(self) -> Capabilities:
        """What was declared for this shop."""
        return self._capabilities

    def close(self) -> None:
        """Close the idle connections."""
        self._endpoint.close()

    # ---- freeze ------------------------------------------------------------------------------------------------

    def freeze(self, task: Task) -> bytes:
        """The request for DRAFT, PROMOTE or WITHDRAW. Raises `FreezeError`."""
        match task.effect, task.seen:
            case Effect.DRAFT, _:
                outbound = self._create(task)
            case Effect.PROMOTE, _:
                outbound = self._about("promote", task, documents.COMPLETE, self._completing(task))
            case Effect.WITHDRAW, ShopState.DRAFT | ShopState.BEGUN:
                outbound = self._about("delete", task, documents.DELETE, {"input": {"id": _draft(task)}})
            case Effect.WITHDRAW, ShopState.ORDER:
                outbound = self._about("cancel", task, documents.CANCEL, _cancelling(task))
            case Effect.WITHDRAW, _:
                raise FreezeError("seen must be draft or order")
            case _:
                raise FreezeError(f"a shop knows no {task.effect}")
        return outbound.frozen()

    def _create(self, task: Task) -> Outbound:
        if task.details is None:
            raise FreezeError("details are needed")
        order = read_order(task.details, self._mapping, task.order_id, task.base)
        if isinstance(order, str):
            raise FreezeError(order)
        if task.total is not None and order.total != task.total:
            known, now = money(task.total), money(order.total)
            raise FreezeError(f"the mapping gives {now} where {known} was recorded: `retry fetch` reads it anew")
        about = {"step": "create", "reference": task.reference, TOTAL: f"{money(order.total)} {order.currency}"}
        variables: dict[str, Json] = {"input": draft_input(order, task.reference)}
        return question(documents.CREATE, variables, target=self._target, expects=about)

    def _completing(self, task: Task) -> dict[str, Json]:
        return {"id": _draft(task), "paymentPending": True} if self._pending else {"id": _draft(task)}

    def _about(self, step: str, task: Task, document: str, variables: Dict[str, Json]) -> Outbound:
        about = {"step": step, "id": task.target, "reference": task.reference}
        order_id = variables.get("orderId")
        if isinstance(order_id, str):
            about["order"] = order_id
        return question(document, variables, target=self._target, expects=about)

    # ---- send and find -----------------------------------------------------------------------------------------

    def send(self, request: bytes, *, key: str, in_time: Callable[[], bool]) -> Result:
        """Send a frozen request. Shopify takes no idempotency key for these; nothing relies on one.

        Promoting and withdrawing read first what stands there, and write only if that is what they are meant for.
        """
        del key
        outbound = thawed(request)
        if isinstance(outbound, Refused):
            return outbound
        move = moves.MOVES.get(outbound.expects.get("step", ""))
        if move is None:
            return Refused("the frozen request cannot be read")
        return move(Calls(self._endpoint, in_time), outbound)

    def find(self, subject: Subject) -> Sight:
        """Everything under the reference, by a search that lags, and each known id by itself, which is seen at once."""
        return looking.find(Calls(self._endpoint), self._target, subject)

    def view(self, shop_id: str) -> Viewed:
        """The draft or order with this id."""
        return looking.view(Calls(self._endpoint), self._target, shop_id)


def _draft(task: Task) -> str:
    if not is_draft_id(task.target):
        raise FreezeError("target is no id of a draft order")
    return task.target


def _cancelling(task: Task) -> dict[str, Json]:
    """Nothing is refunded in the shop: the money is Glopal's to give back. The buyer hears it from Glopal, too."""
    order_id = global_id(task.real_id or task.target)
    if order_id is None or is_draft_id(order_id):
        raise FreezeError("target is no id of an order")
    return {
        "orderId": order_id,
        "reason": "OTHER",
        "restock": True,
        "notifyCustomer": False,
        "staffNote": task.reason[:_LONGEST_NOTE],
    }
