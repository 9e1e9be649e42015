"""Keys in a database of their own: no key stands beside the log, and none is used before it is committed there."""

import pytest
import sqlalchemy as sa
from tests.relay.stage import VAULT
from tests.store.writing import rows

from orderflow import intake
from orderflow.glopal.codec import Good
from orderflow.store import log, migrate
from orderflow.store.connect import connect
from orderflow.store.vault import Vault, key, keys_of, open_vault, unseal

from .conftest import MASTER, NewStage


@pytest.fixture
def apart(keys_url: str):
    engine = connect(keys_url, pool_size=20)
    yield open_vault(MASTER, engine=engine)
    engine.dispose()


def test_the_log_s_database_holds_no_key(stage: NewStage, app: sa.Engine, vault: Vault) -> None:
    """A whole life leaves nothing there that opens anything; everything opens all the same."""
    it = stage()
    order_id = it.drafted(ready=True)
    it.live(120)
    assert [entry.state for entry in it.made(order_id)] == ["order"]
    beside = rows(app, "SELECT 1 FROM orderflow_vault.keys WHERE store = :s", s=it.store)
    assert bool(beside) == (vault.engine is None)


def test_a_key_is_committed_before_its_event(app, apart, store):
    """If the log's transaction is undone, a key without events stays, which harms nobody; it is used again."""
    event = Good("e1", "order.received", "a", None, None, None, b"{}")
    with app.connect() as conn:
        assert intake.record(conn, apart, store, [event]) == 1
        seen = rows(apart.engine, "SELECT key_id FROM orderflow_vault.keys WHERE store = :s", s=store)
        assert len(seen) == 1, "another connection sees it before the log commits"
        conn.rollback()
    with app.begin() as conn:
        assert log.head(conn, store) == 0
        assert intake.record(conn, apart, store, [event]) == 1
    with app.begin() as conn:
        event_id, sealed = log.body(conn, store, 1)
        assert sealed.key == seen[0].key_id
        assert unseal(key(conn, apart, store, "a", sealed.key), sealed.data, event_id, "body") == b"{}"


def test_nothing_is_recorded_while_the_keys_are_out_of_reach(app, store):
    """No event without its key: the append fails, and nothing stands in the log."""
    nowhere = open_vault(MASTER, engine=connect("postgresql+psycopg://nobody@127.0.0.1:1/keys?connect_timeout=2"))
    event = Good("e1", "order.received", "a", None, None, None, b"{}")
    with pytest.raises(sa.exc.OperationalError), app.begin() as conn:
        intake.record(conn, nowhere, store, [event])
    with app.begin() as conn:
        assert log.head(conn, store) == 0


def test_the_database_of_the_keys_is_migrated_by_itself(keys_url):
    """It holds keys and nothing else; migrating again changes nothing; its tables are those beside the log."""
    assert migrate.current(keys_url, migrate.VAULT) == migrate.head(migrate.VAULT)
    assert migrate.unfit(keys_url, part=migrate.VAULT) is None
    migrate.upgrade(keys_url, part=migrate.VAULT)
    engine = sa.create_engine(keys_url, poolclass=sa.NullPool)
    assert rows(engine, "SELECT 1 FROM pg_namespace WHERE nspname = 'orderflow'") == []
    assert "CREATE TABLE IF NOT EXISTS orderflow_vault.keys" in migrate.sql(part=migrate.VAULT)
    assert "orderflow.events" not in migrate.sql(part=migrate.VAULT)


def test_both_vaults_have_the_same_tables(app, keys_url):
    """Columns and constraints beside the log and apart are equal, save for the order of columns."""
    described = (
        "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns "
        "WHERE table_schema = 'orderflow_vault' AND table_name <> 'alembic_version' ORDER BY 1, 2"
    )
    ruled = (
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = "
        "'orderflow_vault'::regnamespace AND contype <> 'n' AND conname <> 'alembic_version_pkc' ORDER BY 1"
    )
    indexed = (
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'orderflow_vault' AND tablename <> 'alembic_version' "
        "ORDER BY 1"
    )
    apart = sa.create_engine(keys_url, poolclass=sa.NullPool)
    for query in (described, ruled, indexed):
        assert rows(app, query) == rows(apart, query)


def test_where_the_keys_stand_is_no_matter_of_the_bytes(app, apart, store):
    """Keys that were copied from beside the log into their own database open there."""
    with app.begin() as conn:
        before = keys_of(conn, VAULT, store, ["a"])["a"]
    [row] = rows(app, "SELECT * FROM orderflow_vault.keys WHERE store = :s", s=store)
    with apart.engine.begin() as conn:
        conn.execute(
            sa.text(
                "INSERT INTO orderflow_vault.keys (store, order_id, key_id, wrapped, created_at, destroyed_at, master) "
                "VALUES (:store, :order_id, :key_id, :wrapped, :created_at, :destroyed_at, :master)"
            ),
            row._asdict(),
        )
    with app.begin() as conn:
        assert keys_of(conn, apart, store, ["a"])["a"] == before
