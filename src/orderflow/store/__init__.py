"""Everything that speaks to Postgres: tables, the log, the outbox, keys, migrations and the embedded server.

It must never know a rule of the order state machine; rules live in ``orderflow.domain``.
"""
