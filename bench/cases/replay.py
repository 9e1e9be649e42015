"""Read a whole log, decode every event and fold every order.

Nothing is written; the log is warm.
"""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from bench import bare, ours
from bench.case import OURS, Case, Contestant, Goal
from bench.fill import fill
from bench.ground import Ground, Scale
from bench.measure import Sample, stopwatch
from bench.texts import STEPS, bodies, history

_PEER_ORDERS = 150


def cases(scale: Scale) -> list[Case]:
    """One case a body size."""
    return [
        Case(
            name=f"replay-{size}",
            title=f"Full replay: read, decode, fold, {size} B bodies",
            unit="events/s",
            note=(
                f"{STEPS} events an order. bare: keyset pages as large as orderflow's, in binary, the columns that the "
                "fold needs, `clear` decoded "
                "into a struct of the members that its type can have; nothing is folded. eventsourcing: "
                "`repository.get` of each "
                f"order, with as many events an order ({_PEER_ORDERS} orders); its log with the mapper, nothing "
                f"folded, beside it."
            ),
            contestants=(
                Contestant("orderflow", OURS, partial(_ours, size)),
                Contestant("bare typed read", "bare", partial(_bare, size)),
                Contestant("eventsourcing, each order", "eventsourcing", partial(_repository, size)),
                Contestant("eventsourcing, its log decoded", "eventsourcing", partial(_notifications, size)),
            ),
            goals=(
                Goal(
                    f"full replay, {size} B", "≥ 0.5× the bare typed read", "orderflow", "bare typed read", at_least=0.5
                ),
                Goal(
                    f"full replay, {size} B",
                    "≥ 5× eventsourcing",
                    "orderflow",
                    "eventsourcing, each order",
                    at_least=5.0,
                ),
                Goal(
                    f"full replay, {size} B",
                    "≥ 5× eventsourcing without its fold",
                    "orderflow",
                    "eventsourcing, its log decoded",
                    at_least=5.0,
                ),
            ),
        )
        for size in scale.sizes
    ]


def log_of(ground: Ground, events: int, size: int) -> str:
    """A database with so many events of whole lives."""
    return ground.once(f"log {events} {size}", lambda url: _build(url, events, size))


def _build(url: str, events: int, size: int) -> None:
    fill(url, ours.STORE, history(events, size))


def _ours(size: int, ground: Ground) -> Sample:
    url = log_of(ground, ground.scale.events, size)
    with ours.reader(url) as conn, stopwatch() as clock:
        read, _orders = ours.replay(conn)
    assert read == ground.scale.events
    return Sample(read, clock.seconds)


class _Clear(msgspec.Struct):
    """What `clear` may hold of that which a fold reads."""

    name: str = ""
    effect: str = ""
    generation: int = 0
    attempt: int = 0
    target: str = ""
    status: str | None = None
    said: str = ""
    asked_after: int = 0
    total: str | None = None
    currency: str | None = None
    basis: str = ""
    sighting: dict[str, Any] | None = None
    external: dict[str, Any] | None = None
    ids: dict[str, Any] | None = None


READ = (
    "SELECT position, order_id, version, type, occurred_at, recorded_at, clear, meta "
    f"FROM orderflow.events WHERE store = %s AND position > %s ORDER BY position LIMIT {ours.READS_BY}"
)


def _bare(size: int, ground: Ground) -> Sample:
    url, decode = log_of(ground, ground.scale.events, size), msgspec.json.Decoder(_Clear).decode
    after = 0
    with bare.connect(url) as conn, stopwatch() as clock, conn.cursor(binary=True) as cursor:
        while rows := cursor.execute(READ, (ours.STORE, after)).fetchall():
            for row in rows:
                decode(row[6])
            after = rows[-1][0]
    return Sample(after, clock.seconds)


def _peer(ground: Ground, size: int) -> str:
    from bench import peers  # noqa: PLC0415  only who has it installed

    return ground.once(f"peer {size}", lambda url: _keep(peers.fill(url, _PEER_ORDERS, STEPS, bodies(size))))


def _keep(_ids: list[UUID]) -> None:
    """The ids are asked of the log again: a database may be there already."""


def _repository(size: int, ground: Ground) -> Sample:
    from bench import peers  # noqa: PLC0415  only who has it installed

    with peers.application(_peer(ground, size)) as app:
        ids = list(dict.fromkeys(n.originator_id for n in app.recorder.select_notifications(1, _PEER_ORDERS * STEPS)))
        with stopwatch() as clock:
            for one in ids:
                assert app.repository.get(one).version == STEPS
    return Sample(len(ids) * STEPS, clock.seconds)


def _notifications(size: int, ground: Ground) -> Sample:
    from bench import peers  # noqa: PLC0415  only who has it installed

    with peers.application(_peer(ground, size)) as app:
        last = app.recorder.max_notification_id() or 0
        with stopwatch() as clock:
            read = 0
            while read < last:
                for one in app.recorder.select_notifications(read + 1, 1000):
                    app.mapper.to_domain_event(one)
                    read += 1
    return Sample(last, clock.seconds)
