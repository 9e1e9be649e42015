"""A database for each module, and a store for each test."""

import re
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from orderflow.store.connect import connect


@pytest.fixture(scope="module")
def app(module_database_url: str) -> Iterator[sa.Engine]:
    """An engine that acts as the restricted role."""
    made = connect(module_database_url, pool_size=10)
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def owner(module_database_url: str) -> Iterator[sa.Engine]:
    """An engine that acts as the superuser who owns the database."""
    made = sa.create_engine(module_database_url)
    yield made
    made.dispose()


@pytest.fixture
def store(request: pytest.FixtureRequest) -> str:
    """A store that no other test of the module knows."""
    return re.sub(r"\W+", "-", request.node.name)
