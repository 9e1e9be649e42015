"""Gates, and an index of the outbox by lane.

Why: what is known of a destination's health and of its rate limit holds for every process, so it stands in the
database: when it may be called again, how many calls are on their way, whether its breaker is open. And the rows of
each lane have to be found behind however many of another lane.
"""

from alembic import op

revision = "0010"
down_revision = "0009"

GATES = """
CREATE TABLE orderflow.gates (
    store text NOT NULL,
    destination text NOT NULL,
    seq bigint NOT NULL,
    shut_until timestamptz,
    guarded boolean NOT NULL,
    watched boolean NOT NULL,
    reason text NOT NULL,
    rest_until timestamptz,
    rests integer NOT NULL,
    spacing double precision NOT NULL,
    started_at timestamptz,
    in_flight timestamptz[] NOT NULL,
    broken_until timestamptz,
    broken_for double precision NOT NULL,
    probe_until timestamptz,
    watched_from timestamptz,
    failures integer NOT NULL,
    calls integer NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT gates_pkey PRIMARY KEY (store, destination, seq),
    CONSTRAINT gates_place CHECK (destination IN ('shop', 'glopal')),
    CONSTRAINT gates_probe CHECK (probe_until IS NULL OR broken_until IS NOT NULL),
    CONSTRAINT gates_failures CHECK (failures BETWEEN 0 AND calls)
)
"""


def upgrade() -> None:
    op.execute(GATES)
    op.execute("GRANT SELECT, INSERT, DELETE ON orderflow.gates TO orderflow_app")
    op.execute("CREATE INDEX outbox_ready ON orderflow.outbox (store, destination, lane, next_at) WHERE NOT parked")
    op.execute("DROP INDEX orderflow.outbox_due")


def downgrade() -> None:
    op.execute("CREATE INDEX outbox_due ON orderflow.outbox (store, destination, next_at) WHERE NOT parked")
    op.execute("DROP INDEX orderflow.outbox_ready")
    op.execute("DROP TABLE orderflow.gates")
