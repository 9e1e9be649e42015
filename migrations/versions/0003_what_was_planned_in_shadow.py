"""Which outbox rows were planned while their store was in shadow.

Why: such a row is sent only when somebody asks for it, also once the store has come out of shadow.
"""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("ALTER TABLE orderflow.outbox ADD COLUMN shadow boolean NOT NULL DEFAULT false")


def downgrade() -> None:
    op.execute("ALTER TABLE orderflow.outbox DROP COLUMN shadow")
