"""Three hundred seeds of the real engine against a faulty world.

Replay one seed with `make simulate SEED=17`; `make simulate-all` runs 5 000 and tells what fired where.
"""

from __future__ import annotations

from collections import Counter

import pytest
from tests.simulation.simulate import Database, simulate

SEEDS = 300
CHUNK = 50


@pytest.fixture(scope="module")
def database(module_database_url):
    made = Database(module_database_url)
    yield made
    made.dispose()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_every_promise_holds_under_every_schedule(database, first):
    """No second promoted order, no second set of ids, no send without intent, nothing alive that was cancelled, no
    stray after the reap window, the world's status in the end, and everything at rest or in a named exception."""
    counts: Counter[str] = Counter()
    for seed in range(first, first + CHUNK):
        counts += simulate(database, seed).counts
    # A run that meets no trouble proves nothing: each of these must have happened among any fifty seeds.
    met = ("crash", "sleep", "send draft", "send promote", "send accept", "send withdraw", "look_up draft")
    for event in (*met, "prepared together", "settled together"):
        assert counts[event], f"no {event} in seeds {first} to {first + CHUNK - 1}"
