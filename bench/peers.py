"""What a user would pick instead: `eventsourcing` with its database functions, and `procrastinate`.

Each is used as its own documentation says, with the settings that are best for it here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import procrastinate
from eventsourcing.application import Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.sql import SQL
from sqlalchemy import make_url

from bench.measure import stopwatch


class Order(Aggregate):
    """An order whose events carry the text as it came: nothing of it is parsed, which is cheapest."""

    @event("Received")
    def __init__(self, body: str) -> None:
        self.status = "RECEIVED"
        self.length = len(body)

    @event("Moved")
    def move(self, status: str, body: str) -> None:
        """Another report."""
        self.status = status
        self.length = len(body)


def environment(url: str, pool: int = 20) -> dict[str, str]:
    """The settings of an application on this database."""
    at = make_url(url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": at.database or "",
        "POSTGRES_HOST": str(at.query.get("host") or at.host or ""),
        "POSTGRES_PORT": str(at.port or 5432),
        "POSTGRES_USER": at.username or "postgres",
        "POSTGRES_PASSWORD": at.password or "unused",
        "POSTGRES_POOL_SIZE": str(pool),
        "POSTGRES_MAX_OVERFLOW": "20",
        "POSTGRES_ENABLE_DB_FUNCTIONS": "y",
    }


@contextmanager
def application(url: str, pool: int = 20) -> Iterator[Application[UUID]]:
    """An application with its tables."""
    app = Application[UUID](env=environment(url, pool))
    try:
        yield app
    finally:
        app.close()


STATUSES = ("RECEIVED", "READY", "ACCEPTED", "COMPLETED")


def fill(url: str, orders: int, each: int, bodies: list[bytes]) -> list[UUID]:
    """So many orders with `each` events; their ids."""
    texts, ids = [body.decode() for body in bodies], []
    with application(url) as app:
        for number in range(orders):
            order = Order(body=texts[number % len(texts)])
            for step in range(1, each):
                order.move(STATUSES[step % 4], texts[(number + step) % len(texts)])
            app.save(order)
            ids.append(order.id)
    return ids


class View(PostgresTrackingRecorder):
    """A row an order with its status and count, and a line an event: what a read model of orders needs at least."""

    def __init__(self, datastore: Any, **kwargs: Any) -> None:
        super().__init__(datastore, **kwargs)
        self.sql_create_statements += [
            SQL(
                "CREATE TABLE IF NOT EXISTS bench_orders "
                "(id uuid PRIMARY KEY, status text NOT NULL, events bigint NOT NULL, position bigint NOT NULL)"
            ).format(),
            SQL(
                "CREATE TABLE IF NOT EXISTS bench_timeline "
                "(position bigint PRIMARY KEY, id uuid NOT NULL, summary text NOT NULL)"
            ).format(),
        ]

    def tell(self, order: UUID, status: str, tracking: Tracking) -> None:
        """Write row, line and place in one transaction."""
        position = tracking.notification_id
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(
                "INSERT INTO bench_orders AS o VALUES (%s, %s, 1, %s) ON CONFLICT (id) DO UPDATE "
                "SET status = excluded.status, events = o.events + 1, position = excluded.position",
                (order, status, position),
            )
            cursor.execute(
                "INSERT INTO bench_timeline VALUES (%s, %s, %s)", (position, order, f"Glopal reports {status}")
            )


class Orders(Projection[View]):
    """The projection that fills the view."""

    name = "orders"

    @singledispatchmethod
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        """Every event moves the row of its order."""
        status = getattr(domain_event, "status", "RECEIVED")
        self.view.tell(domain_event.originator_id, status, tracking)


def project(url: str, last: int) -> float:
    """Run the projection until it has told event `last`; how many seconds."""
    with (
        stopwatch() as clock,
        ProjectionRunner(
            application_class=Application[UUID], projection_class=Orders, view_class=View, env=environment(url)
        ) as runner,
    ):
        runner.wait(last, timeout=600.0)
    return clock.seconds


def jobs(url: str, count: int, workers: int) -> float:
    """Let a worker do so many jobs that do nothing, which were deferred before; how many seconds."""
    return asyncio.run(_jobs(url, count, workers))


async def _jobs(url: str, count: int, workers: int) -> float:
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url, min_size=4, max_size=workers + 4))

    @app.task(name="nothing")
    async def nothing(order_id: str) -> None:
        pass

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await nothing.batch_defer_async(*({"order_id": str(uuid4())} for _ in range(count)))
        with stopwatch() as clock:
            await app.run_worker_async(
                concurrency=workers, wait=False, install_signal_handlers=False, listen_notify=False
            )
    return clock.seconds
