"""Read models that are behind catch up with the log.

The checkpoint moves in the same transaction as the rows, for everybody.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench import ours
from bench.case import OURS, Case, Contestant, Goal
from bench.cases.replay import log_of
from bench.ground import Ground, Scale
from bench.measure import Sample, stopwatch
from bench.texts import bodies

_PEER_EACH = 4


def cases(scale: Scale) -> list[Case]:
    """One case."""
    del scale
    return [
        Case(
            name="projection",
            title="Live projection",
            unit="events/s",
            note=(
                "orderflow: orders, timeline, anomalies, effects and the planner together, as `orderflow work` runs "
                "them, 400 B "
                "bodies. eventsourcing: its projection runner with a row an order and a line an event, which is its "
                "way: one "
                "transaction an event."
            ),
            contestants=(
                Contestant("orderflow", OURS, _ours),
                Contestant("eventsourcing", "eventsourcing", _eventsourcing),
            ),
            goals=(
                Goal("live projection", "≥ 25× eventsourcing's runner", "orderflow", "eventsourcing", at_least=25.0),
            ),
        )
    ]


def _ours(ground: Ground) -> Sample:
    url, nowhere = ground.fresh(log_of(ground, ground.scale.events, 400)), "http://127.0.0.1:9"
    with (
        tempfile.TemporaryDirectory(prefix="orderflow-bench-") as home,
        ours.wired(Path(home), url, nowhere, nowhere, [ours.STORE], 1) as app,
        stopwatch() as clock,
    ):
        done = ours.catch_up_all(app)
    assert done == ground.scale.events
    return Sample(done, clock.seconds)


def _eventsourcing(ground: Ground) -> Sample:
    from bench import peers  # noqa: PLC0415  only who has it installed

    orders = max(10, int(150 * ground.scale.seconds))
    url = ground.fresh(ground.once("peer", lambda at: _fill(at, orders)))
    events = orders * _PEER_EACH
    return Sample(events, peers.project(url, events))


def _fill(url: str, orders: int) -> None:
    from bench import peers  # noqa: PLC0415  only who has it installed

    peers.fill(url, orders, _PEER_EACH, bodies(400))
