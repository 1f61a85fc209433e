# SPDX-License-Identifier: BSD-3-Clause
"""
How fast gomemif receives and sends, and that ours is not what limits it: it has packets to spare, or
polls to spare.
"""

import json
import re
import statistics
import time
from typing import Callable, Dict

import pytest

from gopeer import GoPeer
from memif import Memif, Socket, build_dir
from testpmd import Testpmd

SECONDS = 1
RUNS = 3    # of which the median counts

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


@pytest.mark.parametrize("burst", [256, 32])
@pytest.mark.parametrize("mode", ["receive", "send"])
def test_rate(start_go: Callable[..., GoPeer], start_testpmd: Callable[..., Testpmd],
              socket: Socket, mode: str, burst: int, capsys: pytest.CaptureFixture) -> None:
    """gomemif never says that it polls, so each burst of ours costs a wake-up: large ones help."""
    go = start_go(mode=mode, count=1 << 40, check=False)
    ours = start_testpmd([Memif("client", socket).vdev()],
                         ["--record-burst-stats", f"--burst={burst}"])
    ours.wait_link()
    # Ours does the opposite of the Go program.
    ours.cmd(f"set fwd {'txonly' if mode == 'receive' else 'rxonly'}")
    counter = "TX-packets" if mode == "receive" else "RX-packets"
    rates, shares = [], []
    for _ in range(RUNS):
        ours.cmd("clear port stats all")
        ours.cmd("start")
        ours.wait_packets(counter, 1000)
        rates.append(measure(ours, counter))
        shares.append(unused_share(ours.stop(), mode))
    library = go.finish()["library"]
    unused = statistics.median(shares)
    result: Dict[str, object] = {
        "burst": burst, "mpps": round(statistics.median(rates), 2),
        "runs": [round(rate, 2) for rate in rates], "claim_mpps": CLAIM[mode],
        "unused_of_ours": round(unused, 2)}
    with capsys.disabled():
        print(f"\n{library}, {mode}: {json.dumps(result)}")
    (build_dir() / f"test/interop/rate-{library}-{mode}-{burst}.json").write_text(json.dumps(result))
    # If ours were the limit, all that it offers would be taken, and no poll be empty.
    assert unused >= 0.01
