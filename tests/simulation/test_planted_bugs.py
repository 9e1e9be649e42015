"""The oracle is tested too: each planted bug must be caught by the simulation, by the promise it breaks, and soon."""

from __future__ import annotations

import pytest
from tests.simulation.bugs import BUGS, Bug
from tests.simulation.check import Broken
from tests.simulation.simulate import Database, simulate

FIRST = 20_000


@pytest.fixture(scope="module")
def database(module_database_url):
    made = Database(module_database_url)
    yield made
    made.dispose()


def caught(database: Database, bug: Bug) -> tuple[int, Broken]:
    """How many seeds it took, and what the broken one said; fails if none was broken."""
    first = FIRST + 100 * BUGS.index(bug)  # each has seeds of its own: a seed is a store, and stores stay
    for number in range(1, bug.within + 1):
        try:
            simulate(database, first + number, aim=bug.aim)
        except Broken as broken:
            return number, broken
    pytest.fail(f"survived {bug.within} seeds")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught(database, monkeypatch, bug):
    """The simulation fails, and says why."""
    bug.plant(monkeypatch)
    _, broken = caught(database, bug)
    assert broken.promise is bug.promise, broken


def test_there_are_twenty_and_more() -> None:
    assert len({bug.plant for bug in BUGS}) >= 20
    assert len({bug.promise for bug in BUGS}) >= 15
