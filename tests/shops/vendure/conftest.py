"""One Vendure for all the tests here, and the relay's stage with it in the shop's place."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from tests.relay.conftest import NewStage, app, clock, stage
from tests.relay.stage import SETTLES, Stage
from tests.shops.bring_up import Running, running
from tests.shops.vendure import VENDURE

from orderflow.connectors import Capabilities
from orderflow.connectors.vendure import Vendure
from orderflow.domain.events import Destination

__all__ = ["app", "clock", "stage"]

Connect = Callable[..., Vendure]


@pytest.fixture(scope="session")
def shop() -> Iterator[Running]:
    with running(VENDURE) as shop:
        yield shop


@pytest.fixture
def connect(shop: Running) -> Iterator[Connect]:
    """Make connectors to the real Vendure; patient ones, for machines that do other things besides."""
    made = []

    def connect(transport: httpx.BaseTransport | None = None, **options: Any) -> Vendure:
        able = Capabilities(unique_reference=True, settle_window=SETTLES)
        given = {"charges_sku": "GLOPAL-CHARGES", "total_seconds": 60.0, **options}
        key = given.pop("key", shop.key)
        made.append(Vendure(shop.base_url, key, None, able, transport=transport, **given))
        return made[-1]

    yield connect
    for one in made:
        one.close()


@pytest.fixture
def before_vendure(stage: NewStage, connect: Connect) -> Callable[..., Stage]:
    """A stage whose shop is the real Vendure; its time is virtual all the same."""

    def make(suffix: str = "", **options: Any) -> Stage:
        it = stage(suffix, **options)
        it.connectors[Destination.SHOP] = connect()
        return it

    return make
