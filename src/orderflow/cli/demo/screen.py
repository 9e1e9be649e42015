"""What is seen while the demo runs: a panel that is drawn anew, or a line now and then where there is no terminal.

It only looks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

import sqlalchemy as sa
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orderflow.cli.demo.world import World
from orderflow.store import log
from orderflow.store.tables import effects, orders, outbox

HORIZON: Final = timedelta(minutes=5)
"""What is due later than this counts as the far future: age limits, in the demo."""
_LINE_EVERY: Final = 5.0
_LOOK_EVERY: Final = 0.4


@dataclass(frozen=True, slots=True)
class Pulse:
    """How far everything is. `resting`: orders for which nothing is due before the horizon."""

    placed: int
    over: int
    resting: int
    events: int
    delivered: int
    faults: int
    statuses: tuple[tuple[str, int], ...]


def pulse(world: World) -> Pulse:
    """Look once."""
    with world.app.engine.connect() as conn:
        now = sa.func.orderflow.wall_clock()
        busy = sa.select(outbox.c.order_id).where(outbox.c.next_at < now + HORIZON, ~outbox.c.parked)
        statuses = conn.execute(sa.select(orders.c.status, sa.func.count()).group_by(orders.c.status)).tuples().all()
        known = sum(count for _, count in statuses)
        waiting = conn.scalar(sa.select(sa.func.count(sa.distinct(busy.subquery().c.order_id)))) or 0
        delivered = sa.select(sa.func.count()).select_from(effects).where(effects.c.state == "delivered")
        return Pulse(
            placed=world.player.placed,
            over=world.player.finished,
            resting=max(0, known - waiting),
            events=sum(log.head(conn, store) for store in world.app.tenants),
            delivered=conn.scalar(delivered) or 0,
            faults=world.fault_count,
            statuses=tuple(sorted(statuses)),
        )


class Screen:
    """Shows the pulse of a world."""

    def __init__(self, world: World, out: Console) -> None:
        self._world = world
        self._out = out
        self._total = len(world.player.script)
        self._live = Live(console=out, auto_refresh=False, transient=True) if out.is_terminal else None
        self._events = -1
        self._since = self._said = time.monotonic()

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def quiet(self) -> float:
        """Seconds since the last event was recorded."""
        return time.monotonic() - self._since

    def until(self, condition: Callable[[], bool], phase: str, seconds: float) -> bool:
        """Show until the condition holds, at most so long; whether it does."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._show(phase)
            if condition():
                return True
            time.sleep(_LOOK_EVERY)
        return False

    def _show(self, phase: str) -> None:
        now = pulse(self._world)
        if now.events != self._events:
            self._events, self._since = now.events, time.monotonic()
        if self._live is not None:
            self._live.update(self._panel(now, phase), refresh=True)
        elif time.monotonic() - self._said >= _LINE_EVERY:
            self._said = time.monotonic()
            self._out.print(
                f"{phase}: {now.placed} of {self._total} placed, {now.resting} at rest, "
                f"{now.events} events, {now.delivered} effects, {now.faults} faults"
            )

    def _panel(self, now: Pulse, phase: str) -> Group:
        bars = Table.grid(padding=(0, 1))
        for name, count in (("placed", now.placed), ("lived", now.over), ("at rest", now.resting)):
            bars.add_row(name, ProgressBar(self._total, count, width=40), f"{count} of {self._total}")
        bars.add_row("effects", "", str(now.delivered))
        bars.add_row("events", "", str(now.events))
        bars.add_row("faults", "", str(now.faults))
        statuses = " · ".join(f"{count} {status}" for status, count in now.statuses)
        return Group(Text(phase, style="bold"), bars, Text(statuses))
