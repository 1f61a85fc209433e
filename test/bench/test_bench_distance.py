# SPDX-License-Identifier: BSD-3-Clause
"""Only measurements at the same distance of the two CPUs are compared."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "devtools"))

from bench import distance  # noqa: E402
from bench.child import BenchError  # noqa: E402
from bench.distance import Distance  # noqa: E402
from bench.targets import Results  # noqa: E402
from bench.tools import DISTANCE  # noqa: E402

BUILD = Path(os.environ.get("MIF_BUILD", ROOT / "build")).resolve()
PROGRAM = BUILD / DISTANCE
NEAR, FAR = 50.0, 300.0


class Scripted(Distance):
    """Sees what it is told to see."""

    def __init__(self, *seen: float) -> None:
        super().__init__(Path("unused"), (0, 1))
        self.seen = list(seen)

    def look(self) -> float:
        apart = self.seen.pop(0)
        self.nearest = min(self.nearest, apart)
        return apart


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distance, "PAUSE", 0)


def measure(looks: Scripted) -> tuple[int, float]:
    turns = iter(range(1, 10))
    return looks.measure(lambda: next(turns))


def test_near_is_measured_once() -> None:
    assert measure(Scripted(NEAR, NEAR * 1.2)) == (1, NEAR * 1.2)


def test_waits_until_the_cpus_are_near() -> None:
    looks = Scripted(NEAR)
    looks.look()
    looks.seen = [FAR, FAR, NEAR, NEAR]
    assert measure(looks) == (1, NEAR)
    assert not looks.seen


def test_measures_again_what_the_cpus_were_moved_in() -> None:
    assert measure(Scripted(NEAR, FAR, FAR, NEAR, NEAR)) == (2, NEAR)


def test_gives_up_after_some_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    assert measure(Scripted(*[NEAR, FAR] * distance.TRIES)) == (distance.TRIES, FAR)
    monkeypatch.setattr(distance, "PATIENCE", 0)
    assert measure(Scripted(NEAR, *[FAR] * 2 * distance.TRIES)) == (distance.TRIES, FAR)


def test_far_measurements_do_not_count() -> None:
    records = [{"group": "testpmd", "pair": "ours", "way": "c2s", "size": 64, "mpps": mpps,
                "apart": apart}
               for mpps, apart in ((40.0, 61.0), (44.0, NEAR), (15.0, FAR), (14.0, FAR))]
    found = Results(records).rate["testpmd"]["ours", "c2s", 64]
    assert (found.median, found.rounds) == (42.0, 2)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="two CPUs are needed")
def test_program_tells_nanoseconds() -> None:
    first, second = sorted(os.sched_getaffinity(0))[:2]
    assert 1 < Distance(PROGRAM, (first, second)).look() < 1e8


@pytest.mark.parametrize("words", [[], ["0"], ["0", "0"], ["0", "x"], ["0", "999999"], ["-1", "0"],
                                   ["0", "1023"]])
def test_program_refuses_other_cpus(words: list[str]) -> None:
    done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and "memif-distance" in done.stderr and not done.stdout


def test_missing_program_is_said() -> None:
    with pytest.raises(BenchError, match="how far the CPUs are apart"):
        Distance(Path("/nonexistent"), (0, 1)).look()
