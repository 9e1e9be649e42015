"""The page that tells what one small machine carries: text with the figures of a run in it.

A sentence whose figure was not measured is left out, and named at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from bench.measure import Spread, spread
from bench.results import Results
from bench.tables import figure_of, number, shown

_DAY: Final = 86_400
_PEAK: Final = 36_000
"""Seconds of a day at the pace of its busiest hour, if that hour holds a tenth of the day's orders."""
_HEAD: Final = """\
# What one small machine carries

<!-- Written by `python -m bench --write-docs`; edit bench/capacity.py instead. -->

Every figure here was measured by `make bench` or `make bench-full`
([all of them](../reference/benchmarks.md)): the median of its rounds with the lowest and the highest.
The machine: {machine}.

On it run Postgres, orderflow, and the Glopal and the shop that orderflow talks to, so a real machine, whose Glopal and
shop are elsewhere, has more to give; but real ones answer more slowly than a sandbox, and then more workers are needed
for the same pace.

"""


@dataclass
class _Figures:
    """What was measured, and what was asked for in vain."""

    results: Results
    missing: list[str] = field(default_factory=list)

    def get(self, case: str, label: str, figure: str) -> Spread | None:
        """A figure of a contestant over the rounds."""
        for one in self._case(case).get("contestants", []):
            if one["label"] == label:
                values = [found for sample in one["samples"] if (found := figure_of(sample, figure)) is not None]
                if values:
                    return spread(values)
        self.missing.append(f"{case}: {label}, {figure}" if self._case(case) else f"{case}: all of it")
        return None

    def _case(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.results["cases"].get(name, {})
        return found

    def scale(self, case: str, name: str) -> Any:
        """A number of the scale that a case ran at."""
        return self._case(case).get("scale", {}).get(name)


Said = Callable[[_Figures], Iterator[str]]


def capacity(results: Results) -> str:
    """The page."""
    figures = _Figures(results)
    run = next(iter(results["runs"].values()), None)
    machine = (
        "unknown"
        if run is None
        else f"{run['cpu']}, {run['cores']} cores, {run['memory_gib']} GiB, PostgreSQL {run['postgres']}"
    )
    parts = [_HEAD.format(machine=machine)]
    sections: tuple[tuple[str, Said], ...] = (
        ("Orders a day", _orders),
        ("What limits it", _limits),
        ("How cost grows", _growth),
        ("What to do beyond", _beyond),
    )
    for title, said in sections:
        if lines := list(said(figures)):
            parts.append(f"## {title}\n\n" + "\n".join(lines) + "\n\n")
    if figures.missing:
        parts.append(
            "## Not measured in these runs\n\n" + "".join(f"- {one}\n" for one in dict.fromkeys(figures.missing))
        )
    return "".join(parts).rstrip("\n") + "\n"


def _orders(figures: _Figures) -> Iterator[str]:
    workers = figures.scale("river", "workers") or 0
    rate = figures.get("river", f"1 store, {workers} workers", "rate")
    if rate is None:
        return
    yield (
        f"One `orderflow work` with {workers} workers and one store carries **{shown(rate)} orders a second** through "
        f"the whole river: "
        "pulled, recorded, projected, fetched, drafted, promoted and accepted over HTTP. That would be "
        f"{number(rate.median * _DAY)} orders in a day without peaks. If the busiest hour holds a tenth of a day's "
        f"orders, it is room for "
        f"**{number(rate.median * _PEAK)} orders a day** without falling behind in that hour; what falls behind is "
        "caught up later, "
        "nothing is lost."
    )
    events = figures.get("river", f"1 store, {workers} workers", "events an order")
    if events is not None:
        yield f"\nAn order makes {number(events.median)} events up to its acceptance."


def _limits(figures: _Figures) -> Iterator[str]:
    workers = figures.scale("river", "workers") or 0
    cores = figures.get("river", f"1 store, {workers} workers", "cores of orderflow")
    if cores is not None:
        yield (
            f"- **The processor.** During that run the process of `orderflow work` used {shown(cores)} cores; a "
            f"Python process cannot use "
            "much more than one, whatever the number of its threads."
        )
    one, usual, more = (figures.get("river", _label(count), "rate") for count in (1, workers, 2 * workers))
    if one is not None and usual is not None and more is not None:
        yield (
            f"- **Workers that wait for answers.** One worker carries {shown(one)} orders/s, {workers} carry "
            f"{shown(usual)}, {2 * workers} "
            f"carry {shown(more)}. The sandbox answers at once; the slower the real shop is, the more workers pay."
        )
    append, rate = (
        figures.get("append-400", "orderflow", "rate"),
        figures.get("river", f"1 store, {workers} workers", "rate"),
    )
    events = figures.get("river", f"1 store, {workers} workers", "events an order")
    if append is not None and rate is not None and events is not None:
        share = 100 * rate.median * events.median / append.median
        yield (
            f"- **The log.** Sixteen producers append {shown(append)} events/s of 400 B, one event a call; the "
            f"river above writes "
            f"{number(rate.median * events.median)} events/s, {number(share)} % of that."
        )
    single, bare = (
        figures.get("single-400", "orderflow", "p50"),
        figures.get("single-400", "bare INSERT + commit", "p50"),
    )
    if single is not None and bare is not None:
        yield (
            f"- **The disk's flush, for whoever waits alone.** One append takes {shown(single)} ms (p50), of which a "
            f"bare INSERT with its "
            f"commit takes {shown(bare)} ms on this disk."
        )
    wake = figures.get("wakeup", "orderflow", "p50")
    if wake is not None:
        yield (f"- **The wake-up.** While idle, {shown(wake)} ms (p50) pass from a recorded event to its HTTP request.")


def _growth(figures: _Figures) -> Iterator[str]:
    workers = figures.scale("river", "workers") or 0
    size = figures.get("river", f"1 store, {workers} workers", "bytes an order")
    if size is not None:
        yield (
            f"- **Disk**: {number(size.median / 1000)} kB an order with all read models and indexes, so about "
            f"{number(size.median / 1000)} GB for a million orders (computed from {figures.scale('river', 'orders')} "
            f"orders)."
        )
    events, minutes = figures.scale("grown", "grown"), figures.scale("grown", "reader_minutes")
    for what in ("append", "page read", "order show"):
        short, long, old = (
            figures.get("grown", label, what) for label in ("a short log", "a long log", "a long log, old reader")
        )
        if short is not None and long is not None and old is not None:
            yield (
                f"- **{what.capitalize()}**: p50 {shown(short)} ms with a short log, {shown(long)} ms with {events:,} "
                f"events, and "
                f"{shown(old)} ms beside a snapshot that has been open for {minutes:g} minutes."
            )
    for what, case, label in (
        ("A full replay", "replay-400", "orderflow"),
        ("A rebuild of the orders projection", "rebuild", "orderflow"),
        ("`orderflow verify`", "verify-400", "orderflow"),
        ("An import of history", "import-400", "orderflow"),
    ):
        rate = figures.get(case, label, "rate")
        if rate is not None:
            yield (
                f"- **{what}** goes through {shown(rate)} events/s, so a million events take about "
                f"{number(1e6 / rate.median)} s: "
                "it grows with the length of the log."
            )


def _beyond(figures: _Figures) -> Iterator[str]:
    workers = figures.scale("river", "workers") or 0
    one = figures.get("river", f"1 store, {workers} workers", "rate")
    for stores in (2, 4):
        same = figures.get("river", f"{stores} stores, {workers} workers", "rate")
        apart = figures.get("river", f"{stores} stores, {workers} workers, {stores} processes", "rate")
        if one is not None and same is not None and apart is not None:
            yield (
                f"- **{stores} stores**: {shown(same)} orders/s in one process, {shown(apart)} with a process each, "
                f"against "
                f"{shown(one)} of one store in one process."
            )
    yield (
        "- **More workers** (`workers` in the settings) help as long as they wait for answers, **more processes** of "
        "`orderflow work`, on "
        "this host or on others, as long as there are cores: leases with fences in Postgres coordinate them."
    )
    single, spread_ = (
        figures.get("append-400", "orderflow", "rate"),
        figures.get("append-400", "orderflow, over 4 stores", "rate"),
    )
    if single is not None and spread_ is not None:
        yield (
            f"- **A bigger Postgres**: a store's appends follow one another, stores do not wait for each other. "
            f"Sixteen producers append "
            f"{shown(single)} events/s to one store and {shown(spread_)} spread over four on this machine."
        )
    yield (
        "- **Distribution by store**: every key and unique constraint begins with the store, so stores can be given "
        "databases of their "
        "own, each with its `orderflow work`. Nothing is shared between them."
    )


def _label(workers: int) -> str:
    return f"1 store, {workers} worker{'s' if workers > 1 else ''}"
