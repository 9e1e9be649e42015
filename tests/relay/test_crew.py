"""The crew of a process: who waits for whom, and who for nobody."""

import threading
import time
from itertools import pairwise

from tests.relay.conftest import NewStage
from tests.relay.stage import Clock, Stage

from orderflow.relay import prepare
from orderflow.relay.crew import Crew
from orderflow.store.bell import Bell, Topic


def drafts(*stages: Stage, number: int = 3) -> None:
    """So many orders of each store whose drafts are due."""
    for it in stages:
        for _ in range(number):
            it.place()
        it.news()
        it.finish_all(it.calls("glopal"))
        it.news()


class Skips(Bell):
    """Whoever waits lets virtual time pass instead."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def wait(self, topic, heard, seconds=None, *, unless=None) -> None:
        del topic, heard
        if unless is None or not unless():
            self.clock.wait(max(0.01, seconds))


def until(true) -> None:
    """It is true at some time, or the test's time limit ends it."""
    while not true():
        time.sleep(0.005)


def test_one_slow_call_keeps_no_other_from_being_recorded(stage: NewStage, monkeypatch) -> None:
    """While one call hangs, the outcomes of the others of its batch are recorded; its own follows."""
    it = stage()
    drafts(it, number=4)
    crew = Crew(it.relay, Bell(), 4)
    send, hang, hanging = it.shop_connector.send, threading.Event(), []

    def slow(request, *, key, in_time):
        if not hanging:
            hanging.append(key)
            hang.wait(60)
        return send(request, key=key, in_time=in_time)

    monkeypatch.setattr(it.shop_connector, "send", slow)
    crew.prepare_some()
    while len(it.rows(effect="draft")) > 1:
        crew.settle_some()
    [row] = it.rows(effect="draft")
    assert (row.state, hanging) == ("intent", [f"{row.order_id}:shop:draft:0"])
    hang.set()
    crew.finish()
    assert it.rows(effect="draft") == []
    assert len(it.shop.ledger()) == 4


def test_every_place_has_its_turn(stage: NewStage, monkeypatch) -> None:
    """A store with much to do does not keep another one waiting, nor one destination the other."""
    busy, quiet = stage("-busy"), stage("-quiet")
    drafts(busy, number=5)
    drafts(quiet, number=1)
    busy.place()
    busy.news()
    crew, served = Crew(busy.worker("a", quiet), Bell(), 1), []

    def watched(relay, most, places, share):
        prepared = prepare(relay, min(most, 1), places, share)
        served.extend((call.row.key.store, call.row.key.destination) for call in prepared)
        return prepared

    monkeypatch.setattr("orderflow.relay.crew.prepare", watched)
    for _ in range(7):
        crew.prepare_some()
        until(crew.under_way.back)
        crew.settle_some()
    crew.finish()
    at_busy, at_quiet, fetched = (busy.store, "shop"), (quiet.store, "shop"), (busy.store, "glopal")
    assert served.count(at_busy) == 5
    assert {served.index(at_busy), served.index(at_quiet), served.index(fetched)} == {0, 1, 2}


def test_a_bell_rings_for_what_was_recorded(stage: NewStage) -> None:
    """Once outcomes are recorded, readers are told: not before, and not by a turn that had nothing to record."""
    it = stage()
    drafts(it, number=1)
    bell = Bell()
    crew = Crew(it.relay, bell, 1)
    crew.prepare_some()
    assert bell.heard(Topic.FACTS) == 0
    until(crew.under_way.back)
    crew.settle_some()
    assert bell.heard(Topic.FACTS) == 1
    assert crew.settle_some() == 0
    assert bell.heard(Topic.FACTS) == 1


def test_what_came_back_is_recorded_whatever_is_wrong_with_what_is_due(stage: NewStage, monkeypatch) -> None:
    """Preparing fails and is waited out, ever longer; settling goes on at once, turn for turn."""
    it = stage()
    drafts(it, number=2)
    crew, tried = Crew(it.relay, Skips(it.clock), 1), []
    crew.prepare_some()
    until(crew.under_way.back)

    def broken(*_):
        tried.append(it.clock.boottime())
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr("orderflow.relay.crew.prepare", broken)
        crew.turn()
        assert len(it.rows(effect="draft")) == 1
        while len(tried) < 12:
            crew.turn()
    waits = [round(after - before, 1) for before, after in pairwise(tried)]
    assert waits[:8] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6]
    assert waits[8:] == [30.0] * 3
    it.clock.wait(31)
    while it.rows(effect="draft"):
        crew.turn()
    crew.finish()


def test_a_turn_waits_for_the_bell_or_for_a_reply(stage: NewStage) -> None:
    """What is due is prepared by one turn, and settled by the next one that finds it back."""
    it = stage()
    drafts(it, number=2)
    crew = Crew(it.relay, Bell(), 1)
    while it.rows(effect="draft"):
        crew.turn()
    assert len(it.shop.ledger()) == 2
    crew.finish()
