"""When an effect is given up, at the latest: what is told beforehand is never earlier than what happens."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.relay.conftest import NewStage
from tests.relay.stage import SETTLES, WINDOWS, Stage

from orderflow.domain.events import EffectExhausted
from orderflow.domain.policy import StorePolicy
from orderflow.relay import Breaker, Windows
from orderflow.relay.budget import Budget

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NEVER = Breaker(failures=10_000)
FOUR = StorePolicy(max_attempts=4)


def test_the_schedule_grows_fourfold_up_to_the_longest() -> None:
    """Without a list of one's own."""
    windows = Windows(retry=5.0, longest=600.0)
    assert [windows.pause(tries) for tries in range(7)] == [5.0, 5.0, 20.0, 80.0, 320.0, 600.0, 600.0]


def test_a_schedule_of_ones_own() -> None:
    """Its last pause goes on."""
    windows = Windows(schedule=(1.0, 30.0))
    assert [windows.pause(tries) for tries in range(1, 5)] == [1.0, 30.0, 30.0, 30.0]


def test_what_is_left_is_added_up() -> None:
    """Two reads and the pause between them; nothing is left after the last try."""
    budget = Budget(Windows(call=30.0, schedule=(7.0,)), most=3)
    assert budget.by(NOON, 1, reads=True) == NOON + timedelta(seconds=30 + 7 + 30)
    assert budget.by(NOON, 3, reads=True) == NOON


def given_up(it: Stage, order_id: str) -> datetime | None:
    found = [record.recorded_at for record in it.records(order_id) if record.type == EffectExhausted.__name__]
    return found[0] if found else None


@pytest.mark.parametrize("fault", ["refused", "cut_before"])
def test_nothing_is_given_up_later_than_was_told(stage: NewStage, fault) -> None:
    """Told at every moment of its life, for connections that are not made and for replies that are lost."""
    it = stage(policy=FOUR, breaker=NEVER)
    it.to_shop.faults.script(fault, method="POST", times=100)
    order_id = it.place()
    it.rest()
    budget, told = Budget(WINDOWS, FOUR.max_attempts, SETTLES), []
    while given_up(it, order_id) is None:
        slot = it.order(order_id).shop_slot
        sent = slot.unknown and slot.again_at is None
        told.append(budget.by(slot.counts_from if sent else slot.again_at, slot.tries, sent=sent))
        it.live(5)
    end = given_up(it, order_id)
    assert end is not None
    assert len(told) > 3
    assert all(end <= time for time in told)
    assert min(told) - end < timedelta(minutes=10)
