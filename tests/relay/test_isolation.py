"""Nobody starves: live orders beside a redrive of thousands, all others beside a few whose calls hang or fail.

Told by counting calls and in virtual time, never by a stopwatch.
"""

import heapq
from collections import Counter, deque
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from tests.relay.conftest import NewStage
from tests.relay.stage import Stage
from tests.relay.test_under_way import call as a_call

from orderflow.connectors import Found
from orderflow.domain.events import Effect
from orderflow.relay import Call, Reply
from orderflow.relay.crew import Crew
from orderflow.relay.under_way import UnderWay, spare
from orderflow.store import leases
from orderflow.store.bell import Bell
from orderflow.store.leases import Change, Guarded, Share

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def plan(it: Stage, lane: str, count: int) -> None:
    """So many rows that have been due for long; those of a redrive for the longest."""
    since = 7200 if lane == "redrive" else 3600
    with it.engine.begin() as conn:
        conn.execute(
            sa.text(
                "INSERT INTO orderflow.outbox (store, order_id, destination, effect, generation, reads, next_at, lane) "
                "SELECT :s, :l || n, 'shop', 'reap', 0, true, "
                "orderflow.wall_clock() - make_interval(secs => :since - n * 0.01), :l FROM generate_series(1, :c) n"
            ),
            {"s": it.store, "l": lane, "c": count, "since": since},
        )


def prepared_by_leases(batches: list[Counter[str]]):
    """The relay's `prepare` and `settle` on real rows, whose orders nobody needs to know."""

    def prepare(relay, most, places, share):
        with relay.engine.begin() as conn:
            rows = leases.lease(conn, "w", 60.0, places, most, share=share)
            assert not isinstance(rows, Guarded)
        batches.append(Counter(row.lane for row in rows))
        call = a_call()
        return [Call(row, "read", Effect.REAP, 1, replace(call.subject, order_id=row.key.order_id)) for row in rows]

    def settle(relay, done) -> bool:
        with relay.engine.begin() as conn:
            leases.write(conn, done[0][0].row.key.store, [Change(call.row, ends=True) for call, _ in done])
        return False

    return prepare, settle


@pytest.mark.parametrize("workers", [1, 4, 16])
def test_a_redrive_of_thousands_leaves_live_orders_their_throughput(stage: NewStage, monkeypatch, workers) -> None:
    """While live rows wait, at least 95 % of the calls are theirs; and yet the redrive goes on."""
    it, batches = stage(), []
    plan(it, "redrive", 5000)
    plan(it, "live", 1000)
    prepare, settle = prepared_by_leases(batches)
    monkeypatch.setattr("orderflow.relay.crew.prepare", prepare)
    monkeypatch.setattr("orderflow.relay.crew.settle", settle)
    monkeypatch.setattr("orderflow.relay.crew.perform", lambda _relay, _call: Reply(None, Found(), 0.0))
    crew = Crew(it.relay, Bell(), workers)
    while sum(batch["live"] for batch in batches) < 1000:
        crew.turn()
    crew.finish()
    *before, _last = [batch for batch in batches if batch]
    live, redriven = (sum(batch[lane] for batch in before) for lane in ("live", "redrive"))
    assert live / (live + redriven) >= 0.95
    assert redriven >= live // 40


def test_each_lane_has_its_share_of_a_lease(stage: NewStage) -> None:
    """A few of the others before any live row, the rest where there is room; one lane of those as much as another."""
    it = stage()
    for lane, count in (("redrive", 50), ("reconcile", 50), ("live", 20)):
        plan(it, lane, count)
    seen = []
    for _ in range(4):
        with it.engine.begin() as conn:
            rows = leases.lease(conn, "w", 60.0, [(it.store, "shop")], 8, share=Share(others=4, aside=2))
            assert not isinstance(rows, Guarded)
            seen.append(dict(Counter(row.lane for row in rows)))
    assert seen[:3] == [{"live": 6, "redrive": 1, "reconcile": 1}] * 3
    assert seen[3] == {"live": 2, "redrive": 2, "reconcile": 2}
    with it.engine.begin() as conn:
        rows = leases.lease(conn, "w", 60.0, [(it.store, "shop")], 8, share=Share(others=0))
    assert rows == []


# --- poison, in virtual time ------------------------------------------------------------------------------------------


@dataclass
class Time:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(order=True)
class Step:
    """One call of one order: whose and when."""

    at: float
    number: int
    order: int
    tries: int


GOOD, HANGS, PAUSES = 0.2, 30.0, (5.0, 20.0, 80.0, 320.0, 1280.0, 3600.0, 3600.0)
CALLS = 3
"""Calls in the life of a good order: draft, promote, accept."""


def seconds_until_done(orders: int, poisoned: set[int], poison: float, workers: int = 4) -> float:
    """How long the good ones of `orders` take: callers as the crew has them, rooms as `UnderWay` gives them.

    A poisoned order's only call takes `poison` seconds, and is tried again as the schedule says.
    """
    clock = Time()
    under_way = UnderWay(workers, clock)
    due = [Step(clock.now, number, number, 0) for number in range(orders)]
    number, free, left = orders, workers + spare(workers), (orders - len(poisoned)) * CALLS
    waiting: deque[tuple[Call, Step]] = deque()
    going_on: list[tuple[float, int, Call, Step]] = []
    while left:
        ready = min(under_way.room(), sum(step.at <= clock.now for step in due[:200])) if due else 0
        for _ in range(ready):
            step, call = heapq.heappop(due), a_call()
            under_way.begin([call])
            waiting.append((call, step))
        while free and waiting:
            call, step = waiting.popleft()
            under_way.start(call)
            number, free = number + 1, free - 1
            heapq.heappush(going_on, (clock.now + (poison if step.order in poisoned else GOOD), number, call, step))
        times = [going_on[0][0]] if going_on else []
        times += [due[0].at] if due and due[0].at > clock.now else []
        clock.now = min([*times, clock.now + 0.5])
        while going_on and going_on[0][0] <= clock.now:
            _, _, call, step = heapq.heappop(going_on)
            under_way.come_back(call, Reply(None, Found(), 0.0))
            under_way.end([one for one, _ in under_way.take(1)])
            free, number = free + 1, number + 1
            if step.order not in poisoned:
                left -= 1
                if step.tries + 1 < CALLS:
                    heapq.heappush(due, Step(clock.now, number, step.order, step.tries + 1))
            elif step.tries < len(PAUSES):
                heapq.heappush(due, Step(clock.now + PAUSES[step.tries], number, step.order, step.tries + 1))
    return clock.now - 1000.0


@pytest.mark.parametrize("poison", [0.01, GOOD, 1.9, 5.0, HANGS], ids=["refused", "fails", "slow", "later", "hangs"])
def test_one_order_in_a_hundred_costs_the_others_next_to_nothing(poison) -> None:
    """Whether they are refused at once or hang until the call's time is over: the others keep 95 % of their pace."""
    alone = seconds_until_done(1980, set(), GOOD)
    beside = seconds_until_done(2000, set(range(50, 2000, 100)), poison)
    assert alone / beside >= 0.95
