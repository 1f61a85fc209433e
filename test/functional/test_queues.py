# SPDX-License-Identifier: BSD-3-Clause
"""Queue counts: many, and different ones at the two ends. Every configured queue delivers."""

from collections import Counter

import pytest

from memif import OURS, STOCK, Socket
from pairs import End, StartTraffic, check_pair

MEMIF = {"rsize": 8, "bsize": 512}


def end(driver: str, rxq: int, txq: int, mode: str = "both", count: int = 10000) -> End:
    size = "60-1500" if driver == OURS else "60"
    return End(driver, mode, count, rxq, txq, MEMIF, {"size": size})


# rxq, txq of the server; rxq, txq of the client
COUNTS = [
    (1, 1, 4, 4), (4, 4, 1, 1),  # one side offers more than the other takes
    (1, 4, 1, 1), (1, 1, 1, 4),  # more tx queues than the peer has rx queues
    (1, 4, 1, 4), (4, 1, 4, 1),  # ... at both ends; more rx queues than the peer fills
    (2, 3, 3, 1), (3, 5, 2, 7), (5, 2, 7, 3),
]


@pytest.mark.parametrize("client_first", [False, True], ids=["server-first", "client-first"])
@pytest.mark.parametrize("counts", COUNTS, ids=["s%dx%d-c%dx%d" % counts for counts in COUNTS])
def test_asymmetric(start_traffic: StartTraffic, socket: Socket, counts: tuple[int, int, int, int],
                    client_first: bool) -> None:
    """Queues beyond the connection's rings share them; surplus rx queues stay empty."""
    check_pair(start_traffic, socket, end(OURS, *counts[:2]), end(OURS, *counts[2:]),
               client_first=client_first)


@pytest.mark.parametrize("count", [2, 4, 16])
def test_rings_are_used_evenly(start_traffic: StartTraffic, socket: Socket, count: int) -> None:
    """With equal counts tx queue n arrives on rx queue n."""
    results = check_pair(start_traffic, socket, end(OURS, count, count), end(OURS, count, count))
    for result in results:
        assert result.rx_queues == {queue: {queue: 10000} for queue in range(count)}


def test_shared_rings_are_used_evenly(start_traffic: StartTraffic, socket: Socket) -> None:
    """Six tx queues on three rings: two on each."""
    results = check_pair(start_traffic, socket, end(OURS, 3, 6), end(OURS, 3, 6))
    for result in results:
        used = Counter(queue for queues in result.rx_queues.values() for queue in queues)
        assert used == {0: 2, 1: 2, 2: 2}


@pytest.mark.parametrize("counts", [(255, 255, 255, 255), (255, 1, 1, 255), (3, 200, 255, 100)],
                         ids=["all", "many-c2s", "uneven"])
def test_255_queues(start_traffic: StartTraffic, socket: Socket,
                    counts: tuple[int, int, int, int]) -> None:
    """The largest number that the protocol has."""
    memif = {"rsize": 4, "bsize": 256}
    ends = [End(OURS, "both", 200, rxq, txq, memif, {"size": "60-512", "burst": 4})
            for rxq, txq in (counts[:2], counts[2:])]
    check_pair(start_traffic, socket, *ends)


@pytest.mark.parametrize("count", [2, 4, 9])
def test_client_against_stock_server_with_fewer(start_traffic: StartTraffic, socket: Socket,
                                                count: int) -> None:
    """
    A stock server does not say its limit and refuses the second ring: the client comes back with
    fewer, and all its queues deliver.
    """
    check_pair(start_traffic, socket, end(STOCK, 1, 1), end(OURS, count, count))


def test_client_against_stock_server_with_more(start_traffic: StartTraffic,
                                               socket: Socket) -> None:
    """Every queue of ours delivers. (Stock takes ring 0 for a queue without one: not polled.)"""
    server = end(STOCK, 4, 4, "receive")
    server.options["poll_rxq"] = 2
    check_pair(start_traffic, socket, server, end(OURS, 2, 2, "send"))


@pytest.mark.parametrize("txq", [2, 5])
def test_server_sends_on_more_queues_than_stock_client_has(
        start_traffic: StartTraffic, socket: Socket, txq: int) -> None:
    """What stock loses: all that is sent on a queue without a ring of its own."""
    check_pair(start_traffic, socket, end(OURS, 1, txq), end(STOCK, 1, 1))


def test_server_against_stock_client_with_more(start_traffic: StartTraffic,
                                               socket: Socket) -> None:
    """Our HELLO says the limit, so that a stock client with two queues connects; as above."""
    client = end(STOCK, 2, 2, "receive")
    client.options["poll_rxq"] = 1
    check_pair(start_traffic, socket, end(OURS, 1, 1, "send"), client)
