# SPDX-License-Identifier: BSD-3-Clause
"""Plots as SVG, drawn by ourselves: bars in groups, and lines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

from .stats import Spread

WIDTH, HEIGHT = 760, 380
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 44, 84
PLOT_WIDTH, PLOT_HEIGHT = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
# Told apart by people who see few colours, too.
COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#555555", "#b8a000"]
HEAD = "<!-- SPDX-License-Identifier: BSD-3-Clause; drawn by devtools/bench.py -->"


@dataclass
class Series:
    """One row of values, None where nothing was measured."""

    name: str
    values: list[Spread | None]


class Drawing:
    def __init__(self, title: str) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">',
            HEAD, f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>']
        self.text(WIDTH / 2, 22, title, size=15)

    def add(self, part: str) -> None:
        self._parts.append(part)

    def text(self, x: float, y: float, words: str, anchor: str = "middle", size: int = 12) -> None:
        self.add(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
                 f'fill="#222222">{escape(words)}</text>')

    def line(self, x1: float, y1: float, x2: float, y2: float, colour: str = "#222222",
             width: float = 1) -> None:
        self.add(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                 f'stroke="{colour}" stroke-width="{width}"/>')

    def finish(self) -> str:
        return "\n".join([*self._parts, "</svg>", ""])


def ticks(top: float) -> list[float]:
    """Round numbers from 0 to at least top."""
    step = 10 ** math.floor(math.log10(top / 5)) if top > 0 else 1
    for factor in (1, 2, 5, 10):
        if top / (step * factor) <= 6:
            step *= factor
            break
    return [step * i for i in range(int(math.ceil(top / step - 1e-9)) + 1)]


def largest(series: list[Series]) -> float:
    return max((value.high for row in series for value in row.values if value), default=1)


def draw_axes(drawing: Drawing, marks: list[float], unit: str) -> None:
    for mark in marks:
        y = TOP + PLOT_HEIGHT * (1 - mark / marks[-1])
        drawing.line(LEFT, y, LEFT + PLOT_WIDTH, y, "#dddddd")
        drawing.text(LEFT - 6, y + 4, f"{mark:g}", "end")
    drawing.text(LEFT - 44, TOP - 10, unit, "start")
    drawing.line(LEFT, TOP + PLOT_HEIGHT, LEFT + PLOT_WIDTH, TOP + PLOT_HEIGHT)


def draw_legend(drawing: Drawing, series: list[Series]) -> None:
    width = PLOT_WIDTH / max(1, min(4, len(series)))
    for number, row in enumerate(series):
        x = LEFT + (number % 4) * width
        y = HEIGHT - 36 + (number // 4) * 18
        drawing.add(f'<rect x="{x:.1f}" y="{y - 10}" width="12" height="12" '
                    f'fill="{COLOURS[number % len(COLOURS)]}"/>')
        drawing.text(x + 17, y, row.name, "start")


def draw_whisker(drawing: Drawing, x: float, value: Spread, top: float) -> None:
    low, high = (TOP + PLOT_HEIGHT * (1 - v / top) for v in (value.low, value.high))
    drawing.line(x, low, x, high)
    drawing.line(x - 3, low, x + 3, low)
    drawing.line(x - 3, high, x + 3, high)


def bars(title: str, groups: list[str], series: list[Series], unit: str, below: str = "") -> str:
    """Medians as bars in groups; whiskers from the smallest to the largest value."""
    drawing = Drawing(title)
    marks = ticks(largest(series))
    draw_axes(drawing, marks, unit)
    group_width = PLOT_WIDTH / len(groups)
    width = group_width * 0.84 / len(series)
    for g, group in enumerate(groups):
        left = LEFT + g * group_width + group_width * 0.08
        drawing.text(LEFT + (g + 0.5) * group_width, TOP + PLOT_HEIGHT + 16, group)
        for s, row in enumerate(series):
            value = row.values[g]
            if value is None:
                continue
            height = PLOT_HEIGHT * value.median / marks[-1]
            drawing.add(f'<rect x="{left + s * width:.1f}" y="{TOP + PLOT_HEIGHT - height:.1f}" '
                        f'width="{width * 0.92:.1f}" height="{height:.1f}" '
                        f'fill="{COLOURS[s % len(COLOURS)]}"/>')
            draw_whisker(drawing, left + (s + 0.46) * width, value, marks[-1])
    drawing.text(LEFT + PLOT_WIDTH / 2, TOP + PLOT_HEIGHT + 32, below)
    draw_legend(drawing, series)
    return drawing.finish()


def lines(title: str, points: list[str], series: list[Series], unit: str, below: str = "") -> str:
    """Medians joined by lines, with whiskers; the points are equally far apart."""
    drawing = Drawing(title)
    marks = ticks(largest(series))
    draw_axes(drawing, marks, unit)
    step = PLOT_WIDTH / len(points)
    for p, point in enumerate(points):
        drawing.text(LEFT + (p + 0.5) * step, TOP + PLOT_HEIGHT + 16, point)
    for s, row in enumerate(series):
        colour = COLOURS[s % len(COLOURS)]
        last = None
        for p, value in enumerate(row.values):
            if value is None:
                last = None
                continue
            x = LEFT + (p + 0.5) * step
            y = TOP + PLOT_HEIGHT * (1 - value.median / marks[-1])
            draw_whisker(drawing, x, value, marks[-1])
            drawing.add(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>')
            if last:
                drawing.line(*last, x, y, colour, 2)
            last = (x, y)
    drawing.text(LEFT + PLOT_WIDTH / 2, TOP + PLOT_HEIGHT + 32, below)
    draw_legend(drawing, series)
    return drawing.finish()
