"""Replay against a real log: the same orders as one by one; whatever is wrong with a read model is named."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa
from tests.projections.telling import POLICY, history, read_all, tell

from orderflow import codec
from orderflow.domain import events as e
from orderflow.domain.evolve import fold
from orderflow.domain.machine import VERSION, Report
from orderflow.replay import NO_HISTORY, NO_ROW, compare, replay, without_history
from orderflow.store import log, progress
from orderflow.store.entry import Entry
from orderflow.store.log import INTAKE, LogDamagedError, Unit


def folded(conn, store, upto, size=7):
    """All that a replay yields, by order id; no order twice."""
    reached = list(replay(conn, store, upto, size))
    positions = [one.position for one in reached]
    assert positions == sorted(positions)
    assert not reached or reached[-1].under_way == 0
    every = [one for page in reached for one in page.folded]
    assert len({one.order_id for one in every}) == len(every)
    return {one.order_id: one for one in every}


def differences(conn, store, upto):
    found = compare(conn, store, [*folded(conn, store, upto).values()], POLICY) + without_history(conn, store)
    return {one.order_id: one.what for one in found}


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("upto", [0, 1, 33, 80])
def test_a_replay_folds_every_order_as_it_was_at_that_position(app, store, size, upto):
    """Whatever the page size, and although later events are there by now."""
    tell(app, store, *history(5, 80))
    with app.begin() as conn:
        records = [record for record in log.read(conn, store, 0) if record.position <= upto]
        found = folded(conn, store, upto, size)
    wanted: dict[str, list[e.Event]] = {}
    for record in records:
        if record.order_id != INTAKE:
            wanted.setdefault(record.order_id, []).append(codec.decode(record))
    assert {order_id: one.order for order_id, one in found.items()} == {i: fold(h) for i, h in wanted.items()}


def test_orders_come_as_soon_as_their_history_is_over(app, store):
    """So that memory grows with the orders that live at once, not with the log."""
    for n in range(20):
        tell(app, store, (f"o{n}", e.Reported(Report.READY)), (f"o{n}", e.Reported(Report.CANCELLED)))
    with app.begin() as conn:
        reached = list(replay(conn, store, 40, 4))
    assert [len(one.folded) for one in reached] == [2] * 10
    assert {one.under_way for one in reached} == {0}


def test_a_sound_read_model_equals_the_replay(app, store):
    """Also where it has moved on beyond the position that is compared."""
    tell(app, store, *history(6, 120))
    read_all(app, store)
    with app.begin() as conn:
        assert differences(conn, store, 120) == {}
        assert differences(conn, store, 60) == {}


EDITS = {
    "status": ("status = 'COMPLETED'", ("status",)),
    "total": ("total = 0.01, currency = 'XXX'", ("currency", "total")),
    "held": ("held = '{}', attention = '{money}'", ("held", "attention")),
    "snapshot": ("snapshot = '{}'", ("snapshot",)),
    "unreadable": ("snapshot = 'no JSON'", ("snapshot",)),
    "machine": (f"machine = {VERSION + 1}", ("machine",)),
    "behind": ("version = 1", ("version",)),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_row_is_named_with_its_columns(app, owner, store, edit):
    tell(app, store, ("a", e.Reported(Report.RECEIVED)), ("a", e.EvidenceFound("x")), ("b", e.Reported(Report.READY)))
    read_all(app, store)
    change, what = EDITS[edit]
    with owner.begin() as conn:
        conn.execute(sa.text(f"UPDATE orderflow.orders SET {change} WHERE store = :s AND order_id = 'a'"), {"s": store})
    with app.begin() as conn:
        assert differences(conn, store, 3) == {"a": what}


def test_rows_that_are_missing_or_have_no_history(app, owner, store):
    tell(app, store, ("a", e.Reported(Report.RECEIVED)), ("b", e.Reported(Report.READY)))
    read_all(app, store)
    with owner.begin() as conn:
        edit = sa.text("UPDATE orderflow.orders SET order_id = 'ghost' WHERE store = :s AND order_id = 'a'")
        conn.execute(edit, {"s": store})
    with app.begin() as conn:
        assert progress.positions(conn, ["orders"], store) == {"orders": 2}
        assert differences(conn, store, 2) == {"a": NO_ROW, "ghost": NO_HISTORY}


def test_a_snapshot_in_other_words_is_no_difference(app, owner, store):
    """What it means counts: another version may leave out what is empty."""
    tell(app, store, ("a", e.Reported(Report.RECEIVED)))
    read_all(app, store)
    with app.begin() as conn:
        snapshot = codec.freeze_order(folded(conn, store, 1)["a"].order)
    shorter = json.dumps({name: value for name, value in json.loads(snapshot).items() if value})
    assert shorter != snapshot
    with owner.begin() as conn:
        conn.execute(sa.text("UPDATE orderflow.orders SET snapshot = :w WHERE store = :s"), {"w": shorter, "s": store})
    with app.begin() as conn:
        assert differences(conn, store, 1) == {}


def test_events_that_another_machine_judged_are_counted(app, store):
    """Metadata that tells no version, or tells nothing that can be read, is no other version."""
    metas = {"a": '{"machine":1}', "b": f'{{"machine":{VERSION}}}', "c": "{}", "d": "[", "e": '{"machine":"x"}'}
    with app.begin() as conn:
        entries = [Entry(i, "OrderReady", "glopal", f"{i}{m}", "{}", meta=m) for i, m in metas.items()]
        log.append(conn, store, [Unit((entry,)) for entry in entries])
        found = folded(conn, store, len(metas))
    assert {i: set(one.other_machines) for i, one in found.items()} == {i: {1} if i == "a" else set() for i in metas}


def test_damage_stops_a_replay(app, owner, store):
    """A hole in the log, and a version out of turn."""
    tell(app, store, *(("a", e.Reported(Report.READY)) for _ in range(4)))
    with owner.begin() as conn:
        conn.execute(sa.text("SET LOCAL session_replication_role = replica"))
        conn.execute(sa.text("UPDATE orderflow.events SET version = 9 WHERE store = :s AND position = 3"), {"s": store})
    with app.begin() as conn, pytest.raises(LogDamagedError) as damage:
        list(replay(conn, store, 4))
    assert damage.value.position == 3
