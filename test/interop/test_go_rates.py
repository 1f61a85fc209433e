# SPDX-License-Identifier: BSD-3-Clause
"""
How fast gomemif receives and sends, and that ours is not what limits it: it has packets to spare, or
polls to spare.
"""

import json
import re
import statistics
import time
from typing import Callable, Dict, List

import pytest

from gopeer import GoPeer
from memif import Memif, Socket, build_dir
from testpmd import Testpmd

pytestmark = pytest.mark.alone

SECONDS = 1
RUNS = 3    # of which the median counts
LARGE, SMALL = 256, 32    # bursts

# What zmemif, a fork of gomemif with the same code for packets, says of itself, in Mpps.
CLAIM = {"receive": 20, "send": 10}


def unused_share(text: str, mode: str) -> float:
    """
    What ours could have done and had no occasion to: of the packets that it offered, those that
    found no room; of its polls, those that found no packet.
    """
    if mode == "receive":
        found = re.findall(r"TX-packets: (\d+) +TX-dropped: (\d+)", text)
        sent, dropped = map(int, found[-1])
        return dropped / (sent + dropped)
    found = re.search(r"RX-bursts ?: \d+ \[(\d+)% of 0 pkts", text)
    return int(found.group(1)) / 100 if found else 0.0


def measure(testpmd: Testpmd, counter: str) -> float:
    """Packets a second, in millions, of one run."""
    begin, before = time.monotonic(), testpmd.stats()[counter]
    time.sleep(SECONDS)
    after, end = testpmd.stats()[counter], time.monotonic()
    return (after - before) / (end - begin) / 1e6


class Rates:
    """What RUNS runs with bursts of one size have shown."""

    def __init__(self) -> None:
        self.mpps: List[float] = []
        self.unused: List[float] = []

    def run(self, ours: Testpmd, mode: str, burst: int) -> None:
        # Ours does the opposite of the Go program.
        counter = "TX-packets" if mode == "receive" else "RX-packets"
        ours.cmd(f"set burst {burst}")
        ours.cmd("clear port stats all")
        ours.cmd("start")
        ours.wait_packets(counter, 1000)
        self.mpps.append(measure(ours, counter))
        self.unused.append(unused_share(ours.stop(), mode))

    def summary(self, mode: str, burst: int) -> Dict[str, object]:
        return {"burst": burst, "mpps": round(statistics.median(self.mpps), 2),
                "runs": [round(mpps, 2) for mpps in self.mpps], "claim_mpps": CLAIM[mode],
                "unused_of_ours": round(statistics.median(self.unused), 2)}


@pytest.mark.parametrize("mode", ["receive", "send"])
def test_rate(start_go: Callable[..., GoPeer], start_testpmd: Callable[..., Testpmd],
              socket: Socket, mode: str, capsys: pytest.CaptureFixture) -> None:
    """
    gomemif never says that it polls, so each burst of ours costs a wake-up. With large bursts ours must
    not be the limit; with small ones it is nearly even, and ours must not fall far behind that.
    """
    go = start_go(mode=mode, count=1 << 40, check=False)
    ours = start_testpmd([Memif("client", socket).vdev()], ["--record-burst-stats"])
    ours.wait_link()
    ours.cmd(f"set fwd {'txonly' if mode == 'receive' else 'rxonly'}")
    rates = {burst: Rates() for burst in (LARGE, SMALL)}
    for _ in range(RUNS):
        for burst, of_burst in rates.items():
            of_burst.run(ours, mode, burst)
    library = go.finish()["library"]
    for burst, of_burst in rates.items():
        result = json.dumps(of_burst.summary(mode, burst))
        with capsys.disabled():
            print(f"\n{library}, {mode}: {result}")
        (build_dir() / f"test/interop/rate-{library}-{mode}-{burst}.json").write_text(result)
    # If ours were the limit, all that it offers would be taken, and no poll be empty.
    assert statistics.median(rates[LARGE].unused) >= 0.01
    assert statistics.median(rates[SMALL].mpps) >= statistics.median(rates[LARGE].mpps) / 3
