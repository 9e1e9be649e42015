"""Brings a database to the newest schema with the Alembic revisions in ``migrations/``.

It must never run by itself when a process starts working: only an explicit command, the demo and tests call it.
"""

import io
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import orderflow


class Part(NamedTuple):
    """What is migrated: a schema, by the revisions in a folder."""

    schema: str
    versions: str


LOG: Final = Part("orderflow", "versions")
"""Everything, the vault included."""
VAULT: Final = Part("orderflow_vault", "vault_versions")
"""The vault, in a database of its own."""


def upgrade(url: str, revision: str = "head", part: Part = LOG) -> None:
    """Apply what is missing; safe to call from several processes at once, one does the work and the rest wait."""
    command.upgrade(_config(url, part), revision)


def downgrade(url: str, revision: str) -> None:
    """Undo down to ``revision``; ``base`` undoes everything."""
    command.downgrade(_config(url), revision)


def current(url: str, part: Part = LOG) -> str | None:
    """The revision that the database stands at; ``None`` for an empty one."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return MigrationContext.configure(connection, opts={"version_table_schema": part.schema}).get_current_revision()


def head(part: Part = LOG) -> str:
    """The newest revision that this version of orderflow knows."""
    found = ScriptDirectory.from_config(_config("", part)).get_current_head()
    assert found is not None
    return found


def unfit(url: str, command: str = "orderflow", part: Part = LOG) -> str | None:
    """Why this version cannot work on the database, and what to do; None if it can."""
    at, wanted = current(url, part), head(part)
    if at == wanted:
        return None
    name = "the database" if part is LOG else "the database of the keys"
    if at is None:
        return f"{name} is empty: run `{command} migrate` first"
    known = {one.revision for one in ScriptDirectory.from_config(_config("", part)).walk_revisions()}
    if at not in known:
        return f"{name} stands at {at}, which this version does not know: install the newer orderflow"
    return f"{name} stands at {at}, this version needs {wanted}: run `{command} migrate`"


def sql(url: str = "postgresql+psycopg://", revision: str = "head", part: Part = LOG) -> str:
    """What ``upgrade`` would run on an empty database, for those whose DBA runs it; nothing is connected to."""
    config = _config(url, part)
    config.output_buffer = script = io.StringIO()
    command.upgrade(config, revision, sql=True)
    return script.getvalue()


def differences(url: str) -> list[str]:
    """Where a migrated database differs from ``store/tables.py``; empty when both say the same."""
    from orderflow.store.tables import (  # noqa: PLC0415 (upgrade must work without it)
        kept_metadata,
        metadata,
        vault_metadata,
    )

    engine = sa.create_engine(url, poolclass=sa.NullPool)
    found: list[object] = []
    with engine.connect() as connection:
        for described in (metadata, kept_metadata, vault_metadata):
            options = {
                "version_table_schema": LOG.schema,
                "include_schemas": True,
                "include_name": partial(_belongs, str(described.schema)),
                "compare_type": True,
            }
            found += compare_metadata(MigrationContext.configure(connection, opts=options), described)
    return [str(difference) for difference in found]


def _belongs(schema: str, name: str | None, kind: str, _: object) -> bool:
    return kind != "schema" or name == schema


def _config(url: str, part: Part = LOG) -> Config:
    config, scripts = Config(), str(_scripts()).replace("%", "%%")
    config.set_main_option("script_location", scripts)
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", f"{scripts}/{part.versions}")
    config.attributes |= {"url": url, "schema": part.schema}
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
