"""One running shop of each kind for a whole run; who kills shops starts their own."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from tests.relay.stage import Clock, Stage, virtual
from tests.shops.bring_up import Running, running
from tests.shops.medusa import MEDUSA

NewStage = Callable[..., Stage]


@pytest.fixture(scope="session")
def medusa() -> Iterator[Running]:
    """A Medusa that searches by our reference and keeps it unique."""
    with running(MEDUSA) as shop:
        yield shop


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
    """Make a stage in virtual time with a store of its own; its shop is replaced by who wants a real one."""

    def make(**options: Any) -> Stage:
        return Stage(app, clock, re.sub(r"\W+", "-", request.node.name).strip("-"), **options)

    return make
