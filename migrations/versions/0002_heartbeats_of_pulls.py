"""When each store was last pulled with success.

Why: a cursor moves only with news, so that a feed which is silent and one that is not read any more looked the same.
"""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE orderflow.pulls (
            store text NOT NULL,
            at timestamptz NOT NULL DEFAULT orderflow.wall_clock(),
            CONSTRAINT pulls_pkey PRIMARY KEY (store, at)
        )
        """
    )
    op.execute("GRANT SELECT, INSERT, DELETE ON orderflow.pulls TO orderflow_app")


def downgrade() -> None:
    op.execute("DROP TABLE orderflow.pulls")
