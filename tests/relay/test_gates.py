"""What a destination that is slow, busy or down does to the calls of all workers: spaced, rested, tried one by one."""

import pytest
import sqlalchemy as sa
from tests.relay.conftest import NewStage
from tests.relay.stage import Stage

from orderflow import intake, relay
from orderflow.domain.events import Destination, EffectIntended, EffectNotExecuted
from orderflow.relay import Breaker, Pace
from orderflow.sandbox.wire import Response, json_response
from orderflow.store import gates, progress

BUSY = json_response(429, {"error": {"code": "too_many_requests", "message": "slow down"}})


def drafts(it: Stage, number: int) -> list[str]:
    """So many orders whose drafts are due."""
    orders = [it.place() for _ in range(number)]
    it.news()
    while calls := it.calls("glopal", 64):
        it.finish_all(calls)
    it.news()
    return orders


def gate(it: Stage, place: str = "shop") -> gates.Gate:
    with it.engine.begin() as conn:
        found, _ = gates.read(conn, (it.store, place))
    return found


def busy(times: int | None, retry_after: str | None = None):
    """Answer 429 that many times, or until told otherwise."""
    left = [times]
    headers = {} if retry_after is None else {"retry-after": retry_after}

    def answer(_request) -> Response | None:
        if left[0] == 0:
            return None
        left[0] = None if left[0] is None else left[0] - 1
        return Response(BUSY.status, BUSY.body, {**BUSY.headers, **headers})

    return answer


# --- pace -------------------------------------------------------------------------------------------------------------


def test_calls_begin_as_far_apart_as_the_pace_says(stage: NewStage) -> None:
    """Whichever worker asks, and however many are due: one call, and the next when the time has passed."""
    it = stage(paces={Destination.SHOP: Pace(min_interval=2.0)})
    drafts(it, 5)
    workers = [it.relay, it.worker("b")]
    began, at = it.clock.now, []
    while len(at) < 5:
        for worker in workers:
            calls = it.calls("shop", 8, worker)
            at += [(it.clock.now - began).total_seconds() for _ in calls]
            it.finish_all(calls, worker)
        it.clock.wait(0.5)
    assert at == [0.0, 2.0, 4.0, 6.0, 8.0]


def test_no_more_calls_at_once_than_the_pace_says(stage: NewStage) -> None:
    """Over all workers; one that comes back makes room for one; one whose worker died does when its lease ends."""
    it = stage(paces={Destination.SHOP: Pace(at_once=3)})
    drafts(it, 8)
    other = it.worker("b")
    first = it.calls("shop", 2)
    second = it.calls("shop", 8, other)
    assert (len(first), len(second), it.calls("shop", 8)) == (2, 1, [])
    it.finish_all(first[:1])
    assert len(it.calls("shop", 8, other)) == 1
    assert it.calls("shop", 8, other) == []
    it.clock.wait(it.relay.windows.lease)
    assert len(it.calls("shop", 8)) == 3


def test_rows_that_lead_to_no_call_take_no_room(stage: NewStage) -> None:
    """What is found not to be due any more was never a call."""
    it = stage(paces={Destination.SHOP: Pace(at_once=1, min_interval=5.0)})
    [cancelled, other] = drafts(it, 2)
    it.clock.wait(1)
    it.glopal.cancel(it.store, cancelled)
    with it.engine.begin() as conn:  # it comes first, and the news was not planned for yet
        conn.execute(
            sa.text("UPDATE orderflow.outbox SET next_at = next_at - interval '1 hour' WHERE order_id = :o"),
            {"o": cancelled},
        )
    while intake.pull(it.engine, it.vault, it.feed).new:
        pass
    prepared = relay.prepare(it.relay, 1, [(it.store, "shop")])
    assert [type(one).__name__ for one in prepared] == ["Row"]
    assert [call.row.key.order_id for call in it.calls("shop")] == [other]


# --- rests ------------------------------------------------------------------------------------------------------------


def test_one_429_rests_the_whole_destination(stage: NewStage) -> None:
    """Nobody else is sent meanwhile, nothing is recorded for those who wait, and the other destination goes on."""
    it = stage()
    orders = drafts(it, 6)
    it.to_shop.instead = busy(1, retry_after="120")
    [call] = it.calls("shop", 1)
    it.finish(call)
    it.live(119)
    assert len(it.to_shop.writes) == 1
    waiting = [one for one in orders if one != call.row.key.order_id]
    assert all(it.history(one, EffectIntended) == [] for one in waiting)
    late = it.place()
    it.rest()
    assert it.order(late).confirmed
    it.live(30)
    assert {len(it.made(one)) for one in orders} == {1}


def test_429s_that_name_no_time_double_the_rest(stage: NewStage) -> None:
    """1 s, 2 s, 4 s up to 5 min, one call each: two events a try, and only for the order that tried."""
    it = stage()
    drafts(it, 20)
    it.to_shop.instead = busy(None)
    it.live(3600)
    tries = len(it.to_shop.writes)
    assert 18 <= tries <= 22  # 1 + 2 + ... + 256 s, then every 300 s; four were never at once
    assert gate(it).rests == tries
    with it.engine.begin() as conn:
        events = conn.scalar(
            sa.text("SELECT count(*) FROM orderflow.events WHERE store = :s AND type LIKE 'Effect%'"), {"s": it.store}
        )
    assert events == 2 * tries
    it.to_shop.instead = lambda _request: None
    it.live(400)
    assert len(it.shop.ledger()) == 20
    assert not gate(it).guarded


def test_after_a_rest_calls_come_back_one_by_one(stage: NewStage) -> None:
    """No burst: each good answer halves the distance to the next call."""
    it = stage()
    drafts(it, 30)
    it.to_shop.instead = busy(1)
    it.finish_all(it.calls("shop", 1))
    begun = []
    for _ in range(400):
        calls = it.calls("shop", 16)
        begun.append(len(calls))
        it.finish_all(calls)
        it.clock.wait(0.05)
    first = [number for number in begun if number]
    assert first[:5] == [1, 1, 1, 1, 1]
    assert max(begun) > 5
    assert len(it.shop.ledger()) == 30


def test_four_429s_of_one_moment_are_one_rest(stage: NewStage) -> None:
    """Calls that were under way together double nothing."""
    it = stage()
    drafts(it, 4)
    it.to_shop.instead = busy(4)
    for call in it.calls("shop", 4):
        it.finish(call)
    assert (gate(it).rests, gate(it).spacing) == (1, 1.0)


@pytest.mark.parametrize("said", ["0", "-5", "soon", "1000000000", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_an_odd_retry_after_stops_nobody_for_long(stage: NewStage, said) -> None:
    """Nothing readable: the rest is ours; far too long: an hour."""
    it = stage()
    drafts(it, 2)
    it.to_shop.instead = busy(1, retry_after=said)
    it.finish_all(it.calls("shop", 1))
    it.live(3700)
    assert len(it.shop.ledger()) == 2


# --- the breaker ------------------------------------------------------------------------------------------------------

QUICK = Breaker(failures=4, rate=0.7, within=60.0, first=30.0, longest=100.0)


def down(it: Stage, number: int = 4) -> None:
    """The shop refuses connections, and so many calls found out."""
    it.to_shop.faults.script("refused", times=10_000)
    for call in it.calls("shop", number):
        it.finish(call)


def test_a_destination_that_is_down_is_tried_by_one_call(stage: NewStage, caplog) -> None:
    """Nothing is recorded while the breaker is open. One order tries, twice as late each time it fails."""
    it = stage(breaker=QUICK)
    orders = drafts(it, 12)
    down(it)
    assert gate(it).broken_for == 30.0
    assert "its breaker opens, nobody calls it for 30 s (4 of 4 calls failed: no connection" in caplog.text
    before = sum(len(it.records(one)) for one in orders)
    began, tried = it.clock.now, []
    while len(tried) < 4:
        it.clock.wait(1)
        calls = it.calls("shop", 8)
        tried += [(it.clock.now - began).total_seconds() for _ in calls]
        it.finish_all(calls)
    assert tried == [30.0, 90.0, 190.0, 290.0]
    assert sum(len(it.records(one)) for one in orders) == before + 8
    it.to_shop.faults.stop()
    it.live(200)
    assert len(it.shop.ledger()) == 12
    assert gate(it).broken_until is None
    assert "it answers again, its breaker closes" in caplog.text


def test_only_one_of_many_workers_tries(stage: NewStage) -> None:
    """And if it dies, another one tries once its lease has ended."""
    it = stage(breaker=QUICK)
    drafts(it, 12)
    down(it)
    it.clock.wait(30)
    workers = [it.relay, it.worker("b"), it.worker("c")]
    assert sorted(len(it.calls("shop", 8, one)) for one in workers) == [0, 0, 1]
    it.clock.wait(it.relay.windows.lease - 1)
    assert it.calls("shop", 8) == []
    it.clock.wait(1)
    assert len(it.calls("shop", 8)) == 1


def test_a_question_tries_rather_than_a_write(stage: NewStage) -> None:
    """A look-up that is due is the one to find out: it changes nothing there."""
    it = stage(breaker=QUICK)
    drafts(it, 12)
    it.to_shop.faults.script("cut_before", method="POST", times=1)
    it.finish_all(it.calls("shop", 1))
    down(it, 6)
    it.clock.wait(40)
    [call] = it.calls("shop", 8)
    assert call.kind == "look_up"


def test_refusals_open_nothing(stage: NewStage) -> None:
    """4xx is an answer: however many, the destination is up."""
    it = stage(breaker=QUICK)
    drafts(it, 12)
    it.to_shop.instead = lambda request: (
        json_response(422, {"error": {"code": "no_stock", "message": "no"}}) if request.method == "POST" else None
    )
    it.live(60)
    assert len(it.to_shop.writes) == 12
    assert it.gates() == []


def test_a_few_failures_among_many_open_nothing(stage: NewStage) -> None:
    """One call in four fails, for long: not the share that says it is down."""
    it = stage(breaker=QUICK)
    drafts(it, 60)
    count = iter(range(10_000))
    error = json_response(500, {"error": {"code": "oops", "message": "no"}})
    it.to_shop.instead = lambda request: error if request.method == "POST" and next(count) % 4 == 0 else None
    while calls := it.calls("shop", 8):
        it.finish_all(calls)
    assert gate(it).broken_until is None
    assert gate(it).failures >= QUICK.failures


def test_failures_long_ago_are_forgotten(stage: NewStage) -> None:
    """Three now and three later than the window are not six."""
    it = stage(breaker=QUICK)
    drafts(it, 12)
    down(it, 3)
    it.clock.wait(61)
    for call in it.calls("shop", 3):
        it.finish(call)
    assert (gate(it).failures, gate(it).broken_until) == (3, None)


def test_what_is_unknown_stays_unknown(stage: NewStage) -> None:
    """A breaker that opens makes nothing of calls whose replies were lost: they are looked up as ever."""
    it = stage(breaker=QUICK)
    orders = drafts(it, 4)
    it.to_shop.faults.script("cut_after", method="POST", times=4)
    for call in it.calls("shop", 4):
        it.finish(call)
    assert gate(it).broken_until is not None
    assert {row.state for row in it.rows(effect="draft")} == {"unknown"}
    it.live(300)
    assert {len(it.made(one)) for one in orders} == {1}
    assert all(it.history(one, EffectNotExecuted) == [] for one in orders)


# --- people -----------------------------------------------------------------------------------------------------------


def test_a_person_may_reopen(stage: NewStage) -> None:
    """Whatever was learnt is forgotten, and calls go out at once."""
    it = stage(breaker=QUICK)
    drafts(it, 12)
    down(it)
    it.to_shop.faults.stop()
    assert it.calls("shop", 8) == []
    with it.engine.begin() as conn:
        assert gates.reopen(conn, (it.store, "shop"))
        assert not gates.reopen(conn, (it.store, "shop"))
        assert not gates.reopen(conn, (it.store, "glopal"))
    assert len(it.calls("shop", 8)) == 8


def test_a_paused_place_is_not_tried(stage: NewStage) -> None:
    """A pause outlasts the breaker."""
    it = stage(breaker=QUICK)
    drafts(it, 6)
    down(it)
    with it.engine.begin() as conn:
        progress.pause(conn, it.store, "shop", "by hand", "ann")
    it.clock.wait(1000)
    assert it.calls("shop", 8) == []
    with it.engine.begin() as conn:
        progress.resume(conn, it.store, "shop")
    assert len(it.calls("shop", 8)) == 1


def test_a_healthy_destination_leaves_no_trace(stage: NewStage) -> None:
    """No gate is written where nothing is amiss."""
    it = stage()
    order_id = it.drafted(ready=True)
    it.live(60)
    assert it.made(order_id)[0].state == "order"
    assert it.gates() == []


def test_six_hours_down_and_back(stage: NewStage) -> None:
    """All that is due is kept, nearly nothing is tried meanwhile, and no stampede follows."""
    it = stage()
    orders = drafts(it, 40)
    it.to_shop.faults.script("refused", times=100_000)
    it.live(6 * 3600)
    tries = sum(len(it.attempts(one, "draft")) for one in orders)
    assert tries <= 64 + 30
    it.to_shop.faults.stop()
    it.live(2 * 3600)
    assert len(it.shop.ledger()) == 40
    assert gate(it).broken_until is None


def test_an_order_that_tries_for_all_is_not_given_up(stage: NewStage) -> None:
    """The only order there is tries again and again while its shop is down; that is no fault of its own."""
    it = stage(breaker=Breaker(failures=1))
    [order_id] = drafts(it, 1)
    it.to_shop.faults.script("refused", times=100_000)
    it.live(12 * 3600)
    burnt = [event.burnt for event in it.history(order_id, EffectNotExecuted)]
    assert len(burnt) > it.policy.max_attempts
    assert burnt == [True] + [False] * (len(burnt) - 1)
    it.to_shop.faults.stop()
    it.live(900)
    assert [entry.state for entry in it.made(order_id)] == ["draft"]
