"""Plots as SVG: one bar a contestant on a logarithmic scale, with a whisker from the lowest to the highest.

Written by hand, since a bar needs no library; the same results give the same bytes.
"""

from __future__ import annotations

import math
from html import escape
from typing import Any, Final

from bench.measure import Spread, spread
from bench.tables import figure_of, number

_WIDTH, _LEFT, _RIGHT, _ROW, _TOP = 760, 230, 100, 30, 46
_COLOURS: Final = {"orderflow": "#2563eb", "bare": "#9ca3af"}
_PEER: Final = "#d97706"
_FONT: Final = 'font-family="system-ui, sans-serif" font-size="13"'
_INK: Final = "#6b7280"
"""A grey that can be read on white and on black."""


def bars(entry: dict[str, Any], figure: str | None = None) -> str:
    """The SVG of one case."""
    wanted = figure or entry["figure"]
    rows: list[tuple[str, str, Spread]] = []
    for one in entry["contestants"]:
        values = [found for sample in one["samples"] if (found := figure_of(sample, wanted)) is not None]
        if values and min(values) > 0:
            rows.append((one["label"], one["who"], spread(values)))
    if not rows:
        return ""
    low = math.floor(math.log10(min(row[2].low for row in rows)) - 0.05)
    high = math.ceil(math.log10(max(row[2].high for row in rows)) + 0.05)
    height = _TOP + _ROW * len(rows) + 34
    title = f"{entry['title']} ({entry['unit']})"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" {_FONT} fill="{_INK}">',
        f"<title>{escape(title)}</title>",
        f'<text x="8" y="22" font-size="15" font-weight="600">{escape(title)}</text>',
    ]

    def x(value: float) -> float:
        share = (math.log10(value) - low) / (high - low)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    bottom = _TOP + _ROW * len(rows)
    for power in range(low, high + 1):
        at = x(10.0**power)
        parts.append(f'<path d="M{at} {_TOP - 8}V{bottom}" stroke="{_INK}" stroke-opacity=".25"/>')
        parts.append(f'<text x="{at}" y="{bottom + 18}" text-anchor="middle" font-size="11">{10.0**power:,.15g}</text>')
    for index, (label, who, value) in enumerate(rows):
        y = _TOP + _ROW * index
        colour = _COLOURS.get(who, _PEER)
        middle, left, right = y + 11, x(value.low), x(value.high)
        whisker = f"M{left} {middle}H{right}M{left} {middle - 4}v8M{right} {middle - 4}v8"
        wide = max(1.0, round(x(value.median) - _LEFT, 1))
        parts += [
            f'<text x="{_LEFT - 10}" y="{y + 15}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{_LEFT}" y="{y + 2}" width="{wide}" height="18" rx="2" fill="{colour}"/>',
            f'<path d="{whisker}" stroke="{_INK}" stroke-width="1.5"/>',
            f'<text x="{right + 8}" y="{y + 15}">{number(value.median)}</text>',
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"
