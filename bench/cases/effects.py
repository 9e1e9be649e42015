"""Effects that cost nothing at the other end: how many does the relay carry out?

Everything that it promises stays on: lease, re-fold, sealed request, intent and outcome in the log, attempts, and the
readers that follow the log meanwhile.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench import ours
from bench.case import OURS, Case, Contestant, Goal
from bench.ground import Ground, Scale, plain
from bench.measure import Sample
from orderflow.connectors import Capabilities, Connector, Delivered, Found, Result, Sight, Subject, Task
from orderflow.domain.events import ShopState, Sighting

_PATIENCE = 300.0


def cases(scale: Scale) -> list[Case]:
    """One case."""
    return [
        Case(
            name="effects",
            title="Effects with a no-op connector",
            unit="effects/s",
            note=(
                f"{scale.effects} drafts that are due, {scale.workers} workers, readers and planner beside them in "
                f"the same process. "
                "procrastinate: as many jobs that do nothing (async tasks, the same number at a time), deferred before."
            ),
            contestants=(
                Contestant("orderflow", OURS, _ours),
                Contestant("procrastinate", "procrastinate", _procrastinate),
            ),
            goals=(Goal("effects, no-op connector", "≥ 3× procrastinate", "orderflow", "procrastinate", at_least=3.0),),
        )
    ]


class Noop:
    """A shop that makes every draft at once, in no time."""

    capabilities = Capabilities()

    def freeze(self, task: Task) -> bytes:
        """As small as a request can be."""
        return task.reference.encode()

    def send(self, request: bytes, *, key: str, in_time: Callable[[], bool]) -> Result:
        """Delivered."""
        del request
        return Delivered(Sighting(key, key, ShopState.DRAFT)) if in_time() else Delivered()

    def close(self) -> None:
        """Nothing to close."""

    def find(self, subject: Subject) -> Sight:
        """Nothing is ever lost here."""
        del subject
        return Found()


def due(ground: Ground) -> str:
    """A database in which so many drafts are planned."""

    def build(url: str) -> None:
        with tempfile.TemporaryDirectory(prefix="orderflow-bench-") as home:
            ours.drafts_due(Path(home), url, ground.scale.effects)

    return ground.once("drafts", build)


def carried_out(ground: Ground, connector: Connector) -> Sample:
    """Let `orderflow work` carry out what is due; until the last outcome is recorded."""
    url, count = ground.fresh(due(ground)), ground.scale.effects
    nowhere = "http://127.0.0.1:9"
    with (
        tempfile.TemporaryDirectory(prefix="orderflow-bench-") as home,
        ours.wired(Path(home), url, nowhere, nowhere, [ours.STORE], ground.scale.workers) as app,
        ours.watching(url, "draft") as open_rows,
        _begun() as began,
        ours.running(ours.with_connectors(app, connector)),
    ):
        while open_rows():
            assert time.perf_counter() - began < _PATIENCE, "it never ends"
            time.sleep(0.005)
        elapsed = time.perf_counter() - began
    return Sample(count, elapsed)


@contextmanager
def _begun() -> Iterator[float]:
    """When the workers were started."""
    yield time.perf_counter()


_ours = partial(carried_out, connector=Noop())


def _procrastinate(ground: Ground) -> Sample:
    from bench import peers  # noqa: PLC0415  only who has it installed

    return Sample(ground.scale.effects, peers.jobs(plain(ground.fresh()), ground.scale.effects, ground.scale.workers))
