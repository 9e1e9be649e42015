"""The HTTP plumbing of all connectors: frozen requests, one call, and what its outcome means.

It never decides whether to send, and never lets free text of an answer into a reason: that may be personal.

What a connector hears about a *write*, unless its own contract says more:

| outcome | result |
| --- | --- |
| no connection, DNS, TLS, pool full | `Retry`: provably not sent |
| `in_time` said no | `Retry`, not burnt |
| cut or too late after the first byte | `Unknown` |
| 2xx | the connector's own reading; whatever it cannot read is `Unknown` |
| 3xx, 401, 403, 405 | `Retry`, closed: nothing goes through until a person mends address, route or key |
| 408, 5xx | `Unknown`: a gateway may have passed the request on before it gave up, also with 503 |
| 425, 429 | `Retry` after the time asked for, not burnt |
| other 4xx | `Refused` with status and machine-readable code |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from orderflow.connectors import FreezeError, Refused, Result, Retry, Unknown
from orderflow.glopal.client import Endpoint
from orderflow.glopal.jsontext import Json, NotJson, canonical, parse
from orderflow.glopal.replies import Broken, NotSent, Reply, always

Outcome = Reply | NotSent | Broken

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Outbound:
    """A frozen request, without address and credentials. `target`: path and query, percent-encoded.

    `expects` is the connector's own note of what an answer must match, such as the id of the order spoken about.
    """

    method: str
    target: str
    body: bytes = field(default=b"", repr=False)
    expects: Mapping[str, str] = field(default_factory=dict)

    def frozen(self) -> bytes:
        """Canonical bytes: the same request gives the same. Raises `FreezeError` if the body is no UTF-8."""
        try:
            body = self.body.decode()
        except UnicodeDecodeError:
            raise FreezeError("the body is no UTF-8") from None
        return canonical({"method": self.method, "target": self.target, "body": body, "expects": dict(self.expects)})


def thawed(request: bytes) -> Outbound | Refused:
    """What `Outbound.frozen` made; `Refused` for anything else."""
    match parse(request):
        case {"method": str(method), "target": str(target), "body": str(body), "expects": dict(expects)}:
            texts = {name: value for name, value in expects.items() if isinstance(value, str)}
            return Outbound(method, target, body.encode("utf-8", "replace"), texts)
        case _:
            return Refused("the frozen request cannot be read")


def exchange(
    endpoint: Endpoint,
    outbound: Outbound,
    *,
    headers: Mapping[str, str] = NOTHING,
    in_time: Callable[[], bool] = always,
    total_seconds: float | None = None,
) -> Outcome:
    """Send it once. Never raises."""
    return endpoint.exchange(
        outbound.method,
        outbound.target,
        body=outbound.body,
        headers=headers,
        in_time=in_time,
        total_seconds=total_seconds,
    )


def unsent(outcome: NotSent | Broken) -> Retry | Unknown:
    """What it means for a write that no answer came."""
    if isinstance(outcome, NotSent):
        return Retry(outcome.reason, burnt=not outcome.late)
    return Unknown(outcome.reason, outcome.status)


def unwelcome(reply: Reply) -> Result:
    """What an answer other than 2xx means for a write (see the table above). A 2xx is `Unknown` here."""
    status = reply.status
    if _shut(status):
        return Retry(reply.summary, burnt=False, closed=True, status=status, reply=reply.body)
    if status in {425, 429}:
        return Retry(reply.summary, after=reply.retry_after, burnt=False, status=status, reply=reply.body)
    if 400 <= status < 500 and status != 408:
        return Refused(reply.summary, status, reply.body)
    return Unknown(reply.summary, status, reply.body)


def unread(outcome: Outcome) -> Retry:
    """What it means for a read that no good answer came: ask again. Nothing was changed, whatever it was."""
    if not isinstance(outcome, Reply):
        return Retry(outcome.reason, burnt=isinstance(outcome, Broken) or not outcome.late)
    closed = _shut(outcome.status) or outcome.status == 404
    burnt = not closed and outcome.status != 429
    return Retry(outcome.summary, outcome.retry_after, burnt, closed, outcome.status, outcome.body)


def _shut(status: int) -> bool:
    return 300 <= status < 400 or status in {401, 403, 405}


def json_object(body: bytes) -> dict[str, Json] | None:
    """The JSON object in an answer, decimals exact; None for anything else."""
    value = parse(body)
    return value if isinstance(value, dict) and not isinstance(value, NotJson) else None
