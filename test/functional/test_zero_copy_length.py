# SPDX-License-Identifier: BSD-3-Clause
"""Many packets without copying, at either end and at both: numbered, hashed, and all mbufs back.
MIF_ZERO_COPY_PACKETS=100000000 is for a machine that has the time."""

import os
import time
from typing import List

import pytest

from memif import OURS, Socket
from pairs import End, StartTraffic, check_pair
from process import memory_args
from zerocopy import BY_ROLE, copied

pytestmark = pytest.mark.own_ends("zero-copy is what it is about")

PACKETS = int(os.environ.get("MIF_ZERO_COPY_PACKETS", "1000000"))
SIZES = "600,60,1518"   # two in three are so long that a server lends them
SLOWEST = 30000         # packets a second, on a machine with much else to do


def one_file() -> List[str]:
    """Memory of which all mbufs are offered, also those of a pool that no queue receives into."""
    memory = memory_args(no_huge_mb=256)
    return memory if "--no-huge" in memory else [*memory, "--single-file-segments", "-m", "256"]


@pytest.mark.parametrize("roles", [("client",), ("server",), ("client", "server")], ids="+".join)
def test_at_length(start_traffic: StartTraffic, socket: Socket, roles: List[str]) -> None:
    """Many turns of all indices: none lost, doubled or changed, and no mbuf is missing in the end."""
    memif = {role: dict(BY_ROLE[role]) if role in roles else {} for role in BY_ROLE}
    begin = time.monotonic()
    got, sent = check_pair(
        start_traffic, socket, End(OURS, "receive", memif=memif["server"]),
        End(OURS, "send", PACKETS, memif=memif["client"],
            options={"size": SIZES, "memory": one_file()}),
        timeout=60 + PACKETS // SLOWEST)
    print(f"{PACKETS} packets in {time.monotonic() - begin:.0f} s")
    if "client" in roles:
        assert copied(sent.stats["xstats"]) == {}
    if "server" in roles:
        xstats = got.stats["xstats"]
        lent = xstats["rx_zero_copy_packets"] + xstats["rx_zero_copy_high_water_packets"]
        assert lent == PACKETS - PACKETS // 3 - (PACKETS % 3 > 1)
        assert xstats["rx_zero_copy_packets"] > PACKETS // 2
