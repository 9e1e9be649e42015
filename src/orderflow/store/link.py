"""The link carries the bell between processes: a hint by LISTEN and NOTIFY, over one connection of its own.

It never tells more than that something rang, at most every so often, and never in anybody's transaction: a NOTIFY there
would queue up the commits of the whole server.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.exc import DBAPIError

from orderflow.store.bell import Bell, Topic

_APART: Final = 0.05
"""Seconds between two hints about one topic: what rings in between is told by the next."""
_AGAIN: Final = 1.0
"""Seconds until a lost connection is made again."""


def hint(engine: sa.Engine, *topics: Topic) -> None:
    """Ring in other processes, from one that has no bell of its own. A hint that fails is no failure: they look."""
    with suppress(DBAPIError), engine.connect() as conn:
        for topic in topics:
            conn.exec_driver_sql(f"NOTIFY {_channel(topic)}")
        conn.commit()


def link(engine: sa.Engine, bell: Bell, stop: threading.Event) -> None:
    """Carry rings between this process and the others until `stop`, over one connection of its own.

    A lost connection is made again a second later. Behind PgBouncer, where nobody can listen, it only tells.
    """
    while not stop.is_set():
        with suppress(DBAPIError, psycopg.Error, OSError), _own_connection(engine) as connection:
            _carry(connection, bell, stop)
        stop.wait(_AGAIN)


@contextmanager
def _own_connection(engine: sa.Engine) -> Iterator[psycopg.Connection]:
    """A connection outside the pool: a session that nobody else uses, so that LISTEN stays with it."""
    lent = engine.raw_connection()
    connection = lent.driver_connection
    lent.detach()
    assert isinstance(connection, psycopg.Connection)
    try:
        connection.autocommit = True
        yield connection
    finally:
        connection.close()


def _carry(connection: psycopg.Connection, bell: Bell, stop: threading.Event) -> None:
    here, there = socket.socketpair()
    here.settimeout(0)
    there.settimeout(0)

    def wake() -> None:
        with suppress(OSError):  # full: it is awake already
            there.send(b"!")

    with here, there, selectors.DefaultSelector() as doors, bell.linked(wake):
        doors.register(here, selectors.EVENT_READ)
        own = _listen(connection)
        if own is not None:
            doors.register(connection.fileno(), selectors.EVENT_READ)
            bell.listen()
        told = dict.fromkeys(Topic, 0.0)
        wait = 0.0
        while not stop.is_set():
            doors.select(wait)
            with suppress(BlockingIOError):
                here.recv(4096)
            if own is not None:
                for note in connection.notifies(timeout=0):
                    if note.pid != own:
                        bell.hear(_topic(note.channel))
            wait = _tell(connection, bell, told)


def _tell(connection: psycopg.Connection, bell: Bell, told: dict[Topic, float]) -> float:
    """Tell the others what has rung here. Returns the seconds until more may be told."""
    now = time.monotonic()
    free = {topic for topic, last in told.items() if now - last >= _APART}
    for topic in bell.untold(free):
        connection.execute(sql.SQL("NOTIFY {}").format(sql.Identifier(_channel(topic))))
        told[topic] = now
    recent = [last + _APART - now for last in told.values() if now - last < _APART]
    return max(0.001, min(recent)) if recent else 1.0


def _listen(connection: psycopg.Connection) -> int | None:
    """Listen; returns the session's own process id. None behind a pooler, which tells an id of its own making."""
    found = connection.execute("SELECT pg_backend_pid()").fetchone()
    if found != (connection.info.backend_pid,):
        return None
    for topic in Topic:
        connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(_channel(topic))))
    return connection.info.backend_pid


def _channel(topic: Topic) -> str:
    return f"orderflow_{topic}"


def _topic(channel: str) -> Topic:
    return Topic(channel.removeprefix("orderflow_"))
