"""Shadow: what would be sent is built and shown, sealed, in its outbox row, and then waits parked for a person.

It never records an intent and never lets a byte leave, not even when the store has come out of shadow meanwhile.
"""

from __future__ import annotations

from typing import Any, Final

from orderflow.connectors import FreezeError
from orderflow.domain.decisions import IllegalTransition
from orderflow.domain.due import Due
from orderflow.relay.request import built, sealed_request
from orderflow.relay.work import Turn, stands
from orderflow.store.leases import Change
from orderflow.store.vault import mac

SHADOW: Final = "shadow: planned, not sent"
"""Why a row that was planned in shadow waits."""


def show(turn: Turn, due: Due) -> Change:
    """Keep the request of `due` with its row and park it. One that has not changed since is not sealed again."""
    row, relay, reason = turn.row, turn.relay, SHADOW
    shown: dict[str, Any] = {}
    try:
        _, request = built(turn, due)
    except (FreezeError, IllegalTransition) as error:
        reason = f"{SHADOW}; it could not be: {error}"
        shown = {"request": None, "request_key": None, "digest": None}
    else:
        digest = mac(relay.vault, row.key.store, request).hex()
        if digest != row.digest:
            sealed = sealed_request(turn, request, row.attempt)
            shown = {"request": sealed.data, "request_key": sealed.key, "digest": digest}
    return stands(turn, parked=True, shadow=True, reason=reason, **shown)
