"""The outbox is looked through by store and destination.

Why: a worker takes the rows of one destination of a store in one transaction, and each in its turn: the first row of
any has to be found behind however many of the others, and of those that are paused.
"""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.execute("CREATE INDEX outbox_due ON orderflow.outbox (store, destination, next_at) WHERE NOT parked")
    op.execute("DROP INDEX orderflow.outbox_next")


def downgrade() -> None:
    op.execute("CREATE INDEX outbox_next ON orderflow.outbox (next_at) WHERE NOT parked")
    op.execute("DROP INDEX orderflow.outbox_due")
