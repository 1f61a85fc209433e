# SPDX-License-Identifier: BSD-3-Clause
"""Receive: burst sizes, small pools, small mbufs, packets that are too long."""

import pytest

from memif import OURS, STOCK, Socket
from pairs import (End, StartTraffic, assert_counters_survive, assert_no_errors, check_pair,
                   run_pair)
from test_transmit import BURSTS, in_roles
from traffic import Result

receiver_roles = pytest.mark.parametrize("sender_role", ["client", "server"],
                                         ids=["server-receives", "client-receives"])
senders = pytest.mark.parametrize("sender_driver", [OURS, STOCK], ids=["from-ours", "from-stock"])


def pick(sender_role: str, results: tuple[Result, Result]) -> tuple[Result, Result]:
    """(sender's, receiver's)"""
    return results if sender_role == "server" else (results[1], results[0])


@receiver_roles
@senders
@pytest.mark.parametrize("burst", BURSTS)
def test_burst(start_traffic: StartTraffic, socket: Socket, sender_role: str, sender_driver: str,
               burst: int) -> None:
    """Each size as a burst, with an empty burst after each."""
    memif = {"rsize": 10, "bsize": 2048}
    sender = End(sender_driver, "send", 50000, memif=memif,
                 options={"size": "60-1518", "burst": "256"})
    receiver = End(OURS, "receive", memif=memif, options={"rx_burst": f"{burst},0"})
    check_pair(start_traffic, socket, *in_roles(sender_role, sender, receiver))


@receiver_roles
@pytest.mark.parametrize("burst", ["1", "7", "32,5", "1024"])
def test_burst_of_chains(start_traffic: StartTraffic, socket: Socket, sender_role: str,
                         burst: str) -> None:
    """The end of a burst is never in a packet; chains lie across the wrap of the ring."""
    memif = {"rsize": 5, "bsize": 200}
    sender = End(OURS, "send", 70000, memif=memif, options={"size": "60-1500", "segs": 2})
    receiver = End(OURS, "receive", memif=memif, options={"rx_burst": burst})
    check_pair(start_traffic, socket, *in_roles(sender_role, sender, receiver))


@receiver_roles
@senders
@pytest.mark.parametrize("mbuf_size", [64, 100, 512, 1500])
def test_scatter(start_traffic: StartTraffic, socket: Socket, sender_role: str, sender_driver: str,
                 mbuf_size: int) -> None:
    """A packet takes as many mbufs as it needs and not one more."""
    memif = {"rsize": 10, "bsize": 9216}
    sender = End(sender_driver, "send", 5000, memif=memif, options={"size": "60,1500,9000"})
    receiver = End(OURS, "receive", memif=memif, options={"mbuf_size": mbuf_size})
    results = check_pair(start_traffic, socket, *in_roles(sender_role, sender, receiver))
    _, got = pick(sender_role, results)
    lends = sender_role == "client" and receiver.is_zero_copy("server")
    assert got.data["max_segs"] == (1 if lends else -(-9000 // mbuf_size))


@receiver_roles
@pytest.mark.parametrize("bsize,mbuf_size", [(64, 100), (300, 128), (512, 2048), (2048, 2047)])
def test_scatter_of_chains(start_traffic: StartTraffic, socket: Socket, sender_role: str,
                           bsize: int, mbuf_size: int) -> None:
    """Buffers and mbufs of sizes that do not match: neither end of one is an end of the other."""
    memif = {"rsize": 9, "bsize": bsize}
    sender = End(OURS, "send", 20000, memif=memif, options={"size": "60-9000", "segs": 3})
    receiver = End(OURS, "receive", memif=memif, options={"mbuf_size": mbuf_size})
    check_pair(start_traffic, socket, *in_roles(sender_role, sender, receiver))


@receiver_roles
@pytest.mark.parametrize("pool_size,mbuf_size", [(8, 2048), (33, 2048), (100, 2048), (16, 128),
                                                 (40, 100), (100, 256)])
def test_small_pool(start_traffic: StartTraffic, socket: Socket, sender_role: str, pool_size: int,
                    mbuf_size: int) -> None:
    """
    The application holds mbufs until the pool is empty, between packets and within one: nothing
    is lost or cut, all stays in the ring until there are mbufs again; nothing leaks.
    """
    memif = {"rsize": 6, "bsize": 512}
    count = 50 * pool_size
    sender = End(OURS, "send", count, memif=memif, options={"size": "60-1500", "segs": 2})
    receiver = End(OURS, "receive", memif=memif, options={
        "pool_size": pool_size, "mbuf_size": mbuf_size, "hold": pool_size, "rx_burst": "32,3"})
    results = run_pair(start_traffic, socket, *in_roles(sender_role, sender, receiver))
    assert_no_errors(*results)
    sent, got = pick(sender_role, results)
    assert got.arrived == sent.sent == {0: count}
    assert got.stats["ipackets"] == sent.stats["opackets"] == count
    assert got.stats["ibytes"] == sent.stats["obytes"]
    assert got.stats["ierrors"] == got.stats["imissed"] == 0
    # A lent packet holds its slot, too: there may be fewer of those.
    if not receiver.is_zero_copy("server"):
        assert got.stats["rx_nombuf"] > 0, "the pool was never empty: this test tests nothing"


@receiver_roles
@senders
def test_longer_than_an_mbuf_without_scatter(start_traffic: StartTraffic, socket: Socket,
                                             sender_role: str, sender_driver: str) -> None:
    """Dropped and counted, and the others arrive."""
    memif = {"rsize": 10, "bsize": 2048}
    count = 20000
    sender = End(sender_driver, "send", count, memif=memif, options={"size": "64,513,512,1400"})
    receiver = End(OURS, "receive", memif=memif, options={
        "mbuf_size": 512, "rx_scatter": "off", "allow_loss": True, "expect": count // 2})
    results = run_pair(start_traffic, socket, *in_roles(sender_role, sender, receiver))
    assert_no_errors(*results)
    sent, got = pick(sender_role, results)
    assert sent.sent == {0: count}
    assert got.arrived == {0: count // 2}
    assert got.data["max_segs"] == 1
    assert got.stats["ipackets"] == count // 2
    assert got.stats["ibytes"] == count // 4 * (64 + 512)
    assert got.stats["ierrors"] == count // 2
    assert_counters_survive(receiver, got)


@receiver_roles
def test_chain_longer_than_an_mbuf_without_scatter(start_traffic: StartTraffic, socket: Socket,
                                                   sender_role: str) -> None:
    """The same where the packet comes in several buffers, some of which would fit."""
    memif = {"rsize": 6, "bsize": 300}
    count = 20000
    sender = End(OURS, "send", count, memif=memif, options={"size": "64,1025,1024,3000"})
    receiver = End(OURS, "receive", memif=memif, options={
        "mbuf_size": 1024, "rx_scatter": "off", "allow_loss": True, "expect": count // 2})
    results = run_pair(start_traffic, socket, *in_roles(sender_role, sender, receiver))
    assert_no_errors(*results)
    sent, got = pick(sender_role, results)
    assert got.arrived == {0: count // 2}
    assert got.data["max_segs"] == 1
    assert got.stats["ierrors"] == count // 2
    assert sent.stats["opackets"] == count


@receiver_roles
@pytest.mark.parametrize("nb_desc", [1, 7, 64, 4096, 65535])
def test_any_descriptor_number(start_traffic: StartTraffic, socket: Socket, sender_role: str,
                               nb_desc: int) -> None:
    """nb_desc of a queue set-up is a hint: rsize rules."""
    sender = End(OURS, "send", options={"nb_desc": nb_desc})
    receiver = End(OURS, "receive", options={"nb_desc": nb_desc})
    check_pair(start_traffic, socket, *in_roles(sender_role, sender, receiver))


@receiver_roles
@pytest.mark.parametrize("mtu", [68, 1500, 9000])
def test_mtu(start_traffic: StartTraffic, socket: Socket, sender_role: str, mtu: int) -> None:
    """An MTU is accepted, jumbo as well, and packets of that size pass."""
    memif = {"rsize": 10, "bsize": 2048}
    options = {"mtu": mtu, "size": f"60-{mtu + 14}"}
    sender = End(OURS, "send", memif=memif, options=options)
    receiver = End(OURS, "receive", memif=memif, options=options)
    check_pair(start_traffic, socket, *in_roles(sender_role, sender, receiver))
