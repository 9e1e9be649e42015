"""The hot statements find their rows by an index, on tables that have grown. Counted by Postgres, not guessed."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from orderflow import orders
from orderflow.cli import listing
from orderflow.desk import signals
from orderflow.desk.exceptions import Wanted, listed
from orderflow.desk.measuring import measured
from orderflow.desk.rules import Rule
from orderflow.domain.exceptions import Of
from orderflow.domain.machine import Status
from orderflow.projections.exceptions import Exceptions
from orderflow.store import gates, imports, leases, log, outbox, progress
from orderflow.store.applied import Applied, links
from orderflow.store.connect import connect
from orderflow.store.streams import read_streams
from orderflow.store.vault import keys_of, live

from . import rows
from .writing import NOON, VAULT, entry, unit

MANY = 20_000
KEY = outbox.Key("acme", "o77", "glopal", "fetch", 0)
ORDERS = [f"o{n}" for n in range(75)]
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
    f"""
    INSERT INTO orderflow.gates (store, destination, seq, guarded, watched, reason, rests, spacing, in_flight,
                                 broken_for, failures, calls, at)
    SELECT 'acme', 'shop', n, false, false, '', 0, 0, '{{}}', 0, 0, 0, now() FROM generate_series(1, {MANY}) n
    """,
    """
    INSERT INTO orderflow.imports (store, file, bytes, lines, digest)
    SELECT 'acme', 'f' || n / 100, n, n, '' FROM generate_series(1, 20000) n
    """,
    f"""
    INSERT INTO orderflow.orders (store, order_id, status, confirmed, first_recorded_at, last_recorded_at, version,
                                  position, machine, snapshot)
    SELECT 'acme', 'o' || n, (ARRAY['READY', 'ACCEPTED', 'COMPLETED', 'CANCELLED'])[n % 4 + 1], true, now(),
           now() - make_interval(secs => n), 10, n, 1, '{{}}' FROM generate_series(1, {MANY}) n
    """,
    f"""
    INSERT INTO orderflow.exceptions (store, order_id, kind, position, number, subject, class, text, commands, settling,
                                      owner, opened_at, opened_type, opens_at, closed_position, closed_at)
    SELECT 'acme', 'o' || n, 'parked_draft', n, 1, n, 'refused_by_shop', '', '{{}}', false, 'operator', at, '', at,
           CASE WHEN n % 1000 <> 0 THEN n END, CASE WHEN n % 1000 <> 0 THEN at END
    FROM generate_series(1, {MANY}) n, LATERAL (SELECT now() - make_interval(mins => n) AS at) AS t
    """,
    f"""
    INSERT INTO orderflow.attempts (attempt_id, store, order_id, destination, effect, generation, attempt, fence, kind,
                                    started_at, milliseconds, outcome, decision, worker)
    SELECT gen_random_uuid(), 'acme', 'o' || n, 'shop', 'draft', 0, 1, 1, 'send', now() - make_interval(mins => n), 1,
           'Retry: 503', '', 'w' FROM generate_series(1, {MANY}) n
    """,
    f"""
    INSERT INTO orderflow.alerts (store, rule, signal_id, state, at, body, next_at, tries, problem, delivered_at)
    SELECT 'acme', 'r' || n / 20, gen_random_uuid(), 'firing', now(), '{{}}', now(), 1, '',
           CASE WHEN n % 5000 <> 0 THEN now() END FROM generate_series(1, {MANY}) n
    """,
    # Not analysed: nothing but their own words may keep its statements from the plans of an empty table.
    f"""
    INSERT INTO orderflow_vault.keys (store, order_id, key_id, wrapped)
    SELECT 'acme', 'o' || n, gen_random_uuid(), sha256('x') FROM generate_series(100, {MANY}) n
    """,
    """
    ANALYZE orderflow.events, orderflow.streams, orderflow.outbox, orderflow.checkpoints, orderflow.cursors,
        orderflow.imports, orderflow.orders, orderflow.exceptions, orderflow.attempts, orderflow.alerts,
        orderflow.gates
    """,
)


@pytest.fixture(
    scope="module",
    params=[
        "new_database",
        pytest.param("new_database_15", marks=pytest.mark.needs_service("PostgreSQL 15", "127.0.0.1", 5432)),
    ],
)
def empty(request) -> str:
    """A database of this test's server, or of PostgreSQL 15."""
    return request.getfixturevalue(request.param)()


@pytest.fixture(scope="module")
def full(empty: str) -> Iterator[sa.Engine]:
    """The restricted role on a database whose tables hold 20 000 rows each."""
    made = connect(empty, pool_size=1)
    with made.begin() as conn:  # its plans are made while there is nothing: they have to be good for later, too
        for _ in range(10):
            log.append(conn, "before", [unit(entry("a"))])
            _keys(conn, "before")
    owner = sa.create_engine(empty)
    with owner.begin() as conn:
        for statement in FILL:
            conn.execute(sa.text(statement))
        keys_of(conn, VAULT, "acme", ORDERS)
    owner.dispose()
    yield made
    made.dispose()


def _page(known: int) -> list[log.Unit]:
    """A hundred facts of forty orders, so many of which are known."""
    ids = [f"s{n * 7}" if n <= known else None for n in range(1, 101)]
    return [unit(entry(f"o{n % 40}", source_id)) for n, source_id in enumerate(ids)]


def _lease(conn: sa.Connection) -> None:
    assert leases.lease(conn, "w", 60.0, [("acme", "shop"), ("acme", "glopal")], 16)


def _list(conn: sa.Connection) -> None:
    assert len(conn.execute(listing.first(["acme", "b"], [*Status], [], listing.Sort.NEWS, 50)).all()) == 50


def _exceptions(conn: sa.Connection) -> None:
    assert listed(conn, Wanted(["acme"]), datetime.now(UTC), 10)[1] == MANY // 1000


def _measure(conn: sa.Connection, rule: Rule) -> None:
    assert measured(conn, rule, "acme", [], datetime.now(UTC)).count > 20


def _keys(conn: sa.Connection, store: str) -> None:
    """The keys of a page, and whether they live still."""
    assert live(conn, VAULT, store, [*keys_of(conn, VAULT, store, ORDERS).values()])


STATEMENTS = {
    "append": ("events", lambda c: log.append(c, "acme", [unit(entry("o7"), expected=10)])),
    "append of a duplicate": ("events", lambda c: log.append(c, "acme", [unit(entry("o7", "s71"))])),
    "append to a stream": ("streams", lambda c: log.append(c, "acme", [unit(entry("o7"))])),
    "append a page": ("events", lambda c: log.append(c, "acme", _page(0))),
    "append a page that is known": ("events", lambda c: log.append(c, "acme", _page(100))),
    "append a page to streams": ("streams", lambda c: log.append(c, "acme", _page(50))),
    "keys of a page": ("keys", lambda c: _keys(c, "acme")),
    "one body": ("events", lambda c: log.body(c, "acme", 77)),
    "read": ("events", lambda c: log.read(c, "acme", MANY - 150, 100)),
    "read at the end": ("events", lambda c: log.read(c, "acme", MANY)),
    "read one stream": ("events", lambda c: log.read_stream(c, "acme", "o77")),
    "the end of a stream": ("events", lambda c: log.read_stream(c, "acme", "o77", after=8)),
    "head": ("events", lambda c: log.head(c, "acme")),
    "is it decided": ("events", lambda c: orders._decided(c, "acme", "c1")),
    "lease": ("outbox", _lease),
    "the gates of a lease": ("gates", _lease),
    "when the next lease is": ("outbox", lambda c: leases.soonest(c, [("acme", "shop"), ("acme", "glopal")])),
    "a gate": ("gates", lambda c: gates.hold(c, ("acme", "shop"))),
    "change a gate": ("gates", lambda c: gates.write(c, gates.hold(c, ("acme", "shop"))[0])),
    "which gates are watched": ("gates", lambda c: leases.hold(c, "acme", [])),
    "rows of many orders": ("outbox", lambda c: outbox.rows_of_many(c, "acme", [f"o{n}" for n in range(70, 90)])),
    "streams of many orders": (
        "events",
        lambda c: read_streams(c, "acme", {f"o{n}": 2 for n in range(70, 75)}),
    ),
    "links": ("events", lambda c: links(c, "acme", MANY - 5, MANY)),
    "what readers applied": ("checkpoints", lambda c: progress.applied(c, ["orders"], "acme")),
    "rows of one order": ("outbox", lambda c: outbox.rows_of(c, "acme", "o77")),
    "claim a reader": ("checkpoints", lambda c: progress.claim(c, ["orders"], "acme")),
    "advance a reader": ("checkpoints", lambda c: progress.advance(c, "acme", {"planner": Applied(9, 9, b"h" * 32)})),
    "what is due next": ("outbox", lambda c: rows.plan(c, KEY, reads=True, next_at=NOON)),
    "how far an import came": ("imports", lambda c: imports.offset(c, "acme", "f7")),
    "note how far it came": ("imports", lambda c: imports.note(c, "acme", "f7", imports.Offset(800, 800, ""))),
    "the snapshot of an order": ("orders", lambda c: orders._snapshots(c, "acme", ["o77"])),
    "a list of orders": ("orders", _list),
    "exceptions of orders": ("exceptions", lambda c: Exceptions()._standing(c, "acme", ["o1000", "o2000"])),
    "a list of exceptions": ("exceptions", _exceptions),
    "exceptions of the last half an hour": ("exceptions", lambda c: _measure(c, Rule("r", (Of.REFUSED_BY_SHOP,)))),
    "calls of the last half an hour": ("attempts", lambda c: _measure(c, Rule("r", outcomes=("Retry",)))),
    "what was said last": ("alerts", lambda c: signals.standing(c, "acme", "r7")),
    "what is to be said": ("alerts", lambda c: signals.taken(c, ["acme"])),
    "cursor": ("cursors", lambda c: progress.cursor_of(c, "acme")),
    "move the cursor": ("cursors", lambda c: progress.move_cursor(c, "acme", MANY, "next")),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_by_index(full, name):
    """No walk through the table, and through no more of the index than the answer needs."""
    table, statement = STATEMENTS[name]
    with full.connect() as conn:
        before = _counts(conn, table)
        statement(conn)
        scans, by_index, touched = (after - one for after, one in zip(_counts(conn, table), before, strict=True))
        conn.rollback()
    assert scans == 0
    assert by_index > 0
    assert touched <= 201  # the last row, and each of a hundred that are known twice


def _counts(conn: sa.Connection, table: str) -> tuple[int, int, int]:
    """Walks through the table, look-ups by index, and rows touched by either, so far in this session."""
    counted = sa.text(
        "SELECT seq_scan, idx_scan, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) "
        "FROM pg_stat_xact_user_tables WHERE schemaname IN ('orderflow', 'orderflow_vault') AND relname = :table"
    )
    return tuple(conn.execute(counted, {"table": table}).one())


def test_the_order_of_a_read_comes_from_the_index(full):
    """No sort: the first event comes out at once however far behind the reader is."""
    with full.connect() as conn:
        for query in (
            "SELECT * FROM orderflow.events WHERE store = 'acme' AND position > 5 ORDER BY position LIMIT 500",
            "SELECT * FROM orderflow.events WHERE store = 'acme' AND order_id = 'o5' AND version > 0 ORDER BY version",
            "SELECT position FROM orderflow.events WHERE store = 'acme' ORDER BY position DESC LIMIT 1",
            (
                "SELECT * FROM orderflow.outbox WHERE store = 'acme' AND destination = 'shop' AND lane = 'live' "
                "AND NOT parked AND next_at <= now() ORDER BY next_at LIMIT 1"
            ),
        ):
            plan = _plan(conn, query)
            assert "Index Scan" in plan or "Index Only Scan" in plan, plan
            assert "Sort" not in plan, plan
            assert "Seq Scan" not in plan, plan


@pytest.mark.parametrize("among", [[*Status], [Status.READY]], ids=["any", "of one status"])
def test_a_list_of_orders_begins_where_the_index_says(full, among):
    """Newest news first: the index has that order by store and status, so that fifty of many cost a few hundred."""
    query = listing.first(["acme", "other"], among, [], listing.Sort.NEWS, 50)
    shown = query.compile(full, compile_kwargs={"literal_binds": True})
    with full.connect() as conn:
        plan = _plan(conn, str(shown))
    assert "orders_status" in plan, plan
    assert "Seq Scan" not in plan, plan


def test_a_list_of_orders_is_what_one_sort_of_all_would_give(full):
    """In each order, over stores and statuses."""
    with full.connect() as conn:
        for sort, order in (
            (listing.Sort.NEWS, "last_recorded_at DESC"),
            (listing.Sort.OLDEST, "status_since ASC NULLS FIRST"),
            (listing.Sort.TOTAL, "total DESC NULLS LAST"),
        ):
            listed = [row.order_id for row in conn.execute(listing.first(["acme", "other"], [*Status], [], sort, 70))]
            query = f"SELECT order_id FROM orderflow.orders ORDER BY {order}, store, order_id LIMIT 70"
            assert listed == list(conn.exec_driver_sql(query).scalars())


def test_what_is_known_is_looked_up_by_its_index(full):
    """The statement in `append_events` that finds source ids and versions, by itself: loops of look-ups, no join."""
    query = """
        SELECT e.position, s.version FROM unnest($1::text[], $2::text[], $3::text[]) AS t (order_id, source, source_id)
        LEFT JOIN LATERAL (SELECT e.position FROM orderflow.events e WHERE e.store = $4 AND e.source = t.source
            AND e.source_id = t.source_id LIMIT 1) e ON true
        LEFT JOIN LATERAL (SELECT s.version FROM orderflow.streams s WHERE s.store = $4 AND s.order_id = t.order_id
            LIMIT 1) s ON true
    """
    with full.connect() as conn:
        conn.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")
        conn.exec_driver_sql(f"PREPARE known (text[], text[], text[], text) AS {query}")
        plan = _plan(conn, "EXECUTE known ('{a}', '{b}', '{c}', 'acme')")
        conn.exec_driver_sql("DEALLOCATE known")
    assert "events_source" in plan, plan
    assert "streams_pkey" in plan, plan
    assert "Seq Scan" not in plan, plan
    assert "Hash" not in plan, plan


def _plan(conn: sa.Connection, query: str) -> str:
    return "\n".join(conn.exec_driver_sql(f"EXPLAIN {query}").scalars())
