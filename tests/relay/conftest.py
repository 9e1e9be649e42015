"""A database in virtual time for each module, and a stage with a store of its own for each test."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from tests.relay.stage import Clock, Stage, virtual

NewStage = Callable[..., Stage]


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


@pytest.fixture
def stage(request: pytest.FixtureRequest, app: sa.Engine, clock: Clock) -> NewStage:
    """Make a stage with a store that no other test of the module knows."""

    def make(suffix: str = "", **options: Any) -> Stage:
        return Stage(app, clock, re.sub(r"\W+", "-", request.node.name).strip("-") + suffix, **options)

    return make
