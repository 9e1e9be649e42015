"""Bring a merchant's history in: a file of events, one a line, into an empty log.

The time ends when everything is durable.
"""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path

from bench import bare, ours
from bench.case import OURS, Case, Contestant, Goal
from bench.fill import COPY, TYPES
from bench.ground import Ground, Scale
from bench.measure import Sample, stopwatch
from bench.texts import bodies


def cases(scale: Scale) -> list[Case]:
    """One case a body size."""
    return [
        Case(
            name=f"import-{size}",
            title=f"Import of history, {size} B bodies",
            unit="events/s",
            note=(
                "orderflow: NDJSON from a file, parsed, sealed, deduplicated and chained. bare: binary COPY of rows "
                "that are "
                "made before the timing, in one transaction."
            ),
            contestants=(
                Contestant("orderflow", OURS, partial(_ours, size)),
                Contestant("bare COPY", "bare", partial(_copy, size)),
            ),
            goals=(Goal(f"import, {size} B", "≥ 0.5× bare COPY", "orderflow", "bare COPY", at_least=0.5),),
        )
        for size in scale.sizes
    ]


def _count(size: int, scale: Scale) -> int:
    return scale.events if size < 2000 else max(scale.events // 4, 200)


def _ours(size: int, ground: Ground) -> Sample:
    url, count, texts = ground.fresh(), _count(size, ground.scale), bodies(max(size - 140, 200))
    with tempfile.TemporaryDirectory(prefix="orderflow-bench-") as home:
        path = Path(home) / "history.ndjson"
        with path.open("wb") as file:
            for number in range(count):
                head = {"event_id": f"e{number}", "event_name": "order.received", "order_id": f"o{number // 4}"}
                head["event_at"] = "2026-01-01T00:00:00Z"
                file.write(json.dumps(head).encode()[:-1] + b', "details": ' + texts[number % len(texts)] + b"}\n")
        with stopwatch() as clock:
            brought = ours.import_file(url, path)
    assert brought == count
    return Sample(count, clock.seconds)


def _copy(size: int, ground: Ground) -> Sample:
    url, count, rows = ground.fresh(), _count(size, ground.scale), bare.Rows(ours.STORE, bodies(size + 28))
    made = [rows.next(f"o{number // 4}", number % 4 + 1) for number in range(count)]
    with bare.connect(url) as conn, stopwatch() as clock, conn.transaction(), conn.cursor().copy(COPY) as copy:
        copy.set_types(TYPES)
        for row in made:
            copy.write_row(row)
    return Sample(count, clock.seconds)
