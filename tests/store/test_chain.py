"""Whoever changes the past is found out: the chain is recomputed from what stands there."""

import hashlib
from uuid import uuid4

import pytest
import sqlalchemy as sa

from orderflow.store import chain, log
from orderflow.store.entry import Sealed
from orderflow.store.log import LogDamagedError
from orderflow.store.verify import verify

from .writing import NOON, append, entry, rows, unit, verified


@pytest.fixture
def filled(app, store):
    """Ten events of three orders; those at 4 and 8 have bodies."""
    bodies = {n: Sealed(f"sealed {n}".encode(), uuid4(), b"m" * 32) for n in (4, 8)}
    given = [entry("abc"[n % 3], clear=f"[{n}]", occurred_at=NOON, body=bodies.get(n)) for n in range(1, 11)]
    append(app, store, *(unit(one) for one in given))
    assert verified(app, store) == 10
    return store


def tamper(owner, *statements: str, store: str) -> None:
    """Change what is append-only, as somebody with every right could."""
    with owner.begin() as conn:
        conn.execute(sa.text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            assert conn.execute(sa.text(statement), {"s": store}).rowcount > 0


_AT_5 = "WHERE store = :s AND position = 5"
_AT_8 = "WHERE store = :s AND position = 8"


@pytest.mark.parametrize(
    ("statements", "position"),
    [
        pytest.param([f"UPDATE orderflow.events SET clear = '[6]' {_AT_5}"], 5, id="clear"),
        pytest.param([f"UPDATE orderflow.events SET type = 'OrderReady' {_AT_5}"], 5, id="type"),
        pytest.param([f"UPDATE orderflow.events SET source_id = 'other' {_AT_5}"], 5, id="source-id"),
        pytest.param([f"UPDATE orderflow.events SET occurred_at = NULL {_AT_5}"], 5, id="occurred-at"),
        pytest.param([f"UPDATE orderflow.events SET event_id = gen_random_uuid() {_AT_5}"], 5, id="event-id"),
        pytest.param([f"UPDATE orderflow.events SET meta = '{{}} ' {_AT_5}"], 5, id="meta"),
        pytest.param(
            [f"UPDATE orderflow.events SET recorded_at = recorded_at + interval '1 us' {_AT_5}"], 5, id="time"
        ),
        pytest.param(
            [f"UPDATE orderflow.events SET recorded_at = recorded_at - interval '1 day' {_AT_5}"], 5, id="earlier-time"
        ),
        pytest.param(
            ["UPDATE orderflow.events SET body = body || 'x' WHERE store = :s AND position = 4"], 4, id="body"
        ),
        pytest.param(
            [f"UPDATE orderflow.events SET body = NULL, body_key = NULL, body_mac = NULL {_AT_8}"],
            8,
            id="body-taken-away",
        ),
        pytest.param([f"UPDATE orderflow.events SET version = 9 {_AT_5}"], 5, id="version"),
        pytest.param([f"UPDATE orderflow.events SET order_id = 'z', version = 1 {_AT_5}"], 5, id="order"),
        pytest.param([f"UPDATE orderflow.events SET hash = sha256(hash) {_AT_5}"], 5, id="hash"),
        pytest.param([f"UPDATE orderflow.events SET leaf = sha256(leaf) {_AT_5}"], 5, id="leaf"),
        pytest.param([f"DELETE FROM orderflow.events {_AT_5}"], 5, id="deleted"),
        pytest.param(["DELETE FROM orderflow.events WHERE store = :s AND position = 1"], 1, id="head-deleted"),
        pytest.param(["DELETE FROM orderflow.events WHERE store = :s AND position > 8"], 8, id="tail-deleted"),
        pytest.param(["DELETE FROM orderflow.events WHERE store = :s"], 0, id="all-deleted"),
        pytest.param(
            [
                f"DELETE FROM orderflow.events {_AT_5}",
                "UPDATE orderflow.events SET position = position - 1 WHERE store = :s AND position > 5",
            ],
            5,
            id="deleted-and-closed-up",
        ),
        pytest.param(
            [
                "UPDATE orderflow.events SET position = 99 WHERE store = :s AND position = 4",
                f"UPDATE orderflow.events SET position = 4 {_AT_5}",
                "UPDATE orderflow.events SET position = 5 WHERE store = :s AND position = 99",
            ],
            4,
            id="swapped",
        ),
        pytest.param(["UPDATE orderflow.epochs SET epoch = 2, forked_from_hash = '' WHERE store = :s"], 1, id="epoch"),
        pytest.param(["UPDATE orderflow.streams SET version = 1 WHERE store = :s"], 10, id="streams"),
        pytest.param(["DELETE FROM orderflow.streams WHERE store = :s"], 10, id="streams-deleted"),
    ],
)
@pytest.mark.parametrize("batch", [3, 1000])
def test_verification_names_the_first_bad_row(app, owner, filled, statements, position, batch):
    """Whatever was changed, by whomever: the first row that is not what was written is named."""
    tamper(owner, *statements, store=filled)
    found = verified(app, filled, batch)
    assert isinstance(found, LogDamagedError)
    assert (found.store, found.position) == (filled, position)
    assert verified(app, "untouched") == 0


def test_verification_needs_no_key(app, filled):
    """Verification reads sealed bytes only: it needs no key, so a destroyed one does no harm."""
    assert verified(app, filled) == 10


def test_leaf_and_hash_are_what_the_reference_says(app, store):
    """docs/reference/log-format.md, written down once more here, gives the bytes that stand in the database."""
    body = Sealed(b"\0sealed", uuid4(), b"m" * 32)
    append(
        app, store, unit(entry("é", "s1", "{}", occurred_at=NOON, body=body)), unit(entry("b", "s2"), entry("b", "s3"))
    )
    previous = hashlib.sha256(b"orderflow " + store.encode()).digest()
    columns = "order_id, event_id, type, source, source_id, occurred_at, clear, body, body_key, body_mac, meta"
    query = f"SELECT {columns}, position, version, recorded_at, leaf, hash FROM orderflow.events WHERE store = :s"
    for row in rows(app, f"{query} ORDER BY position", s=store):
        given = [
            store.encode(),
            row.order_id.encode(),
            row.event_id.bytes,
            row.type.encode(),
            row.source.encode(),
            row.source_id.encode(),
            row.occurred_at and _micros(row.occurred_at),
            row.clear.encode(),
            row.body,
            row.body_key and row.body_key.bytes,
            row.body_mac,
            row.meta.encode(),
        ]
        text = b"".join(b"-" if one is None else b"+" + len(one).to_bytes(8, "big") + one for one in given)
        assert hashlib.sha256(text).digest() == row.leaf
        place = (1).to_bytes(4, "big") + row.position.to_bytes(8, "big") + row.version.to_bytes(8, "big")
        previous = hashlib.sha256(previous + place + _micros(row.recorded_at) + row.leaf).digest()
        assert previous == row.hash


def _micros(time) -> bytes:
    whole = int(time.timestamp()) * 1_000_000 + time.microsecond
    return whole.to_bytes(8, "big", signed=True)


def test_leaves_tell_columns_apart():
    """What stands in one column cannot stand for what stands in another: every length is in the leaf."""
    same = uuid4()
    leaves = {
        chain.leaf(store, entry(order_id, source_id, clear, occurred_at=time, event_id=same))
        for store, order_id, source_id, clear, time in (
            ("s", "ab", "c", "", None),
            ("s", "a", "bc", "", None),
            ("sa", "b", "c", "", None),
            ("s", "ab", "", "c", None),
            ("s", "ab", "c", "-", None),
            ("s", "ab", "c", "", NOON),
        )
    }
    assert len(leaves) == 6


def test_times_before_1970_are_chained_too(app, store):
    """A claim of the source may be nonsense; it is kept and hashed exactly."""
    for year in (1, 1583, 1969, 9999):
        append(app, store, unit(entry("a", occurred_at=NOON.replace(year=year, microsecond=123456))))
    assert verified(app, store) == 4


def test_a_new_epoch_goes_into_the_chain(app, owner, store):
    """After a restore the epoch goes up: from there on hashes differ from those of the history that was lost."""
    append(app, store, unit(), unit())
    with owner.begin() as conn:
        for epoch in (2, 3):  # restored twice, nothing written in between
            conn.execute(
                sa.text(
                    "INSERT INTO orderflow.epochs (store, epoch, first_position, forked_from_hash) "
                    "SELECT store, :e, 3, hash FROM orderflow.events WHERE store = :s AND position = 2"
                ),
                {"s": store, "e": epoch},
            )
    append(app, store, unit(), unit())
    assert verified(app, store) == 4
    [before, after] = rows(
        app,
        "SELECT hash, version, recorded_at, leaf FROM orderflow.events WHERE store = :s AND position IN (2, 3)",
        s=store,
    )
    assert after.hash == chain.chain(before.hash, 3, 3, after.version, after.recorded_at, after.leaf)


def test_a_growing_log_is_not_taken_for_a_damaged_one(app, store):
    """What is appended while verification runs is left for the next time."""
    append(app, store, *(unit() for _ in range(4)))
    with app.begin() as conn:
        steps = verify(conn, store, 2)
        assert next(steps) == 2
        append(app, store, unit(entry("1-1")), unit(entry("other")))
        assert list(steps) == [4]
    assert verified(app, store) == 6


def test_a_hole_stops_every_reader(app, owner, filled):
    """A missing event is damage: reading across it, or from just before it, raises and names the place."""
    tamper(owner, f"DELETE FROM orderflow.events {_AT_5}", store=filled)
    with app.begin() as conn:
        for after in (0, 2, 4):
            with pytest.raises(LogDamagedError) as caught:
                log.read(conn, filled, after)
            assert caught.value.position == 5
        assert [r.position for r in log.read(conn, filled, 5)] == [6, 7, 8, 9, 10]
        assert [r.position for r in log.read(conn, filled, 0, 4)] == [1, 2, 3, 4]
        with pytest.raises(LogDamagedError, match="version 2 of order c"):
            log.read_stream(conn, filled, "c")
