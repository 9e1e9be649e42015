"""The log's function asks and writes in whole sets, with the same answers; an import keeps its place.

Why: a statement for every event of a call cost more than the events themselves, and its plans were those of the day
when the table was still small. An import of years that is interrupted should not begin anew.
"""

from pathlib import Path

from alembic import op

import orderflow.store

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    _run("append_events_2")
    op.execute(
        """
        CREATE TABLE orderflow.imports (
            store text NOT NULL,
            file text NOT NULL,
            bytes bigint NOT NULL,
            lines bigint NOT NULL,
            digest text NOT NULL,
            at timestamptz NOT NULL DEFAULT orderflow.wall_clock(),
            CONSTRAINT imports_pkey PRIMARY KEY (store, file, bytes)
        )
        """
    )
    op.execute("GRANT SELECT, INSERT, DELETE ON orderflow.imports TO orderflow_app")


def downgrade() -> None:
    op.execute("DROP TABLE orderflow.imports")
    _run("append_events", replace=True)


def _run(file: str, *, replace: bool = False) -> None:
    """Make the function of the file `file`. It is replaced, not dropped: rights and owner stay."""
    text = (Path(orderflow.store.__file__).parent / "sql" / f"{file}.sql").read_text()
    op.execute(text.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION") if replace else text)
