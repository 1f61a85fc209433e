# SPDX-License-Identifier: BSD-3-Clause
"""A zero-copy client copies bursts of short packets only, as its option tx-copybreak says."""

from typing import Any, Dict

import pytest

from memif import OURS, STOCK, Socket
from pairs import End, StartTraffic, check_pair
from zerocopy import ZERO_COPY, copied

pytestmark = pytest.mark.own_ends("zero-copy is what it is about")

COUNT = 60000
SHORT = "tx_copied_short_segments"
ONE_FILE = ["--no-huge", "-m", "256"]

drivers = pytest.mark.parametrize("server", [OURS, STOCK], ids=["ours", "stock"])


def client(mode: str, memif: Dict[str, Any] = {}, **options: object) -> End:
    return End(OURS, mode, COUNT, memif={**ZERO_COPY, **memif},
               options={"memory": ONE_FILE, **options})


@drivers
@pytest.mark.parametrize("option, size, short", [
    ({}, "64", COUNT), ({}, "65", 0), ({"tx-copybreak": "0"}, "64", 0),
    ({"tx-copybreak": "1000"}, "60-1000", COUNT), ({"tx-copybreak": "1000"}, "1001-1514", 0)],
    ids=["default", "longer", "never", "longest", "longer-than-longest"])
def test_length(start_traffic: StartTraffic, socket: Socket, server: str, option: Dict[str, str],
                size: str, short: int) -> None:
    """Counted with a name of its own, and nothing else is copied."""
    _, sent = check_pair(start_traffic, socket, End(server, "receive"),
                         client("send", option, size=size))
    assert copied(sent.stats["xstats"]) == ({SHORT: short} if short else {})


@pytest.mark.parametrize("server, rsize", [(OURS, 1), (OURS, 4), (OURS, 10), (STOCK, 4)],
                         ids=["ours-1", "ours-4", "ours-10", "stock-4"])
@pytest.mark.parametrize("options", [
    {"size": "60-68", "burst": "1,2,32,64"}, {"size": "60,64,1514", "burst": "1,3"},
    {"size": "60-64", "segs": 3}, {"size": "60-64", "segs": 3, "seg_kind": "mixed"},
    {"size": "60-3000", "segs": 4, "seg_kind": "mixed", "burst": "1,32"}],
    ids=["about-the-limit", "short-and-long", "chains", "any-kind-of-chain", "any-kind"])
def test_mixed(start_traffic: StartTraffic, socket: Socket, server: str, rsize: int,
               options: Dict[str, object]) -> None:
    """Copied and shared, one behind the other: all arrive in order, and no mbuf is missing."""
    check_pair(start_traffic, socket, End(server, "receive"),
               client("send", {"rsize": rsize}, pool_size=20000, **options))


@pytest.mark.parametrize("zero_copy", [{}, ZERO_COPY], ids=["copies", "lends"])
def test_both_ways(start_traffic: StartTraffic, socket: Socket, zero_copy: Dict[str, str]) -> None:
    server = End(OURS, "both", COUNT, memif=dict(zero_copy), options={"size": "60-70,1000"})
    _, sent = check_pair(start_traffic, socket, server, client("both", size="60-70", burst="1,32"))
    assert 0 < copied(sent.stats["xstats"])[SHORT] < COUNT


@pytest.mark.parametrize("size", ["46-64", "60-200"])
def test_ip(start_traffic: StartTraffic, socket: Socket, size: str) -> None:
    """The header in front is not copied."""
    server = End(OURS, "receive", COUNT, memif={"mode": "ip"}, options={"ip": True})
    check_pair(start_traffic, socket, server,
               client("send", {"mode": "ip"}, size=size, burst="1,32", ip=True))
