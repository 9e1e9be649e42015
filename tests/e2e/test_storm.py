"""A short storm of each kind; `make storm` rages for a minute each."""

import pytest

from .stage import staged
from .storm import faults, storm


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kind", "seconds"), [("kill", 5.0), ("stop", 12.0)])
def test_a_storm_doubles_and_loses_nothing(tmp_path, database_url, kind, seconds):
    with staged(tmp_path, database_url, faults=faults()) as stage:
        result = storm(stage, kind, seconds)
    assert result.clean, result
    assert result.blows
    assert sum(result.ends.values()) == result.orders
    assert result.under_way, "no progress was made while it raged"
