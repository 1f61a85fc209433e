# SPDX-License-Identifier: BSD-3-Clause
"""testpmd between two ports whose packets are not copied: what it forwards is what was received."""

from typing import Callable, List

import pytest

from memif import Memif, Socket
from pairs import End, assert_delivered, assert_no_errors
from process import PATIENCE, unique
from testpmd import Testpmd
from traffic import Result, Traffic
from zerocopy import BY_ROLE, COPIED, xstats

pytestmark = pytest.mark.own_ends("zero-copy is what it is about")

StartTraffic = Callable[..., Traffic]
StartTestpmd = Callable[..., Testpmd]

PORTS = (0, 1)


def sockets() -> List[Socket]:
    return [Socket(f"/{unique('mif')}", abstract=True) for _ in PORTS]


def start_middle(start: StartTestpmd, role: str, places: List[Socket], options: List[str],
                 memory: List[str]) -> Testpmd:
    """testpmd with two zero-copy ports, each in front of the other; nothing is dropped."""
    middle = start([Memif(role, places[port], {**BY_ROLE[role], "id": port},
                          f"net_memif{port}").vdev() for port in PORTS],
                   ["--port-topology=paired", *options], cpu_number=0, memory=memory)
    middle.cmd("set burst tx delay 10 retry 1000000")
    return middle


def start_outer(start: StartTraffic, role: str, place: Socket, port: int, end: End) -> Traffic:
    return start(Memif(role, place, {"id": port}), mode=end.mode, count=end.count, seed=1 + port,
                 expect=end.count, cpu_number=1, wait_link=PATIENCE, timeout=2 * PATIENCE,
                 idle_end=20000, **end.options)


def run_between(middle: Testpmd, outer: List[Traffic]) -> List[Result]:
    """Both send to each other; returns what they saw."""
    for port in PORTS:
        middle.wait_link(port=port)
    for end in outer:
        assert end.wait_done(2 * PATIENCE)
    for end in outer:
        end.count()
    return [end.finish() for end in outer]


# What testpmd's mbufs of 2 KB do not hold the server writes into several of those posted: with scatter
# that is a chain.
SCATTER = ["--rx-offloads=0x2000", "--max-pkt-len=9018"]


@pytest.mark.parametrize("size,options", [("64", []), ("64-1514", []), ("64-9000", SCATTER)],
                         ids=["short", "all", "chains"])
@pytest.mark.parametrize("memory", [["--in-memory"], ["--no-huge", "-m", "512"]],
                         ids=["pages", "no-huge"])
def test_two_clients_move_descriptors_only(
        start_testpmd: StartTestpmd, start_traffic: StartTraffic, size: str,
        options: List[str], memory: List[str]) -> None:
    """What one client port has received the other one sends, without a copy at either."""
    end = End(mode="both", count=30000, options={"size": size})
    places = sockets()
    middle = start_middle(start_testpmd, "client", places, options, memory)
    middle.forward("io retry")
    outer = [start_outer(start_traffic, "server", places[port], port, end) for port in PORTS]
    results = run_between(middle, outer)
    assert_no_errors(*results)
    assert_delivered(end, results[0], end, results[1])
    assert_delivered(end, results[1], end, results[0])
    middle.stop()
    for port in PORTS:
        stats = middle.stats(port)
        assert stats["RX-packets"] == stats["TX-packets"] == end.count
        assert {name: xstats(middle, port)[name] for name in COPIED} == dict.fromkeys(COPIED, 0)
    middle.quit()
