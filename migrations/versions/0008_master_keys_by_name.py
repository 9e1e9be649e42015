"""Which master key wraps each key, and the MAC key, kept wrapped like the others.

Why: a master key can be changed while everything goes on only if each key says which one opens it, and only if the
MACs in the log do not change with it.
"""

from alembic import op

revision = "0008"
down_revision = "0007"

APP_ROLE = "orderflow_app"


def upgrade() -> None:
    op.execute("ALTER TABLE orderflow_vault.keys ADD COLUMN master text")
    op.execute(
        """
        CREATE TABLE orderflow_vault.mac_key (
            one boolean NOT NULL DEFAULT true,
            wrapped bytea NOT NULL,
            master text NOT NULL,
            CONSTRAINT mac_key_pkey PRIMARY KEY (one),
            CONSTRAINT mac_key_one CHECK (one)
        )
        """
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON orderflow_vault.mac_key TO {APP_ROLE}")


def downgrade() -> None:
    """Not offered: without the MAC key, every order would look as if its details had changed."""
    raise NotImplementedError("a vault is not downgraded; restore a backup instead")
