"""Does it stay quick when the log is long, and while somebody holds an old snapshot?

The long log stands in a database of its own; so does a copy of it in which a REPEATABLE READ transaction was opened
long before, with appends going on ever since.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from random import Random

import psycopg

from bench import ours
from bench.case import OURS, Case, Contestant, Goal
from bench.fill import fill
from bench.ground import Ground, Scale, plain
from bench.measure import Sample, percentile
from bench.models import fill_models
from bench.texts import STEPS, history, life
from orderflow.store.connect import connect
from orderflow.store.entry import Entry
from orderflow.store.log import Unit

_SHORT = 14_000
"""Events of the log that counts as empty: a thousand orders, so that there is something to read and show."""
_CLEAR = '{"name":"return.requested","entity_id":null,"event_at":"2026-01-01T00:00:00Z"}'
_PAUSE = 0.01


def cases(scale: Scale) -> list[Case]:
    """One case."""
    settings = ("a long log", "a long log, old reader")
    goals = [
        Goal(
            f"{what} with {scale.grown:,} events"
            + (f" and a {scale.reader_minutes:g}-minute-old reader" if "reader" in other else ""),
            "p50 ≤ 1.5× a short log",
            other,
            "a short log",
            figure=what,
            at_most=1.5,
            needs_full=True,
        )
        for what in ("append", "page read", "order show")
        for other in settings
    ]
    return [
        Case(
            name="grown",
            title=f"With {scale.grown:,} events stored",
            unit="ms, p50",
            note=(
                f"A short log has {_SHORT:,} events, the long one {scale.grown:,}. Old reader: a REPEATABLE READ "
                f"transaction opened "
                f"{scale.reader_minutes:g} minutes before, with about {1 / _PAUSE:.0f} appends a second since then. "
                f"An append is a fact for "
                "one of the last thousand orders, a page read takes 100 events from anywhere, a show is what "
                "`orderflow orders show` asks of any order. The read models orders and timeline have the rows of every "
                "order; outbox, attempts and the other read models are empty."
            ),
            figure="append",
            contestants=tuple(Contestant(name, OURS, partial(_measured, name)) for name in ("a short log", *settings)),
            goals=tuple(goals),
        )
    ]


def _database(setting: str, ground: Ground) -> tuple[str, int]:
    events = ground.scale.grown
    if setting == "a short log":
        events = min(events, _SHORT)
        return ground.once("short", partial(_filled, events)), events
    long = ground.once("long", partial(_filled, events))
    if setting == "a long log":
        return long, events
    return ground.once("old", partial(_grow_old, ground, events), copy_of=long), events


def _filled(events: int, url: str) -> None:
    fill(url, ours.STORE, history(events, 400))
    fill_models(url)


def _grow_old(ground: Ground, events: int, url: str) -> None:
    """Open a snapshot that stays, and append beside it for a while."""
    conn = ground.holds.enter_context(psycopg.connect(plain(url)))
    conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    conn.execute("SELECT count(*) FROM orderflow.epochs")
    ends = time.perf_counter() + ground.scale.reader_minutes * 60
    with ours.appender(url, 1) as append:
        act = _appending(append, events, "old")
        while time.perf_counter() < ends:
            act()
            time.sleep(_PAUSE)


def _appending(append: Callable[[str, Unit], object], events: int, word: str) -> Callable[[], object]:
    rng, names = Random(1), count()  # noqa: S311  figures, not secrets
    lives = max(events // STEPS, 1)

    def act() -> None:
        order_id, name = life(max(0, lives - 1 - rng.randrange(1000))), next(names)
        entry = Entry(order_id, "Unrecognised", "glopal", f"{word}{time.time_ns()}:{name}", _CLEAR, meta=ours.META)
        append(ours.STORE, Unit((entry,)))

    return act


def _measured(setting: str, ground: Ground) -> Sample:
    url, events = _database(setting, ground)
    rng, engine = Random(2), connect(url)  # noqa: S311  as above
    lives = max(events // STEPS, 1)
    nowhere = "http://127.0.0.1:9"
    found: dict[str, float] = {}
    with (
        tempfile.TemporaryDirectory(prefix="orderflow-bench-") as home,
        ours.wired(Path(home), url, nowhere, nowhere, [ours.STORE], 1) as app,
        ours.appender(url, 1) as append,
    ):
        acts: dict[str, Callable[[], object]] = {
            "append": _appending(append, events, "new"),
            "page read": lambda: ours.read_page_at(engine, rng.randrange(max(events - 100, 1))),
            "order show": lambda: ours.show(app, life(rng.randrange(lives))),
        }
        for name, act in acts.items():
            found[name] = _p50(act, ground.scale.seconds)
    engine.dispose()
    return Sample(1, 1.0, extra=found)


def _p50(act: Callable[[], object], seconds: float) -> float:
    warm = time.perf_counter() + seconds / 4
    while time.perf_counter() < warm:
        act()
    took, ends = [], time.perf_counter() + seconds
    while (began := time.perf_counter()) < ends:
        act()
        took.append(time.perf_counter() - began)
    return percentile(sorted(took), 0.5) * 1000
