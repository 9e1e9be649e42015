"""Runs the revisions in ``versions/`` for Alembic, on the URL that ``orderflow.store.migrate`` hands over.

It must never read configuration by itself, nor generate a revision: revisions are written by hand.
"""

import sqlalchemy as sa
from alembic import context

# The schema that holds the version table: the log's, or the vault's where that has a database of its own.
SCHEMA = context.config.attributes["schema"]
# Any fixed number: of processes that migrate one database at the same time, one works and the others wait.
LOCK = 0x6F726465


def run_online(url: str) -> None:
    """Connect and apply; all revisions stand or fall together, in one transaction that holds the lock."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        connection.execute(sa.schema.CreateSchema(SCHEMA, if_not_exists=True))
        context.configure(connection=connection, version_table_schema=SCHEMA)
        with context.begin_transaction():
            context.run_migrations()


def run_offline(url: str) -> None:
    """Print the SQL instead."""
    context.configure(url=url, version_table_schema=SCHEMA, literal_binds=True)
    with context.begin_transaction():
        context.execute(sa.schema.CreateSchema(SCHEMA, if_not_exists=True))
        context.run_migrations()


(run_offline if context.is_offline_mode() else run_online)(context.config.attributes["url"])
