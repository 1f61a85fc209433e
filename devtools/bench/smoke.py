# SPDX-License-Identifier: BSD-3-Clause
"""The short comparison for every test run: is ours, with a wide margin, as fast as it was?"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from . import testpmd
from .child import BenchError
from .ends import PAIRS, Tools
from .plan import DISTURBED
from .stats import Spread

SIZE = 64
SECONDS = 1.0
ROUNDS_LEAST = 3
ROUNDS_MOST = 5
BUDGET = 24.0  # a round that would begin later is left out
WANTED = 1.0  # some 1.7 is normal: a fall to half is seen, noise is not


@dataclass
class Smoke:
    rates: dict[str, list[float]] = field(default_factory=lambda: {"ours": [], "stock": []})
    disturbed: int = 0

    @property
    def ratio(self) -> float:
        ours, stock = (Spread.of(self.rates[name]).median for name in ("ours", "stock"))
        return ours / stock


def compare(tools: Tools) -> Smoke:
    """64-byte packets, client to server, copying; ours and stock in turns."""
    smoke = Smoke()
    begin = time.monotonic()
    for turn in range(1, ROUNDS_MOST + 1):
        if turn > ROUNDS_LEAST and time.monotonic() - begin > BUDGET:
            break
        for name, found in smoke.rates.items():
            for _, rate in testpmd.measure(tools, PAIRS[name], testpmd.C2S, [SIZE], SECONDS):
                found.append(rate.mpps)
                smoke.disturbed += min(rate.shares) < DISTURBED
                print(f"round {turn}: {name:5} {rate.mpps:7.2f} Mpps, programs had {rate.shares} "
                      "of their CPUs", flush=True)
    return smoke


def judge(smoke: Smoke) -> dict:
    """
    'passed', 'failed' or 'undecided': a machine on which others run in most of the measurements
    shows nothing, neither good nor bad.
    """
    measurements = sum(map(len, smoke.rates.values()))
    if not measurements:
        raise BenchError("nothing was measured")
    result = "passed" if smoke.ratio >= WANTED else "failed"
    if result == "failed" and smoke.disturbed * 2 > measurements:
        result = "undecided"
    return {"result": result, "ratio": smoke.ratio, "wanted": WANTED,
            "disturbed": smoke.disturbed, "measurements": measurements, "mpps": smoke.rates}
