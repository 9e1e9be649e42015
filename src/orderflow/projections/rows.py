"""How rows get into read models: all rows of a batch by one statement.

It never writes a row by itself, nor a column that a row does not name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

import msgspec
import sqlalchemy as sa

Row = Mapping[str, Any]
"""Values by column; all rows of one call name the same columns."""


def insert(conn: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Put `rows` into `table`. One whose key stands there already is an error."""
    if rows:
        conn.execute(_statement(table, tuple(rows[0]), upsert=False), {"rows": _json(rows)})


def upsert(conn: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Put `rows` into `table`, each in the place of the one that has its key. No key may come twice."""
    if rows:
        conn.execute(_statement(table, tuple(rows[0]), upsert=True), {"rows": _json(rows)})


@cache
def _statement(table: sa.Table, names: tuple[str, ...], *, upsert: bool) -> sa.TextClause:
    """One JSON document of all rows, taken apart by Postgres. Measured: as fast as COPY, at a third of our own time."""
    columns, key = ", ".join(names), [column.name for column in table.primary_key]
    changes = ", ".join(f"{name} = excluded.{name}" for name in names if name not in key)
    clash = f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}" if upsert else ""
    return sa.text(
        f"INSERT INTO {table} ({columns}) "
        f"SELECT {columns} FROM json_populate_recordset(CAST(NULL AS {table}), CAST(:rows AS json)){clash}"
    )


_encode: Final = msgspec.json.Encoder(decimal_format="string").encode


def _json(rows: Sequence[Row]) -> str:
    """Postgres has no NUL in texts; the world has, and it is shown as a replacement character."""
    text = _encode(rows).decode()
    return text if "\\u0000" not in text else _encode([_without_nul(row) for row in rows]).decode()


def _without_nul(row: Row) -> dict[str, Any]:
    return {name: value.replace("\0", "\ufffd") if isinstance(value, str) else value for name, value in row.items()}
