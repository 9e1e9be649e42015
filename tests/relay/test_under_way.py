"""How much may be under way: enough for every caller, a moment ahead, and not all callers for a slow place."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from orderflow.connectors import Found, Subject
from orderflow.domain.events import Destination, Effect
from orderflow.relay import Call, Reply
from orderflow.relay.under_way import UnderWay
from orderflow.store.outbox import Key, Row

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REPLY = Reply(None, Found(), 0.0)
SHOP, GLOPAL = ("s", "shop"), ("s", "glopal")


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def call(place: Destination = Destination.SHOP) -> Call:
    effect = Effect.REAP if place is Destination.SHOP else Effect.FETCH
    key = Key("s", "o", place.value, effect.value, 0)
    row = Row(key, "planned", "", NOW, 0, 0, False, False, None, None, None, None, None, 1, "", "live", NOW)  # noqa: FBT003
    return Call(row, "read", effect, 1, Subject("s", "o", "glopal:s:o"))


KEPT: list[Call] = []
"""They are known by their identity, so that none may go while it is under way."""


def begun(under_way: UnderWay, *places: Destination) -> list[Call]:
    calls = [call(place) for place in places]
    KEPT.extend(calls)
    under_way.begin(calls)
    for one in calls:
        under_way.start(one)
    return calls


def taking(seconds: float, workers: int = 4) -> tuple[UnderWay, Clock]:
    """After one call to the shop that took so long."""
    clock = Clock()
    under_way = UnderWay(workers, clock)
    [one] = begun(under_way, Destination.SHOP)
    clock.now += seconds
    under_way.come_back(one, REPLY)
    under_way.end([one])
    return under_way, clock


def test_a_call_for_each_caller_to_begin_with() -> None:
    """Before anything is known of the place, nothing is prepared ahead."""
    under_way = UnderWay(4, Clock())
    assert under_way.room() == 4
    begun(under_way, Destination.SHOP, Destination.GLOPAL)
    assert under_way.room() == 2


@pytest.mark.parametrize(("seconds", "room"), [(0.0, 64), (0.01, 64), (0.125, 10), (0.5, 4)])
def test_what_is_begun_within_a_moment_is_prepared_ahead(seconds, room) -> None:
    """The quicker the calls, the more of them at a time, within limits; at a place that takes its time none."""
    under_way, _ = taking(seconds)
    assert under_way.room() == room


def test_a_few_at_a_time_are_not_prepared() -> None:
    """More is prepared once half of what was prepared ahead is being made, and then as much as there is room for."""
    under_way, _ = taking(0.0125)
    ahead = under_way.room()
    calls = [call() for _ in range(ahead)]
    under_way.begin(calls)
    rooms = []
    for one in calls:
        rooms.append(under_way.room())
        under_way.start(one)
        under_way.come_back(one, REPLY)
    assert min(room for room in rooms if room) >= 30
    assert rooms[0] == 0
    assert rooms[-1] > 60


def test_calls_that_go_on_end_the_hurry() -> None:
    """While more than one in four callers hang, nothing is prepared ahead, though spare callers take their places."""
    under_way, clock = taking(0.01)
    begun(under_way, Destination.SHOP)
    clock.now += 0.5
    assert under_way.room() == 64
    begun(under_way, Destination.SHOP)
    clock.now += 0.5
    assert under_way.room() == 4


def test_a_call_that_hangs_is_put_aside() -> None:
    """A spare caller takes its caller's place, as long as there are any; the place is not slow for that."""
    under_way, clock = taking(0.5)
    calls = begun(under_way, *[Destination.SHOP] * 4)
    assert under_way.room() == 0
    clock.now += 2.5
    assert (under_way.room(), under_way.full()) == (4, [])
    begun(under_way, *[Destination.SHOP] * 4)
    clock.now += 2.5
    assert under_way.room() == 4
    begun(under_way, *[Destination.SHOP] * 4)
    clock.now += 2.5
    assert (under_way.room(), under_way.full()) == (0, [SHOP])
    under_way.come_back(calls[0], REPLY)
    assert under_way.room() == 1


def test_a_place_whose_calls_all_take_long_gets_no_spare_callers() -> None:
    """That is how it is there: no more calls at a time than there are workers."""
    under_way, clock = taking(5.0)
    begun(under_way, *[Destination.SHOP] * 3)
    clock.now += 4.0
    assert under_way.full() == [SHOP]
    assert under_way.room() == 1


def test_other_lanes_get_half_of_the_room() -> None:
    """However many of a redrive are due; what is made and only waits for its record does not count."""
    under_way, _ = taking(0.5)
    assert (under_way.room(), under_way.beside()) == (4, 2)
    redriven = [replace(one, row=replace(one.row, lane="redrive")) for one in (call(), call())]
    under_way.begin(redriven)
    assert (under_way.room(), under_way.beside()) == (2, 0)
    under_way.start(redriven[0])
    under_way.come_back(redriven[0], REPLY)
    assert under_way.beside() == 1
    under_way.end(redriven)
    assert under_way.beside() == 2


def test_a_slow_place_never_gets_the_last_caller() -> None:
    """All callers but one may wait for it; that one is kept for the other places."""
    under_way, clock = taking(5.0)
    assert under_way.full() == []
    assert under_way.room() == 3
    calls = begun(under_way, *[Destination.SHOP] * 3)
    assert under_way.full() == [SHOP]
    assert under_way.room() == 1
    begun(under_way, Destination.GLOPAL)
    assert under_way.room() == 0
    under_way.end(calls[:1])
    assert under_way.full() == []
    assert under_way.room() == 1
    clock.now += 1.0


def test_a_place_that_hangs_for_the_first_time_is_slow() -> None:
    """Also one of which nothing is known but that its calls go on and on."""
    clock = Clock()
    under_way = UnderWay(2, clock)
    begun(under_way, Destination.GLOPAL)
    assert under_way.full() == []
    clock.now += 2.0
    assert under_way.full() == [GLOPAL]


def test_the_only_caller_serves_everybody() -> None:
    """With one caller there is none to keep."""
    under_way, _ = taking(5.0, workers=1)
    assert (under_way.room(), under_way.full()) == (1, [])
    begun(under_way, Destination.SHOP)
    assert under_way.room() == 0


def test_a_place_is_forgiven() -> None:
    """What was slow a while ago is not held against it for ever."""
    under_way, clock = taking(5.0)
    begun(under_way, *[Destination.SHOP] * 3)
    assert under_way.full() == [SHOP]
    slow, clock = taking(5.0)
    clock.now += 61.0
    assert slow.room() == 4


def test_what_comes_back_is_taken_together() -> None:
    """Whatever is there, in its order, and no more than asked for; nothing is taken twice."""
    under_way = UnderWay(4, Clock())
    calls = begun(under_way, *[Destination.SHOP] * 3)
    for one in calls:
        under_way.come_back(one, REPLY)
    assert under_way.back() == 3
    assert [one is calls[n] for n, (one, _) in enumerate(under_way.take(2))] == [True, True]
    assert [one is calls[2] for one, _ in under_way.take(2)] == [True]
    assert under_way.take(2) == []


def test_the_next_are_prepared_while_the_last_are_settled() -> None:
    """What has come back keeps no caller busy; but what waits to be settled does not grow without end."""
    under_way = UnderWay(2, Clock())
    calls = begun(under_way, *[Destination.SHOP] * 2)
    assert under_way.room() == 0
    under_way.come_back(calls[0], REPLY)
    assert under_way.room() > 0
    more = begun(under_way, *[Destination.SHOP] * 256)
    for one in more:
        under_way.come_back(one, REPLY)
    assert under_way.room() == 0
    under_way.end(more)
    assert under_way.room() > 0
