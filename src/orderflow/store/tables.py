"""The schema as it always is: SQLAlchemy Core metadata, kept equal to the migrations by a check.

It never creates tables by itself and maps no objects.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

SCHEMA = "orderflow"
metadata = sa.MetaData(schema=SCHEMA)

_time = sa.DateTime(timezone=True)


def _text(name: str, comment: str = "", *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null, doc=comment)


def _at(name: str, comment: str = "", *, null: bool = False) -> sa.Column[object]:
    return sa.Column(name, _time, nullable=null, doc=comment)


def _number(name: str, comment: str = "") -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, doc=comment)


epochs = sa.Table(
    "epochs",
    metadata,
    _text("store"),
    sa.Column("epoch", sa.Integer, nullable=False, doc="1, and one more each time the database was restored"),
    _number("first_position", "where this epoch begins"),
    sa.Column("forked_from_hash", sa.LargeBinary, doc="hash of the last event kept from the epoch before"),
    _at("opened_at"),
    sa.PrimaryKeyConstraint("store", "epoch"),
)

servers = sa.Table(
    "servers",
    metadata,
    _number("seq", "inserted and trimmed, the newest counts: the server that the last start saw"),
    _number("system_identifier"),
    _number("timeline"),
    _number("database", "the database's own number in its server"),
    _at("seen_at"),
    sa.PrimaryKeyConstraint("seq"),
)

recoveries = sa.Table(
    "recoveries",
    metadata,
    _text("store"),
    sa.Column("epoch", sa.Integer, nullable=False, doc="the epoch that began when it was noticed"),
    _text("reason", "what showed that the database is not where it was"),
    _at("restored_to", "the last sign of life before the fork: trailing re-reads reach back from there", null=True),
    sa.Column("sealed_size", sa.BigInteger, doc="size in the seal that was known then"),
    sa.Column("sealed_chain", sa.LargeBinary, doc="last hash in that seal"),
    _at("noticed_at"),
    sa.Column("read_to", sa.BigInteger, doc="head once Glopal's feed had been read to its end again"),
    _at("opened_at", "effects are kept back while this is null", null=True),
    _text("opened_by", null=True),
    _text("why", null=True),
    sa.PrimaryKeyConstraint("store", "epoch"),
)

left_out = sa.Table(
    "left_out",
    metadata,
    _text("store"),
    _text("order_id", "no effect leaves for it until it was looked up"),
    sa.Column("epoch", sa.Integer, nullable=False, doc="the epoch that was opened without it"),
    _text("by"),
    _text("why"),
    _at("since"),
    sa.PrimaryKeyConstraint("store", "order_id"),
)

streams = sa.Table(
    "streams",
    metadata,
    _text("store"),
    _text("order_id", "Glopal's order id, or ~intake for what names no order"),
    _number("version", "version of the stream's last event"),
    sa.PrimaryKeyConstraint("store", "order_id"),
)

events = sa.Table(
    "events",
    metadata,
    _text("store"),
    _number("position", "gapless per store, in commit order"),
    _text("order_id"),
    _number("version", "gapless per order"),
    sa.Column("event_id", sa.Uuid, nullable=False, doc="made by us; sealed bodies are bound to it"),
    _text("type", "a class of domain.events; Order<Report> for Glopal's reports"),
    _text("source", "who said it: glopal, effect, command"),
    _text("source_id", "the source's own id: the same again is a duplicate"),
    _at("occurred_at", "the source's claim", null=True),
    _at("recorded_at", "the database's clock, monotone in position"),
    _text("clear", "allow-listed JSON: what folds, projections and filters need; nothing personal"),
    sa.Column("body", sa.LargeBinary, doc="the bytes as they came, sealed"),
    sa.Column("body_key", sa.Uuid, doc="the vault key that seals the body"),
    sa.Column("body_mac", sa.LargeBinary, doc="keyed MAC of the plain body, for comparison"),
    _text("meta", "JSON: machine version of the day, worker"),
    sa.Column("leaf", sa.LargeBinary, nullable=False, doc="SHA-256 over the canonical columns above"),
    sa.Column("hash", sa.LargeBinary, nullable=False, doc="the chain: previous hash, place, time, leaf"),
    sa.PrimaryKeyConstraint("store", "position"),
    sa.UniqueConstraint("store", "order_id", "version", name="events_version"),
    sa.UniqueConstraint("store", "source", "source_id", name="events_source"),
)

cursors = sa.Table(
    "cursors",
    metadata,
    _text("store"),
    _number("seq", "inserting the next one is the compare-and-set; the newest counts"),
    _text("cursor", "id of the last event of the page before"),
    _at("moved_at"),
    sa.PrimaryKeyConstraint("store", "seq"),
)

pulls = sa.Table(
    "pulls",
    metadata,
    _text("store"),
    _at("at", "Glopal was asked with success; inserted and trimmed, the newest counts"),
    sa.PrimaryKeyConstraint("store", "at"),
)

checkpoints = sa.Table(
    "checkpoints",
    metadata,
    _text("reader"),
    _text("store"),
    _number("position", "last position read; inserted and trimmed, the newest counts"),
    _number("count", "events applied on the way there"),
    sa.Column("hash", sa.LargeBinary, nullable=False, doc="the chain over them, as the reader computed it"),
    sa.PrimaryKeyConstraint("reader", "store", "position"),
)

imports = sa.Table(
    "imports",
    metadata,
    _text("store"),
    _text("file", "SHA-256 of its first line"),
    _number("bytes", "so many of its bytes are recorded; inserted and trimmed, the newest counts"),
    _number("lines", "as many lines"),
    _text("digest", "SHA-256 of those bytes: the file may have become another"),
    _at("at"),
    sa.PrimaryKeyConstraint("store", "file", "bytes"),
)

rounds = sa.Table(
    "rounds",
    metadata,
    _text("store"),
    _number("seq", "inserting the next one is the claim; trimmed, the newest counts"),
    _at("began_at", "when this round through the open orders began"),
    _text("after", "the order that was reconciled last"),
    sa.Column("done", sa.Boolean, nullable=False, doc="the round is over; the next begins a period after this one"),
    _at("at"),
    sa.PrimaryKeyConstraint("store", "seq"),
)

pauses = sa.Table(
    "pauses",
    metadata,
    _text("store"),
    _text("scope", "pull, glopal or shop"),
    _text("reason"),
    _text("by", "a person, or orderflow itself"),
    _at("since"),
    sa.PrimaryKeyConstraint("store", "scope"),
)

gates = sa.Table(
    "gates",
    metadata,
    _text("store"),
    _text("destination"),
    _number("seq", "inserted and trimmed, the newest counts; none: nothing was ever amiss there"),
    _at("shut_until", "no row is leased before", null=True),
    sa.Column("guarded", sa.Boolean, nullable=False, doc="rows are leased one process at a time"),
    sa.Column("watched", sa.Boolean, nullable=False, doc="what comes back is taken note of"),
    _text("reason", "what was heard last that shut it"),
    _at("rest_until", "it wants to be left alone until then", null=True),
    sa.Column("rests", sa.Integer, nullable=False, doc="times in a row that it said 429"),
    sa.Column("spacing", sa.Double, nullable=False, doc="seconds between calls, as learnt from its answers"),
    _at("started_at", "when a call was last begun, where that matters", null=True),
    sa.Column("in_flight", pg.ARRAY(_time), nullable=False, doc="ends of the leases under which it is called now"),
    _at("broken_until", "the breaker is open; one call may try from then on", null=True),
    sa.Column("broken_for", sa.Double, nullable=False, doc="seconds that the breaker was opened for last"),
    _at("probe_until", "end of the lease of that one call", null=True),
    _at("watched_from", "the first failure of those counted", null=True),
    sa.Column("failures", sa.Integer, nullable=False, doc="calls since then that say it is down"),
    sa.Column("calls", sa.Integer, nullable=False, doc="all calls since then"),
    _at("at"),
    sa.PrimaryKeyConstraint("store", "destination", "seq"),
)

outbox = sa.Table(
    "outbox",
    metadata,
    _text("store"),
    _text("order_id"),
    _text("destination"),
    _text("effect"),
    sa.Column("generation", sa.Integer, nullable=False),
    _text("state", "planned, intent or unknown; what has ended leaves the outbox"),
    _text("target", "what it acts upon: a shop id, a refund"),
    sa.Column("reads", sa.Boolean, nullable=False, doc="reads need no intent and take no slot"),
    sa.Column("parked", sa.Boolean, nullable=False, doc="due only since machine, policy or mapping changed"),
    sa.Column("shadow", sa.Boolean, nullable=False, doc="planned in shadow: sent only when somebody asks for it"),
    _text("lane", "live, redrive or reconcile"),
    _at("next_at", "not looked at before; whether it is due is asked of the fold"),
    sa.Column("attempt", sa.Integer, nullable=False, doc="of the last intent; 0 before any"),
    sa.Column("failures", sa.Integer, nullable=False, doc="failed reads or look-ups in a row"),
    sa.Column("request", sa.LargeBinary, doc="the frozen request, sealed"),
    sa.Column("request_key", sa.Uuid),
    _text("digest", "of the plain request, keyed", null=True),
    _at("send_by", "its first byte leaves before this time or never", null=True),
    _at("counts_from", "look-ups sent from then on may count as absent", null=True),
    _number("fence", "raised by every lease"),
    _text("owner", null=True),
    _at("lease_until", null=True),
    _text("reason", "why it waits"),
    _at("planned_at"),
    sa.PrimaryKeyConstraint("store", "order_id", "destination", "effect", "generation"),
)
sa.Index(
    "outbox_one_open",
    outbox.c.store,
    outbox.c.order_id,
    outbox.c.destination,
    unique=True,
    postgresql_where=sa.text("state IN ('intent', 'unknown')"),
)
sa.Index(
    "outbox_ready",
    outbox.c.store,
    outbox.c.destination,
    outbox.c.lane,
    outbox.c.next_at,
    postgresql_where=sa.text("NOT parked"),
)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("attempt_id", sa.Uuid, nullable=False),
    _text("store"),
    _text("order_id"),
    _text("destination"),
    _text("effect"),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    _number("fence"),
    _text("kind", "send, look_up or read"),
    _text("digest", "of the plain request, keyed", null=True),
    _at("started_at"),
    sa.Column("milliseconds", sa.Double, nullable=False),
    sa.Column("status", sa.Integer, doc="HTTP status, if there was a reply"),
    _text("outcome", "what the connector made of it"),
    _text("decision", "what the engine did then"),
    _text("worker"),
    sa.Column("response", sa.LargeBinary, doc="capped and sealed"),
    sa.Column("response_key", sa.Uuid),
    sa.PrimaryKeyConstraint("store", "attempt_id"),
)
sa.Index("attempts_order", attempts.c.store, attempts.c.order_id, attempts.c.started_at)
sa.Index("attempts_time", attempts.c.store, attempts.c.started_at)

orders = sa.Table(
    "orders",
    metadata,
    _text("store"),
    _text("order_id"),
    _text("status"),
    _at("status_since", null=True),
    sa.Column("held", pg.ARRAY(sa.Text), nullable=False, doc="hold reasons"),
    sa.Column("attention", pg.ARRAY(sa.Text), nullable=False, doc="kinds of named exceptions"),
    sa.Column("confirmed", sa.Boolean, nullable=False),
    _text("shop_order_id", null=True),
    _text("shop_number", null=True),
    _text("shop_state", null=True),
    _text("external_order_id", "what Glopal shows as the merchant's id", null=True),
    _text("external_number", null=True),
    _text("currency", null=True),
    sa.Column("total", sa.Numeric),
    _text("environment", null=True),
    _text("cancelled_by", "who cancelled it, as Glopal shows it: merchant, glopal", null=True),
    _text("cancelled_why", "the code that Glopal shows", null=True),
    sa.Column("refunded", sa.Numeric, doc="given back by whomever; null where that cannot be told"),
    sa.Column("open_returns", sa.Integer, doc="returns that are neither delivered nor cancelled"),
    _at("born_at", "the earliest time Glopal gives", null=True),
    _at("first_recorded_at"),
    _at("last_recorded_at"),
    _number("version"),
    _number("position", "of the order's last event"),
    sa.Column("machine", sa.Integer, nullable=False, doc="version of the machine that made the snapshot"),
    _text("snapshot", "JSON of domain.order.Order"),
    sa.PrimaryKeyConstraint("store", "order_id"),
)
sa.Index("orders_status", orders.c.store, orders.c.status, orders.c.last_recorded_at)

timeline = sa.Table(
    "timeline",
    metadata,
    _text("store"),
    _number("position"),
    _text("order_id"),
    _number("version"),
    _at("recorded_at"),
    _at("occurred_at", null=True),
    _text("type"),
    _text("summary", "one sentence, nothing personal"),
    _text("status", "of the order after this event"),
    sa.PrimaryKeyConstraint("store", "position"),
)
sa.Index("timeline_order", timeline.c.store, timeline.c.order_id, timeline.c.version)

anomalies = sa.Table(
    "anomalies",
    metadata,
    _text("store"),
    _number("position"),
    _text("kind"),
    _text("order_id"),
    _at("recorded_at"),
    _text("detail"),
    sa.PrimaryKeyConstraint("store", "position", "kind"),
)
sa.Index("anomalies_order", anomalies.c.store, anomalies.c.order_id)

effects = sa.Table(
    "effects",
    metadata,
    _text("store"),
    _text("order_id"),
    _text("destination"),
    _text("effect"),
    sa.Column("generation", sa.Integer, nullable=False),
    _text("target"),
    _text("state", "intended, unknown, to be retried, or a terminal outcome"),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("look_ups", sa.Integer, nullable=False),
    _text("reason"),
    _at("first_intent_at", null=True),
    _at("ended_at", null=True),
    sa.PrimaryKeyConstraint("store", "order_id", "destination", "effect", "generation"),
)

exceptions = sa.Table(
    "exceptions",
    metadata,
    _text("store"),
    _text("order_id"),
    _text("kind", "what happened, in one word; an order has at most one of a kind and subject open"),
    _number("position", "of the event that opened it"),
    sa.Column("number", sa.Integer, nullable=False, doc="among those of its kind that this event opened, from 1"),
    _text("subject", "which one of its kind: the cause's position, a shop id, an attempt"),
    _text("class", "a row of domain.exceptions.CLASSES"),
    _text("text", "what is wrong, for people; nothing personal"),
    sa.Column("commands", pg.ARRAY(sa.Text), nullable=False, doc="what helps, without program name and order"),
    sa.Column("settling", sa.Boolean, nullable=False, doc="Glopal is still being asked"),
    _text("owner", "the class's role, or who it was given to"),
    _at("opened_at", "recorded time of the event that opened it"),
    _text("opened_type", "that event's type"),
    _at("opens_at", "it counts from then on: later than opened_at where only its age makes it an exception"),
    _text("effect", "of the attempt that the opening event speaks of", null=True),
    sa.Column("generation", sa.Integer),
    sa.Column("attempt", sa.Integer),
    sa.Column("closed_position", sa.BigInteger, doc="of the event that proved it over"),
    _at("closed_at", null=True),
    _text("closed_type", "that event's type", null=True),
    _text("closed_by", "who decided it, if it is a decision", null=True),
    sa.PrimaryKeyConstraint("store", "order_id", "kind", "position", "number"),
)
sa.Index(
    "exceptions_open",
    exceptions.c.store,
    exceptions.c.opens_at,
    postgresql_where=sa.text("closed_position IS NULL"),
)
sa.Index("exceptions_closed", exceptions.c.store, exceptions.c.closed_at)

alerts = sa.Table(
    "alerts",
    metadata,
    _text("store"),
    _text("rule"),
    sa.Column(
        "seq", sa.BigInteger, sa.Identity(always=True), nullable=False, doc="the newest says how the rule stands"
    ),
    sa.Column("signal_id", sa.Uuid, nullable=False, doc="the same at every try: receivers tell doubles by it"),
    _text("state", "firing or recovered"),
    _at("at", "when it became so"),
    _text("body", "JSON as it is sent; ids only, nothing personal"),
    _at("next_at", "not tried before: a lease of whoever sends it now, or the pause after a failure"),
    sa.Column("tries", sa.Integer, nullable=False),
    _text("problem", "why it was not taken, at the last try"),
    _at("delivered_at", null=True),
    sa.PrimaryKeyConstraint("store", "rule", "seq"),
)
sa.Index("alerts_waiting", alerts.c.next_at, postgresql_where=sa.text("delivered_at IS NULL"))

kept_metadata = sa.MetaData(schema="orderflow_kept")
"""The read models as they were before a rebuild, until they are released."""


def like(table: sa.Table, into: sa.MetaData, name: str = "") -> sa.Table:
    """A table with the same columns and key, and no second index."""
    key = sa.PrimaryKeyConstraint(*(column.name for column in table.primary_key))
    columns = (sa.Column(column.name, column.type, nullable=column.nullable) for column in table.columns)
    return sa.Table(name or table.name, into, *columns, key)


kept = {table.name: like(table, kept_metadata) for table in (orders, timeline, anomalies, effects, exceptions)}
seals = sa.Table(
    "seals",
    metadata,
    _text("store"),
    sa.Column("epoch", sa.Integer, nullable=False, doc="of the last event that is sealed"),
    _number("size", "how many events are sealed; inserted and trimmed, the newest counts"),
    sa.Column("note", sa.LargeBinary, nullable=False, doc="the seal as it was signed and handed out"),
    sa.Column("frontier", sa.LargeBinary, nullable=False, doc="the tree's perfect subtrees, to go on from"),
    _at("sealed_at"),
    sa.PrimaryKeyConstraint("store", "epoch", "size"),
)

seal_nodes = sa.Table(
    "seal_nodes",
    metadata,
    _text("store"),
    _number("number", "from 0: the tree's node above each 1024 events, so that a path needs few rows"),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.PrimaryKeyConstraint("store", "number"),
)

seal_exports = sa.Table(
    "seal_exports",
    metadata,
    _text("store"),
    _text("exporter", "folder, command or url"),
    sa.Column("seq", sa.BigInteger, sa.Identity(always=True), nullable=False, doc="inserted and trimmed"),
    sa.Column("epoch", sa.Integer, nullable=False),
    _number("size", "of the seal that was handed over"),
    sa.Column("digest", sa.LargeBinary, nullable=False, doc="SHA-256 of that seal as it was signed"),
    sa.Column("taken", sa.Boolean, nullable=False),
    _text("problem", "why it was not taken"),
    _at("at"),
    sa.PrimaryKeyConstraint("store", "exporter", "seq"),
)

vault_metadata = sa.MetaData(schema="orderflow_vault")

keys = sa.Table(
    "keys",
    vault_metadata,
    _text("store"),
    _text("order_id"),
    sa.Column("key_id", sa.Uuid, nullable=False),
    sa.Column("wrapped", sa.LargeBinary, doc="the data key under the master key; gone once destroyed"),
    _at("created_at"),
    _at("destroyed_at", null=True),
    _text("master", "id of the master key that wraps it; none if it was wrapped before master keys had ids", null=True),
    sa.PrimaryKeyConstraint("store", "order_id", "key_id"),
)
sa.Index("keys_current", keys.c.store, keys.c.order_id, unique=True, postgresql_where=sa.text("destroyed_at IS NULL"))

mac_key = sa.Table(
    "mac_key",
    vault_metadata,
    sa.Column("one", sa.Boolean, nullable=False, doc="true: there is one row"),
    sa.Column("wrapped", sa.LargeBinary, nullable=False, doc="the key of all MACs, under the master key"),
    _text("master", "id of the master key that wraps it"),
    sa.PrimaryKeyConstraint("one"),
)
