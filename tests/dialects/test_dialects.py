"""Glopal's contract is only partly public: orderflow must come to the truth under every setting of every switch.

Each setting alone, then 200 seeded combinations of all; each is a play of some orders, judged by the fakes' ledgers.
"""

from __future__ import annotations

import pytest
from tests.dialects.play import Play, combination
from tests.simulation.simulate import Database

from orderflow.sandbox.glopal.switches import SWITCHES

ALONE = [(name, place) for name, settings in SWITCHES.items() for place in range(1, len(settings))]
COMBINATIONS = 200
CHUNK = 20


@pytest.fixture(scope="module")
def database(module_database_url):
    made = Database(module_database_url)
    yield made
    made.dispose()


@pytest.mark.parametrize(("name", "place"), ALONE, ids=str)
def test_each_setting_alone(database, name, place):
    setting = SWITCHES[name][place]
    assert Play(database, f"{name}-{place}", {name: setting}, 5).run() == []


def test_a_play_can_fail(database, monkeypatch):
    """Without following the link past an empty page, what stands behind it is never seen, and nobody accepts."""
    monkeypatch.setattr("orderflow.glopal.links.onward", lambda _page, _parameter: None)
    with pytest.raises(AssertionError, match="the lives do not end"):
        Play(database, "blind", {"filtering": "after the cut"}, 5).run()


def test_the_comparison_can_fail(database):
    """What nobody told orderflow is a difference."""
    play = Play(database, "untold", {}, 3)
    assert play.run() == []
    order_id = play.glopal.place(play.store)
    play.glopal.ready(play.store, order_id)
    assert [one.kind for one in play.differences()] == ["status"]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", range(0, COMBINATIONS, CHUNK))
def test_seeded_combinations(database, first):
    for seed in range(first, first + CHUNK):
        assert Play(database, f"c{seed}", combination(seed), 3, faulty=True).run() == [], seed
