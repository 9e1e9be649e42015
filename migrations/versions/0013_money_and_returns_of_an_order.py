"""Who cancelled an order and why, what was given back, and how many returns are open, as columns of the read model.

Why: it is asked of all orders at once. A rebuild fills them for orders that have no news.
"""

from alembic import op

revision = "0013"
down_revision = "0012"

_SCHEMAS = ("orderflow", "orderflow_kept")


def upgrade() -> None:
    for schema in _SCHEMAS:
        op.execute(
            f"ALTER TABLE {schema}.orders ADD COLUMN cancelled_by text, ADD COLUMN cancelled_why text,"
            " ADD COLUMN refunded numeric, ADD COLUMN open_returns integer"
        )


def downgrade() -> None:
    for schema in _SCHEMAS:
        op.execute(
            f"ALTER TABLE {schema}.orders DROP COLUMN cancelled_by, DROP COLUMN cancelled_why,"
            " DROP COLUMN refunded, DROP COLUMN open_returns"
        )
