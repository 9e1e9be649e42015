"""Results as Markdown: the goals and how they stand, and one table a case.

A figure is a median with its lowest and highest; a goal that is missed says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.measure import Spread, spread
from bench.results import Results


def goals(results: Results) -> str:
    """What, goal, measured, met?"""
    lines = ["| what | goal | measured | met? |", "| --- | --- | --- | --- |"]
    for case in results["cases"].values():
        lines += [_goal(one) for one in case["goals"]]
    return "\n".join(lines) + "\n"


def _goal(goal: dict[str, Any]) -> str:
    value = Spread(**goal["value"])
    sign = "×" if goal["right"] is not None else {"p50": " ms", "rate": "/s"}.get(goal["figure"], "")
    met = "yes" if goal["met"] else "**no**"
    if goal["smaller"]:
        met += ", at a smaller size than the goal's"
    return f"| {goal['what']} | {goal['words']} | {shown(value)}{sign} | {met} |"


def case(entry: dict[str, Any]) -> str:
    """One case: a line a contestant."""
    timed = any("p50" in sample for one in entry["contestants"] for sample in one["samples"])
    extras = list(
        dict.fromkeys(name for one in entry["contestants"] for s in one["samples"] for name in s.get("extra", {}))
    )
    head, figures = [], []
    if entry["figure"] not in extras:
        head.append(entry["unit"].split(",")[0] if entry["figure"] == "rate" else "a second")
        figures.append("rate")
    if timed:
        head, figures = [*head, "p50 ms", "p99 ms"], [*figures, "p50", "p99"]
    head, figures = [*head, *extras], [*figures, *extras]
    lines = [f"| | {' | '.join(head)} |", f"| --- {'| ---: ' * len(head)}|"]
    for one in entry["contestants"]:
        cells = [_cell(one["samples"], figure) for figure in figures]
        lines.append(f"| {one['label']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(samples: list[dict[str, Any]], figure: str) -> str:
    values = [found for sample in samples if (found := figure_of(sample, figure)) is not None]
    return shown(spread(values)) if values else ""


def figure_of(sample: dict[str, Any], figure: str) -> float | None:
    """A figure of a sample as it stands in the file."""
    found: float | None = sample.get(figure, sample.get("extra", {}).get(figure))
    return found


def shown(value: Spread) -> str:
    """`12.3 (11.9–12.8)`."""
    return f"{number(value.median)} ({number(value.low)}–{number(value.high)})"


def number(value: float) -> str:
    """Three digits that count, and thousands apart."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def runs(results: Results) -> Iterator[str]:
    """What the figures were measured on: a paragraph for each machine and its settings, with the runs there."""
    places: dict[str, list[str]] = {}
    for name, facts in results["runs"].items():
        cases = [case for case in results["cases"].values() if case["run"] == name]
        stolen = [case["steal"] for case in cases if case["steal"] is not None]
        steal = f"{max(stolen):g} %" if stolen else "an unknown share"
        loads = [case["load"] for case in cases if case["load"] is not None]
        load = f"{max(loads):g}" if loads else "unknown"
        places.setdefault(_place(facts), []).append(
            f"{name[:16].replace('T', ' ')} UTC at commit {facts['commit']} ({len(cases)} cases; the host took at most "
            f"{steal} of the time; load at most {load})"
        )
    for place, told in places.items():
        yield f"{place} Runs: {', '.join(told)}."


def _place(facts: dict[str, Any]) -> str:
    packages = ", ".join(f"{package} {version}" for package, version in facts["packages"].items())
    settings = ", ".join(f"{setting} {value}" for setting, value in facts["settings"].items())
    return (
        f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']} GiB, {facts['system']}, "
        f"Python {facts['python']}, PostgreSQL {facts['postgres']}, orderflow {facts['orderflow']}, {packages}. "
        f"Settings: {settings}."
    )
