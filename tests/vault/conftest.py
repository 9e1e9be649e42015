"""A stage in virtual time whose keys stand beside the log, or in a database of their own."""

import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from tests.conftest import NewDatabase
from tests.relay.stage import VAULT, Clock, Stage, virtual

from orderflow.store import migrate
from orderflow.store.connect import connect
from orderflow.store.vault import Vault, open_vault

NewStage = Callable[..., Stage]
MASTER, OTHER = b"relay tests' master key, 32 byte", b"another master key of 32 bytes !"


@pytest.fixture(scope="module")
def clock() -> Clock:
    """The time of all the tests of a module: it only goes forward."""
    return Clock()


@pytest.fixture(scope="module")
def app(module_database_url: str, clock: Clock) -> Iterator[sa.Engine]:
    """An engine that acts as the restricted role, in virtual time."""
    made = virtual(module_database_url, clock)
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def keys_url(new_database: NewDatabase) -> Iterator[str]:
    """An empty database in the same server, migrated for keys alone."""
    server, name = sa.make_url(new_database()), f"keys-{uuid4()}"
    admin = sa.create_engine(server.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with admin.connect() as conn:
        conn.exec_driver_sql(f'CREATE DATABASE "{name}"')
        url = server.set(database=name).render_as_string(hide_password=False)
        migrate.upgrade(url, part=migrate.VAULT)
        yield url
        conn.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(params=["beside the log", "apart"])
def vault(request: pytest.FixtureRequest) -> Iterator[Vault]:
    """A vault whose keys stand beside the log, or in a database of their own."""
    if request.param == "beside the log":
        yield VAULT
        return
    engine = connect(request.getfixturevalue("keys_url"), pool_size=20)
    yield open_vault(MASTER, engine=engine)
    engine.dispose()


@pytest.fixture
def stage(request: pytest.FixtureRequest, app: sa.Engine, clock: Clock, vault: Vault) -> NewStage:
    """Make a stage with a store that no other test of the module knows."""

    def make(suffix: str = "", **options: Any) -> Stage:
        name = re.sub(r"\W+", "-", request.node.name).strip("-") + suffix
        return Stage(app, clock, name, vault=vault, **options)

    return make
