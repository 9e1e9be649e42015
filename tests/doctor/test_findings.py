"""What cannot be had on a stage: other releases and settings of Postgres, clocks that differ, a database far away."""

import re
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import sqlalchemy as sa

from orderflow.app import pool_size
from orderflow.doctor import at_glopal, database, flow
from orderflow.doctor.finding import Level
from orderflow.glopal.replies import Reply
from orderflow.store import migrate
from orderflow.store.connect import OVERFLOW, connect
from orderflow.store.link import _own_connection
from orderflow.store.migrate import LOG, VAULT


class Server:
    """Answers like a server with other settings; what is not given is asked of the real one."""

    def __init__(self, conn: sa.Connection, **settings: str) -> None:
        self.conn, self.settings = conn, settings

    def exec_driver_sql(self, statement):
        name = statement.removeprefix("SHOW ")
        if name in self.settings:
            return self.conn.execute(sa.select(sa.literal(self.settings[name])))
        return self.conn.exec_driver_sql(statement)


@pytest.fixture
def conn(engine):
    with engine.connect() as made:
        yield made


@pytest.mark.parametrize(
    ("number", "level"),
    [("140017", Level.FAILURE), ("150000", Level.OK), ("180002", Level.OK), ("190000", Level.WARNING)],
)
def test_releases_of_postgres(conn, number, level):
    assert database._version(Server(conn, server_version_num=number)).level is level


def test_other_settings_of_the_server(conn):
    assert database._encoding(Server(conn, server_encoding="SQL_ASCII")).level is Level.FAILURE
    found = database._durable(Server(conn, fsync="on", full_page_writes="on", synchronous_commit="off"))
    assert (found.level, found.found) == (
        Level.FAILURE,
        "synchronous_commit is off: what was acknowledged may be lost",
    )
    assert found.mend == "set synchronous_commit = on in postgresql.conf"
    on = dict.fromkeys(("fsync", "full_page_writes"), "on")
    for safe in ("on", "local", "remote_write", "remote_apply"):
        assert database._durable(Server(conn, synchronous_commit=safe, **on)).level is Level.OK
    assert database._writable(Server(conn, default_transaction_read_only="on")).level is Level.FAILURE
    assert database._writable(conn).level is Level.OK


def test_a_database_far_away_without_tls(conn):
    far = database._tls(conn, "postgresql+psycopg://me@db.example.com/x")
    assert (far.level, "db.example.com" in far.found) == (Level.WARNING, True)
    for near in (
        "postgresql+psycopg://localhost/x",
        "postgresql+psycopg:///x?host=/run",
        "postgresql+psycopg://[::1]/x",
    ):
        assert database._tls(conn, near).level is Level.OK


@pytest.mark.parametrize(
    ("seconds", "level", "told"),
    [
        (0, Level.OK, "agrees"),
        (-4.9, Level.OK, "agrees"),
        (5.6, Level.OK, "agrees"),  # the other clock shows whole seconds
        (7, Level.WARNING, "is 7 s ahead of"),
        (-60, Level.WARNING, "is 60 s behind"),
        (-301, Level.FAILURE, "is 301 s behind"),
        (86400, Level.FAILURE, "ahead of"),
    ],
)
def test_clocks(seconds, level, told):
    found = database.clock("clock", timedelta(seconds=seconds), precision=1.0)
    assert (found.level, told in found.found, bool(found.mend)) == (level, True, level is not Level.OK)


def test_the_date_that_glopal_tells():
    now = datetime.now(UTC)
    for header, levels in (
        (format_datetime(now, usegmt=True), [Level.OK]),
        (format_datetime(now + timedelta(hours=1), usegmt=True), [Level.FAILURE]),
        ("Thu, 01 Jan 1970 00:00:00", [Level.FAILURE]),
        ("yesterday", []),
        ("", []),
    ):
        assert [one.level for one in at_glopal._date("acme", Reply(200, {"date": header}, b""), now)] == levels
    assert list(at_glopal._date("acme", Reply(200, {}, b""), now)) == []


@pytest.mark.parametrize(
    ("length", "told"),
    [
        (timedelta(seconds=-5), "0 s"),
        (timedelta(seconds=119), "119 s"),
        (timedelta(minutes=2), "2 min"),
        (timedelta(hours=47), "47 h"),
        (timedelta(days=2), "2 d"),
    ],
)
def test_how_long_ago(length, told):
    assert flow._ago(length) == told


class Settings:
    stores = dict.fromkeys(range(3))
    workers = 10


def test_connections_are_counted_as_a_process_takes_them(conn, database_url):
    """The pool of the log and the bell beside it, and the pool of the keys where those stand on the same server."""

    def told(*parts):
        [count] = re.findall(r"up to (\d+)", database._room(conn, Settings(), parts).found)
        return int(count)

    assert (told(LOG), told(VAULT), told(LOG, VAULT)) == (28, 27, 55)
    made = connect(database_url, pool_size=pool_size(Settings()))
    with _own_connection(made), ExitStack() as held:  # the bell's
        for _ in range(told(VAULT)):
            held.enter_context(made.connect())
        assert made.pool.status().endswith(f"Current Overflow: {OVERFLOW} Current Checked out connections: 27")
    made.dispose()


def test_too_few_connections(conn, monkeypatch):
    levels = []
    for overflow in (10, 10_000):
        monkeypatch.setattr(database, "OVERFLOW", overflow)
        levels.append(database._room(conn, Settings(), (LOG,)).level)
    assert levels[1] in {Level.WARNING, Level.FAILURE}
    monkeypatch.setattr(Settings, "workers", 100_000)
    assert database._room(conn, Settings(), (LOG,)).level is Level.FAILURE


def test_what_fits(database_url):
    assert migrate.unfit(database_url) is None
    assert database.is_fit(database_url)
    nowhere = sa.make_url(database_url).set(database="nowhere").render_as_string(hide_password=False)
    assert not database.is_fit(nowhere)
