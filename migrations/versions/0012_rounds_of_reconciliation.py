"""How far the rounds are that compare every open order with Glopal and the shop.

Why: a worker that is started anew goes on where the last one was, and several workers keep one pace together.
"""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE orderflow.rounds (
            store text NOT NULL,
            seq bigint NOT NULL,
            began_at timestamptz NOT NULL,
            after text NOT NULL,
            done boolean NOT NULL,
            at timestamptz NOT NULL DEFAULT orderflow.wall_clock(),
            CONSTRAINT rounds_pkey PRIMARY KEY (store, seq)
        )
        """
    )
    op.execute("GRANT SELECT, INSERT, DELETE ON orderflow.rounds TO orderflow_app")


def downgrade() -> None:
    op.execute("DROP TABLE orderflow.rounds")
