"""What a restore from backup needs: the server seen last, a recovery for each new epoch, orders left out of one.

Why: after a restore the world is ahead of the log, and what was sent since must be looked up before anything is sent
again. It stands in tables so that every worker on every host sees it.
"""

from pathlib import Path

from alembic import op

import orderflow.store

revision = "0007"
down_revision = "0006"

TABLES = """
CREATE TABLE orderflow.servers (
    seq bigint NOT NULL,
    system_identifier bigint NOT NULL,
    timeline bigint NOT NULL,
    database bigint NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT orderflow.wall_clock(),
    CONSTRAINT servers_pkey PRIMARY KEY (seq)
);

CREATE TABLE orderflow.recoveries (
    store text NOT NULL,
    epoch integer NOT NULL,
    reason text NOT NULL,
    restored_to timestamptz,
    sealed_size bigint,
    sealed_chain bytea,
    noticed_at timestamptz NOT NULL DEFAULT orderflow.wall_clock(),
    read_to bigint,
    opened_at timestamptz,
    opened_by text,
    why text,
    CONSTRAINT recoveries_pkey PRIMARY KEY (store, epoch),
    CONSTRAINT recoveries_opened CHECK (
        (opened_at IS NULL) = (opened_by IS NULL) AND (opened_at IS NULL) = (why IS NULL)
        AND (opened_at IS NULL OR read_to IS NOT NULL))
);

CREATE TABLE orderflow.left_out (
    store text NOT NULL,
    order_id text NOT NULL,
    epoch integer NOT NULL,
    by text NOT NULL,
    why text NOT NULL,
    since timestamptz NOT NULL DEFAULT orderflow.wall_clock(),
    CONSTRAINT left_out_pkey PRIMARY KEY (store, order_id)
);
"""


def upgrade() -> None:
    op.execute(TABLES)
    for name in ("this_server", "begin_epoch"):
        op.execute((Path(orderflow.store.__file__).parent / "sql" / f"{name}.sql").read_text())
    op.execute("REVOKE ALL ON FUNCTION orderflow.this_server(), orderflow.begin_epoch(text, int) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION orderflow.this_server(), orderflow.begin_epoch(text, int) TO orderflow_app")
    op.execute("GRANT SELECT, INSERT, DELETE ON orderflow.servers, orderflow.left_out TO orderflow_app")
    op.execute("GRANT SELECT, INSERT, UPDATE ON orderflow.recoveries TO orderflow_app")


def downgrade() -> None:
    op.execute("DROP TABLE orderflow.left_out, orderflow.recoveries, orderflow.servers")
    op.execute("DROP FUNCTION orderflow.begin_epoch(text, int), orderflow.this_server()")
