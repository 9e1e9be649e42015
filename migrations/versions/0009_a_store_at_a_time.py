"""The outbox is looked through store by store.

Why: a worker takes the rows of one store in one transaction, and each store in its turn: the first row of any store
has to be found behind however many of the others.
"""

from alembic import op

revision = "0009"
down_revision = "0003"


def upgrade() -> None:
    op.execute("CREATE INDEX outbox_due ON orderflow.outbox (store, next_at) WHERE NOT parked")
    op.execute("DROP INDEX orderflow.outbox_next")


def downgrade() -> None:
    op.execute("CREATE INDEX outbox_next ON orderflow.outbox (next_at) WHERE NOT parked")
    op.execute("DROP INDEX orderflow.outbox_due")
