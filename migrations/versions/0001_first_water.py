"""The log, the outbox, the vault and the first read models.

Why at once: they are one river, and the log is complete from the first day (epochs, leaves, hashes, sealing), so that
later releases add code and not columns.
"""

from pathlib import Path

from alembic import op

import orderflow.store

revision = "0001"
down_revision = None

APP_ROLE = "orderflow_app"

EVERY_TABLE = """
CREATE TABLE orderflow.epochs (
    store text NOT NULL,
    epoch integer NOT NULL,
    first_position bigint NOT NULL,
    forked_from_hash bytea,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT epochs_pkey PRIMARY KEY (store, epoch),
    CONSTRAINT epochs_fork CHECK ((epoch = 1) = (forked_from_hash IS NULL))
);

CREATE TABLE orderflow.streams (
    store text NOT NULL,
    order_id text NOT NULL,
    version bigint NOT NULL,
    CONSTRAINT streams_pkey PRIMARY KEY (store, order_id)
);

CREATE TABLE orderflow.events (
    store text NOT NULL,
    position bigint NOT NULL,
    order_id text NOT NULL,
    version bigint NOT NULL,
    event_id uuid NOT NULL,
    type text NOT NULL,
    source text NOT NULL,
    source_id text NOT NULL,
    occurred_at timestamptz,
    recorded_at timestamptz NOT NULL,
    clear text NOT NULL,
    body bytea,
    body_key uuid,
    body_mac bytea,
    meta text NOT NULL,
    leaf bytea NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT events_pkey PRIMARY KEY (store, position),
    CONSTRAINT events_version UNIQUE (store, order_id, version),
    CONSTRAINT events_source UNIQUE (store, source, source_id),
    CONSTRAINT events_counts CHECK (position > 0 AND version > 0),
    CONSTRAINT events_sealed CHECK ((body IS NULL) = (body_key IS NULL) AND (body IS NULL) = (body_mac IS NULL)),
    CONSTRAINT events_digests CHECK (octet_length(leaf) = 32 AND octet_length(hash) = 32)
) WITH (toast_tuple_target = 8160);

CREATE TABLE orderflow.cursors (
    store text NOT NULL,
    seq bigint NOT NULL,
    cursor text NOT NULL,
    moved_at timestamptz NOT NULL DEFAULT orderflow.wall_clock(),
    CONSTRAINT cursors_pkey PRIMARY KEY (store, seq)
);

CREATE TABLE orderflow.checkpoints (
    reader text NOT NULL,
    store text NOT NULL,
    position bigint NOT NULL,
    CONSTRAINT checkpoints_pkey PRIMARY KEY (reader, store, position)
);

CREATE TABLE orderflow.pauses (
    store text NOT NULL,
    scope text NOT NULL,
    reason text NOT NULL,
    by text NOT NULL,
    since timestamptz NOT NULL DEFAULT orderflow.wall_clock(),
    CONSTRAINT pauses_pkey PRIMARY KEY (store, scope),
    CONSTRAINT pauses_scope CHECK (scope IN ('pull', 'glopal', 'shop'))
);

CREATE TABLE orderflow.outbox (
    store text NOT NULL,
    order_id text NOT NULL,
    destination text NOT NULL,
    effect text NOT NULL,
    generation integer NOT NULL,
    state text NOT NULL DEFAULT 'planned',
    target text NOT NULL DEFAULT '',
    reads boolean NOT NULL,
    parked boolean NOT NULL DEFAULT false,
    lane text NOT NULL DEFAULT 'live',
    next_at timestamptz NOT NULL,
    attempt integer NOT NULL DEFAULT 0,
    failures integer NOT NULL DEFAULT 0,
    request bytea,
    request_key uuid,
    digest text,
    send_by timestamptz,
    counts_from timestamptz,
    fence bigint NOT NULL DEFAULT 0,
    owner text,
    lease_until timestamptz,
    reason text NOT NULL DEFAULT '',
    planned_at timestamptz NOT NULL DEFAULT orderflow.wall_clock(),
    CONSTRAINT outbox_pkey PRIMARY KEY (store, order_id, destination, effect, generation),
    CONSTRAINT outbox_state CHECK (state IN ('planned', 'intent', 'unknown')),
    CONSTRAINT outbox_place CHECK (
        (destination = 'glopal' AND effect IN ('fetch', 'accept', 'cancel', 'refund', 'quote'))
        OR (destination = 'shop' AND effect IN ('draft', 'promote', 'withdraw', 'reap'))),
    CONSTRAINT outbox_reads CHECK (reads = (effect IN ('fetch', 'quote', 'reap'))),
    CONSTRAINT outbox_intent CHECK (
        state NOT IN ('intent', 'unknown')
        OR (NOT reads AND attempt > 0 AND request IS NOT NULL AND request_key IS NOT NULL AND digest IS NOT NULL
            AND send_by IS NOT NULL AND counts_from IS NOT NULL AND counts_from >= send_by)),
    CONSTRAINT outbox_lane CHECK (lane IN ('live', 'redrive', 'reconcile'))
);
-- At most one write under way per order and destination; reads never take that slot.
CREATE UNIQUE INDEX outbox_one_open ON orderflow.outbox (store, order_id, destination)
    WHERE state IN ('intent', 'unknown');
CREATE INDEX outbox_next ON orderflow.outbox (next_at)
    WHERE NOT parked;

CREATE TABLE orderflow.attempts (
    attempt_id uuid NOT NULL,
    store text NOT NULL,
    order_id text NOT NULL,
    destination text NOT NULL,
    effect text NOT NULL,
    generation integer NOT NULL,
    attempt integer NOT NULL,
    fence bigint NOT NULL,
    kind text NOT NULL,
    digest text,
    started_at timestamptz NOT NULL,
    milliseconds double precision NOT NULL,
    status integer,
    outcome text NOT NULL,
    decision text NOT NULL,
    worker text NOT NULL,
    response bytea,
    response_key uuid,
    CONSTRAINT attempts_pkey PRIMARY KEY (store, attempt_id),
    CONSTRAINT attempts_kind CHECK (kind IN ('send', 'look_up', 'read')),
    CONSTRAINT attempts_sealed CHECK ((response IS NULL) = (response_key IS NULL))
);
CREATE INDEX attempts_order ON orderflow.attempts (store, order_id, started_at);

CREATE TABLE orderflow.orders (
    store text NOT NULL,
    order_id text NOT NULL,
    status text NOT NULL,
    status_since timestamptz,
    held text[] NOT NULL DEFAULT '{}',
    attention text[] NOT NULL DEFAULT '{}',
    confirmed boolean NOT NULL,
    shop_order_id text,
    shop_number text,
    shop_state text,
    external_order_id text,
    external_number text,
    currency text,
    total numeric,
    environment text,
    born_at timestamptz,
    first_recorded_at timestamptz NOT NULL,
    last_recorded_at timestamptz NOT NULL,
    version bigint NOT NULL,
    position bigint NOT NULL,
    machine integer NOT NULL,
    snapshot text NOT NULL,
    CONSTRAINT orders_pkey PRIMARY KEY (store, order_id)
);
CREATE INDEX orders_status ON orderflow.orders (store, status, last_recorded_at);

CREATE TABLE orderflow.timeline (
    store text NOT NULL,
    position bigint NOT NULL,
    order_id text NOT NULL,
    version bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    occurred_at timestamptz,
    type text NOT NULL,
    summary text NOT NULL,
    status text NOT NULL,
    CONSTRAINT timeline_pkey PRIMARY KEY (store, position)
);
CREATE INDEX timeline_order ON orderflow.timeline (store, order_id, version);

CREATE TABLE orderflow.anomalies (
    store text NOT NULL,
    position bigint NOT NULL,
    kind text NOT NULL,
    order_id text NOT NULL,
    recorded_at timestamptz NOT NULL,
    detail text NOT NULL,
    CONSTRAINT anomalies_pkey PRIMARY KEY (store, position, kind)
);
CREATE INDEX anomalies_order ON orderflow.anomalies (store, order_id);

CREATE TABLE orderflow.effects (
    store text NOT NULL,
    order_id text NOT NULL,
    destination text NOT NULL,
    effect text NOT NULL,
    generation integer NOT NULL,
    target text NOT NULL,
    state text NOT NULL,
    attempts integer NOT NULL,
    look_ups integer NOT NULL,
    reason text NOT NULL,
    first_intent_at timestamptz,
    ended_at timestamptz,
    CONSTRAINT effects_pkey PRIMARY KEY (store, order_id, destination, effect, generation)
);

CREATE TABLE orderflow_vault.keys (
    store text NOT NULL,
    order_id text NOT NULL,
    key_id uuid NOT NULL,
    wrapped bytea,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    destroyed_at timestamptz,
    CONSTRAINT keys_pkey PRIMARY KEY (store, order_id, key_id),
    CONSTRAINT keys_destroyed CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL))
);
CREATE UNIQUE INDEX keys_current ON orderflow_vault.keys (store, order_id) WHERE destroyed_at IS NULL;
"""

APPEND_ONLY = ("events", "epochs", "attempts")
WORKING = ("cursors", "checkpoints", "pauses", "outbox", "orders", "timeline", "anomalies", "effects")


def upgrade() -> None:
    op.execute("CREATE SCHEMA IF NOT EXISTS orderflow_vault")
    _object("wall_clock")
    op.execute(EVERY_TABLE)
    _object("refuse_change")
    _object("append_events")
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON orderflow.{table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION orderflow.refuse_change()"
        )
    _grant()


def _object(name: str) -> None:
    """Run the file that makes the object `name`. A released file is never edited: a change gets a new name."""
    op.execute((Path(orderflow.store.__file__).parent / "sql" / f"{name}.sql").read_text())


def _grant() -> None:
    """The role that workers act as. It reads the log and appends through the function, nothing else."""
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
    op.execute(f"GRANT USAGE ON SCHEMA orderflow, orderflow_vault TO {APP_ROLE}")
    op.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA orderflow TO {APP_ROLE}")
    op.execute(f"GRANT INSERT ON orderflow.attempts TO {APP_ROLE}")
    op.execute(f"GRANT INSERT, UPDATE, DELETE ON {', '.join(f'orderflow.{t}' for t in WORKING)} TO {APP_ROLE}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON orderflow_vault.keys TO {APP_ROLE}")
    op.execute("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA orderflow FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA orderflow TO {APP_ROLE}")


def downgrade() -> None:
    """Not offered: it would delete the log."""
    raise NotImplementedError("a log is not downgraded; restore a backup instead")
