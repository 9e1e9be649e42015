"""Each real shop comes up, takes its key, and is gone afterwards."""

import socket

import pytest
from tests.shops.bring_up import Recipe, running
from tests.shops.kinds import RECIPES

pytestmark = [pytest.mark.real_shop, pytest.mark.timeout(900)]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.kind)
def test_a_shop_comes_up_and_goes(recipe: Recipe) -> None:
    with running(recipe) as shop:
        assert shop.ledger() == []
        shop.die()
        shop.start()
        assert shop.ledger() == []
        port = int(shop.base_url.rpartition(":")[2])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port))
