"""The migration that made room for what readers applied, and for the read models that a rebuild replaced."""

import sqlalchemy as sa

from orderflow.store import log, migrate, progress
from orderflow.store.applied import flaws
from orderflow.store.connect import connect

from .writing import emptied, entry, unit


def test_what_was_read_before_is_taken_on_trust(database_url):
    """Checkpoints of an older version get the count and the hash of a reader that missed nothing."""
    engine, owner = connect(database_url), sa.create_engine(database_url)
    emptied(owner)
    migrate.upgrade(database_url, "0003")
    with engine.begin() as conn:
        log.append(conn, "acme", [unit(entry(f"o{n}")) for n in range(6)])
    with owner.begin() as conn:
        conn.exec_driver_sql("INSERT INTO orderflow.checkpoints VALUES ('orders', 'acme', 4), ('timeline', 'acme', 6)")
    owner.dispose()
    migrate.upgrade(database_url)
    with engine.begin() as conn:
        applied = progress.applied(conn, ["orders", "timeline", "planner"], "acme")
        assert {name: one.count for name, one in applied.items()} == {"orders": 4, "timeline": 6, "planner": 0}
        assert flaws(conn, "acme", applied) == {}
    engine.dispose()


def test_a_twin_that_differs_is_noticed(database_url):
    """A migration that changes a read model and forgets where its former rows are kept does not pass the check."""
    assert migrate.differences(database_url) == []
    engine = sa.create_engine(database_url)
    with engine.begin() as conn:
        conn.exec_driver_sql("ALTER TABLE orderflow_kept.timeline DROP COLUMN summary")
    engine.dispose()
    [difference] = migrate.differences(database_url)
    assert "summary" in difference
