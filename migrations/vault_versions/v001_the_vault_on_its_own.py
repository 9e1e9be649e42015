"""The vault in a database of its own, as revision 0008 of the log's leaves it beside the log.

Why on its own: who reads the log's database, or a backup of it, then holds no key, not even a wrapped one; and a
restored log brings no destroyed key back.
"""

from alembic import op

revision = "v001"
down_revision = None

APP_ROLE = "orderflow_app"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE IF NOT EXISTS orderflow_vault.keys (
            store text NOT NULL,
            order_id text NOT NULL,
            key_id uuid NOT NULL,
            wrapped bytea,
            created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            destroyed_at timestamptz,
            master text,
            CONSTRAINT keys_pkey PRIMARY KEY (store, order_id, key_id),
            CONSTRAINT keys_destroyed CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL))
        );
        CREATE UNIQUE INDEX IF NOT EXISTS keys_current ON orderflow_vault.keys (store, order_id)
            WHERE destroyed_at IS NULL;
        CREATE TABLE IF NOT EXISTS orderflow_vault.mac_key (
            one boolean NOT NULL DEFAULT true,
            wrapped bytea NOT NULL,
            master text NOT NULL,
            CONSTRAINT mac_key_pkey PRIMARY KEY (one),
            CONSTRAINT mac_key_one CHECK (one)
        );
        """
    )
    op.execute(
        f"""
        DO $$
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP_ROLE}') THEN
                CREATE ROLE {APP_ROLE} NOLOGIN;
            END IF;
            IF NOT pg_has_role(current_user, '{APP_ROLE}', 'MEMBER') THEN
                EXECUTE format('GRANT {APP_ROLE} TO %I', current_user);
            END IF;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL;  -- another database of this cluster was quicker
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'role {APP_ROLE} is missing: have it made with CREATE ROLE {APP_ROLE} NOLOGIN, '
                    'granted to %, and migrate again', current_user;
        END $$;
        """
    )
    op.execute(f"GRANT USAGE ON SCHEMA orderflow_vault TO {APP_ROLE}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA orderflow_vault TO {APP_ROLE}")


def downgrade() -> None:
    """Not offered: it would destroy every key."""
    raise NotImplementedError("a vault is not downgraded; restore a backup instead")
