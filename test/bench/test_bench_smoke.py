# SPDX-License-Identifier: BSD-3-Clause
"""The speed of the driver in the short form, and the tools that measure it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sanitized import is_sanitized

pytestmark = [pytest.mark.alone,
              pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2,
                                 reason="two CPUs are needed, one for each end")]

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "devtools" / "bench.py"
BUILD = Path(os.environ.get("MIF_BUILD", ROOT / "build")).resolve()
SMOKE_SECONDS = 240  # some 12 on a quiet machine
UNDECIDED = 77
SHORT = 0.2
TURNS_MOST = 6

sys.path.insert(0, str(BENCH.parent))

from bench import lean, smoke  # noqa: E402
from bench.archive import Archive  # noqa: E402
from bench.child import BenchError  # noqa: E402
from bench.document import Document  # noqa: E402
from bench.ends import CLIENT, PAIRS, SERVER, Pair, Tools  # noqa: E402
from bench.plan import LEAN, TESTPMD  # noqa: E402
from bench.stats import Spread  # noqa: E402
from bench.svg import Series, bars, lines  # noqa: E402
from bench.testpmd import C2S, IO, S2C, Measured  # noqa: E402
from bench.tools import find_tools  # noqa: E402


of_speed = pytest.mark.skipif(is_sanitized(),
                              reason="the rates of a driver with the sanitizers say nothing")


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    return find_tools(BUILD, tmp_path, ())


@pytest.fixture(params=["ours", "stock"])
def pair(request: pytest.FixtureRequest) -> Pair:
    return PAIRS[request.param]


@of_speed
def test_ours_is_at_least_as_fast_as_stock(tmp_path: Path) -> None:
    outcome = tmp_path / "outcome.json"
    done = subprocess.run([BENCH, "--smoke", "--no-build", "--json", outcome],
                          env={**os.environ, "MIF_BUILD": str(BUILD)}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=SMOKE_SECONDS)
    print(done.stdout, done.stderr)
    if done.returncode == UNDECIDED:
        pytest.skip(f"other programs kept the machine too busy: {done.stdout.splitlines()[-1]}")
    assert done.returncode == 0
    assert json.loads(outcome.read_text())["result"] == "passed"


def measured(clean: list[float], disturbed: list[float]) -> list[Measured]:
    return ([Measured(mpps, [1.0, 1.0], 100.0, False) for mpps in clean] +
            [Measured(mpps, [0.5, 1.0], 100.0, True) for mpps in disturbed])


@pytest.mark.parametrize("clean, disturbed, result", [
    ([17.0, 18.0, 19.0], [], "passed"),
    ([], [17.0, 18.0, 19.0], "passed"),
    ([17.0, 18.0], [1.0, 1.0, 1.0], "passed"),  # of enough clean ones only these count
    ([9.0, 8.0, 30.0], [], "failed"),
    ([9.0, 8.0], [30.0, 30.0, 30.0], "failed"),
    ([9.0], [9.0, 8.0, 30.0], "undecided"),
])
def test_smoke_judges_by_medians(clean: list, disturbed: list, result: str) -> None:
    found = smoke.Smoke({"ours": measured(clean, disturbed),
                         "stock": measured([10.0, 11.0, 2.0], [])})
    assert smoke.judge(found)["result"] == result


@pytest.mark.parametrize("way", [C2S, S2C])
def test_numbers_of_packets_are_right(tools: Tools, way: str) -> None:
    outcome = lean.throughput(tools, PAIRS["ours"], way, "imix", SHORT, check=True)
    assert sum(port["rx"] for port in outcome.report["per_port"]) > 0
    assert {outcome.result[name] for name in ("lost", "repeated", "broken")} == {0}


def test_check_sees_foreign_packets(tools: Tools) -> None:
    """The sender does not number its packets: the receiver must not be content."""
    words = {SERVER: ["throughput", "--mode", "rx", "--check", "--seconds", str(SHORT), "--hold"],
             CLIENT: ["throughput", "--mode", "tx", "--seconds", "0", "--hold"]}
    with pytest.raises(BenchError, match="WRONG: packets were lost, repeated or broken"):
        lean.run_pair(tools, PAIRS["ours"], words, SERVER, SHORT)


def test_io_with_several_queues_and_ports(tools: Tools) -> None:
    outcome = lean.throughput(tools, PAIRS["ours"], IO, "64", SHORT, queues=2, ports=3)
    assert len(outcome.report["per_port"]) == 3
    assert all(port["rx"] > 0 for port in outcome.report["per_port"])


@of_speed
@pytest.mark.parametrize("way", [C2S, S2C])
@pytest.mark.parametrize("size", ["512", "1518"])
def test_ip_without_copy_is_no_slower(tools: Tools, way: str, size: str) -> None:
    """mode=ip, the client with zero-copy against one that copies, in turns; by the best of each, as
    others only ever take time away."""
    best = {"ours-ip": 0.0, "ours-ip-zc": 0.0}
    for _ in range(TURNS_MOST):
        for name in best:
            outcome = lean.throughput(tools, PAIRS[name], way, size, SHORT)
            best[name] = max(best[name], outcome.result["rx_mpps"])
        if best["ours-ip-zc"] >= best["ours-ip"]:
            break
    print(f"{way}, {size} bytes: {best}, ratio {best['ours-ip-zc'] / best['ours-ip']:.2f}")
    assert best["ours-ip-zc"] >= best["ours-ip"]


def test_round_trip(tools: Tools, pair: Pair) -> None:
    result = lean.latency(tools, pair, False, SHORT).result
    assert result["round_trips"] > 0
    assert 0 < result["min"] <= result["p50"] <= result["p99"] <= result["p99.9"] <= result["max"]


def test_round_trip_with_interrupts(tools: Tools) -> None:
    result = lean.latency(tools, PAIRS["ours"], True, SHORT).result
    assert result["round_trips"] > 0
    assert result["sleeps"] > 0
    assert result["lost"] == result["overslept"] == 0


def test_idle_ports(tools: Tools, pair: Pair) -> None:
    outcome = lean.idle(tools, pair, CLIENT, 3, 0.05)
    assert [row["ports"] for row in outcome.report["result"]] == [1, 2, 3]
    assert all(row["cycles_per_poll"] > 0 for row in outcome.report["result"])
    assert outcome.shared_bytes > 0


def test_connecting(tools: Tools, pair: Pair) -> None:
    assert lean.connect(tools, pair, SHORT).result["connections"] > 0


def test_bare_ring(tools: Tools) -> None:
    rows = [row for direction in lean.DIRECTIONS for size in (64, 1518)
            for row in lean.limit(tools, direction, size, 0.02)["result"]]
    assert {row["direction"] for row in rows} == set(lean.DIRECTIONS)
    assert len(rows) == 2 * 2 * lean.LAYOUTS
    # Under load one run may find no time at all, but not most of them.
    assert sum(row["mpps"] > 0 for row in rows) > len(rows) / 2


def rates(app: str, pair: str, size: int | str, mpps: float) -> list[dict]:
    return [{"group": app, "pair": pair, "way": C2S, "size": size, "round": turn,
             "mpps": mpps + turn, "shares": [1, 1], "disturbed": False} for turn in (1, 2, 3)]


def fill(archive: Archive, group: str, records: list[dict], complete: bool = True) -> None:
    archive.begin(group, command="bench.py", warning=None, rounds=3, seconds=0.4)
    for record in records:
        archive.add(group, record)
    archive.end(group, 1.0, complete)


def test_page_of_results(tmp_path: Path) -> None:
    """What is measured is in it, what is not is said to be not measured."""
    archive = Archive(tmp_path, {"CPU": "some"})
    fill(archive, TESTPMD, [*rates(TESTPMD, "ours", 64, 50.0), *rates(TESTPMD, "stock", 64, 20.0)])
    fill(archive, LEAN, rates(LEAN, "ours", "imix", 11.0), complete=False)
    archive.error(LEAN, "lean, ours: the server ended; it said:\n    much")
    text = Document(archive.data, tmp_path).write().read_text()
    assert "| ours | 52.0 (51.0 to 53.0), 2.36 x stock |" in text
    assert "| 64 B, client -> server: ours against stock | at least 1.7 x | 2.36 x | met |" in text
    assert "| 512 B, client -> server: ours against stock | at least 1.5 x |  | not meas" in text
    assert "| Mpps | IMIX |" in text
    assert "| lean | `bench.py` |" in text and "| **broken off** |" in text
    assert "- lean, ours: the server ended\n" in text
    assert (tmp_path / "testpmd-c2s.svg").read_text().startswith("<svg")


def test_groups_are_kept_until_they_are_measured_again(tmp_path: Path) -> None:
    about = {"CPU": "some"}
    first = Archive(tmp_path, about)
    fill(first, TESTPMD, rates(TESTPMD, "ours", 64, 50.0))
    fill(first, LEAN, rates(LEAN, "ours", 64, 60.0), complete=False)
    second = Archive(tmp_path, about)
    assert second.load()
    assert second.complete() == {TESTPMD}
    fill(second, LEAN, rates(LEAN, "ours", 64, 70.0))
    third = Archive(tmp_path, about)
    assert third.load()
    assert third.complete() == {TESTPMD, LEAN}
    assert [record["mpps"] for record in third.data["records"]] == [51, 52, 53, 71, 72, 73]


def test_groups_of_another_machine_are_not_kept(tmp_path: Path) -> None:
    fill(Archive(tmp_path, {"CPU": "some"}), TESTPMD, rates(TESTPMD, "ours", 64, 50.0))
    other = Archive(tmp_path, {"CPU": "another"})
    assert not other.load()
    assert other.complete() == set()


@pytest.mark.parametrize("draw", [bars, lines])
def test_plots_leave_gaps(draw: object) -> None:
    value = Spread(2.0, 1.0, 3.0, 3)
    text = draw("title", ["a", "b"], [Series("x & y", [value, None])], "Mpps")
    assert "x &amp; y" in text
    assert "nan" not in text
