"""Where orderflow's time goes: one profiled sample, the threads that it starts included.

Figures taken meanwhile mean nothing: profiling slows Python down several times over.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from bench.case import OURS, Case
from bench.ground import Ground, Scale

_LINES = 30


def profile(case: Case, url: str, scale: Scale) -> None:
    """Print the functions that took longest by themselves, in a second sample of the first orderflow contestant."""
    ground = Ground(url, scale)
    one = next(one for one in case.contestants if one.who == OURS)
    try:
        one.run(ground)
        ground.sweep()
        with _everywhere() as profiles:
            one.run(ground)
    finally:
        ground.close()
    print(f"== {case.title}: {one.label}")  # noqa: T201  it is what was asked for
    stats = pstats.Stats(profiles[0], stream=sys.stdout)
    for more in profiles[1:]:
        stats.add(more)
    stats.sort_stats("tottime").print_stats(_LINES)


@contextmanager
def _everywhere() -> Iterator[list[cProfile.Profile]]:
    """Profile this thread and those that it starts; from Python 3.12 on only one at a time can be: this one."""
    profiles = [cProfile.Profile()]
    original = threading.Thread.run

    def run(thread: threading.Thread) -> None:
        mine = cProfile.Profile()
        try:
            mine.enable()
        except ValueError:
            original(thread)
            return
        try:
            original(thread)
        finally:
            mine.disable()
            profiles.append(mine)

    threading.Thread.run = run  # type: ignore[method-assign,assignment]
    profiles[0].enable()
    try:
        yield profiles
    finally:
        profiles[0].disable()
        threading.Thread.run = original  # type: ignore[method-assign]
