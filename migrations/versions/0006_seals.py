"""Seals of the log, who took them, and the nodes of its Merkle tree that make sealing and proving cheap.

Why: the chain finds a change only by somebody who does not recompute it to the end. A signed root that was handed to
others finds him, too, and without reading the whole log anew each minute.
"""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE orderflow.seals (
            store text NOT NULL,
            epoch integer NOT NULL,
            size bigint NOT NULL,
            note bytea NOT NULL,
            frontier bytea NOT NULL,
            sealed_at timestamptz NOT NULL DEFAULT orderflow.wall_clock(),
            CONSTRAINT seals_pkey PRIMARY KEY (store, epoch, size),
            CONSTRAINT seals_size CHECK (size > 0)
        );

        CREATE TABLE orderflow.seal_nodes (
            store text NOT NULL,
            number bigint NOT NULL,
            hash bytea NOT NULL,
            CONSTRAINT seal_nodes_pkey PRIMARY KEY (store, number),
            CONSTRAINT seal_nodes_hash CHECK (octet_length(hash) = 32)
        );

        CREATE TABLE orderflow.seal_exports (
            store text NOT NULL,
            exporter text NOT NULL,
            seq bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
            epoch integer NOT NULL,
            size bigint NOT NULL,
            digest bytea NOT NULL,
            taken boolean NOT NULL,
            problem text NOT NULL,
            at timestamptz NOT NULL DEFAULT orderflow.wall_clock(),
            CONSTRAINT seal_exports_pkey PRIMARY KEY (store, exporter, seq),
            CONSTRAINT seal_exports_problem CHECK (taken = (problem = ''))
        );

        GRANT SELECT, INSERT, DELETE ON orderflow.seals, orderflow.seal_nodes, orderflow.seal_exports TO orderflow_app;
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE orderflow.seal_exports, orderflow.seal_nodes, orderflow.seals")
