"""What each reader has applied of the log, and room for the read models that a rebuild replaced.

Why: "lag 0" must also mean "nothing is missing", and a rebuilt read model must be able to give way to the former one.

What was read before is taken on trust here: nobody counted it. A rebuild counts it anew.
"""

from alembic import op

revision = "0005"
down_revision = "0004"

READ_MODELS = {
    "orders": "store, order_id",
    "timeline": "store, position",
    "anomalies": "store, position, kind",
    "effects": "store, order_id, destination, effect, generation",
}


def upgrade() -> None:
    op.execute("ALTER TABLE orderflow.checkpoints ADD COLUMN count bigint, ADD COLUMN hash bytea")
    op.execute(
        """
        UPDATE orderflow.checkpoints c SET count = c.position, hash = coalesce(
            (SELECT e.hash FROM orderflow.events e WHERE e.store = c.store AND e.position = c.position),
            decode(repeat('00', 32), 'hex'))
        """
    )
    op.execute(
        """
        ALTER TABLE orderflow.checkpoints ALTER COLUMN count SET NOT NULL, ALTER COLUMN hash SET NOT NULL,
            ADD CONSTRAINT checkpoints_applied CHECK (count >= 0 AND octet_length(hash) = 32)
        """
    )
    op.execute("CREATE SCHEMA orderflow_kept")
    for table, key in READ_MODELS.items():
        # No defaults and no second index: only a rebuild writes there, and reads it whole.
        op.execute(f"CREATE TABLE orderflow_kept.{table} (LIKE orderflow.{table}, PRIMARY KEY ({key}))")
    op.execute("GRANT USAGE ON SCHEMA orderflow_kept TO orderflow_app")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA orderflow_kept TO orderflow_app")
    # A rebuild fills a temporary table. Everybody may make one, unless somebody has taken that right from PUBLIC.
    op.execute(
        """
        DO $$
        BEGIN
            IF NOT has_database_privilege('orderflow_app', current_database(), 'TEMPORARY') THEN
                EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO orderflow_app', current_database());
            END IF;
        END $$
        """
    )


def downgrade() -> None:
    op.execute("DROP SCHEMA orderflow_kept CASCADE")
    op.execute("ALTER TABLE orderflow.checkpoints DROP COLUMN count, DROP COLUMN hash")
