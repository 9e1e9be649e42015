"""docs/reference/schema.md: what a migrated database says of itself, with the comments of store/tables.py beside it.

A table without a sentence here fails.
"""

from typing import Final

import sqlalchemy as sa

from orderflow.store import tables

HEAD: Final = """\
# Schema

The tables as a migrated PostgreSQL describes them, with what each column means. Generated from the catalogue and from
`store/tables.py`. `orderflow migrate` makes them; the columns of the log are explained in
[the format of the log](log-format.md). The schema `orderflow_kept` holds the read models as they were before a
[rebuild](../how-to/rebuild.md), with the same columns, until they are released.

Every key begins with the store, so that stores never wait for one another. Workers act as the role `orderflow_app`;
what it may do stands with each table (`read` is SELECT). Adding to the log is done by the function `append_events`
alone.
"""

PURPOSE: Final = {
    "events": ("The log", "Everything that ever happened, one row an event. Append-only."),
    "streams": ("The log", "One row an order: the version of its last event."),
    "epochs": ("The log", "One row, and one more each time the database was restored from a backup. Append-only."),
    "seals": ("The log", "Signed seals of each log, and the frontier from which the next one goes on."),
    "seal_nodes": ("The log", "Nodes of each log's Merkle tree, so that a path needs few rows."),
    "seal_exports": ("The log", "Which exporter took which seal, and why one did not."),
    "servers": ("Recovery", "The server as it was at the last start: who stands on another one was restored."),
    "recoveries": ("Recovery", "Restores that were noticed; effects are kept back until each is opened."),
    "left_out": ("Recovery", "Orders that were left out when effects were opened: theirs stay kept back."),
    "imports": ("Progress", "How far each file of history was imported, by its contents."),
    "cursors": ("Progress", "How far Glopal's feed has been read."),
    "pulls": ("Progress", "When each store was last pulled."),
    "checkpoints": ("Progress", "How far each reader of the log has come."),
    "pauses": ("Progress", "What is paused, by whom and why."),
    "rounds": ("Progress", "How far the round of reconciliations has come in each store."),
    "gates": ("Effects", "What all processes know of a destination: when it may be called again, and its breaker."),
    "outbox": ("Effects", "What is to be done, one row an effect; what has ended leaves it."),
    "attempts": ("Effects", "Every call that was made, with the sealed answer. Append-only."),
    "orders": ("Read models", "One row an order: what `orderflow orders list` shows, and the snapshot of its fold."),
    "timeline": ("Read models", "One row an event, in words."),
    "anomalies": ("Read models", "What did not go by the book."),
    "effects": ("Read models", "Every side effect that was ever intended, and how it ended."),
    "exceptions": ("Read models", "What waited for people: the events that opened and closed it, and who has it."),
    "alerts": ("Progress", "What was said outside: signals that a rule fires, or has recovered."),
    "keys": ("The vault", "The data keys, one or more an order, wrapped by the master key."),
    "mac_key": ("The vault", "The key of all MACs, one row, wrapped by the master key."),
}
SECTIONS: Final = ("The log", "Recovery", "Progress", "Effects", "Read models", "The vault")

_COLUMNS: Final = sa.text(
    """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod) AS type, NOT a.attnotnull AS null,
           pg_get_expr(d.adbin, d.adrelid) AS default
    FROM pg_attribute a LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
    WHERE a.attrelid = CAST(:table AS regclass) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
    """
)
_CONSTRAINTS: Final = sa.text(
    """
    SELECT conname, pg_get_constraintdef(oid, true) FROM pg_constraint
    WHERE conrelid = CAST(:table AS regclass) AND contype IN ('p', 'u', 'f', 'c')
    ORDER BY position(CAST(contype AS text) IN 'pufc'), conname
    """
)
_INDEXES: Final = sa.text(
    """
    SELECT c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = CAST(:table AS regclass)
      AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid) ORDER BY c.relname
    """
)
_TRIGGERS: Final = sa.text(
    """
    SELECT tgname, pg_get_triggerdef(oid, true) FROM pg_trigger
    WHERE tgrelid = CAST(:table AS regclass) AND NOT tgisinternal ORDER BY tgname
    """
)
_GRANTS: Final = sa.text(
    """
    SELECT privilege FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) WITH ORDINALITY
        AS p (privilege, place)
    WHERE has_table_privilege('orderflow_app', CAST(:table AS regclass), privilege) ORDER BY place
    """
)


def page(engine: sa.Engine) -> str:
    """The whole page, as the database behind `engine` is."""
    known = [*tables.metadata.sorted_tables, *tables.vault_metadata.sorted_tables]
    with engine.connect() as conn:
        told = {table.name: _table(conn, table) for table in known}
    parts = [HEAD]
    for section in SECTIONS:
        parts.append(f"## {section}\n")
        parts += [told[name] for name, (where, _) in PURPOSE.items() if where == section]
    assert set(told) == set(PURPOSE)
    return "\n".join(parts)


def _table(conn: sa.Connection, table: sa.Table) -> str:
    name = f"{table.schema}.{table.name}"
    asked = {"table": name}
    comments = {column.name: (column.doc or "").replace("<", "&lt;") for column in table.columns}
    lines = [f"### `{name}`", "", PURPOSE[table.name][1], "", "| column | type | meaning |", "| --- | --- | --- |"]
    for column, kind, null, default in conn.execute(_COLUMNS, asked):
        type_ = kind.replace("timestamp with time zone", "timestamptz")
        extra = f"; default `{default}`" if default else ""
        lines.append(f"| `{column}` | {type_}{', null' if null else ''} | {comments[column]}{extra} |")
    lines += ["", *(f"- `{_short(text)}`" for _, text in conn.execute(_CONSTRAINTS, asked))]
    lines += [f"- `{_short(text)}`" for _, text in conn.execute(_INDEXES, asked)]
    lines += [f"- `{_short(text)}`" for _, text in conn.execute(_TRIGGERS, asked)]
    may = [word.lower().replace("select", "read") for word in conn.scalars(_GRANTS, asked)]
    lines += [f"- `orderflow_app` may {', '.join(may)}" if may else "- `orderflow_app` may do nothing"]
    return "\n".join(lines).replace("|  |", "| |").replace("| ; default", "| default") + "\n"


def _short(text: str) -> str:
    """Without what says nothing: schemas, casts of literals and the default access method."""
    for noise in ("orderflow_vault.", "orderflow.", "::text[]", "::text", " USING btree"):
        text = text.replace(noise, "")
    return text
