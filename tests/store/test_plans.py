"""The hot statements find their rows by an index, on tables that have grown. Counted by Postgres, not guessed."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from orderflow import orders
from orderflow.store import log, outbox, progress
from orderflow.store.applied import links
from orderflow.store.connect import connect
from orderflow.store.streams import read_streams

from .writing import entry, unit

MANY = 20_000
FILL = (
    "INSERT INTO orderflow.epochs (store, epoch, first_position) VALUES ('acme', 1, 1)",
    f"""
    INSERT INTO orderflow.events (store, position, order_id, version, event_id, type, source, source_id, recorded_at,
                                  clear, meta, leaf, hash)
    SELECT 'acme', n, 'o' || (n - 1) / 10, (n - 1) % 10 + 1, gen_random_uuid(), 'NoteAdded', 'test', 's' || n, now(),
           '{{"by":"x"}}', '{{}}', sha256('x'), sha256('x') FROM generate_series(1, {MANY}) n
    """,
    f"INSERT INTO orderflow.streams SELECT 'acme', 'o' || n, 10 FROM generate_series(0, {MANY // 10 - 1}) n",
    f"""
    INSERT INTO orderflow.outbox (store, order_id, destination, effect, generation, reads, next_at, parked)
    SELECT 'acme', 'o' || n, 'glopal', 'fetch', 0, true, now() + make_interval(mins => n - 50), n % 5 = 0
    FROM generate_series(1, {MANY}) n
    """,
    f"INSERT INTO orderflow.checkpoints SELECT 'orders', 'acme', n, n, sha256('x') FROM generate_series(1, {MANY}) n",
    f"INSERT INTO orderflow.cursors (store, seq, cursor) SELECT 'acme', n, 'e' || n FROM generate_series(1, {MANY}) n",
    "ANALYZE orderflow.events, orderflow.streams, orderflow.outbox, orderflow.checkpoints, orderflow.cursors",
)


@pytest.fixture(scope="module")
def full(module_database_url: str) -> Iterator[sa.Engine]:
    """The restricted role on a database whose log and outbox hold 20 000 rows each."""
    owner = sa.create_engine(module_database_url)
    with owner.begin() as conn:
        for statement in FILL:
            conn.execute(sa.text(statement))
    owner.dispose()
    made = connect(module_database_url)
    yield made
    made.dispose()


def _lease(conn: sa.Connection) -> None:
    assert outbox.lease(conn, "w", 60.0, ["acme"]) is not None


STATEMENTS = {
    "append": ("events", lambda c: log.append(c, "acme", [unit(entry("o7"), expected=10)])),
    "append of a duplicate": ("events", lambda c: log.append(c, "acme", [unit(entry("o7", "s71"))])),
    "append to a stream": ("streams", lambda c: log.append(c, "acme", [unit(entry("o7"))])),
    "read": ("events", lambda c: log.read(c, "acme", MANY - 150, 100)),
    "read at the end": ("events", lambda c: log.read(c, "acme", MANY)),
    "read one stream": ("events", lambda c: log.read_stream(c, "acme", "o77")),
    "the end of a stream": ("events", lambda c: log.read_stream(c, "acme", "o77", after=8)),
    "head": ("events", lambda c: log.head(c, "acme")),
    "is it decided": ("events", lambda c: orders._decided(c, "acme", "c1")),
    "lease": ("outbox", _lease),
    "rows of many orders": ("outbox", lambda c: outbox.rows_of_many(c, "acme", [f"o{n}" for n in range(70, 90)])),
    "streams of many orders": (
        "events",
        lambda c: list(read_streams(c, "acme", {f"o{n}": 5 for n in range(70, 75)})),
    ),
    "links": ("events", lambda c: links(c, "acme", MANY - 5, MANY)),
    "what readers applied": ("checkpoints", lambda c: progress.applied(c, ["orders"], "acme")),
    "rows of one order": ("outbox", lambda c: outbox.rows_of(c, "acme", "o77")),
    "claim a reader": ("checkpoints", lambda c: progress.claim(c, ["orders"], "acme")),
    "cursor": ("cursors", lambda c: progress.cursor_of(c, "acme")),
    "move the cursor": ("cursors", lambda c: progress.move_cursor(c, "acme", MANY, "next")),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_by_index(full, name):
    """No walk through the table, and through no more of the index than the answer needs."""
    table, statement = STATEMENTS[name]
    with full.connect() as conn:
        statement(conn)
        counted = sa.text(
            "SELECT seq_scan, idx_scan, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS touched "
            "FROM pg_stat_xact_user_tables WHERE schemaname = 'orderflow' AND relname = :table"
        )
        found = conn.execute(counted, {"table": table}).one()
        conn.rollback()
    assert found.seq_scan == 0
    assert found.idx_scan > 0
    assert found.touched <= 150


def test_the_order_of_a_read_comes_from_the_index(full):
    """No sort: the first event comes out at once however far behind the reader is."""
    with full.connect() as conn:
        for query in (
            "SELECT * FROM orderflow.events WHERE store = 'acme' AND position > 5 ORDER BY position LIMIT 500",
            "SELECT * FROM orderflow.events WHERE store = 'acme' AND order_id = 'o5' AND version > 0 ORDER BY version",
            "SELECT position FROM orderflow.events WHERE store = 'acme' ORDER BY position DESC LIMIT 1",
            "SELECT * FROM orderflow.outbox WHERE NOT parked AND next_at <= now() ORDER BY next_at LIMIT 1",
        ):
            plan = "\n".join(conn.scalars(sa.text(f"EXPLAIN {query}")))
            assert "Index Scan" in plan or "Index Only Scan" in plan, plan
            assert "Sort" not in plan, plan
            assert "Seq Scan" not in plan, plan
