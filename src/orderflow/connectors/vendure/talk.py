"""One question to Vendure's admin API and what its answer means: HTTP 200 says nothing there, so errors are read.

It never takes `data: null` for "there is none" where an error stands beside it.

| what Vendure says | to a write | to a read |
| --- | --- | --- |
| `FORBIDDEN`, as a rule with 200 | `Retry`, closed: key or rights | the same |
| `GRAPHQL_VALIDATION_FAILED` | `Retry`, closed: the custom fields are not there, nothing was executed | the same |
| another code that blames the input | `Refused` | `Retry` |
| an error without such a code | `Unknown`: what came before it in the document stays done | `Retry` |
| no answer, or another status | as for every connector (`exchange`) | the same |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from orderflow.connectors import Refused, Result, Retry, Unknown
from orderflow.connectors.calls import Calls
from orderflow.connectors.exchange import Outcome, unread, unsent, unwelcome
from orderflow.connectors.graphql import Answer, answer, inside, question
from orderflow.glopal.codes import code as word
from orderflow.glopal.jsontext import Json
from orderflow.glopal.replies import Reply

_CLOSED: Final = {"FORBIDDEN", "GRAPHQL_VALIDATION_FAILED", "CHANNEL_NOT_FOUND"}
_NO: Final = {"BAD_USER_INPUT", "USER_INPUT_ERROR", "ENTITY_NOT_FOUND", "ILLEGAL_OPERATION"}


class Halt(Exception):
    """A question did not get the answer that the next step needs: `result` is what the whole send comes to."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.__class__.__name__)
        self.result = result


@dataclass(frozen=True, slots=True)
class Said:
    """An answer without errors. Both may be personal."""

    data: Mapping[str, Json] = field(repr=False)
    body: bytes = field(repr=False)

    def refusal(self) -> str:
        """The codes of all result unions that say no, each once; empty if none does."""
        codes = [inside(value, "errorCode") for value in self.data.values()]
        return " ".join(dict.fromkeys(word(code) or "error" for code in codes if code is not None))


def write(calls: Calls, document: str, variables: Mapping[str, Json], currency: str = "") -> Said:
    """Ask within a send: a mutation, or what must be known before it. Raises `Halt`."""
    outcome = calls.call(question(document, variables, target=_target(currency)))
    if not isinstance(outcome, Reply):
        raise Halt(unsent(outcome))
    said = _answer(outcome)
    if said is None:
        closed = outcome.status == 404  # never Vendure's own word: a wrong address
        raise Halt(_shut(outcome, outcome.summary) if closed else unwelcome(outcome))
    if not said.codes:
        return Said(said.data, outcome.body)
    reason = f"{outcome.status} {said.problem}"
    if _CLOSED.intersection(said.codes):
        raise Halt(_shut(outcome, reason))
    if _NO.issuperset(said.codes):
        raise Halt(Refused(reason, outcome.status, outcome.body))
    raise Halt(Unknown(reason, outcome.status, outcome.body))


def read(calls: Calls, document: str, variables: Mapping[str, Json]) -> Said | Retry:
    """Ask for a look-up."""
    outcome: Outcome = calls.call(question(document, variables, target=_target("")))
    said = _answer(outcome) if isinstance(outcome, Reply) else None
    if not isinstance(outcome, Reply) or (said is None and outcome.status != 200):
        return unread(outcome)
    if said is None:
        return Retry("200 that cannot be read", status=200, reply=outcome.body)
    if not said.codes:
        return Said(said.data, outcome.body)
    reason = f"{outcome.status} {said.problem}"
    if _CLOSED.intersection(said.codes):
        return _shut(outcome, reason)
    return Retry(reason, status=outcome.status, reply=outcome.body)


def _target(currency: str) -> str:
    """Without a currency Vendure goes by the channel's, and reprices what is written in it."""
    return f"/admin-api?currencyCode={currency}" if currency else "/admin-api"


def _answer(reply: Reply) -> Answer | None:
    """A GraphQL answer; None for what is none, or comes with a status that says enough."""
    found = answer(reply) if reply.status in {200, 400} else None
    return None if found is not None and reply.status == 400 and not found.codes else found


def _shut(reply: Reply, reason: str) -> Retry:
    return Retry(reason, burnt=False, closed=True, status=reply.status, reply=reply.body)
