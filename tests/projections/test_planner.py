"""The outbox follows the fold: what is due stands there once, what is not due any more does not."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa
from tests.store import rows as in_store

from orderflow import codec
from orderflow.domain import events as e
from orderflow.domain.due import effects_due
from orderflow.domain.events import Effect, HoldReason, Position, ShopState, Sighting
from orderflow.domain.machine import Report, Status
from orderflow.domain.policy import Mode, StorePolicy
from orderflow.projections import catch_up, planner
from orderflow.projections.orders import Orders
from orderflow.store import outbox, progress

from .telling import POLICY, T0, details, history, order, read_all, tell

RECEIVED, READY, CANCELLED = (e.Reported(report) for report in (Report.RECEIVED, Report.READY, Report.CANCELLED))


def plan(engine: sa.Engine, store: str, policy: StorePolicy = POLICY, batch: int = 500) -> int:
    """Plan to the end; how many events were read."""
    read = 0
    while True:
        with engine.begin() as conn:
            count = catch_up(conn, store, [planner.Planner()], policy, batch)
        if not count:
            return read
        read += count


def rows(engine: sa.Engine, store: str, order_id: str = "a") -> dict[str, outbox.Row]:
    """The rows of one order by effect and generation."""
    with engine.begin() as conn:
        return {f"{row.key.effect}:{row.key.generation}": row for row in outbox.rows_of(conn, store, order_id)}


def change(engine: sa.Engine, store: str, effect: str, **columns) -> None:
    [row] = [row for name, row in rows(engine, store).items() if name.startswith(effect)]
    with engine.begin() as conn:
        assert in_store.change(conn, row.key, **columns)


def clear(engine: sa.Engine, store: str, order_id: str = "a") -> None:
    """As if what was due had never been planned."""
    with engine.begin() as conn:
        for row in outbox.rows_of(conn, store, order_id):
            in_store.remove(conn, row.key)


def test_what_is_due_becomes_rows(app, store):
    """A new order is fetched; once confirmed it is drafted; each row says what it acts upon and from when."""
    tell(app, store, ("a", RECEIVED))
    assert plan(app, store) == 1
    [fetch] = rows(app, store).values()
    first = order(app, store, "a").first
    assert (fetch.key.effect, fetch.state, fetch.parked, fetch.next_at) == ("fetch", "planned", False, first.at)
    tell(app, store, ("a", details(1)))
    plan(app, store)
    found = rows(app, store)
    assert sorted(found) == ["draft:0", "fetch:1"]
    assert found["fetch:1"].next_at >= first.at + timedelta(days=1)


@pytest.mark.parametrize("seed", range(4))
def test_rows_are_what_is_due(app, store, seed):
    """After any history, planned in any batches: exactly the effects that the fold says are due, with their targets."""
    tell(app, store, *history(seed + 40, 60, many=4))
    plan(app, store, batch=(1, 7, 500)[seed % 3])
    for n in range(4):
        due = {
            f"{one.effect}:{one.generation}": (one.target, one.not_before)
            for one in effects_due(order(app, store, f"o{n}"), POLICY)
        }
        assert {name: (row.target, row.next_at) for name, row in rows(app, store, f"o{n}").items()} == due


def test_planning_twice_gives_the_same_rows(app, store):
    """Read again from the beginning, nothing changes: keys make it safe."""
    tell(app, store, *history(77, 60, many=4))
    plan(app, store)
    before = [rows(app, store, f"o{n}") for n in range(4)]
    with app.begin() as conn:
        progress.reset(conn, planner.Planner.name, store)
    assert plan(app, store) == 60
    again = [rows(app, store, f"o{n}") for n in range(4)]
    assert [{k: (r.key, r.target, r.next_at) for k, r in found.items()} for found in again] == [
        {k: (r.key, r.target, r.next_at) for k, r in found.items()} for found in before
    ]


def test_superseded_before_any_intent(app, store):
    """What is no longer due, and was never intended, leaves the outbox; its key is free for later."""
    tell(app, store, ("a", RECEIVED), ("a", details(1)))
    plan(app, store)
    assert "draft:0" in rows(app, store)
    tell(app, store, ("a", e.EvidenceFound("e1")))
    plan(app, store)
    assert "draft:0" not in rows(app, store)
    tell(app, store, ("a", e.OrderReleased(HoldReason.EVIDENCE, Position(10**6), "ann", "seen")))
    plan(app, store)
    assert rows(app, store)["draft:0"].state == "planned"


def test_another_target_is_another_row(app, store):
    """A withdrawal of one shop order is not taken for that of another, though the key is the same."""
    draft = [Sighting(shop_id, "1", ShopState.DRAFT) for shop_id in ("s1", "s2")]
    tell(app, store, ("a", RECEIVED), ("a", e.LookedUp(Effect.REAP, 0, 1, T0, tuple(draft))))
    tell(app, store, ("a", details(2)))
    plan(app, store)
    assert rows(app, store)["withdraw:0"].target == "s2"
    gone = Sighting("s2", "1", ShopState.GONE)
    tell(app, store, ("a", CANCELLED), ("a", e.LookedUp(Effect.REAP, 1, 1, T0, (gone,))))
    tell(app, store, ("a", details(10**6, Status.CANCELLED)))
    plan(app, store)
    assert rows(app, store)["withdraw:0"].target == "s1"


@pytest.mark.parametrize("state", ["intent", "unknown"])
def test_rows_with_an_intent_belong_to_the_relay(app, store, state):
    """Due or not, held or not: the planner never touches them."""
    tell(app, store, ("a", RECEIVED), ("a", details(1)))
    plan(app, store)
    now = datetime.now(UTC)
    intent = {"attempt": 1, "request": b"x", "request_key": uuid4(), "digest": "d"}
    change(app, store, "draft", state=state, send_by=now, counts_from=now, **intent)
    before = rows(app, store)["draft:0"]
    tell(app, store, ("a", e.EffectIntended(Effect.DRAFT, 0, 1, "", "d", now, now)), ("a", CANCELLED))
    plan(app, store)
    after = rows(app, store)["draft:0"]
    assert (after.state, after.next_at, after.send_by) == (state, before.next_at, before.send_by)


def test_a_retry_that_is_not_due_any_more_is_closed_by_the_relay(app, store):
    """An attempt was made before, so the row may not vanish unrecorded: it comes up at once."""
    tell(app, store, ("a", RECEIVED), ("a", details(1)))
    plan(app, store)
    later = datetime.now(UTC) + timedelta(days=1)
    change(app, store, "draft", attempt=1, next_at=later)
    tell(app, store, ("a", e.EvidenceFound("e1")))
    plan(app, store)
    row = rows(app, store)["draft:0"]
    assert row.state == "planned"
    assert row.next_at < later - timedelta(hours=23)


def test_a_failing_read_keeps_its_back_off(app, store):
    """News about the order do not make a read that keeps failing hammer at Glopal; one that does not fail comes up."""
    tell(app, store, ("a", RECEIVED))
    plan(app, store)
    later = datetime.now(UTC) + timedelta(days=30)
    change(app, store, "fetch", next_at=later, failures=3)
    tell(app, store, ("a", READY))
    plan(app, store)
    assert rows(app, store)["fetch:0"].next_at == later
    change(app, store, "fetch", next_at=later, failures=0)
    tell(app, store, ("a", RECEIVED))
    plan(app, store)
    assert rows(app, store)["fetch:0"].next_at == order(app, store, "a").moved.at


def test_a_sweep_leaves_news_to_the_planner(app, store):
    """It comes between a fact and its planning: what falls due by the fact is not parked for that."""
    tell(app, store, ("a", RECEIVED))
    plan(app, store)
    read_all(app, store, [Orders()])
    tell(app, store, ("a", details(1)))
    with app.begin() as conn:
        planner.sweep(conn, store, POLICY)
    plan(app, store)
    assert {name: row.parked for name, row in rows(app, store).items()} == {"draft:0": False, "fetch:1": False}


def test_a_sweep_plans_parked(app, store):
    """What fell due only because the policy changed waits for a person: a deploy never fires effects."""
    tell(app, store, ("a", RECEIVED), ("a", details(1)), ("b", RECEIVED))
    observe = StorePolicy(mode=Mode.OBSERVE)
    read_all(app, store, [Orders()])
    plan(app, store, observe)
    assert sorted(rows(app, store)) == ["fetch:1"]
    with app.begin() as conn:
        assert planner.sweep(conn, store, POLICY) is None
    assert {name: row.parked for name, row in rows(app, store).items()} == {"draft:0": True, "fetch:1": False}
    assert {name: row.parked for name, row in rows(app, store, "b").items()} == {"fetch:0": False}
    with app.begin() as conn:
        planner.sweep(conn, store, POLICY)
    assert rows(app, store)["draft:0"].parked
    tell(app, store, ("a", READY), ("a", details(10**6, Status.READY)))
    plan(app, store)
    assert not rows(app, store)["draft:0"].parked


def test_only_a_retry_frees_what_is_parked(app, store):
    """A routine answer of Glopal changes nothing about it, nor does asking for one."""
    tell(app, store, ("a", RECEIVED), ("a", details(1)))
    read_all(app, store, [Orders()])
    plan(app, store, StorePolicy(mode=Mode.OBSERVE))
    with app.begin() as conn:
        planner.sweep(conn, store, POLICY)
    tell(app, store, ("a", e.RetryRequested(Effect.FETCH, "ann", "?")), ("a", details(10**6)))
    plan(app, store)
    assert rows(app, store)["draft:0"].parked
    tell(app, store, ("a", e.RetryRequested(Effect.DRAFT, "ann", "go")))
    plan(app, store)
    assert not rows(app, store)["draft:0"].parked


def parked_by_a_sweep(app, store: str) -> None:
    """Its draft fell due only because the store came out of `observe`."""
    tell(app, store, ("a", RECEIVED), ("a", details(1)))
    read_all(app, store, [Orders()])
    plan(app, store, StorePolicy(mode=Mode.OBSERVE))
    with app.begin() as conn:
        planner.sweep(conn, store, POLICY)
    assert rows(app, store)["draft:0"].parked


HELD_AND_RELEASED = (
    ("a", e.EvidenceFound("e1")),
    ("a", e.OrderReleased(HoldReason.EVIDENCE, Position(10**6), "ann", "seen")),
)


@pytest.mark.parametrize("batch", [1, 500])
def test_a_hold_that_comes_and_goes_frees_nothing(app, store, batch):
    """Not due for a while, the parked row goes on waiting, and a sweep meanwhile takes nothing away either."""
    parked_by_a_sweep(app, store)
    tell(app, store, HELD_AND_RELEASED[0])
    plan(app, store, batch=batch)
    with app.begin() as conn:
        planner.sweep(conn, store, POLICY)
    assert rows(app, store)["draft:0"].parked
    tell(app, store, HELD_AND_RELEASED[1])
    plan(app, store, batch=batch)
    assert rows(app, store)["draft:0"].parked
    tell(app, store, *HELD_AND_RELEASED)
    plan(app, store, batch=batch)
    assert rows(app, store)["draft:0"].parked


def test_another_effect_s_end_frees_nothing(app, store):
    """A stray is withdrawn first; when that is done the draft is due again, by no news about it."""
    parked_by_a_sweep(app, store)
    stray, gone = (Sighting("s9", "9", state) for state in (ShopState.BEGUN, ShopState.GONE))
    tell(app, store, ("a", e.LookedUp(Effect.REAP, 0, 1, T0, (stray,))))
    plan(app, store)
    assert {name: row.parked for name, row in rows(app, store).items() if "fetch" not in name} == {
        "draft:0": True,
        "withdraw:0": False,
    }
    tell(app, store, ("a", e.LookedUp(Effect.REAP, 1, 1, T0, (gone,))))
    plan(app, store)
    assert {name: row.parked for name, row in rows(app, store).items() if "fetch" not in name} == {"draft:0": True}


def test_a_retry_of_another_effect_frees_nothing(app, store):
    """Each effect is asked for by itself."""
    parked_by_a_sweep(app, store)
    tell(app, store, ("a", e.RetryRequested(Effect.ACCEPT, "ann", "not that one")))
    plan(app, store)
    assert rows(app, store)["draft:0"].parked


@pytest.mark.parametrize("batch", [1, 500])
def test_what_a_changed_policy_wants_is_parked_whoever_comes_first(app, store, batch):
    """A routine answer that comes between the new policy and its first sweep fires nothing."""
    tell(app, store, ("a", RECEIVED), ("a", details(1)))
    plan(app, store, StorePolicy(mode=Mode.OBSERVE))
    tell(app, store, ("a", details(10**6)), ("a", e.NoteAdded("ann")))
    plan(app, store, batch=batch)
    assert rows(app, store)["draft:0"].parked
    tell(app, store, ("a", READY), ("a", details(10**6, Status.READY)))
    plan(app, store, batch=batch)
    assert not rows(app, store)["draft:0"].parked


@pytest.mark.parametrize("batch", [1, 500])
def test_what_a_worker_ahead_of_the_planner_took_out_is_not_parked(app, store, batch):
    """It knows of the hold that the planner has not read yet: that is no change of policy."""
    tell(app, store, ("a", RECEIVED), ("a", details(1)))
    plan(app, store)
    tell(app, store, ("a", e.NoteAdded("ann")), *HELD_AND_RELEASED)
    clear(app, store)
    with app.begin() as conn:
        assert catch_up(conn, store, [planner.Planner()], POLICY, batch=1) == 1
    assert "draft:0" not in rows(app, store)
    plan(app, store, batch=batch)
    assert not rows(app, store)["draft:0"].parked


def test_a_failing_read_that_is_asked_for_comes_up_at_once(app, store):
    """Who asks for it now does not want to wait for its back-off."""
    tell(app, store, ("a", RECEIVED))
    plan(app, store)
    change(app, store, "fetch", next_at=datetime.now(UTC) + timedelta(days=30), failures=3)
    tell(app, store, ("a", e.RetryRequested(Effect.FETCH, "ann", "now")))
    plan(app, store)
    assert rows(app, store)["fetch:0"].next_at <= order(app, store, "a").last.at


def test_a_next_try_that_is_asked_for_comes_up_at_once(app, store):
    """The same of a write: its attempt did nothing, and the next one need not wait."""
    tell(app, store, ("a", RECEIVED), ("a", details(1)))
    plan(app, store)
    tell(app, store, ("a", e.EffectIntended(Effect.DRAFT, 0, 1, "", "d", T0, T0)))
    tell(app, store, ("a", e.EffectNotExecuted(Effect.DRAFT, 0, 1, "busy", 3600.0)))
    change(app, store, "draft", attempt=1)
    plan(app, store)
    assert rows(app, store)["draft:0"].next_at > datetime.now(UTC)
    tell(app, store, ("a", e.RetryRequested(Effect.DRAFT, "ann", "now")))
    plan(app, store)
    assert rows(app, store)["draft:0"].next_at == order(app, store, "a").last.at


def test_a_sweep_parks_no_reads(app, store):
    """To look changes nothing: a fetch that was never planned comes up by itself."""
    tell(app, store, ("a", RECEIVED))
    read_all(app, store, [Orders()])
    plan(app, store)
    with app.begin() as conn:
        in_store.remove(conn, rows(app, store)["fetch:0"].key)
        planner.sweep(conn, store, POLICY)
    assert not rows(app, store)["fetch:0"].parked


def test_a_sweep_takes_away_what_is_not_due_any_more(app, store):
    """The other way round as well: under a policy that wants no drafts the planned one goes."""
    tell(app, store, ("a", RECEIVED), ("a", details(1)))
    read_all(app, store, [Orders()])
    plan(app, store)
    with app.begin() as conn:
        planner.sweep(conn, store, StorePolicy(mode=Mode.OBSERVE))
    assert sorted(rows(app, store)) == ["fetch:1"]


def test_a_sweep_goes_on_piece_by_piece(app, store):
    """Some orders at a time, each once."""
    tell(app, store, *((f"o{n}", RECEIVED) for n in range(7)))
    read_all(app, store, [Orders()])
    plan(app, store)
    for n in range(7):
        clear(app, store, f"o{n}")
    after, pieces = "", []
    while after is not None:
        with app.begin() as conn:
            after = planner.sweep(conn, store, POLICY, after, limit=3)
        pieces.append(after)
    assert pieces == ["o2", "o5", None]
    assert all(rows(app, store, f"o{n}") for n in range(7))


def test_a_sweep_and_the_planner_take_turns(app, store):
    """A sweep that knows an older history would take away what the planner has just planned from a newer one."""
    tell(app, store, ("a", RECEIVED))
    read_all(app, store, [Orders()])
    with app.begin() as sweeping, app.begin() as planning:
        assert planner.sweep(sweeping, store, POLICY, limit=1) == "a"
        assert catch_up(planning, store, [planner.Planner()], POLICY) == 0
    with app.begin() as planning, app.begin() as sweeping:
        assert catch_up(planning, store, [planner.Planner()], POLICY) == 1
        assert planner.sweep(sweeping, store, POLICY, "", limit=1) == ""
    with app.begin() as sweeping:
        assert planner.sweep(sweeping, store, POLICY, "a", limit=1) is None


def test_rows_and_checkpoint_go_together(app, store):
    """If planning fails, its checkpoint stays, and the same events are planned again."""
    tell(app, store, ("a", RECEIVED))
    with app.connect() as conn:
        assert catch_up(conn, store, [planner.Planner()], POLICY) == 1
        conn.rollback()
    assert rows(app, store) == {}
    assert plan(app, store) == 1
    assert rows(app, store)


def test_the_planner_needs_no_read_model(app, store):
    """It folds from the log itself where the read model is behind, empty or of another machine."""
    tell(app, store, ("a", RECEIVED), ("a", details(1)))
    plan(app, store)
    assert "draft:0" in rows(app, store)


def other_machine(owner: sa.Engine, store: str, snapshot: str, status: str) -> None:
    """As if another version of the machine had made the read model, and judged otherwise."""
    change = "UPDATE orderflow.orders SET machine = machine + 1, snapshot = :new, status = :status WHERE store = :s"
    with owner.begin() as conn:
        conn.execute(sa.text(change), {"new": snapshot, "status": status, "s": store})


def test_it_never_plans_on_what_another_machine_made(app, owner, store):
    """The order is folded anew from its stream; the other version's opinion plans nothing and takes nothing away."""
    tell(app, store, ("a", RECEIVED), ("a", details(1)), ("b", RECEIVED), ("b", CANCELLED))
    read_all(app, store, [Orders()])
    plan(app, store)
    before = rows(app, store)
    assert sorted(before) == ["draft:0", "fetch:1"]
    other_machine(owner, store, codec.freeze_order(order(app, store, "b")), "CANCELLED")
    tell(app, store, ("a", e.NoteAdded("ann")))
    plan(app, store)
    assert sorted(rows(app, store)) == sorted(before)
    assert order(app, store, "a").status is Status.RECEIVED


def test_a_sweep_looks_at_what_another_machine_closed(app, owner, store):
    """An order that only another version holds for closed is planned for, parked."""
    tell(app, store, ("a", RECEIVED), ("a", details(1)), ("b", RECEIVED), ("b", CANCELLED))
    read_all(app, store, [Orders()])
    plan(app, store)
    clear(app, store)
    with app.begin() as conn:
        planner.sweep(conn, store, POLICY)
    assert rows(app, store)["draft:0"].parked
    clear(app, store)
    other_machine(owner, store, codec.freeze_order(order(app, store, "b")), "CANCELLED")
    with app.begin() as conn:
        planner.sweep(conn, store, POLICY)
    assert {name: row.parked for name, row in rows(app, store).items()} == {"draft:0": True, "fetch:1": False}


def test_many_orders_are_planned_at_once(app, store):
    """In one batch: some new, some superseded, some with another target; each as if it were alone."""
    names = [f"o{n}" for n in range(30)]
    tell(app, store, *((name, RECEIVED) for name in names), *((name, details()) for name in names))
    plan(app, store)
    assert all(sorted(rows(app, store, name)) == ["draft:0", "fetch:1"] for name in names)
    tell(
        app,
        store,
        *((name, e.EvidenceFound("e1")) for name in names[:10]),
        *((name, CANCELLED) for name in names[10:20]),
    )
    plan(app, store)
    for name in names:
        due = {f"{one.effect}:{one.generation}" for one in effects_due(order(app, store, name), POLICY)}
        assert set(rows(app, store, name)) == due
    assert all("draft:0" in rows(app, store, name) for name in names[20:])
    assert not any("draft:0" in rows(app, store, name) for name in names[:20])


def test_a_row_that_exists_already_stays(app, store):
    """Put there in between by somebody else, it is not overwritten."""
    key = outbox.Key(store, "a", "shop", "draft", 0)
    new = outbox.Planned(key, "", reads=False, next_at=T0)
    with app.begin() as conn:
        outbox.rewrite(conn, [], [], [new])
        outbox.rewrite(conn, [], [], [outbox.Planned(key, "other", reads=False, next_at=T0 + timedelta(days=1))])
    assert (rows(app, store)["draft:0"].target, rows(app, store)["draft:0"].next_at) == ("", T0)
    with app.begin() as conn:
        outbox.rewrite(conn, [], [outbox.Replanned(key, T0, parked=True, shadow=True, reason="x")], [])
        assert outbox.rows_of_many(conn, store, ["a", "b"]).keys() == {"a"}
    row = rows(app, store)["draft:0"]
    assert (row.parked, row.shadow, row.reason) == (True, True, "x")
    with app.begin() as conn:
        outbox.rewrite(conn, [key], [], [outbox.Planned(key, "again", reads=False, next_at=T0)])
    assert rows(app, store)["draft:0"].target == "again"


def test_a_redrive_has_a_lane_of_its_own(app, store):
    """What a redrive frees or makes due waits in its lane; who asks for one order by hand gets it done like news."""
    tell(app, store, ("a", RECEIVED), ("a", details(1)))
    read_all(app, store, [Orders()])
    plan(app, store, StorePolicy(mode=Mode.OBSERVE))
    with app.begin() as conn:
        planner.sweep(conn, store, POLICY)
    assert rows(app, store)["draft:0"].lane == "live"
    tell(app, store, ("a", e.RetryRequested(Effect.DRAFT, "ann", "go", plan="p1")))
    plan(app, store)
    assert (rows(app, store)["draft:0"].parked, rows(app, store)["draft:0"].lane) == (False, "redrive")
    tell(app, store, ("a", details(10**6)))
    plan(app, store)
    assert rows(app, store)["draft:0"].lane == "redrive"
    tell(app, store, ("a", e.RetryRequested(Effect.DRAFT, "ann", "now, please")))
    plan(app, store)
    assert rows(app, store)["draft:0"].lane == "live"


def test_a_fetch_that_a_redrive_asks_for_is_in_its_lane(app, store):
    """It would have come up tomorrow: now it comes up today, behind no live order's back."""
    tell(app, store, ("a", RECEIVED), ("a", details(1)))
    plan(app, store)
    fetch = rows(app, store)["fetch:1"]
    assert fetch.lane == "live"
    tell(app, store, ("a", e.RetryRequested(Effect.FETCH, "ann", "go", plan="p1")))
    plan(app, store)
    assert rows(app, store)["fetch:1"].next_at < fetch.next_at
    assert rows(app, store)["fetch:1"].lane == "redrive"
