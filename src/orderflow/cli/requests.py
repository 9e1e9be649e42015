"""The requests that stand frozen in an order's outbox: in shadow, what would be sent.

It never shows a body unless that is asked for: it may hold what a buyer wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa

from orderflow.app import App
from orderflow.cli.finding import Place
from orderflow.connectors.exchange import Outbound, thawed
from orderflow.relay.request import frozen_requests


def requests_of(
    conn: sa.Connection, app: App, place: Place, effect: str | None, *, personal: bool
) -> list[dict[str, Any]]:
    """Each with its method, target, digest and length; with its body only if `personal`."""
    found = []
    for one in frozen_requests(conn, app.vault, place.store, place.order_id):
        outbound = thawed(one.request)
        if effect not in (None, one.effect) or not isinstance(outbound, Outbound):
            continue
        line = {"effect": one.effect, "generation": one.generation, "sent": not one.planned, "digest": one.digest}
        line |= {"method": outbound.method, "target": outbound.target, "bytes": len(outbound.body)}
        found.append(line | ({"body": outbound.body.decode()} if personal else {}))
    return found


def request_lines(found: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The same as lines of text."""
    for one in found:
        does = "frozen to be sent" if one["sent"] else "would send"
        what = f"{one['method']} {one['target']}, {one['bytes']} bytes, digest {one['digest'][:12]}"
        yield f"{one['effect']} {one['generation']}: {does} {what}"
        if "body" in one:
            yield f"    {one['body']}"
