"""Brings a database to the newest schema with the Alembic revisions in ``migrations/``.

It must never run by itself when a process starts working: only an explicit command, the demo and tests call it.
"""

import io
import sys
import tempfile
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import orderflow

SCHEMA = "orderflow"


def upgrade(url: str, revision: str = "head") -> None:
    """Apply what is missing; safe to call from several processes at once, one does the work and the rest wait."""
    command.upgrade(_config(url), revision)


def downgrade(url: str, revision: str) -> None:
    """Undo down to ``revision``; ``base`` undoes everything."""
    command.downgrade(_config(url), revision)


def current(url: str) -> str | None:
    """The revision that the database stands at; ``None`` for an empty one."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA}).get_current_revision()


def head() -> str:
    """The newest revision that this version of orderflow knows."""
    found = ScriptDirectory.from_config(_config("")).get_current_head()
    assert found is not None
    return found


def unfit(url: str, command: str = "orderflow") -> str | None:
    """Why this version cannot work on the database, and what to do; None if it can."""
    at, wanted = current(url), head()
    if at == wanted:
        return None
    if at is None:
        return f"the database is empty: run `{command} migrate` first"
    known = {one.revision for one in ScriptDirectory.from_config(_config("")).walk_revisions()}
    if at not in known:
        return f"the database stands at {at}, which this version does not know: install the newer orderflow"
    return f"the database stands at {at}, this version needs {wanted}: run `{command} migrate`"


def sql(url: str = "postgresql+psycopg://", revision: str = "head") -> str:
    """What ``upgrade`` would run on an empty database, for those whose DBA runs it; nothing is connected to."""
    config = _config(url)
    config.output_buffer = script = io.StringIO()
    command.upgrade(config, revision, sql=True)
    return script.getvalue()


def differences(url: str) -> list[str]:
    """Where a migrated database differs from ``store/tables.py``; empty when both say the same."""
    from orderflow.store.tables import kept_metadata, metadata  # noqa: PLC0415 (upgrade must work without it)

    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return [str(difference) for one in (metadata, kept_metadata) for difference in _between(connection, one)]


def _between(connection: sa.Connection, metadata: sa.MetaData) -> list[object]:
    """Where the schema of `metadata` differs from it."""
    options = {
        "version_table_schema": SCHEMA,
        "include_schemas": True,
        "include_name": lambda name, kind, _: kind != "schema" or name == metadata.schema,
        "compare_type": True,
    }
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
    config.attributes["url"] = url
    return config


def _scripts() -> Path:
    """Inside the package when installed from a wheel, beside ``src`` in a checkout."""
    package = Path(orderflow.__file__).parent
    for directory in (package / "migrations", package.parents[1] / "migrations"):
        if (directory / "env.py").exists():
            return directory
    raise FileNotFoundError(f"no migrations in {package} or beside it: the installation is incomplete")


def _check() -> int:
    from orderflow.store.embedded import start  # noqa: PLC0415 (only this check needs a server)

    with tempfile.TemporaryDirectory(prefix="orderflow-") as scratch, start(Path(scratch), durable=False) as server:
        upgrade(server.url)
        found = differences(server.url)
    print(*found or ["migrations and store/tables.py agree"], sep="\n")  # noqa: T201 (a command's answer)
    return bool(found)


if __name__ == "__main__":
    sys.exit(_check() if sys.argv[1:] == ["--check"] else "usage: python -m orderflow.store.migrate --check")
