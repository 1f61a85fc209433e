# SPDX-License-Identifier: BSD-3-Clause
"""Medians and spreads of measurements, ratios between pairs."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import Callable, Hashable, Iterable


@dataclass(frozen=True)
class Spread:
    """What several rounds have given."""

    median: float
    low: float
    high: float
    rounds: int

    @staticmethod
    def of(values: list[float]) -> Spread:
        return Spread(statistics.median(values), min(values), max(values), len(values))

    def text(self, digits: int = 1) -> str:
        return f"{self.median:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def spreads(records: Iterable[dict], value: str, key: Callable[[dict], Hashable]
            ) -> dict[Hashable, Spread]:
    """One spread for each key, over all records that have it."""
    values = defaultdict(list)
    for record in records:
        if value in record:
            values[key(record)].append(record[value])
    return {name: Spread.of(found) for name, found in values.items()}


def ratio(a: Spread | None, b: Spread | None) -> float | None:
    """Of medians; None when there is nothing to divide."""
    if a is None or b is None or b.median == 0:
        return None
    return a.median / b.median


def size_order(size: int | str) -> tuple:
    """Mixes of sizes stand behind the sizes."""
    return isinstance(size, str), size


def size_text(size: int | str) -> str:
    return size.upper() if isinstance(size, str) else f"{size} B"
