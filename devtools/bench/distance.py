# SPDX-License-Identifier: BSD-3-Clause
"""
How far apart two CPUs are: the nanoseconds that a cache line needs from one to the other and back.
The host of a virtual machine moves its CPUs, now to cores that share a cache, now to cores that do
not, for seconds or minutes; rates then differ by a factor of three, whatever the driver. So only
measurements at the same distance are compared, and it is the nearest one that is waited for.
"""

from __future__ import annotations

import math
import subprocess
import time
from pathlib import Path
from typing import Callable, TypeVar

from .child import BenchError

# Times the nearest. On an Intel guest threads of one core are 42 ns apart, and cores that share a
# cache 95 to 150; on an AMD guest these are 50 ns apart, and others 306.
FAR = 4.0
TRIES = 4  # of a measurement, when the CPUs are moved meanwhile
PATIENCE = 20.0  # seconds that one measurement waits for CPUs that are near
BUDGET = 480.0  # seconds that all of them wait, together
PAUSE = 0.2
LOOK_SECONDS = 20

Outcome = TypeVar("Outcome")


def is_far(apart: float, nearest: float) -> bool:
    return apart > FAR * nearest


class Distance:
    """Looks at it, waits for the better times, and remembers the best one."""

    def __init__(self, program: Path, cpus: tuple[int, int], budget: float = BUDGET) -> None:
        self.nearest = math.inf
        self._command = [str(program), *map(str, cpus)]
        self._left = budget

    def look(self) -> float:
        try:
            done = subprocess.run(self._command, capture_output=True, text=True, check=True,
                                  timeout=LOOK_SECONDS, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.SubprocessError) as error:
            raise BenchError(f"cannot tell how far the CPUs are apart: {error}") from None
        apart = float(done.stdout)
        self.nearest = min(self.nearest, apart)
        return apart

    def is_far(self, apart: float) -> bool:
        return is_far(apart, self.nearest)

    def wait(self) -> float:
        """Until they are near, or patience has an end; returns the distance."""
        begin = time.monotonic()
        patience = min(PATIENCE, self._left)
        apart = self.look()
        while self.is_far(apart) and time.monotonic() - begin < patience:
            time.sleep(PAUSE)
            apart = self.look()
        self._left -= min(self._left, time.monotonic() - begin)
        return apart

    def measure(self, once: Callable[[], Outcome]) -> tuple[Outcome, float]:
        """
        Measures with the CPUs near each other, again if they were moved meanwhile; what the last
        try gives, and the distance of its CPUs. Programs of the measurement may be there, but must
        not poll before and after.
        """
        for _ in range(TRIES):
            before = self.wait()
            outcome = once()
            apart = max(before, self.look())
            if not self.is_far(apart) or self._left <= 0:
                break
        return outcome, apart
