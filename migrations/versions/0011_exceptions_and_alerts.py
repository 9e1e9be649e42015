"""Exceptions with their whole life, and what was said outside about them.

Why: an exception has an owner, an age and an end, which a word beside an order does not tell; and whoever is called at
night must be told once, and told when it is over, whatever happens to the process that calls.
"""

from alembic import op

revision = "0011"
down_revision = "0010"

TABLES = """
CREATE TABLE orderflow.exceptions (
    store text NOT NULL,
    order_id text NOT NULL,
    kind text NOT NULL,
    position bigint NOT NULL,
    number integer NOT NULL,
    subject text NOT NULL,
    class text NOT NULL,
    text text NOT NULL,
    commands text[] NOT NULL,
    settling boolean NOT NULL,
    owner text NOT NULL,
    opened_at timestamptz NOT NULL,
    opened_type text NOT NULL,
    opens_at timestamptz NOT NULL,
    effect text,
    generation integer,
    attempt integer,
    closed_position bigint,
    closed_at timestamptz,
    closed_type text,
    closed_by text,
    CONSTRAINT exceptions_pkey PRIMARY KEY (store, order_id, kind, position, number)
);
CREATE INDEX exceptions_open ON orderflow.exceptions (store, opens_at) WHERE closed_position IS NULL;
CREATE INDEX exceptions_closed ON orderflow.exceptions (store, closed_at);
CREATE TABLE orderflow_kept.exceptions
    (LIKE orderflow.exceptions, PRIMARY KEY (store, order_id, kind, position, number));

CREATE TABLE orderflow.alerts (
    store text NOT NULL,
    rule text NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    signal_id uuid NOT NULL,
    state text NOT NULL,
    at timestamptz NOT NULL,
    body text NOT NULL,
    next_at timestamptz NOT NULL,
    tries integer NOT NULL,
    problem text NOT NULL,
    delivered_at timestamptz,
    CONSTRAINT alerts_pkey PRIMARY KEY (store, rule, seq)
);
CREATE INDEX alerts_waiting ON orderflow.alerts (next_at) WHERE delivered_at IS NULL;

CREATE INDEX attempts_time ON orderflow.attempts (store, started_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON orderflow.exceptions, orderflow_kept.exceptions, orderflow.alerts
    TO orderflow_app;
"""


def upgrade() -> None:
    op.execute(TABLES)


def downgrade() -> None:
    op.execute("DROP INDEX orderflow.attempts_time")
    op.execute("DROP TABLE orderflow.alerts, orderflow.exceptions, orderflow_kept.exceptions")
    op.execute("DELETE FROM orderflow.checkpoints WHERE reader = 'exceptions'")
