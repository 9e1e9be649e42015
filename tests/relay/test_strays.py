"""What dead workers left in a shop is deleted now and then, but never where nothing may be done."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from tests.relay.conftest import NewStage

from orderflow.domain.events import Destination
from orderflow.domain.policy import Mode, StorePolicy
from orderflow.relay.strays import FORGOTTEN, sweep
from orderflow.store import progress


@dataclass
class Sweeping:
    """The sandbox's connector, and a sweep beside it."""

    connector: Any
    asked: list[timedelta] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connector, name)

    def sweep(self, older_than: timedelta) -> int:
        self.asked.append(older_than)
        return 2


def test_a_shop_that_has_strays_is_swept(stage: NewStage) -> None:
    it = stage()
    assert sweep(it.relay) == 0  # the contract's shop makes its drafts in one call
    shop = it.connectors[Destination.SHOP] = Sweeping(it.shop_connector)  # type: ignore[assignment]
    assert sweep(it.relay) == 2
    assert shop.asked == [FORGOTTEN]


@pytest.mark.parametrize("change", [{"shadow": True}, {"mode": Mode.OBSERVE}])
def test_not_where_nothing_is_sent(stage: NewStage, change: dict[str, Any]) -> None:
    it = stage(policy=replace(StorePolicy(), **change))
    it.connectors[Destination.SHOP] = Sweeping(it.shop_connector)  # type: ignore[assignment]
    assert sweep(it.relay) == 0


def test_not_while_it_is_paused(stage: NewStage) -> None:
    it = stage()
    it.connectors[Destination.SHOP] = Sweeping(it.shop_connector)  # type: ignore[assignment]
    with it.engine.begin() as conn:
        progress.pause(conn, it.store, "shop", "by hand", "me")
    assert sweep(it.relay) == 0
    with it.engine.begin() as conn:
        progress.resume(conn, it.store, "shop")
    assert sweep(it.relay) == 2
