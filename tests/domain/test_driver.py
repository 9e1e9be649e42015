"""The laws of doing what is due: every history comes to rest, and a true life ends at its true status."""

from __future__ import annotations

from datetime import timedelta
from itertools import combinations, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderflow.domain.attention import attention
from orderflow.domain.decisions import Cancel, IllegalTransition, decide
from orderflow.domain.due import effects_due
from orderflow.domain.events import Effect, Event, HoldReason, Ids, OrderReleased, Recorded, Reported, ShopState
from orderflow.domain.evolve import evolve, fold
from orderflow.domain.machine import Report, Status
from orderflow.domain.order import Order, Phase
from orderflow.domain.policy import Mode, OnRefusal, StorePolicy

from .driver import SETTLE, Driver, Fault, Glopal, ModelShop, reports_at
from .histories import NEAR, T0, events, histories, in_order, policies, seconds
from .laws import check_due

LAG = seconds(60)
LOOK = StorePolicy(mode=Mode.OBSERVE)
DAY = seconds(86400)

# --- rest -----------------------------------------------------------------------------------------------------------


WORLDS = st.builds(
    lambda status, lag, external: Glopal([(T0, status)], lag, external),
    st.sampled_from(Status),
    st.sampled_from([seconds(0), LAG]),
    st.sampled_from([None, Ids("s1", "1"), Ids("e9", "9")]),
)


@settings(max_examples=150, deadline=None)
@given(histories(events(NEAR)), policies(), WORLDS, st.lists(st.sampled_from(Fault), max_size=4))
def test_every_history_comes_to_rest(
    history: tuple[Recorded, ...], policy: StorePolicy, world: Glopal, faults: list[Fault]
) -> None:
    """Whatever is in the log, doing what is due leaves nothing due; waking up for what comes later stays bounded."""
    now = history[-1].recorded_at if history else T0
    driver = Driver(
        policy, world, order=fold(history), now=now, faults=faults, check=lambda d: check_due(d.order, d.policy)
    )
    driver.settle(bound=80)
    assert driver.due() == ()
    driver.run(now + seconds(60 * 3600), bound=400)
    assert driver.due() == ()
    assert all(d.not_before > driver.now for d in effects_due(driver.order, policy))


@settings(max_examples=150, deadline=None)
@given(
    policies(),
    st.lists(
        st.sampled_from(["received", "ready", "elsewhere", "accepted", "completed", "cancelled", "cancel"]), max_size=7
    ),
    st.lists(st.sampled_from([1.0, 20.0, 100.0, 4000.0]), min_size=7, max_size=7),
    st.sampled_from([seconds(0), LAG]),
    st.lists(st.sampled_from(Fault), max_size=8),
    st.builds(ModelShop, two_ids=st.booleans()),
)
def test_the_world_stays_whole(
    policy: StorePolicy, moves: list[str], gaps: list[float], lag: timedelta, faults: list[Fault], shop: ModelShop
) -> None:
    """From nothing, with faults: one promotion, one set of accept ids, no live shop order of a cancelled sale.

    Glopal moves on as drawn where that is legal, and reports what is or was true; `cancel` is a person's command, and
    `elsewhere` an accept that somebody else made. In the end there is rest or a named exception.
    """
    world = Glopal([(T0, Status.RECEIVED)], lag)
    driver = Driver(policy, world, shop, faults=faults, check=lambda d: check_due(d.order, d.policy))
    driver.record(Reported(Report.RECEIVED, T0))
    for move, gap in zip(moves, gaps, strict=False):
        _move(driver, move)
        driver.run(driver.now + seconds(gap))
    driver.run(driver.now + seconds(26 * 3600))
    order = driver.order
    assert shop.promotions <= 1
    assert len(set(world.accepts)) <= 1
    assert set(world.accepts) <= {order.ids for order in shop.orders.values()}
    assert driver.due() == ()
    if policy.effects_from is not None and order.born is not None and order.born < policy.effects_from:
        assert (shop.orders, world.accepts) == ({}, [])
    elif not attention(order, policy):
        assert order.status is world.status
        assert (order.shop_slot, order.glopal_slot) == (None, None)
        living = [s for s in shop.orders.values() if s.state is not ShopState.GONE]
        assert len(living) <= (0 if world.status is Status.CANCELLED else 1)


def _move(driver: Driver, move: str) -> None:
    world = driver.glopal
    if move == "cancel":
        try:
            driver.record(*decide(driver.order, Cancel("buyer asked", "ann")))
        except IllegalTransition:
            assert driver.order.status is Status.CANCELLED or driver.order.cancel_reason is not None
        return
    if move == "elsewhere":
        if world.external is None and world.status is Status.READY:
            world.external = Ids("e1", "1")
            world.become(Status.ACCEPTED, driver.now)
        return
    status, ranks = Status(move.upper()), list(Status)
    ahead = ranks.index(status) - ranks.index(world.status)
    if (ahead == 1 and status is not Status.ACCEPTED) or (ahead > 0 and status is Status.CANCELLED):
        world.become(status, driver.now)
    if status in {was for _, was in world.truth}:
        driver.record(Reported(Report(move), driver.now))


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("late", [False, True])
def test_a_quiet_life(mode: Mode, *, late: bool) -> None:
    """Without faults: drafted and promoted when the mode says so, accepted once at READY with the shop's ids."""
    world, shop = Glopal([(T0, Status.RECEIVED)]), ModelShop()
    driver = Driver(StorePolicy(mode=mode), world, shop)
    driver.record(Reported(Report.RECEIVED))
    driver.run(T0 + seconds(600))
    states = [s.state for s in shop.orders.values()]
    expected = {Mode.DRAFT_ON_RECEIVED: [ShopState.DRAFT], Mode.ORDER_ON_RECEIVED: [ShopState.ORDER]}
    assert states == expected.get(mode, [])
    assert world.accepts == []
    world.become(Status.READY, driver.now)
    driver.record(Reported(Report.READY))
    driver.run(driver.now + seconds(600))
    if mode is Mode.OBSERVE:
        assert (shop.orders, world.accepts) == ({}, [])
        return
    assert [s.state for s in shop.orders.values()] == [ShopState.ORDER]
    assert world.accepts == [Ids("new1", "#new1")]
    assert driver.order.status is Status.ACCEPTED
    if late:
        world.become(Status.CANCELLED, driver.now)
        driver.record(Reported(Report.CANCELLED))
        driver.run(driver.now + seconds(600))
        assert [s.state for s in shop.orders.values()] == [ShopState.GONE]
    assert attention(driver.order, driver.policy) == ()


# --- true lives -----------------------------------------------------------------------------------------------------

_STEPS = (Report.RECEIVED, Report.READY, Report.ACCEPTED, Report.COMPLETED)
LIVES = [_STEPS[:n] for n in range(1, 5)] + [(*_STEPS[:n], Report.CANCELLED) for n in range(5)]
LIVES += [_STEPS[1:n] for n in range(2, 5)] + [(*_STEPS[1:n], Report.CANCELLED) for n in range(2, 5)]


def _arrivals(life: tuple[Report, ...]) -> list[tuple[Report, ...]]:
    """All permutations of all subsets of a life's reports, plain and with one of them doubled."""
    found: set[tuple[Report, ...]] = set()
    for size in range(1, len(life) + 1):
        for subset in combinations(life, size):
            found.update(permutations(subset))
            for extra in subset:
                found.update(permutations((*subset, extra)))
    return sorted(found)


def _live(life: tuple[Report, ...], arrived: tuple[Report, ...], lag: float, *, each: bool) -> Order:
    """A life that has just happened, second by second; then its reports arrive, a second apart."""
    truth = [(T0 + seconds(n), Status(report.value.upper())) for n, report in enumerate(life)]
    start = T0 + seconds(len(life))
    driver = Driver(LOOK, Glopal(truth, seconds(lag)), now=start, latency=seconds(0.25))
    told = reports_at(start, seconds(1), [Reported(report) for report in arrived])
    if each:
        driver.arrivals = told
        driver.wait(start)
    else:
        driver.arrivals = told
        driver.wait(start + seconds(len(told)))
    driver.settle(bound=60)
    driver.run(start + 8 * DAY, bound=80)
    return driver.order


@pytest.mark.parametrize("lag", [0.0, 60.0])
@pytest.mark.parametrize("life", LIVES, ids=lambda life: "-".join(r.value for r in life))
def test_any_arrival_order_ends_at_the_truth(life: tuple[Report, ...], lag: float) -> None:
    """Reports of a true life, in any order and some missing or doubled, end at the true status and not held.

    With a GET that lags, it shows what was before for a minute after each change. Fetches run between the arrivals.
    """
    final = Status(life[-1].value.upper())
    for arrived in _arrivals(life):
        order = _live(life, arrived, lag, each=True)
        assert (order.status, order.holds, order.dispute) == (final, (), None), arrived
        assert order.confirmed, arrived


@pytest.mark.parametrize("life", LIVES, ids=lambda life: "-".join(r.value for r in life))
def test_arrivals_in_one_go_end_at_the_truth(life: tuple[Report, ...]) -> None:
    """The same where all reports are recorded before the first fetch."""
    final = Status(life[-1].value.upper())
    for arrived in _arrivals(life):
        order = _live(life, arrived, 60.0, each=False)
        assert (order.status, order.holds, order.dispute) == (final, (), None), arrived


# --- all sequences --------------------------------------------------------------------------------------------------


def _oracle(reports: tuple[Report, ...]) -> tuple[Status, bool]:
    """Status and contradiction, told without the table: the highest step wins, cancelled ends it, some protest."""
    steps = ["new", "received", "ready", "accepted", "completed"]
    highest, cancelled, protest = 0, False, False
    for report in reports:
        if report.value == "cancelled":
            cancelled = True
        elif cancelled:
            protest = protest or report.value != "received"
        else:
            highest = max(highest, steps.index(report.value))
    return (Status.CANCELLED if cancelled else Status(steps[highest].upper())), protest


@pytest.mark.parametrize("first", Report)
def test_all_sequences_of_reports(first: Report) -> None:
    """All 19 530 sequences of the five reports, of length 1 to 6: the status is the table's, and they come to rest."""
    count = 0
    todo: list[tuple[tuple[Report, ...], Order]] = [((), Order())]
    while todo:
        reports, order = todo.pop()
        for report in (first,) if not reports else Report:
            sequence = (*reports, report)
            n = len(sequence)
            after = evolve(order, in_order([Reported(r) for r in sequence])[-1])
            status, protest = _oracle(sequence)
            assert after.status is status, sequence
            assert (after.hold(HoldReason.CONTRADICTION) is not None) is protest, sequence
            driver = Driver(LOOK, Glopal([(T0, status)]), order=after, now=T0 + seconds(n))
            assert driver.settle(bound=2) >= 1
            assert (driver.order.status, driver.order.holds, driver.order.confirmed) == (status, (), True), sequence
            count += 1
            if n < 6:
                todo.append((sequence, after))
    assert count == 19530 // 5


# --- contradictions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", [Report.READY, Report.ACCEPTED, Report.COMPLETED])
@pytest.mark.parametrize("raised_by", ["an event", "details"])
def test_a_lasting_contradiction_is_overruled_after_two_answers(word: Report, raised_by: str) -> None:
    """Glopal's GET keeps saying otherwise: followed after two answers a settle window apart, and held for a person."""
    truth = Status(word.value.upper())
    driver = Driver(LOOK, Glopal([(T0, truth)]), now=T0 + seconds(1))
    driver.record(Reported(Report.CANCELLED))
    if raised_by == "an event":
        driver.record(Reported(word))
    driver.settle()
    assert driver.order.status is Status.CANCELLED
    assert driver.order.hold(HoldReason.CONTRADICTION) is not None
    first = driver.order.answered_at
    assert first is not None
    (due,) = effects_due(driver.order, LOOK)
    assert (due.effect, due.not_before >= first - driver.latency + SETTLE) == (Effect.FETCH, True)
    driver.run(driver.now + seconds(3600))
    order = driver.order
    assert order.status is truth
    assert {h.reason for h in order.holds} == {HoldReason.OVERRULED}
    assert order.confirmed
    assert [a.kind for a in attention(order, LOOK)] == ["held_overruled"]
    fetches = [d for d in effects_due(order, LOOK) if d.effect is Effect.FETCH]
    assert all(d.not_before > driver.now + seconds(3600) for d in fetches), "only the age limit's fetch is left"


@given(st.lists(st.sampled_from([0, 1, 30, 59]), min_size=1, max_size=6))
def test_a_lagging_answer_never_overrules(offsets: list[int]) -> None:
    """However often a GET is read within the lag after a cancellation, the cancellation stands in the end."""
    world = Glopal([(T0, Status.READY), (T0 + seconds(10), Status.CANCELLED)], LAG)
    driver = Driver(LOOK, world, now=T0 + seconds(10))
    driver.record(Reported(Report.READY), Reported(Report.CANCELLED))
    for offset in sorted(offsets):
        driver.wait(T0 + seconds(10 + offset))
        driver.fetch()
        assert driver.order.status is Status.CANCELLED
    driver.run(driver.now + DAY)
    assert (driver.order.status, driver.order.holds) == (Status.CANCELLED, ())


@given(histories(), policies())
def test_a_person_can_free_every_stored_hold(history: tuple[Recorded, ...], policy: StorePolicy) -> None:
    """Releasing every hold where it stands leaves none, and no dispute."""
    order = fold(history)
    releases: list[Event] = [OrderReleased(h.reason, h.position, "ann", "checked") for h in order.holds]
    for n, event in enumerate(releases):
        order = evolve(order, Recorded(event, order.position, order.version, T0 + seconds(10**6 + n)))
    assert order.holds == ()
    assert order.dispute is None
    check_due(order, policy)


def test_a_refused_order_is_cancelled_where_the_store_says_so() -> None:
    """`on_refusal = cancel`: the shop says no, Glopal is told, and the order ends cancelled without a person."""
    world = Glopal([(T0, Status.RECEIVED)])
    driver = Driver(StorePolicy(on_refusal=OnRefusal.CANCEL), world, faults=[Fault.REFUSED])
    driver.record(Reported(Report.RECEIVED))
    driver.run(T0 + seconds(3600))
    assert world.status is Status.CANCELLED
    assert driver.order.status is Status.CANCELLED
    assert driver.order.cancel_reason is not None
    assert all(s is None or s.phase is not Phase.OPEN for s in (driver.order.shop_slot, driver.order.glopal_slot))
