# SPDX-License-Identifier: BSD-3-Clause
"""mode=ip with zero-copy=yes: the Ethernet header is put in front, and taken off, without a copy.

A client has it written into its own mbufs, and sends them from behind it. A server gives it an mbuf of
its own, as what lies in front of a packet is the client's.
"""

from typing import Any, Dict

import pytest

from memif import OURS, Memif, Socket
from pairs import End, StartTraffic, assert_delivered, assert_no_errors, check_pair, run_pair
from test_zero_copy_client import copied
from test_zero_copy_server import long_ones
from zerocopy import BY_ROLE

pytestmark = pytest.mark.own_ends("zero-copy is what it is about")

COUNT = 20000
HEADER = 14
# The pools that mif-traffic sends from are in the file of the one that it receives into.
ONE_FILE = ["--no-huge", "-m", "256"]
# Who has zero-copy=yes.
WHO = pytest.mark.parametrize("who", ["client", "server", "both"])
ROLES = pytest.mark.parametrize("sender_role", ["client", "server"])


def end(role: str, who: str, mode: str, memif: Dict[str, Any] = {}, **options: Any) -> End:
    zero_copy = who in (role, "both")
    made = End(OURS, mode, COUNT, memif={"mode": "ip", **memif}, options={"ip": True, **options})
    if zero_copy:
        made.memif.update(BY_ROLE[role])
        if role == "client":
            made.options["memory"] = ONE_FILE
    return made


def lent(result: Any) -> int:
    return result.stats["xstats"]["rx_zero_copy_packets"]


@ROLES
@WHO
@pytest.mark.parametrize("memif, options", [
    ({"rsize": 10}, {"size": "46-1518", "burst": "32,1,64"}),
    ({"rsize": 8}, {"size": "60,525,526,1514"}),
    ({"rsize": 6, "bsize": 700}, {"size": "46-3000", "segs": 4, "seg_kind": "mixed"}),
    ({"rsize": 8}, {"size": "46-1514", "segs": 2, "first_seg": 14}),
    ({"rsize": 7}, {"size": "46-9000", "segs": 6, "first_seg": 1, "seg_kind": "pools"}),
    ({"rsize": 8, "bsize": 64}, {"size": "60-400", "segs": 40, "seg_kind": "empty"}),
    ({"rsize": 4}, {"size": "2040-2060,46", "segs": 3, "no_retry": True}),
], ids=["plain", "about-512", "chains", "14-bytes-first", "1-byte-first", "tiny-segments",
        "full-ring"])
def test_traffic(start_traffic: StartTraffic, socket: Socket, who: str, sender_role: str,
                 memif: Dict[str, Any], options: Dict[str, Any]) -> None:
    """Nothing lost, repeated or out of order, and counted alike at both ends; each way."""
    ends = {role: end(role, who, "send" if role == sender_role else "receive", memif,
                      **(options if role == sender_role else {}))
            for role in ("server", "client")}
    server, client = check_pair(start_traffic, socket, **ends)
    if sender_role == "client" and who != "client" and options["size"] == "60,525,526,1514":
        assert lent(server) == long_ones(COUNT, [size - HEADER for size in (60, 525, 526, 1514)])
        assert server.data["max_segs"] == 2
    if who != "server" and options.get("seg_kind", "plain") == "plain" and "bsize" not in memif:
        assert copied(client.stats["xstats"]) == {}


@pytest.mark.parametrize("who", ["client", "both"])
def test_echo_copies_nothing(start_traffic: StartTraffic, socket: Socket, who: str) -> None:
    """A client sends back what it has received into its mbufs, header and all."""
    peer = end("server", who, "both", size="60-1514")
    echo = end("client", who, "echo")
    result, echoed = run_pair(start_traffic, socket, peer, echo)
    assert_no_errors(result, echoed)
    assert_delivered(peer, result, peer, result)
    assert echoed.stats["ipackets"] == echoed.stats["opackets"] == COUNT
    assert copied(echoed.stats["xstats"]) == {}


def test_server_echoes_what_is_lent(start_traffic: StartTraffic, socket: Socket) -> None:
    """The mbuf of the header is all that transmit takes off."""
    peer = end("client", "both", "both", size="600-1514")
    server, client = run_pair(start_traffic, socket, end("server", "both", "echo"), peer)
    assert_no_errors(server, client)
    assert_delivered(peer, client, peer, client)
    assert lent(server) + server.stats["xstats"]["rx_zero_copy_high_water_packets"] == COUNT


def test_server_without_scatter_copies(start_traffic: StartTraffic, socket: Socket) -> None:
    """There is no place for the header then; the log says so."""
    receiver = end("server", "server", "receive", rx_scatter="off")
    server, _ = check_pair(start_traffic, socket, receiver,
                           end("client", "server", "send", size="60-1514"))
    assert lent(server) == 0 and server.data["max_segs"] == 1
    process = start_traffic(Memif("server", socket, receiver.memif), mode="receive",
                            rx_scatter="off", timeout=1)
    process.wait_for("receive queue 0 copies: in ip mode zero-copy=yes needs receive scatter",
                     pipe="stderr")


@pytest.mark.parametrize("pool_size", [9, 40])
def test_small_pool(start_traffic: StartTraffic, socket: Socket, pool_size: int) -> None:
    """Mbufs for the headers, but none for the packets, or none at all: it waits, unharmed."""
    sender = end("client", "server", "send", {"rsize": 7}, size="60,600,1514")
    receiver = end("server", "server", "receive", pool_size=pool_size, hold=pool_size,
                   rx_burst="32,3")
    sender.count = 200 * pool_size
    server, client = run_pair(start_traffic, socket, receiver, sender)
    assert_no_errors(server, client)
    assert server.arrived == client.sent == {0: sender.count}
    assert server.stats["rx_nombuf"] > 0, "the pool was never empty: this test tests nothing"


def test_queues_that_share_a_ring(start_traffic: StartTraffic, socket: Socket) -> None:
    sender = end("client", "both", "send", size="46-1500")
    sender.txq, sender.count = 3, COUNT // 2
    receiver = end("server", "both", "receive")
    receiver.rxq = 2
    check_pair(start_traffic, socket, receiver, sender)
