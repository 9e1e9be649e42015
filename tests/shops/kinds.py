"""Every kind of real shop that the tests know."""

from tests.shops.bring_up import Recipe
from tests.shops.medusa import MEDUSA
from tests.shops.vendure import VENDURE

RECIPES: list[Recipe] = [MEDUSA, VENDURE]
