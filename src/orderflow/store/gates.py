"""Gates: what is known of each destination of a store that bears on calling it at all, for every process the same.

It never decides: `relay.pacing` and `relay.breaker` do. A gate is inserted and trimmed, never updated, and its last row
stays: under an old snapshot it is still found at once, whatever became of the ones before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, LiteralString

import sqlalchemy as sa

from orderflow.store.direct import fetch

Place = tuple[str, str]
"""A destination of a store."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One destination of one store, as the columns of `gates` say; times are the database's, spans in seconds.

    Rows are leased only from `shut_until` on; by one process at a time if it is `guarded`. What comes back is taken
    note of only while it is `watched`, or says that something is amiss.
    """

    store: str
    destination: str
    seq: int = 0
    shut_until: datetime | None = None
    guarded: bool = False
    watched: bool = False
    reason: str = ""
    rest_until: datetime | None = None
    rests: int = 0
    spacing: float = 0.0
    started_at: datetime | None = None
    in_flight: tuple[datetime, ...] = ()
    broken_until: datetime | None = None
    broken_for: float = 0.0
    probe_until: datetime | None = None
    watched_from: datetime | None = None
    failures: int = 0
    calls: int = 0


_COLUMNS: Final = tuple(Gate.__slots__)
_NEWEST: Final = f"""
    SELECT {", ".join(f"g.{name}" for name in _COLUMNS)}, clock.now
    FROM (SELECT orderflow.wall_clock() AS now) AS clock
    LEFT JOIN LATERAL (
        SELECT * FROM orderflow.gates WHERE store = %s AND destination = %s ORDER BY seq DESC LIMIT 1
    ) AS g ON true
"""


def read(conn: sa.Connection, place: Place) -> tuple[Gate, datetime]:
    """The gate as it stands, and the database's time. One that nobody ever wrote is open."""
    [row] = fetch(conn, _NEWEST, place)
    return _gate(place, row[:-1]), row[-1]


def _gate(place: Place, row: Sequence[Any]) -> Gate:
    gate = Gate(*place) if row[0] is None else Gate(*row)
    return replace(gate, in_flight=tuple(gate.in_flight))


# The number of a lock is made of the place's names; two places that share one only wait for each other.
_LOCK: Final = "hashtextextended('gate ' || %s || ' ' || %s, 0)"
_WAIT: Final[LiteralString] = f"SELECT pg_advisory_xact_lock({_LOCK})"
_TRY: Final[LiteralString] = f"SELECT pg_try_advisory_xact_lock({_LOCK})"


def hold(conn: sa.Connection, place: Place) -> tuple[Gate, datetime]:
    """The gate, kept from everybody else until the transaction ends. Waits; take several in one order for all."""
    fetch(conn, _WAIT, place)
    return read(conn, place)


def hold_if_free(conn: sa.Connection, place: Place) -> tuple[Gate, datetime] | None:
    """The same without waiting: None while somebody else holds it."""
    [(got,)] = fetch(conn, _TRY, place)
    return read(conn, place) if got else None


_PLACE: Final = ("store", "destination")
_WRITE: Final = sa.text(
    f"""
    WITH trimmed AS (
        DELETE FROM orderflow.gates WHERE (store, destination, seq) = (:store, :destination, CAST(:seq AS bigint))
    )
    INSERT INTO orderflow.gates ({", ".join(_COLUMNS)}, at)
    SELECT {", ".join(f":{name} + 1" if name == "seq" else f":{name}" for name in _COLUMNS)}, orderflow.wall_clock()
    """
)


def write(conn: sa.Connection, gate: Gate) -> None:
    """Let the gate stand so from now on. Only under `hold` or `hold_if_free`, and with the `seq` that it had there."""
    conn.execute(_WRITE, {name: getattr(gate, name) for name in _COLUMNS} | {"in_flight": list(gate.in_flight)})


def reopen(conn: sa.Connection, place: Place) -> bool:
    """Forget what was learnt: no rest, no open breaker, nothing counted. False if there was nothing to forget."""
    gate, _ = hold(conn, place)
    fresh = Gate(*place, seq=gate.seq, started_at=gate.started_at, in_flight=gate.in_flight)
    if gate == replace(fresh, shut_until=gate.shut_until):
        return False
    write(conn, fresh)
    return True


_STANDING: Final = sa.text(
    f"""
    SELECT {", ".join(f"g.{name}" for name in _COLUMNS)}
    FROM unnest(CAST(:destinations AS text[])) AS d (destination)
    CROSS JOIN LATERAL (
        SELECT * FROM orderflow.gates WHERE store = :store AND destination = d.destination ORDER BY seq DESC LIMIT 1
    ) AS g
    ORDER BY g.destination
    """
)


def standing(conn: sa.Connection, store: str) -> list[Gate]:
    """The gates of `store` that were ever written, without a lock: for looking at."""
    rows = conn.execute(_STANDING, {"store": store, "destinations": ["glopal", "shop"]})
    return [_gate((row[0], row[1]), row) for row in rows]
