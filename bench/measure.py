"""What is measured and how: samples, producers that are threads, and the few statistics that are shown.

It never averages over rounds: a figure is a median with its lowest and highest.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sample:
    """One contestant in one round: `count` things in `seconds`; p50 and p99 in ms where single ones were timed."""

    count: int
    seconds: float
    p50: float | None = None
    p99: float | None = None
    extra: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Things a second."""
        return self.count / self.seconds if self.seconds > 0 else 0.0

    def figure(self, name: str) -> float | None:
        """The figure called `name`: rate, seconds, p50, p99, or one of `extra`."""
        if name in {"rate", "seconds", "p50", "p99"}:
            found: float | None = getattr(self, name)
            return found
        return self.extra.get(name)


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, lowest and highest over the rounds."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """The spread of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie."""
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


def timed(latencies: Sequence[float], seconds: float, each: int = 1) -> Sample:
    """A sample out of single durations in seconds; `each`: things done in one of them."""
    ordered = sorted(latencies)
    p50, p99 = (percentile(ordered, share) * 1000 if ordered else None for share in (0.5, 0.99))
    return Sample(len(ordered) * each, seconds, p50, p99)


@dataclass
class Clock:
    """Seconds between the ends of a `with stopwatch()`."""

    seconds: float = 0.0


@contextmanager
def stopwatch() -> Iterator[Clock]:
    """Time a block."""
    clock, began = Clock(), time.perf_counter()
    yield clock
    clock.seconds = time.perf_counter() - began


Act = Callable[[], object]


def produce(producers: int, seconds: float, prepared: Callable[[int], Act], *, each: int = 1) -> Sample:
    """So many threads of this process, each doing its act again and again; what ends after a warm-up counts.

    A producer that is slower than that is waited for, so that each counts once at least. `prepared(n)` is called in the
    thread of producer `n`. The first error of any thread is raised here.
    """
    warm, ends = min(0.3, seconds / 3), 0.0
    latencies: list[list[float]] = [[] for _ in range(producers)]
    last = [0.0] * producers
    errors: list[BaseException] = []
    ready = threading.Barrier(producers + 1)

    def run(number: int) -> None:
        try:
            act = prepared(number)
            ready.wait(60)
            mine = latencies[number]
            while (began := time.perf_counter()) < ends or not mine:
                act()
                done = time.perf_counter()
                if counted <= done and (done <= ends or not mine):
                    mine.append(done - began)
                    last[number] = done
        except BaseException as error:  # noqa: BLE001  it is raised where all threads are waited for
            errors.append(error)
            ready.abort()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(producers)]
    for thread in threads:
        thread.start()
    counted = ends = time.perf_counter() + 3600.0  # nobody begins before the barrier
    try:
        while ready.n_waiting < producers and not ready.broken:
            time.sleep(0.001)
        counted = time.perf_counter() + warm
        ends = counted + seconds
        ready.wait(60)
    except threading.BrokenBarrierError:
        pass
    for thread in threads:
        thread.join()
    if errors:
        raise next((e for e in errors if not isinstance(e, threading.BrokenBarrierError)), errors[0])
    return timed([one for mine in latencies for one in mine], max(seconds, max(last) - counted), each)


def together(workers: int, task: Callable[[int], object]) -> float:
    """Run `task(n)` in so many threads; how many seconds until the last has ended."""
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            task(number)
        except BaseException as error:  # noqa: BLE001  as in `produce`
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(workers)]
    with stopwatch() as clock:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
    return clock.seconds
