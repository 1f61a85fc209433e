# SPDX-License-Identifier: BSD-3-Clause
"""Transmit: full rings, chains, burst sizes, every kind of mbuf."""

import pytest

from memif import OURS, STOCK, Socket
from pairs import (End, StartTraffic, assert_counters_survive, assert_delivered, assert_no_errors,
                   check_pair, run_pair)

KINDS = ["plain", "external", "indirect", "refcnt", "empty", "pools", "mixed"]
BURSTS = [1, 32, 33, 255, 256, 1024]

sender_roles = pytest.mark.parametrize("sender_role", ["server", "client"],
                                       ids=["server-sends", "client-sends"])
receivers = pytest.mark.parametrize("receiver_driver", [OURS, STOCK],
                                    ids=["to-ours", "to-stock"])


def in_roles(sender_role: str, sender: End, receiver: End) -> tuple[End, End]:
    """(server, client)"""
    return (sender, receiver) if sender_role == "server" else (receiver, sender)


@sender_roles
@receivers
@pytest.mark.parametrize("retry", [True, False], ids=["offered-again", "built-anew"])
@pytest.mark.parametrize("rsize", [1, 2, 3, 4])
def test_ring_full_at_every_position(start_traffic: StartTraffic, socket: Socket, rsize: int,
                                     sender_role: str, receiver_driver: str, retry: bool) -> None:
    """Packets of 1 to as many slots as the ring has: it fills up before, in and after chains."""
    bsize = 64
    memif = {"rsize": rsize, "bsize": bsize}
    sender = End(OURS, "send", 10000, memif=memif, options={
        "size": f"46-{bsize << rsize}", "segs": 3, "burst": "1,2,3,5,32", "no_retry": not retry})
    receiver = End(receiver_driver, "receive", memif=memif, options={"rx_burst": "1,32,2"})
    results = check_pair(start_traffic, socket, *in_roles(sender_role, sender, receiver))
    sent = results[0] if sender_role == "server" else results[1]
    assert sent.refused > 0, "the ring was never full: this test tests nothing"


@sender_roles
@receivers
def test_the_chain_that_stock_repeats(start_traffic: StartTraffic, socket: Socket,
                                      sender_role: str, receiver_driver: str) -> None:
    """1400 B in 512 B buffers, rsize=3: stock delivers more packets than it was given."""
    memif = {"rsize": 3, "bsize": 512}
    sender = End(OURS, "send", 200000, memif=memif, options={"size": "1400"})
    receiver = End(receiver_driver, "receive", memif=memif)
    check_pair(start_traffic, socket, *in_roles(sender_role, sender, receiver))


@sender_roles
@pytest.mark.parametrize("burst", BURSTS)
def test_burst(start_traffic: StartTraffic, socket: Socket, sender_role: str, burst: int) -> None:
    """Each size is taken as a burst, with an empty burst after each; it need not be taken whole."""
    memif = {"rsize": 10, "bsize": 2048}
    sender = End(OURS, "send", 50000, memif=memif,
                 options={"burst": f"{burst},0", "size": "60-1518"})
    receiver = End(OURS, "receive", memif=memif)
    check_pair(start_traffic, socket, *in_roles(sender_role, sender, receiver))


@sender_roles
@pytest.mark.parametrize("rsize", [5, 8])
def test_burst_longer_than_the_ring(start_traffic: StartTraffic, socket: Socket, sender_role: str,
                                    rsize: int) -> None:
    """What does not fit is refused, in order."""
    memif = {"rsize": rsize, "bsize": 512}
    sender = End(OURS, "send", 50000, memif=memif, options={"burst": "1024,0", "size": "60-2048"})
    receiver = End(OURS, "receive", memif=memif, options={"rx_burst": 1024})
    results = check_pair(start_traffic, socket, *in_roles(sender_role, sender, receiver))
    sent = results[0] if sender_role == "server" else results[1]
    assert sent.refused > 0


@sender_roles
@receivers
@pytest.mark.parametrize("segs", [1, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_mbuf_kind(start_traffic: StartTraffic, socket: Socket, kind: str, segs: int,
                   sender_role: str, receiver_driver: str) -> None:
    """
    Sent and released, whatever it is: no leak, no change of bytes that others refer to, and no
    empty descriptor (the receiver would find an empty segment).
    """
    memif = {"rsize": 6, "bsize": 1024}
    sender = End(OURS, "send", 20000, memif=memif,
                 options={"size": "60-3000", "segs": segs, "seg_kind": kind, "burst": "32,7,64"})
    receiver = End(receiver_driver, "receive", memif=memif)
    check_pair(start_traffic, socket, *in_roles(sender_role, sender, receiver))


@sender_roles
@pytest.mark.parametrize("kind", KINDS)
def test_mbuf_kind_when_refused(start_traffic: StartTraffic, socket: Socket, kind: str,
                                sender_role: str) -> None:
    """A refused packet is the application's, untouched: it frees it, and nothing is freed twice."""
    memif = {"rsize": 3, "bsize": 512}
    sender = End(OURS, "send", 20000, memif=memif, options={
        "size": "60-1500", "segs": 3, "seg_kind": kind, "no_retry": True})
    receiver = End(OURS, "receive", memif=memif)
    results = check_pair(start_traffic, socket, *in_roles(sender_role, sender, receiver))
    sent = results[0] if sender_role == "server" else results[1]
    assert sent.refused > 0


@sender_roles
@pytest.mark.parametrize("bsize", [64, 2048, 9216])
@pytest.mark.parametrize("kind", ["plain", "empty"])
def test_many_segments(start_traffic: StartTraffic, socket: Socket, sender_role: str, bsize: int,
                       kind: str) -> None:
    """63 segments, some shorter and some longer than a buffer."""
    memif = {"rsize": 10, "bsize": bsize}
    sender = End(OURS, "send", 5000, memif=memif,
                 options={"size": "70-9000", "segs": 63, "seg_kind": kind})
    receiver = End(OURS, "receive", memif=memif)
    check_pair(start_traffic, socket, *in_roles(sender_role, sender, receiver))


@sender_roles
@receivers
def test_packet_longer_than_the_ring(start_traffic: StartTraffic, socket: Socket, sender_role: str,
                                     receiver_driver: str) -> None:
    """It can never be sent: dropped and counted, and it does not hold up the others."""
    memif = {"rsize": 2, "bsize": 64}
    count = 10000
    sender = End(OURS, "send", count, memif=memif, options={"size": "64,257,256,9000", "segs": 2})
    receiver = End(receiver_driver, "receive", memif=memif,
                   options={"expect": count // 2, "allow_loss": True})
    server, client = in_roles(sender_role, sender, receiver)
    results = run_pair(start_traffic, socket, server, client)
    assert_no_errors(*results)
    sent, got = results if sender_role == "server" else results[::-1]
    assert sent.sent == {0: count}, "too long packets are taken, and dropped"
    assert got.arrived == {0: count // 2}
    assert sent.stats["opackets"] == got.stats["ipackets"] == count // 2
    assert sent.stats["obytes"] == got.stats["ibytes"] == count // 4 * (64 + 256)
    assert sent.stats["oerrors"] == count // 2
    assert_counters_survive(sender, sent)


@sender_roles
def test_nothing_taken_without_a_peer(start_traffic: StartTraffic, socket: Socket,
                                      sender_role: str) -> None:
    """Link down: the burst refuses everything, and everything arrives once there is a peer."""
    sender = End(OURS, "send", 20000, options={"wait_link": 0})
    receiver = End(OURS, "receive")
    server, client = in_roles(sender_role, sender, receiver)
    server_result, client_result = run_pair(start_traffic, socket, server, client,
                                            client_first=sender_role == "client")
    assert_no_errors(server_result, client_result)
    sent, got = ((server_result, client_result) if sender_role == "server"
                 else (client_result, server_result))
    assert_delivered(sender, sent, receiver, got)
    assert sent.refused > 0
