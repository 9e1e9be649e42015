"""A store on a database of its own, which can be set back to an earlier moment while the world goes on."""

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from tests.relay.stage import Clock, Stage, virtual

from orderflow import recovery
from orderflow.recovery import Seal
from orderflow.store import epochs
from orderflow.store.epochs import Recovery


@dataclass(frozen=True)
class Sealed:
    """What was exported of a log."""

    size: int
    epoch: int
    chain: bytes


@dataclass
class Past:
    """Copies of the stage's database as it was, each a database of its own in the same server."""

    admin: sa.Engine
    name: str
    clock: Clock
    engines: list[sa.Engine]

    def keep(self, stage: Stage) -> str:
        """Copy the database as it is now; its URL."""
        stage.engine.dispose()
        url = stage.engine.url
        kept = f"{self.name}-kept-{len(self.engines)}"
        with self.admin.connect() as conn:
            conn.exec_driver_sql(f'CREATE DATABASE "{kept}" TEMPLATE "{url.database}"')
        made = virtual(url.set(database=kept).render_as_string(hide_password=False), self.clock)
        self.engines.append(made)
        return kept

    def restored(self, stage: Stage, kept: str) -> Stage:
        """The same store with the same Glopal and shop, on a kept database."""
        other = copy.copy(stage)
        other.engine = next(engine for engine in self.engines if engine.url.database == kept)
        other.relay = other.worker("b")
        return other


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def new_stage(request: pytest.FixtureRequest, database_url: str, clock: Clock) -> Iterator[Callable[..., Stage]]:
    engine = virtual(database_url, clock)

    def make(**options: object) -> Stage:
        return Stage(engine, clock, re.sub(r"\W+", "-", request.node.name).strip("-"), **options)

    yield make
    engine.dispose()


@pytest.fixture
def stage(new_stage: Callable[..., Stage]) -> Stage:
    """A store that has been started once: the server was seen."""
    made = new_stage()
    started(made)
    return made


@pytest.fixture
def past(database_url: str, clock: Clock) -> Iterator[Past]:
    url = sa.make_url(database_url)
    admin = sa.create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    made = Past(admin, str(url.database), clock, [])
    yield made
    for engine in made.engines:
        engine.dispose()
        with admin.connect() as conn:
            conn.exec_driver_sql(f'DROP DATABASE "{engine.url.database}" WITH (FORCE)')


def started(stage: Stage, seal: Seal | None = None) -> list[Recovery]:
    """What every start does."""
    return recovery.notice(stage.engine, [stage.store], lambda _: seal)


def sealed(stage: Stage) -> Sealed:
    """A seal of the log as it is now."""
    with stage.engine.begin() as conn:
        query = sa.text("SELECT position, hash FROM orderflow.events WHERE store = :s ORDER BY position DESC LIMIT 1")
        size, chain = conn.execute(query, {"s": stage.store}).one()
        return Sealed(size, epochs.current(conn, stage.store), bytes(chain))


def pending(stage: Stage) -> Recovery:
    with stage.engine.begin() as conn:
        found = epochs.pending(conn, stage.store)
    assert found is not None
    return found


def reconcile(stage: Stage) -> dict[str, str]:
    """Read the feed, look everything up that remains; what could not be, and why."""
    recovery.read_feed(stage.engine, stage.relay.vault, stage.feed, pending(stage))
    stage.plan()
    with stage.engine.begin() as conn:
        left = recovery.remaining(conn, pending(stage))
    problems = {order_id: recovery.look_up(stage.relay, pending(stage), order_id) for order_id in left}
    stage.plan()
    return {order_id: problem for order_id, problem in problems.items() if problem is not None}


def reopen(stage: Stage, *without: str) -> Recovery:
    return recovery.reopen(stage.engine, stage.store, by="alice", why="a test", without=without)
