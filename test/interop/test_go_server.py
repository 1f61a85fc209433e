# SPDX-License-Identifier: BSD-3-Clause
"""
gomemif as server, ours as client. MIF_GO_PACKETS is the number of packets each way.

zmemif is a fork of gomemif with the same code for packets. Its module is not served everywhere, so
gomemif stands for both.
"""

import os
import time
from typing import Any, Callable, Dict

import pytest

from gopeer import GoPeer, assert_all_good
from memif import Memif
from process import PATIENCE
from traffic import Traffic

PACKETS = int(os.environ.get("MIF_GO_PACKETS", "1000000"))

# Seconds for a million packets each way, on one shared core.
PER_MILLION = 60

StartGo = Callable[..., GoPeer]
StartTraffic = Callable[..., Traffic]
MakeMemif = Callable[..., Memif]


def exchange(start_go: StartGo, start_traffic: StartTraffic, client: MakeMemif, queues: int,
             packets: int, memif: Dict[str, Any], size: str = "64") -> None:
    """Both ends send and verify at once; every packet arrives."""
    each = packets // queues
    timeout = 60 + PER_MILLION * (packets // 1000000 + 1)
    go = start_go(mode="both", queues=queues, count=each, expect=each)
    ours = start_traffic(client(**memif), mode="both", count=each, rxq=queues, txq=queues,
                         size=size, expect=each * queues, timeout=timeout, idle_end=20000)
    ours.wait_done(timeout)
    # Ours may have received all while Go still has some to read.
    go.wait_complete(queues)
    result = ours.finish()
    assert not result.errors
    counted = go.finish()
    assert_all_good(counted, each * queues)
    assert [queue["received"] for queue in counted["by_queue"]] == [each] * queues
    assert result.arrived == {queue: each for queue in range(queues)}


@pytest.mark.parametrize("queues", [1, 4])
def test_both_ways_at_once(start_go: StartGo, start_traffic: StartTraffic, client: MakeMemif,
                           queues: int) -> None:
    exchange(start_go, start_traffic, client, queues, PACKETS, {})


@pytest.mark.parametrize("rsize", range(3, 15))
def test_ring_sizes(start_go: StartGo, start_traffic: StartTraffic, client: MakeMemif,
                    rsize: int) -> None:
    exchange(start_go, start_traffic, client, 1, 40000, {"rsize": rsize})


def test_chains_to_go(start_go: StartGo, start_traffic: StartTraffic, client: MakeMemif) -> None:
    """gomemif reads packets of several buffers."""
    go = start_go(mode="receive", expect=20000)
    ours = start_traffic(client(rsize=5, bsize=256), mode="send", count=20000, size="46-3000")
    assert ours.wait_done(60)
    go.wait_complete()
    assert not ours.finish().errors
    assert_all_good(go.finish(), 20000)


def test_go_echoes(start_go: StartGo, start_traffic: StartTraffic, client: MakeMemif) -> None:
    go = start_go(mode="echo")
    ours = start_traffic(client(), mode="both", count=100000, size="46-1500", expect=100000,
                         peer_seed=1, seed=1, timeout=60, idle_end=20000)
    ours.wait_done(70)
    result = ours.finish()
    assert not result.errors
    assert result.arrived == {0: 100000}
    counted = go.finish()
    assert counted["received"] == counted["sent"] == 100000


def test_several_ports_on_one_socket(start_go: StartGo, start_traffic: StartTraffic,
                                     client: MakeMemif) -> None:
    """Three processes of ours, each with a port of its own at the same server."""
    go = start_go(mode="both", ports=3, id=5, count=50000, expect=50000)
    ours = [start_traffic(client(id=5 + n), mode="both", count=50000, expect=50000, timeout=90,
                          idle_end=30000) for n in range(3)]
    for one in ours:
        one.wait_done(100)
    go.wait_complete(3)
    for one in ours:
        result = one.finish()
        assert not result.errors
        assert result.arrived == {0: 50000}
    assert_all_good(go.finish(), 150000)


def test_fault_of_go_refused_ring(start_go: StartGo, start_traffic: StartTraffic,
                                  client: MakeMemif) -> None:
    """
    gomemif announces 255 rings, whatever it has. A client with more than it has is refused, and
    from then on all for this id, for ever: it fails to unmap what it has not mapped yet. Ours goes
    on trying, and connects once the Go program is started anew with enough.
    """
    ours = start_traffic(client(), mode="send", count=5000, rxq=3, txq=3, wait_link=PATIENCE)
    ours.wait_started()
    old = start_go(mode="receive", queues=2)
    old.wait_disconnected()
    deadline = time.monotonic() + PATIENCE
    while "nvalid interface id" not in ours.stderr and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "nvalid interface id" in ours.stderr
    old.kill9()
    new = start_go(mode="receive", queues=3)
    assert ours.wait_done(PATIENCE)
    ours.count()
    assert_all_good(new.finish(), 15000)
    assert not ours.finish().errors
