"""A log that was begun by an earlier schema goes on under the present one: one chain, and the same rights."""

import sqlalchemy as sa

from orderflow.store import migrate
from orderflow.store.connect import connect
from orderflow.store.log import Appended, Duplicate

from .writing import append, emptied, entry, places, rows, unit, verified

FUNCTION = """
SELECT prosecdef, pg_get_userbyid(proowner), has_function_privilege('public', oid, 'EXECUTE'),
       has_function_privilege('orderflow_app', oid, 'EXECUTE')
FROM pg_proc WHERE proname = 'append_events'
"""


def test_from_the_first_function_to_the_present_one(database_url):
    """At 0003 with events in it: what was written stays, what is appended continues it, and nobody gained a right."""
    owner, app = sa.create_engine(database_url), connect(database_url)
    emptied(owner)
    migrate.upgrade(database_url, "0003")
    append(app, "acme", unit(entry("a", "e1"), entry("a", "e2")), unit(entry("b", "e3")))
    before = rows(owner, FUNCTION)

    migrate.upgrade(database_url)
    assert rows(owner, FUNCTION) == before == [(True, "postgres", False, True)]
    assert append(app, "acme", unit(entry("a", "e4"), expected=2), unit(entry("x", "e3"))) == [
        Appended(4, 3),
        Duplicate(3, 1, "b", "{}"),
    ]
    assert places(app, "acme") == [(1, "a", 1), (2, "a", 2), (3, "b", 1), (4, "a", 3)]
    assert verified(app, "acme") == 4
    app.dispose()
    owner.dispose()


def test_and_back(database_url):
    """The step that replaces the function can be undone, and done again; the log does not notice."""
    owner, app = sa.create_engine(database_url), connect(database_url)
    emptied(owner)
    migrate.upgrade(database_url, "0004")
    append(app, "acme", unit(entry("a", "e1")))
    migrate.downgrade(database_url, "0003")
    app.dispose()
    assert append(app, "acme", unit(entry("a", "e2"))) == [Appended(2, 2)]
    migrate.upgrade(database_url)
    app.dispose()
    assert append(app, "acme", unit(entry("a", "e3"))) == [Appended(3, 3)]
    assert verified(app, "acme") == 3
    app.dispose()
    owner.dispose()


def test_the_printed_script_makes_the_present_function():
    """For those whose DBA runs it: the script ends with the function that `log` calls."""
    script = migrate.sql()
    assert script.count("FUNCTION orderflow.append_events(") == 2
    assert script.rindex("CREATE OR REPLACE FUNCTION orderflow.append_events(") > script.index(
        "CREATE FUNCTION orderflow.append_events("
    )
