"""One question to Shopify, and what its answer means before anybody looks at what was asked.

It never calls anything executed or not executed that the answer leaves open: that is unknown.

| answer | a write | a read |
| --- | --- | --- |
| 200, `THROTTLED` | `Retry` when the points are back, not burnt: it is turned away before it runs (STATED) | the same |
| 200, `ACCESS_DENIED` or `SHOP_INACTIVE` for the mutation itself | `Retry`, closed | closed |
| 200, no data, and a code that says the question itself is wrong | `Refused` | `Retry` |
| 200 with any other error | `Unknown` | `Retry` |
| 404: there is no such store or API version | `Retry`, closed | the same |
| 423 and 430: Shopify locks out who asks too much | `Retry` in a minute, not burnt | the same |
| anything else | as for every connector (`exchange`) | as for every connector |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from orderflow.connectors import Refused, Result, Retry, Unknown
from orderflow.connectors.calls import Calls
from orderflow.connectors.exchange import Outbound, unread, unsent, unwelcome
from orderflow.connectors.graphql import Answer, answer
from orderflow.connectors.shopify.patience import rest, wait
from orderflow.glopal.jsontext import Json
from orderflow.glopal.replies import Reply

_SHUT: Final = frozenset({"ACCESS_DENIED", "SHOP_INACTIVE"})
_INVALID: Final = frozenset(
    {"PARSE_ERROR", "INVALID_VARIABLE", "undefinedField", "argumentNotAccepted", "MAX_INPUT_SIZE_EXCEEDED"}
    | {"MAX_COST_EXCEEDED", "missingRequiredArguments", "selectionMismatch"}
)
_LOCKED: Final = frozenset({423, 430})
_LOCKED_SECONDS: Final = 60.0

R = TypeVar("R", bound=Result)


@dataclass(frozen=True, slots=True)
class Said:
    """An answer without top-level errors. `data`: of a write, what its mutation answered; of a read, everything."""

    data: Mapping[str, Json] = field(repr=False)
    reply: Reply = field(repr=False)
    rest: float = 0.0

    def unknown(self, reason: str) -> Unknown:
        """It may have been executed, and this answer does not tell."""
        return Unknown(f"{self.reply.status} {reason}", self.reply.status, self.reply.body, self.rest)

    def refused(self, reason: str) -> Refused:
        """It was not executed."""
        return Refused(f"{self.reply.status} {reason}", self.reply.status, self.reply.body, self.rest)

    def again(self, reason: str, after: float = 0.0) -> Retry:
        """Nothing was executed, and it may go better next time."""
        return Retry(reason, after, status=self.reply.status, reply=self.reply.body, rest=self.rest)


def write(calls: Calls, outbound: Outbound, mutation: str) -> Said | Result:
    """Send one mutation; what it answered, or what it means that it did not."""
    outcome = calls.call(outbound)
    if not isinstance(outcome, Reply):
        return unsent(outcome)
    if outcome.status in _LOCKED:
        return _locked(outcome)
    if outcome.status == 404:  # another store, or an API version that is no more
        return Retry(outcome.summary, burnt=False, closed=True, status=404, reply=outcome.body)
    if outcome.status >= 300:
        return unwelcome(outcome)
    found = answer(outcome) if outcome.status == 200 else None
    if found is None:
        return Unknown(f"{outcome.status} that cannot be read", outcome.status, outcome.body)
    if found.codes:
        return replace(_failed(found, outcome, mutation), rest=rest(found.extensions))
    payload = found.data.get(mutation)
    if not isinstance(payload, dict):
        return Unknown(f"200 without {mutation}", 200, outcome.body, rest(found.extensions))
    return Said(payload, outcome, rest(found.extensions))


def _failed(found: Answer, reply: Reply, mutation: str) -> Retry | Refused | Unknown:
    reason = f"200 {found.problem}"
    if not found.data and "THROTTLED" in found.codes:
        return Retry(reason, wait(found.extensions), burnt=False, status=200, reply=reply.body)
    if found.data.get(mutation) is None and _SHUT.issuperset(found.codes):
        return Retry(reason, burnt=False, closed=True, status=200, reply=reply.body)
    if not found.data and _INVALID.issuperset(found.codes):
        return Refused(reason, 200, reply.body)
    return Unknown(reason, 200, reply.body)


def read(calls: Calls, outbound: Outbound) -> Said | Retry:
    """Ask one question; everything that was answered, or when to ask again. Half an answer is none."""
    outcome = calls.call(outbound)
    if isinstance(outcome, Reply) and outcome.status in _LOCKED:
        return _locked(outcome)
    if not isinstance(outcome, Reply) or outcome.status != 200:
        return unread(outcome)
    found = answer(outcome)
    if found is None:
        return Retry("200 that cannot be read", status=200, reply=outcome.body)
    if not found.codes:
        return Said(found.data, outcome, rest(found.extensions))
    throttled, shut = "THROTTLED" in found.codes, _SHUT.issuperset(found.codes)
    after = wait(found.extensions) if throttled else 0.0
    reason, left = f"200 {found.problem}", rest(found.extensions)
    return Retry(reason, after, not throttled and not shut, shut, 200, outcome.body, left)


def _locked(reply: Reply) -> Retry:
    after = max(reply.retry_after, _LOCKED_SECONDS)
    return Retry(reply.summary, after, burnt=False, status=reply.status, reply=reply.body)
