"""Behind PgBouncer, sessions are shared and transactions wander between them: the role and the log stay as they are."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from orderflow.store import log, migrate
from orderflow.store.connect import APP_ROLE, connect, transact
from orderflow.store.entry import Entry
from orderflow.store.verify import verify

from .pooler import PROGRAM, pooler
from .writing import emptied, unit

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no pgbouncer on this machine (Debian: apt install pgbouncer)")

SERVERS = 2
WHO = sa.text("SELECT current_user, pg_backend_pid()")
# The view shows the whole server, and other tests hold locks of their own in databases beside this one.
LOCKS_HERE = sa.text("""
SELECT count(*) FROM pg_locks
WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")


@pytest.fixture(params=["transaction", "session"])
def pooled(request, database_url):
    """The URL of a PgBouncer in either mode; in session mode each client needs a session of its own."""
    servers = SERVERS if request.param == "transaction" else 20
    with pooler(database_url, request.param, servers) as url:
        yield url


@pytest.fixture
def wandering(database_url):
    """The URL of a PgBouncer whose two sessions serve all transactions in turn."""
    with pooler(database_url, "transaction", SERVERS) as url:
        yield url


def test_every_transaction_acts_as_the_restricted_role(wandering):
    """Eight clients on two sessions, and each session keeps nothing of them."""
    engine, other = connect(wandering, pool_size=8), sa.create_engine(wandering, poolclass=sa.NullPool)
    with ThreadPoolExecutor(8) as pool:
        found = Counter(pool.map(lambda _: tuple(transact(engine, lambda conn: conn.execute(WHO).one())), range(200)))
    assert {role for role, _ in found} == {APP_ROLE}
    assert len(found) == SERVERS
    for _ in range(2 * SERVERS):
        with other.begin() as conn:
            assert conn.execute(WHO).one()[0] == "postgres"
            assert conn.scalar(sa.text("SHOW idle_in_transaction_session_timeout")) == "0"
    engine.dispose()


def test_the_log_is_whole(pooled):
    """More statements of a kind than it takes to be prepared, from more clients than there are sessions."""
    engine = connect(pooled, pool_size=8)

    def write(number: int) -> log.Result:
        entry = Entry(f"o{number % 7}", "OrderReceived", "glopal", f"e{number}", "{}")
        [result] = transact(engine, lambda conn: log.append(conn, "acme", [unit(entry)]))
        return result

    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(write, range(200)))
    assert sorted(result.position for result in written) == list(range(1, 201))
    with engine.connect() as conn:
        assert list(verify(conn, "acme"))[-1] == 200
    engine.dispose()


def test_another_isolation_level_is_had_and_acts_as_the_role(wandering):
    """As the judge of the demo reads."""
    engine = connect(wandering)
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as conn:
        assert conn.execute(WHO).one()[0] == APP_ROLE
        assert conn.scalar(sa.text("SHOW transaction_isolation")) == "repeatable read"
    with engine.connect() as conn:
        assert conn.scalar(sa.text("SHOW transaction_isolation")) == "read committed"
    engine.dispose()


def test_migrations_leave_no_lock_behind(wandering, database_url):
    """They may go through it too: whoever migrates next need not wait for a session that nobody owns."""
    owner = sa.create_engine(database_url, poolclass=sa.NullPool)
    emptied(owner)
    for _ in range(2 * SERVERS):
        migrate.upgrade(wandering)
    assert migrate.current(wandering) == migrate.current(database_url)
    assert migrate.differences(database_url) == []
    with owner.connect() as conn:
        assert conn.scalar(LOCKS_HERE) == 0
