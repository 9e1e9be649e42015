"""Recompute the whole log: contiguity, leaves, chain, versions.

Beside it: the same columns read and the same bytes hashed, with nothing compared.
"""

from __future__ import annotations

import hashlib
from functools import partial

from bench import bare, ours
from bench.case import OURS, Case, Contestant, Goal
from bench.cases.replay import log_of
from bench.fill import COLUMNS
from bench.ground import Ground, Scale
from bench.measure import Sample, stopwatch


def cases(scale: Scale) -> list[Case]:
    """One case a body size."""
    return [
        Case(
            name=f"verify-{size}",
            title=f"Verify the log, {size} B bodies",
            unit="events/s",
            note=(
                "bare: keyset pages of 1000 in binary, no cell made into a value of Python's; per event SHA-256 over "
                "the columns of its leaf, and over the hash before it."
            ),
            contestants=(
                Contestant("orderflow", OURS, partial(_ours, size)),
                Contestant("read and hash", "bare", partial(_hashed, size)),
            ),
            goals=(
                Goal(f"verify, {size} B", "≥ 0.6× of reading and hashing", "orderflow", "read and hash", at_least=0.6),
            ),
        )
        for size in scale.sizes
    ]


def _ours(size: int, ground: Ground) -> Sample:
    url = log_of(ground, ground.scale.events, size)
    with stopwatch() as clock:
        last = ours.verify(url)
    assert last == ground.scale.events
    return Sample(last, clock.seconds)


_READ = (
    f"SELECT {', '.join(COLUMNS)} FROM orderflow.events WHERE store = %s AND position > %s ORDER BY position LIMIT 1000"
)


_LEAF = [COLUMNS.index(name) for name in COLUMNS if name not in {"position", "version", "recorded_at", "leaf", "hash"}]


def _hashed(size: int, ground: Ground) -> Sample:
    """The cells are taken as the bytes that came over the wire: nothing of them is made into Python's values."""
    url, after, previous = log_of(ground, ground.scale.events, size), 0, bytes(32)
    sha = hashlib.sha256
    with bare.connect(url) as conn, stopwatch() as clock, conn.cursor(binary=True) as cursor:
        while cursor.execute(_READ, (ours.STORE, after)).rowcount:
            page = cursor.pgresult
            assert page is not None
            cell = page.get_value
            for row in range(page.ntuples):
                plain = b"".join([cell(row, column) or b"" for column in _LEAF])
                previous = sha(previous + sha(plain).digest()).digest()
            after = int.from_bytes(cell(page.ntuples - 1, 1) or b"", "big")
    return Sample(after, clock.seconds)
