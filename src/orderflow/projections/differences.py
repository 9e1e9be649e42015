"""Row by row: where two read models of the same columns differ, and the exchange of the rows that do.

It never changes a row that is equal in both, and calls nothing equal that shows otherwise: 28.0 is not 28.00.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

EXAMPLES: Final = 10


@dataclass(frozen=True, slots=True)
class Example:
    """One row that differs: its key, and old and new text of each column that does. No old or no new: no such row."""

    key: dict[str, str]
    old: dict[str, str | None] | None
    new: dict[str, str | None] | None


@dataclass(frozen=True, slots=True)
class Differences:
    """What a comparison at `position` found. `columns`: in how many changed rows each column differs."""

    projection: str
    store: str
    position: int
    rows: int
    changed: int
    only_old: int
    only_new: int
    columns: dict[str, int]
    examples: tuple[Example, ...]

    @property
    def count(self) -> int:
        """How many rows differ."""
        return self.changed + self.only_old + self.only_new


def compared(conn: sa.Connection, store: str, position: int, old: sa.Table, new: sa.Table) -> Differences:
    """Compare the rows of `store` in both tables, which stand at `position` and are held there.

    Leaves the keys of those that differ in a table of this transaction, for `exchange`.
    """
    key, columns = _names(old.primary_key.columns), _names(old.columns)
    conn.exec_driver_sql(
        f"CREATE TEMPORARY TABLE differing ON COMMIT DROP AS "
        f"SELECT {_list(key)}, true AS was, true AS stays FROM {old} WITH NO DATA"
    )
    rows = conn.scalar(sa.select(sa.func.count()).select_from(old).where(old.c.store == store)) or 0
    conn.execute(
        sa.text(
            f"""
            INSERT INTO differing
            SELECT {", ".join(f"coalesce(o.{name}, n.{name})" for name in key)},
                   o.store IS NOT NULL, n.store IS NOT NULL
            FROM (SELECT * FROM {old} WHERE store = :store) AS o
            FULL JOIN (SELECT * FROM {new} WHERE store = :store) AS n ON {_same("o", "n", key)}
            WHERE {_differs("o", "n", columns)}
            """
        ),
        {"store": store},
    )
    conn.exec_driver_sql("ANALYZE differing")
    changed, only_old, only_new = conn.execute(_COUNTS).one()
    examples = conn.exec_driver_sql(_examples(old, new, key, columns))
    return Differences(
        projection=str(old.name),
        store=store,
        position=position,
        rows=rows,
        changed=changed,
        only_old=only_old,
        only_new=only_new,
        columns=_by_column(conn, old, new, key),
        examples=tuple(_example(row, key, columns) for row in examples),
    )


_COUNTS: Final = sa.text(
    "SELECT count(*) FILTER (WHERE was AND stays), count(*) FILTER (WHERE NOT stays), count(*) FILTER (WHERE NOT was) "
    "FROM differing"
)


def exchange(conn: sa.Connection, one: sa.Table, other: sa.Table) -> None:
    """Each of the two tables gets the rows of the other that `compared` found to differ."""
    key, columns = _names(one.primary_key.columns), _names(one.columns)
    clash = f"ON CONFLICT ({_list(key)}) DO UPDATE SET " + ", ".join(
        f"{name} = excluded.{name}" for name in columns if name not in key
    )
    conn.exec_driver_sql(
        f"""
        WITH olds AS MATERIALIZED (SELECT t.* FROM {one} AS t JOIN differing AS d ON {_same("t", "d", key)}),
        news AS MATERIALIZED (SELECT t.* FROM {other} AS t JOIN differing AS d ON {_same("t", "d", key)}),
        gone AS (DELETE FROM {one} AS t USING differing AS d WHERE {_same("t", "d", key)} AND NOT d.stays),
        came AS (INSERT INTO {one} ({_list(columns)}) SELECT {_list(columns)} FROM news {clash}),
        left_out AS (DELETE FROM {other} AS t USING differing AS d WHERE {_same("t", "d", key)} AND NOT d.was)
        INSERT INTO {other} ({_list(columns)}) SELECT {_list(columns)} FROM olds {clash}
        """
    )


def _by_column(conn: sa.Connection, old: sa.Table, new: sa.Table, key: Sequence[str]) -> dict[str, int]:
    names = [name for name in _names(old.columns) if name not in key]
    counts = ", ".join(f"count(*) FILTER (WHERE {_differs('o', 'n', [name])})" for name in names)
    found = conn.exec_driver_sql(
        f"SELECT {counts} FROM differing AS d JOIN {old} AS o ON {_same('o', 'd', key)} "
        f"JOIN {new} AS n ON {_same('n', 'd', key)}"
    ).one()
    return {name: count for name, count in zip(names, found, strict=True) if count}


def _examples(old: sa.Table, new: sa.Table, key: Sequence[str], columns: Sequence[str]) -> str:
    texts = ", ".join(f"CAST({side}.{name} AS text)" for side in "on" for name in columns)
    return (
        f"SELECT d.was, d.stays, {texts} FROM differing AS d "
        f"LEFT JOIN {old} AS o ON {_same('o', 'd', key)} LEFT JOIN {new} AS n ON {_same('n', 'd', key)} "
        f"ORDER BY {', '.join(f'd.{name}' for name in key)} LIMIT {EXAMPLES}"
    )


def _example(row: sa.Row[Any], key: Sequence[str], columns: Sequence[str]) -> Example:
    values: list[Any] = list(row)
    was, stays, texts = values[0], values[1], values[2:]
    old = dict(zip(columns, texts[: len(columns)], strict=True))
    new = dict(zip(columns, texts[len(columns) :], strict=True))
    unequal = [name for name in columns if old[name] != new[name]] if was and stays else []
    place = {name: str((old if was else new)[name]) for name in key if name != "store"}
    return Example(
        place,
        {name: _text(old[name]) for name in unequal or columns if name not in key} if was else None,
        {name: _text(new[name]) for name in unequal or columns if name not in key} if stays else None,
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _names(columns: sa.sql.base.ReadOnlyColumnCollection[str, sa.Column[object]]) -> list[str]:
    return [str(column.name) for column in columns]  # a name of SQLAlchemy's is no plain text


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)


def _same(one: str, other: str, key: Sequence[str]) -> str:
    return " AND ".join(f"{one}.{name} = {other}.{name}" for name in key)


def _differs(one: str, other: str, columns: Sequence[str]) -> str:
    """Compared as they are stored, not by the equality of their types."""
    left, right = (", ".join(f"{side}.{name}" for name in columns) for side in (one, other))
    return f"CAST(ROW({left}) AS record) OPERATOR(pg_catalog.*<>) CAST(ROW({right}) AS record)"
