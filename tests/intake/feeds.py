"""Feeds of events: the fake Glopal behind the real client without a network, and answers out of a list."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import httpx
import sqlalchemy as sa

from orderflow import codec, orders
from orderflow.domain.events import Event
from orderflow.domain.order import Order
from orderflow.glopal.client import Client, Events, RawPage
from orderflow.intake import Feed
from orderflow.sandbox import Glopal, GlopalOptions, Request
from orderflow.store import log, progress
from orderflow.store.vault import key, open_vault, unseal
from orderflow.store.verify import verify

VAULT = open_vault(b"k" * 32)
NAMES = ("order.received", "order.ready", "order.accepted", "order.completed", "order.cancelled")


class Wire(httpx.BaseTransport):
    """Carries requests into the fake; `status` set breaks them off with that answer, `asked` counts them."""

    def __init__(self, glopal: Glopal) -> None:
        self.glopal = glopal
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.down = False
        self.asked = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.down:
            raise httpx.ConnectError("nobody there")
        if self.status is not None:
            return httpx.Response(self.status, headers=self.headers, stream=httpx.ByteStream(b"{}"))
        path, _, _ = request.url.raw_path.decode().partition("?")
        asked = Request(
            request.method, path, tuple(request.url.params.multi_items()), dict(request.headers), request.content
        )
        answer = self.glopal.handle(asked)
        return httpx.Response(answer.status, headers=dict(answer.headers), stream=httpx.ByteStream(answer.body))


class World:
    """A fake Glopal with a clock that is moved by hand."""

    def __init__(self, options: GlopalOptions | None = None) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.glopal = Glopal(clock=lambda: self.now, rng=Random(1), options=options)
        self.wire = Wire(self.glopal)

    def feed(self, store: str, page_size: int = 20, trailing: timedelta = timedelta(minutes=15)) -> Feed:
        self.glopal.open(store)
        return Feed(store, self.client(store), NAMES, page_size, trailing)

    def client(self, store: str) -> Client:
        return Client("https://glopal.test", store, "GL.sandbox", transport=self.wire)


class Script:
    """Gives these answers one after the other, then the last one for ever; `cursors` tells what it was asked for."""

    cursor_name = "after_event_id"

    def __init__(self, *answers: Events | bytes) -> None:
        self.answers = list(answers)
        self.cursors: list[str | None] = []

    def events(self, after: str | None, names: Sequence[str], limit: int | None = None) -> Events:
        del names, limit
        self.cursors.append(after)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return RawPage(answer) if isinstance(answer, bytes) else answer


def scripted(store: str, *answers: Events | bytes, page_size: int = 100) -> Feed:
    return Feed(store, Script(*answers), NAMES, page_size)  # type: ignore[arg-type]


def event(event_id: Any = "e1", name: Any = "order.received", order_id: Any = "1-1", **more: Any) -> dict[str, Any]:
    at = {"event_at": "2026-01-01T00:00:00.000Z"}
    return {"event_id": event_id, "event_name": name, "order_id": order_id, **at, "entity_id": None, **more}


def page(*events: Any) -> bytes:
    """Elements that are bytes go in as they are."""
    parts = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in events]
    return b'{"events": [' + b", ".join(parts) + b"]}"


EMPTY = page()


# --- what stands in the database ------------------------------------------------------------------------------------


def stored(engine: sa.Engine, store: str) -> list[tuple[str, str, str]]:
    """Order, type and source id of every event."""
    with engine.begin() as conn:
        return [(r.order_id, r.type, r.source_id) for r in log.read(conn, store, 0, 100_000)]


def events_of(engine: sa.Engine, store: str, order_id: str) -> list[Event]:
    with engine.begin() as conn:
        return [codec.decode(record).event for record in log.read_stream(conn, store, order_id)]


def body_at(engine: sa.Engine, store: str, position: int) -> bytes:
    """The opened body of an event."""
    with engine.begin() as conn:
        [record] = log.read(conn, store, position - 1, 1)
        found = log.body(conn, store, position)
        assert found is not None
        event_id, sealed = found
        return unseal(key(conn, VAULT, store, record.order_id, sealed.key), sealed.data, event_id, "body")


def order(engine: sa.Engine, store: str, order_id: str) -> Order:
    with engine.begin() as conn:
        return orders.load(conn, store, order_id)


def cursor(engine: sa.Engine, store: str) -> tuple[int, str | None]:
    with engine.begin() as conn:
        return progress.cursor_of(conn, store)


def pauses(engine: sa.Engine, store: str) -> dict[str, str]:
    with engine.begin() as conn:
        return {scope: reason for scope, (reason, _) in progress.paused(conn, store).items()}


def verified(engine: sa.Engine, store: str) -> int:
    with engine.begin() as conn:
        return max(verify(conn, store), default=0)
