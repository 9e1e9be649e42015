"""A planner that missed events is judged anew from the log, and counts as whole again; nothing is fired by that."""

import pytest
import sqlalchemy as sa
from tests.store import rows as in_store

from orderflow.domain import events as e
from orderflow.domain.due import effects_due
from orderflow.domain.machine import Report, Status
from orderflow.projections import replanning
from orderflow.projections.replanning import StillMissingError
from orderflow.store import progress
from orderflow.store.applied import flaws
from orderflow.store.log import LogDamagedError

from .telling import POLICY, details, history, order, tell
from .test_planner import plan, rows

RECEIVED, READY = e.Reported(Report.RECEIVED), e.Reported(Report.READY)
PAGE = 7


def skip(owner: sa.Engine, store: str, count: int) -> None:
    """The planner's checkpoint moves on by itself."""
    moved = "UPDATE orderflow.checkpoints SET position = position + :n WHERE store = :s AND reader = 'planner'"
    with owner.begin() as conn:
        conn.execute(sa.text(moved), {"s": store, "n": count})


def wrong(engine: sa.Engine, store: str) -> dict[str, str]:
    with engine.begin() as conn:
        return flaws(conn, store, progress.applied(conn, ["planner"], store))


def replan(engine: sa.Engine, store: str):
    return replanning.replan(engine, store, POLICY, lambda _: None, PAGE)


def compare(engine: sa.Engine, store: str):
    return replanning.compare(engine, store, POLICY, lambda _: None, PAGE)


def test_what_was_missed_is_planned_parked_and_the_planner_is_whole(app, owner, store):
    """Only then: until it is judged, its flaw stays on record. What it planned by itself is left as it is."""
    tell(app, store, ("a", RECEIVED), ("a", details(1)))
    plan(app, store)
    tell(app, store, ("b", RECEIVED), ("b", details(3)))
    skip(owner, store, 2)
    tell(app, store, ("c", RECEIVED), ("c", details(5)))
    plan(app, store)
    assert wrong(app, store) == {"planner": "has applied 4 events up to position 6: 2 were never applied"}
    found = compare(app, store)
    assert (found.position, found.rows, found.only_new, found.count) == (6, 4, 2, 2)
    assert not rows(app, store, "b")
    assert wrong(app, store)
    assert replan(app, store) == found
    assert [one.key["order_id"] for one in found.examples] == ["b", "b"]
    assert wrong(app, store) == {}
    parked = {name: {k: row.parked for k, row in rows(app, store, name).items()} for name in "abc"}
    assert parked == {
        "a": {"draft:0": False, "fetch:1": False},
        "b": {"draft:0": True, "fetch:1": False},
        "c": {"draft:0": False, "fetch:1": False},
    }
    assert compare(app, store).count == 0


def test_what_is_no_longer_due_leaves_the_outbox(app, owner, store):
    """A row whose reason went away by an event that was missed; and a row that says another time than the log does."""
    tell(app, store, ("a", RECEIVED), ("a", details(1)), ("b", RECEIVED))
    plan(app, store)
    tell(app, store, ("a", e.EvidenceFound("e1")))
    skip(owner, store, 1)
    [fetch] = rows(app, store, "b").values()
    with app.begin() as conn:
        in_store.change(conn, fetch.key, next_at=fetch.next_at.replace(year=2040))
    found = replan(app, store)
    assert (found.only_old, found.changed, found.columns) == (1, 1, {"next_at": 1})
    assert "draft:0" not in rows(app, store, "a")
    assert rows(app, store, "b")["fetch:0"].next_at == fetch.next_at


@pytest.mark.parametrize("seed", range(3))
def test_the_outbox_is_what_is_due(app, owner, store, seed):
    """After any history of which the planner has read half, twice or never: what a planner that read all would have."""
    tell(app, store, *history(seed + 90, 30, many=4))
    plan(app, store)
    tell(app, store, *history(seed + 190, 30, many=4))
    skip(owner, store, 30)
    replan(app, store)
    assert wrong(app, store) == {}
    for n in range(4):
        due = effects_due(order(app, store, f"o{n}"), POLICY)
        planned = {name: row.target for name, row in rows(app, store, f"o{n}").items()}
        assert planned == {f"{one.effect}:{one.generation}": one.target for one in due}


def test_news_that_the_planner_has_not_read_are_left_to_it(app, owner, store):
    """What falls due by them is not parked: it is planned when they are read."""
    tell(app, store, ("a", RECEIVED))
    plan(app, store)
    tell(app, store, ("b", RECEIVED))
    skip(owner, store, 1)
    tell(app, store, ("a", details(1)))
    assert replan(app, store).only_new == 1
    assert "draft:0" not in rows(app, store)
    assert wrong(app, store) == {}
    plan(app, store)
    assert not rows(app, store)["draft:0"].parked
    assert wrong(app, store) == {}


def test_a_planner_that_goes_on_to_miss_is_not_set_right(app, owner, store):
    """Its flaw stays on record, though what was judged stays judged; the next time it is."""
    tell(app, store, ("a", RECEIVED))
    plan(app, store)
    tell(app, store, ("b", RECEIVED))
    skip(owner, store, 1)
    told = []

    def missing(position: int) -> None:
        told.append(position)
        tell(app, store, ("c", RECEIVED))
        skip(owner, store, 1)

    with pytest.raises(StillMissingError):
        replanning.replan(app, store, POLICY, missing, PAGE)
    assert wrong(app, store)
    assert rows(app, store, "b")
    replan(app, store)
    assert wrong(app, store) == {}
    assert rows(app, store, "c")


def test_a_planner_ahead_of_its_log_is_not_set_right(app, owner, store):
    """Events that will get those positions would never be planned for: that is for a person."""
    tell(app, store, ("a", RECEIVED))
    plan(app, store)
    skip(owner, store, 3)
    with pytest.raises(LogDamagedError):
        replan(app, store)
    assert wrong(app, store)


def test_rows_under_way_stay_with_the_relay(app, owner, store):
    """An intent is no plan: it ends by an observation, whatever the planner missed."""
    tell(app, store, ("a", RECEIVED), ("a", details(1)))
    plan(app, store)
    draft = rows(app, store)["draft:0"]
    now = draft.now
    with app.begin() as conn:
        in_store.change(
            conn, draft.key, state="intent", attempt=1, request=b"x", request_key=_ID, digest="d", send_by=now,
            counts_from=now,
        )  # fmt: skip
    intended = e.EffectIntended(e.Effect.DRAFT, 0, 1, "", "d", now, now)
    tell(app, store, ("a", intended), ("a", READY), ("a", details(4, Status.READY)))
    skip(owner, store, 3)
    replan(app, store)
    row = rows(app, store)["draft:0"]
    assert (row.state, row.send_by, row.next_at) == ("intent", now, draft.next_at)


_ID = "00000000-0000-0000-0000-000000000001"
