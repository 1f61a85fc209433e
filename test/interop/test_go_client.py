# SPDX-License-Identifier: BSD-3-Clause
"""
gomemif as client, ours as server. Its code is sound with one pair of queues, rings of up to 2^10,
one direction at a time, and packets that fit a buffer. The tests named after a fault pin what it does
beyond that, and that ours takes no harm.
"""

from typing import Any, Callable, Dict

import pytest

from gopeer import GoPeer, assert_all_good
from memif import Memif
from test_go_server import PACKETS
from traffic import Result, Traffic

StartGo = Callable[..., GoPeer]
StartTraffic = Callable[..., Traffic]
MakeMemif = Callable[..., Memif]


def go_sends(start_go: StartGo, start_traffic: StartTraffic, server: MakeMemif, count: int,
             **options: Any) -> Result:
    ours = start_traffic(server(), mode="receive", expect=count, timeout=150, idle_end=30000)
    ours.wait_started()
    go = start_go(role="client", mode="send", count=count, **options)
    ours.wait_done(160)
    ours.count()
    assert go.finish()["sent"] == count
    return ours.finish()


def ours_sends(start_go: StartGo, start_traffic: StartTraffic, server: MakeMemif, count: int,
               **options: Any) -> Dict[str, Any]:
    ours = start_traffic(server(), mode="send", count=count, timeout=150, wait_link=60)
    ours.wait_started()
    go = start_go(role="client", mode="receive", expect=count, **options)
    assert ours.wait_done(160)
    go.wait_complete()
    counted = go.finish()
    result = ours.finish()
    assert not result.errors
    assert result.sent == {0: count}
    return counted


@pytest.mark.parametrize("rsize", [3, 6, 10])
def test_from_go(start_go: StartGo, start_traffic: StartTraffic, server: MakeMemif,
                 rsize: int) -> None:
    count = PACKETS // 4
    result = go_sends(start_go, start_traffic, server, count, rsize=rsize)
    assert not result.errors
    assert result.arrived == {0: count}


@pytest.mark.parametrize("rsize", [3, 6, 10])
def test_to_go(start_go: StartGo, start_traffic: StartTraffic, server: MakeMemif,
               rsize: int) -> None:
    count = PACKETS // 4
    assert_all_good(ours_sends(start_go, start_traffic, server, count, rsize=rsize), count)


def test_fault_of_go_chains(start_go: StartGo, start_traffic: StartTraffic,
                            server: MakeMemif) -> None:
    """
    gomemif fills each buffer of a packet with the beginning of it, and to the end: right in number,
    too long, and wrong from the second buffer on.
    """
    result = go_sends(start_go, start_traffic, server, 5000, size=1500, bsize=1024)
    assert result.data["received"] == result.data["verdicts"]["wrong_length"] == 5000
    assert result.data["received_bytes"] == 5000 * 2048
    assert "first wrong byte at 1024" in result.data["first_bad"]
    assert result.data["leaked_mbufs"] == 0


def test_fault_of_go_both_directions(start_go: StartGo, start_traffic: StartTraffic,
                                     server: MakeMemif) -> None:
    """As a client it gives both rings the same buffers: packets overwrite each other."""
    ours = start_traffic(server(), mode="both", count=100000, expect=100000, timeout=60)
    ours.wait_started()
    go = start_go(role="client", mode="both", count=100000, rsize=3)
    ours.wait_done(70)
    result = ours.finish()
    counted = go.finish()
    wrong = result.data["received"] - result.data["verdicts"]["ok"]
    assert wrong + counted["bad"] + counted["lost"] + counted["repeated"] > 0
    assert result.data["leaked_mbufs"] == 0


@pytest.mark.parametrize("options", [{"queues": 2}, {"rsize": 11}, {"rsize": 14}],
                         ids=["second-queue", "ring-11", "ring-14"])
def test_fault_of_go_layout(start_go: StartGo, start_traffic: StartTraffic, server: MakeMemif,
                            options: Dict[str, int]) -> None:
    """
    As a client it writes the descriptors of a second queue outside their ring, and it computes the
    size of its rings in 16 bits, so that from 2^11 slots on the buffers lie over them. Then packets
    overwrite rings. Ours drops what is bad, or the connection, and serves the next client.
    """
    queues = options.get("queues", 1)
    ours = start_traffic(server(), mode="receive", rxq=queues, txq=queues, expect=20000 * queues,
                         timeout=8, idle_end=2000)
    ours.wait_started()
    bad = start_go(role="client", mode="send", count=20000, **options)
    bad.wait_connected()
    ours.wait_done(60)
    result = ours.finish()
    bad.kill9()
    assert result.data["verdicts"]["ok"] < 20000 * queues
    assert result.data["leaked_mbufs"] == 0
    assert go_sends(start_go, start_traffic, server, 1000).arrived == {0: 1000}
