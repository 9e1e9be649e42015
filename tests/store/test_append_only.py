"""The database itself refuses to change what was written, whoever asks."""

import pytest
import sqlalchemy as sa

from orderflow.store import log

from .writing import append, ids, rows, unit

_CHANGES = {
    "events": ("UPDATE orderflow.events SET clear = ''", "DELETE FROM orderflow.events", "TRUNCATE orderflow.events"),
    "epochs": ("UPDATE orderflow.epochs SET epoch = 2", "DELETE FROM orderflow.epochs", "TRUNCATE orderflow.epochs"),
    "attempts": (
        "UPDATE orderflow.attempts SET status = 1",
        "DELETE FROM orderflow.attempts",
        "TRUNCATE orderflow.attempts",
    ),
}


@pytest.mark.parametrize("change", [change for changes in _CHANGES.values() for change in changes])
def test_triggers_refuse_the_owner(app, owner, store, change):
    """UPDATE, DELETE and TRUNCATE are refused even for the superuser, also where no row is hit."""
    append(app, store, unit())
    before = ids(app, store)
    with pytest.raises(sa.exc.DBAPIError, match="append-only") as caught, owner.begin() as conn:
        conn.execute(sa.text(change))
    assert caught.value.orig.sqlstate == "OF001"
    assert ids(app, store) == before


@pytest.mark.parametrize("change", [change for changes in _CHANGES.values() for change in changes])
def test_grants_refuse_the_workers(app, store, change):
    """The restricted role has not even the right."""
    append(app, store, unit())
    with pytest.raises(sa.exc.ProgrammingError, match="permission denied"), app.begin() as conn:
        conn.execute(sa.text(change))


@pytest.mark.parametrize("table", ["events", "streams", "epochs"])
def test_only_the_function_appends(app, store, table):
    """The restricted role cannot insert beside `append_events`: no place, no hash and no version of its own making."""
    append(app, store, unit())
    for statement in (
        f"INSERT INTO orderflow.{table} SELECT * FROM orderflow.{table}",
        f"DELETE FROM orderflow.{table}",
    ):
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"), app.begin() as conn:
            conn.execute(sa.text(statement))


def test_the_restricted_role_cannot_change_the_rules(app):
    """It owns nothing: it can neither disable a trigger nor replace a function, nor delete a key from the vault."""
    for statement in (
        "ALTER TABLE orderflow.events DISABLE TRIGGER append_only",
        "DROP TRIGGER append_only ON orderflow.events",
        "CREATE OR REPLACE FUNCTION orderflow.wall_clock() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'",
        "SET session_replication_role = replica",
        "DELETE FROM orderflow_vault.keys",
        "CREATE TABLE orderflow.mine ()",
    ):
        with pytest.raises(sa.exc.ProgrammingError), app.begin() as conn:
            conn.execute(sa.text(statement))


def test_the_function_cannot_be_led_astray(app, store):
    """It runs with the owner's rights, so its search path is its own: a table of the caller's making is not taken."""
    with app.begin() as conn:
        conn.execute(sa.text("CREATE TEMP TABLE events (LIKE orderflow.events)"))
        conn.execute(sa.text("SET LOCAL search_path = pg_temp, orderflow"))
        log.append(conn, store, [unit()])
        assert conn.scalar(sa.text("SELECT count(*) FROM pg_temp.events")) == 0
    assert len(ids(app, store)) == 1


def test_the_function_is_for_the_restricted_role_alone(owner):
    """Nobody else of the database may call it."""
    assert rows(
        owner, "SELECT has_function_privilege('public', oid, 'EXECUTE') FROM pg_proc WHERE proname = 'append_events'"
    ) == [(False,)]
