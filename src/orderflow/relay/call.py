"""The call itself, outside every transaction.

It never sends twice, and a refusal is read back at once: only what is seen afterwards counts.
"""

from __future__ import annotations

from orderflow.connectors import Refused
from orderflow.relay.work import Call, Relay, Reply


def perform(relay: Relay, call: Call) -> Reply:
    """Talk to the destination, outside every transaction. A refusal is read back before it counts."""
    began = relay.boottime()
    connector = relay.tenants[call.row.key.store].connectors[call.effect.destination]
    if call.request is None:
        return Reply(None, connector.find(call.subject), relay.boottime() - began)
    result = connector.send(call.request, key=str(call.row.key), in_time=lambda: relay.boottime() < call.deadline)
    sight = connector.find(call.subject) if isinstance(result, Refused) and call.kind == "send" else None
    return Reply(result, sight, relay.boottime() - began)
