"""What concerns a whole store: pauses, breakers, a feed that nobody reads, effects that are kept back.

It keeps nothing: each of them is seen live where it is, and is gone as soon as it is mended.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from orderflow.desk.exceptions import STORE, Found, Id
from orderflow.domain.exceptions import CLASSES, Of
from orderflow.store import epochs, gates, progress
from orderflow.store.tables import pauses

ITSELF: Final = "orderflow"
_KEYS: Final = ("401", "403")
"""Statuses by which a key is turned away."""


def standing(conn: sa.Connection, silences: Mapping[str, timedelta], now: datetime) -> list[Found]:
    """Those of each store in `silences`, which says after how long its feed counts as read by nobody."""
    return [one for store, silence in sorted(silences.items()) for one in _of_store(conn, store, silence, now)]


def _of_store(conn: sa.Connection, store: str, silence: timedelta, now: datetime) -> Iterator[Found]:
    query = sa.select(pauses.c.scope, pauses.c.reason, pauses.c.by, pauses.c.since).where(pauses.c.store == store)
    scopes = set()
    for scope, reason, by, since in conn.execute(query.order_by(pauses.c.scope)):
        scopes.add(scope)
        who = "orderflow itself" if by == ITSELF else by
        text = f"{scope} is paused by {who}: {reason}"
        yield _found(store, _class(scope, reason, by), scope, text, (f"resume {store} {scope}",), since)
    for gate in gates.standing(conn, store):
        if gate.broken_until is not None:
            text = f"{gate.destination} fails too often ({gate.reason or 'no answer'}): it is only probed"
            since = gate.broken_until - timedelta(seconds=gate.broken_for)
            yield _found(store, Of.BREAKER_OPEN, gate.destination, text, (f"resume {store} {gate.destination}",), since)
    last = progress.last_pull(conn, store)
    if "pull" not in scopes and last is not None and now - last > silence:
        text = f"Glopal's feed was last read {last:%Y-%m-%d %H:%M} UTC: does a worker run?"
        yield _found(store, Of.STALE_PULL, "", text, ("work",), last + silence)
    recovery = epochs.pending(conn, store)
    if recovery is not None:
        yield _found(store, Of.KEPT_BACK, "", recovery.reason, ("recover status",), recovery.noticed_at)


def _class(scope: str, reason: str, by: str) -> Of:
    if by != ITSELF:
        return Of.PAUSED
    return Of.FEED_UNUSABLE if scope == "pull" and not reason.startswith(_KEYS) else Of.CREDENTIALS


def _found(store: str, of: Of, scope: str, text: str, commands: tuple[str, ...], since: datetime) -> Found:
    """The number in its id is the second in which it began: there is no event."""
    about, kind = CLASSES[of], f"{of}_{scope}" if scope else of.value
    return Found(
        id=str(Id(store, STORE, kind, int(since.timestamp()))),
        store=store,
        order_id=None,
        kind=kind,
        of=of,
        severity=about.severity.value,
        owner=about.owner.value,
        text=text,
        commands=commands,
        settling=False,
        since=since,
    )
