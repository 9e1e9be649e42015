"""Glopal as a destination: accept, cancel, refund, quote, and the look-up by GET.

It never takes a 200 for ACCEPTED: that is learnt from Glopal's own reports and details.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as Dict
from typing import Final

from orderflow.connectors import (
    Capabilities,
    Consistency,
    Delivered,
    Found,
    FreezeError,
    Missing,
    Quoted,
    Refused,
    Result,
    Retry,
    Sight,
    Subject,
    Task,
    Unknown,
    Unreadable,
)
from orderflow.connectors.exchange import Outbound, Outcome, json_object, thawed, unread, unsent, unwelcome
from orderflow.connectors.rate_headers import rested
from orderflow.domain.events import Effect
from orderflow.glopal.client import Client
from orderflow.glopal.codec import problem_of_order_id
from orderflow.glopal.details import read_details
from orderflow.glopal.jsontext import Json, amount, problem_of_text
from orderflow.glopal.mapping import Mapping
from orderflow.glopal.replies import Reply
from orderflow.glopal.routes import NoValue, Route

_OPERATIONS: Final = {
    Effect.ACCEPT: "accept",
    Effect.CANCEL: "cancel",
    Effect.REFUND: "refund",
    Effect.QUOTE: "quote",
}
# UNKNOWN (reference 8): whether and how long the GET lags behind writes. A minute is ASSUMED.
_CAPABILITIES: Final = Capabilities(drafts=False, look_up=Consistency.EVENTUAL, settle_window=60.0)


class Glopal:
    """The connector for one store at Glopal; thread-safe."""

    def __init__(
        self,
        client: Client,
        mapping: Mapping | None = None,
        capabilities: Capabilities | None = None,
        base_currency: str | None = None,
    ) -> None:
        self._client = client
        self._mapping = mapping or Mapping()
        self._capabilities = capabilities or _CAPABILITIES
        self._base_currency = base_currency

    @property
    def capabilities(self) -> Capabilities:
        """What is assumed of Glopal; only the settle window matters here."""
        return self._capabilities

    def close(self) -> None:
        """Close the idle connections."""
        self._client.close()

    def freeze(self, task: Task) -> bytes:
        """The request for ACCEPT (needs ids), CANCEL, REFUND and QUOTE (need an amount). Raises `FreezeError`."""
        operation = _OPERATIONS.get(task.effect)
        if operation is None:
            raise FreezeError(f"Glopal knows no {task.effect}")
        if problem := problem_of_order_id(task.order_id):
            raise FreezeError(f"order_id {problem}")
        route = self._client.routes[operation]
        if missing := _no_place(route, task):
            raise FreezeError(f"the body of routes.{operation} has no place for {missing}: nothing is sent without it")
        try:
            body = route.content(_values(task, self._client.store_id))
        except NoValue as error:
            raise FreezeError(str(error)) from None
        about = {"operation": operation, "order_id": task.order_id}
        if task.effect is Effect.QUOTE and task.currency is not None:
            about["currency"] = task.currency
        return Outbound(route.method, self._client.target(operation, task.order_id), body, about).frozen()

    def send(self, request: bytes, *, key: str, in_time: Callable[[], bool]) -> Result:  # noqa: ARG002 - no such header
        """Send a frozen request. Glopal's API names no idempotency key; accept is idempotent by itself (STATED)."""
        outbound = thawed(request)
        if isinstance(outbound, Refused):
            return outbound
        reply = self._client.call(outbound.method, outbound.target, outbound.body, in_time)
        return rested(self._result(outbound, reply), reply)

    def _result(self, outbound: Outbound, reply: Outcome) -> Result:
        """What the answer to a write means."""
        if not isinstance(reply, Reply):
            return unsent(reply)
        if reply.status == 404:
            return self._not_found(reply, outbound.expects.get("order_id", ""))
        if reply.status >= 300:
            return unwelcome(reply)
        route = self._client.routes.get(outbound.expects.get("operation", ""))
        said = json_object(reply.body)
        if route is not None and route.success.shown_by(reply.status, said):
            return _delivered(route, outbound.expects, reply, said)
        return Unknown(f"{reply.status} without what proves success", reply.status, reply.body)

    def _not_found(self, reply: Reply, order_id: str) -> Result:
        """404 on a write: the route table is wrong, unless the order itself is not there either.

        The first stops everything until a person mends the table; the second is this order's trouble alone.
        """
        order = self._client.order(order_id)
        if isinstance(order, Reply) and order.status == 404:
            return Refused(f"{reply.summary}: Glopal does not know the order", 404, reply.body)
        reason = f"{reply.summary}: wrong route?"
        return Retry(reason, burnt=False, closed=True, status=404, reply=reply.body)

    def find(self, subject: Subject) -> Sight:
        """The order's details as the GET shows them now."""
        if problem := problem_of_order_id(subject.order_id):
            return Unreadable(f"order_id {problem}", b"")
        reply = self._client.order(subject.order_id)
        return rested(self._sight(subject, reply), reply)

    def _sight(self, subject: Subject, reply: Outcome) -> Sight:
        """What the answer to the GET shows."""
        if isinstance(reply, Reply) and reply.status == 404:
            return Missing(reply.summary, 404)
        if not isinstance(reply, Reply) or reply.status != 200:
            return unread(reply)
        details = read_details(reply.body, self._mapping, subject.order_id, self._base_currency)
        if isinstance(details, str):
            return Unreadable(details, reply.body, 200)
        return Found(details=details, status=200)


def _delivered(route: Route, expects: Dict[str, str], reply: Reply, said: Json) -> Result:
    """With what is read from the reply; a quote without its answer is none."""
    if expects["operation"] != "quote":
        receipt = route.answer["id"].of(said) if "id" in route.answer else None
        named = receipt if isinstance(receipt, str) and problem_of_text(receipt) is None else ""
        return Delivered(status=reply.status, reply=reply.body, receipt=named)
    merchant, glopal = (amount(route.answer[name].of(said)) for name in ("merchant", "glopal"))
    currency = route.answer["currency"].of(said) or expects.get("currency")
    if merchant is None or glopal is None or not isinstance(currency, str) or currency != expects.get("currency"):
        places = ", ".join(str(place) for place in route.answer.values())
        return Unknown(f"{reply.status}, and no quote was found at {places}", reply.status, reply.body)
    return Delivered(status=reply.status, reply=reply.body, quoted=Quoted(merchant, glopal, currency))


def _no_place(route: Route, task: Task) -> str:
    """What was said of this refund and would be lost."""
    if task.glopal_amount is not None and not route.takes("glopal_amount", "merchant_amount"):
        return "{glopal_amount}"
    return "{claim}" if task.claim and not route.takes("claim") else ""


def _values(task: Task, store_id: str) -> dict[str, Json]:
    """What a body template may name. Empty reason, claim and shares are left out; the others must be there if named."""
    values: dict[str, Json] = {"store_id": store_id, "order_id": task.order_id, "reason": task.reason or None}
    if task.ids is not None:
        values |= {"ids.order_id": task.ids.order_id, "ids.number": task.ids.number}
    if task.amount is not None:
        share = task.glopal_amount
        values |= {"amount": task.amount, "refund": task.target, "claim": task.claim or None, "glopal_amount": share}
        values["merchant_amount"] = None if share is None else task.amount - share
    if task.currency is not None:
        values["currency"] = task.currency
    return values
