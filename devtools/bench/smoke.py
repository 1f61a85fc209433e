# SPDX-License-Identifier: BSD-3-Clause
"""The short comparison for every test run: is ours, with a wide margin, as fast as it was?"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from . import testpmd
from .child import BenchError
from .distance import Distance
from .ends import PAIRS, Tools, cpus
from .stats import Spread

SIZE = 64
SECONDS = 0.5
ROUNDS_LEAST = 3
ROUNDS_MOST = 12  # as long as it has not passed
BUDGET = 30.0  # seconds; a round that would begin later is left out
CLEAN_LEAST = 2  # measurements of each pair that nobody disturbed, to go by them alone
WANTED = 1.0  # some 1.7 is normal: a fall to half is seen, noise is not


@dataclass
class Smoke:
    """What the turns have given so far."""

    found: dict[str, list[testpmd.Measured]] = field(default_factory=lambda: {"ours": [], "stock": []})

    @property
    def measurements(self) -> int:
        return sum(map(len, self.found.values()))

    @property
    def disturbed(self) -> int:
        return sum(one.disturbed for found in self.found.values() for one in found)

    @property
    def clean(self) -> bool:
        """Are there enough measurements that nobody disturbed?"""
        return all(sum(not one.disturbed for one in found) >= CLEAN_LEAST
                   for found in self.found.values())

    @property
    def ratio(self) -> float:
        """Of medians; the disturbed measurements do not count where there are enough others."""
        counted = [[one.mpps for one in found if not (self.clean and one.disturbed)]
                   for found in (self.found["ours"], self.found["stock"])]
        ours, stock = (Spread.of(values).median for values in counted)
        return ours / stock


def compare(tools: Tools) -> Smoke:
    """
    64-byte packets, client to server, copying; ours and stock in turns. All four programs are there
    from the start: those whose turn it is not do not poll.
    """
    smoke = Smoke()
    distance = Distance(tools.distance, cpus(), BUDGET)
    with (testpmd.session(tools, PAIRS["ours"]) as ours,
          testpmd.session(tools, PAIRS["stock"]) as stock):
        begin = time.monotonic()
        for turn in range(1, ROUNDS_MOST + 1):
            if turn > ROUNDS_LEAST and (smoke.ratio >= WANTED or
                                        time.monotonic() - begin > BUDGET):
                break
            for name, children in (("ours", ours), ("stock", stock)):
                one = testpmd.measure(children, testpmd.C2S, SIZE, SECONDS, distance)
                smoke.found[name].append(one)
                print(f"round {turn}: {name:5} {one.mpps:7.2f} Mpps, programs had {one.shares} "
                      f"of their CPUs, which were {one.apart:.0f} ns apart", flush=True)
    return smoke


def judge(smoke: Smoke) -> dict:
    """
    'passed' or 'failed'; 'undecided' when ours was slower in measurements that others have
    disturbed, which shows nothing.
    """
    if not all(smoke.found.values()):
        raise BenchError("nothing was measured")
    slower = "failed" if smoke.clean else "undecided"
    return {"result": "passed" if smoke.ratio >= WANTED else slower, "ratio": smoke.ratio,
            "wanted": WANTED, "disturbed": smoke.disturbed, "measurements": smoke.measurements,
            "mpps": {name: [one.mpps for one in found] for name, found in smoke.found.items()}}
