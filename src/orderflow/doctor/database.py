"""Is a database one that orderflow can trust: reachable, migrated, durable, with room, and on time?

It never writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from orderflow.app import pool_size
from orderflow.config import Settings
from orderflow.doctor.finding import Finding, failure, ok, warning
from orderflow.store import durability, migrate
from orderflow.store.connect import APP_ROLE, OVERFLOW
from orderflow.store.migrate import LOG, VAULT, Part

OLDEST, NEWEST = 15, 18
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})

DOUBTFUL_CLOCK: Final = timedelta(seconds=5)
WRONG_CLOCK: Final = timedelta(minutes=5)


def checked(url: str, settings: Settings, command: str, part: Part = LOG, *, shared: bool = False) -> Iterator[Finding]:
    """Everything about the database of `part` at `url`; the first finding is a failure if it cannot be reached.

    `shared`: log and keys stand in two databases of one server.
    """
    engine = sa.create_engine(url, poolclass=sa.NullPool, hide_parameters=True, connect_args={"connect_timeout": 5})
    try:
        with engine.connect() as conn:
            yield _version(conn)
            yield _role(conn)
            yield _schema(url, command, part)
            yield _encoding(conn)
            yield _durable(conn)
            yield _writable(conn)
            yield _room(conn, settings, (LOG, VAULT) if shared else (part,))
            yield _tls(conn, url)
            yield clock("database clock", _difference(conn))
    except DBAPIError as error:
        reason = (str(error.orig).strip().splitlines() or ["no reason given"])[0]
        if getattr(error.orig, "sqlstate", None) is not None:
            reason = f"{type(error.orig).__name__}, SQL state {getattr(error.orig, 'sqlstate', '')}"
        yield failure("database", f"cannot be used: {reason}", f"mend {_key(part)}, or start the database")


def is_fit(url: str, part: Part = LOG) -> bool:
    """Can this version work on the database?"""
    try:
        return migrate.unfit(url, part=part) is None
    except DBAPIError:
        return False


def _key(part: Part) -> str:
    return "database_url" if part is LOG else "vault_url"


def _show(conn: sa.Connection, name: str) -> str:
    return str(conn.exec_driver_sql(f"SHOW {name}").scalar_one())


def _version(conn: sa.Connection) -> Finding:
    major = int(_show(conn, "server_version_num")) // 10000
    found = f"PostgreSQL {_show(conn, 'server_version').split()[0]}"
    if major < OLDEST:
        return failure("database", f"{found} is too old", f"use PostgreSQL {OLDEST} to {NEWEST}")
    if major > NEWEST:
        return warning("database", f"{found} is newer than any tested with", f"use PostgreSQL {OLDEST} to {NEWEST}")
    return ok("database", found)


def _schema(url: str, command: str, part: Part) -> Finding:
    unfit = migrate.unfit(url, command, part)
    if unfit is None:
        return ok("schema", f"stands at {migrate.head(part)}, the newest")
    said, _, mend = unfit.partition(": ")
    return failure("schema", said, mend)


def _encoding(conn: sa.Connection) -> Finding:
    found = _show(conn, "server_encoding")
    if found == "UTF8":
        return ok("encoding", found)
    return failure("encoding", f"{found} cannot hold every text", "make the database anew WITH ENCODING 'UTF8'")


def _durable(conn: sa.Connection) -> Finding:
    off = durability.unsafe(conn)
    if not off:
        return ok("durability", f"{', '.join(durability.RISKS)} are on")
    mend = f"set {', '.join(f'{name} = on' for name in off)} in postgresql.conf"
    return failure("durability", durability.told(off), mend)


def _writable(conn: sa.Connection) -> Finding:
    if conn.exec_driver_sql("SELECT pg_is_in_recovery()").scalar_one():
        return failure("writing", "this server is a standby: it takes no writes", "name the primary")
    if _show(conn, "default_transaction_read_only") == "on":
        mend = "ALTER DATABASE or ALTER ROLE ... RESET default_transaction_read_only"
        return failure("writing", "transactions are read-only by default", mend)
    return ok("writing", "possible")


def _role(conn: sa.Connection) -> Finding:
    user = conn.exec_driver_sql("SELECT current_user").scalar_one()
    if not conn.execute(sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": APP_ROLE}).scalar():
        return failure("role", f"there is no role {APP_ROLE}", "run `orderflow migrate`; it makes the role")
    try:
        with conn.begin_nested():
            conn.exec_driver_sql(f"SET LOCAL ROLE {APP_ROLE}")
            conn.exec_driver_sql("RESET ROLE")
    except DBAPIError:
        return failure("role", f"{user} may not act as {APP_ROLE}", f'GRANT {APP_ROLE} TO "{user}"')
    return ok("role", f"{user} may act as {APP_ROLE}, which cannot change the log")


def _room(conn: sa.Connection, settings: Settings, parts: Sequence[Part]) -> Finding:
    """Room for the pools of `parts`, which are all on this server, and beside that of the log for the bell."""
    pool = len(parts) * pool_size(settings) + (LOG in parts)
    most, kept, used = conn.exec_driver_sql(
        "SELECT current_setting('max_connections')::int, current_setting('superuser_reserved_connections')::int, "
        "(SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend')"
    ).one()
    free, upto = most - kept - used, pool + len(parts) * OVERFLOW
    found = f"{free} of {most} connections are free; one process takes up to {upto}"
    if free < pool:
        return failure("connections", found, "raise max_connections, or lower `workers`")
    if free < upto:
        return warning("connections", found, "raise max_connections, or lower `workers`")
    return ok("connections", found)


def _tls(conn: sa.Connection, url: str) -> Finding:
    host = sa.make_url(url).host
    if host is None or host in _LOCAL or host.startswith("/"):
        return ok("encryption", "the database is on this machine")
    encrypted = conn.exec_driver_sql("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").scalar()
    if encrypted:
        return ok("encryption", "the connection to the database is encrypted")
    mend = "add ?sslmode=verify-full to its URL, and ssl = on in postgresql.conf"
    return warning("encryption", f"the connection to {host} is not encrypted", mend)


def _difference(conn: sa.Connection) -> timedelta:
    """How far the database's clock is ahead of this machine's; half the way there is taken off."""
    before = datetime.now(UTC)
    theirs: datetime = conn.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
    return theirs - (before + (datetime.now(UTC) - before) / 2)


def clock(check: str, ahead: timedelta, about: str = "", precision: float = 0.0) -> Finding:
    """What a difference of clocks means. `precision`: seconds that the other clock cannot show."""
    seconds = abs(ahead.total_seconds())
    side = "ahead of" if ahead > timedelta(0) else "behind"
    if seconds <= DOUBTFUL_CLOCK.total_seconds() + precision:
        return ok(check, "agrees with this machine's", about)
    make = failure if seconds > WRONG_CLOCK.total_seconds() else warning
    found = f"is {seconds:.0f} s {side} this machine's"
    return make(check, found, "set both clocks by NTP (timedatectl set-ntp true)", about)
