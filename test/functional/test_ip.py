# SPDX-License-Identifier: BSD-3-Clause
"""mode=ip between two of ours: traffic with checks, a capture file, and real IP stacks."""

import json
import random
import re
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest

import netns
from memif import OURS, Memif, Socket
from pairs import End, StartTraffic, check_pair
from process import PATIENCE
from test_capture import mixed_packets, read_pcap, write_pcap
from test_network import (ADDRESSES, Network, assert_nothing_lost_in_memif, namespaces,
                          network)
from test_testpmd import quit_pair, settled
from testpmd import Testpmd, memif_port

pytestmark = pytest.mark.own_ends("with zero-copy it is test_ip_zero_copy.py")

assert namespaces and network, "fixtures"

ROLES = pytest.mark.parametrize("role", ["server", "client"])
MACS = {"server": "02:00:00:00:5e:01", "client": "02:00:00:00:c1:01"}
# The address that stands for the peer, of id 258: 02:6d... for a server, 06:6d... for a client.
PEERS = {"client": "02:6d:00:00:01:02", "server": "06:6d:00:00:01:02"}


@ROLES
@pytest.mark.parametrize("memif, options", [
    ({"rsize": 10}, {"size": "46-1518", "burst": "32,1,64"}),
    ({"rsize": 6, "bsize": 512}, {"size": "46-3000", "segs": 4, "seg_kind": "mixed"}),
    ({"rsize": 8, "bsize": 64}, {"size": "60-400", "segs": 40, "seg_kind": "empty"}),
    ({"rsize": 4, "bsize": 2034}, {"size": "2040-2060,46", "segs": 3, "no_retry": True}),
], ids=["plain", "chains", "tiny-segments", "full-ring"])
def test_traffic(start_traffic: StartTraffic, socket: Socket, role: str, memif: Dict[str, Any],
                 options: Dict[str, Any]) -> None:
    """Nothing lost, repeated or out of order, and counted alike at both ends; each way."""
    devargs = {"mode": "ip", **memif}
    sender = End(mode="send", memif=devargs, options={"ip": True, **options})
    receiver = End(mode="receive", memif=devargs, options={"ip": True})
    ends = {"server": sender, "client": receiver}
    if role == "client":
        ends = {"server": receiver, "client": sender}
    check_pair(start_traffic, socket, **ends)


def test_queues_that_share_a_ring(start_traffic: StartTraffic, socket: Socket) -> None:
    end = {"memif": {"mode": "ip"}, "options": {"ip": True, "size": "46-300"}}
    check_pair(start_traffic, socket, server=End(mode="send", txq=3, count=10000, **end),
               client=End(mode="receive", rxq=2, **end))


@ROLES
def test_modes_that_differ(start_testpmd: Callable[..., Testpmd], socket: Socket,
                           role: str) -> None:
    """Both ends say why there is no link."""
    modes = {role: "ip", "client" if role == "server" else "server": "ethernet"}
    server = start_testpmd([Memif("server", socket, {"mode": modes["server"]}).vdev()])
    client = start_testpmd([Memif("client", socket, {"mode": modes["client"]}).vdev()])
    refused = server.wait_for("net_memif0: not connected: refused a client of ", pipe="stderr")
    server.wait_for(": mode mismatch\n", start=refused, pipe="stderr")
    client.wait_for("net_memif0: not connected: mode mismatch\n", pipe="stderr")
    quit_pair(server, client)


def ip_packet(frame: bytes) -> Optional[bytes]:
    """What of a frame crosses the link: its IP packet, behind at most two tags."""
    at = 12
    for _ in range(2):
        if frame[at:at + 2] in (b"\x81\x00", b"\x88\xa8"):
            at += 4
    version = {b"\x08\x00": 4, b"\x86\xdd": 6}.get(frame[at:at + 2])
    packet = frame[at + 2:]
    return packet if packet and packet[0] >> 4 == version else None


def framed(packet: bytes, role: str) -> bytes:
    """As the application of this end gets it."""
    kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
    return (bytes.fromhex(MACS[role].replace(":", "")) + bytes.fromhex(PEERS[role].replace(":", ""))
            + kind + packet)


@ROLES
@pytest.mark.parametrize("memif", [{"bsize": 9216, "rsize": 8}, {"bsize": 200, "rsize": 7}],
                         ids=["whole", "small-buffers"])
@pytest.mark.parametrize("zero_copy", ["no", "yes"], ids=["copy", "zero-copy"])
def test_capture(start_testpmd: Callable[..., Testpmd], socket: Socket, scratch: Path, role: str,
                 zero_copy: str, memif: Dict[str, Any]) -> None:
    """net_pcap, memif, net_pcap: IPv4 and IPv6 arrive byte for byte, the rest is counted."""
    packets = mixed_packets(random.Random(4))
    wanted = [packet for packet in map(ip_packet, packets) if packet is not None]
    assert 1500 < len(wanted) < len(packets) - 500
    before, after = scratch / "before.pcap", scratch / "after.pcap"
    write_pcap(before, packets)
    running = {}
    other = "client" if role == "server" else "server"
    for number, (one, pcap) in enumerate([(role, f"net_pcap0,rx_pcap={before}"),
                                          (other, f"net_pcap0,tx_pcap={after}")]):
        vdev = Memif(one, socket, {"mode": "ip", "id": 258, "mac": MACS[one],
                                   "zero-copy": zero_copy, **memif}).vdev()
        running[one] = start_testpmd([vdev, pcap], ("--no-flush-rx",),
                                     cpu_number=number)
    for testpmd in running.values():
        port = memif_port(testpmd)
        testpmd.enable_scatter(port)
    for testpmd in running.values():
        testpmd.wait_link(port=memif_port(testpmd))
        testpmd.cmd("set fwd io retry")
        testpmd.cmd("set burst tx delay 10 retry 100000")
    running[other].cmd("start")
    running[role].cmd("start")
    settled(running[other], "RX-packets", len(wanted), memif_port(running[other]))
    settled(running[role], "TX-errors", len(packets) - len(wanted), memif_port(running[role]))
    for testpmd in running.values():
        testpmd.stop()
    xstats = running[role].cmd(f"show port xstats {memif_port(running[role])}")
    assert f"tx_not_ip_packets: {len(packets) - len(wanted)}\n" in xstats
    quit_pair(*running.values())
    assert read_pcap(after) == [framed(packet, other) for packet in wanted]


@pytest.fixture
def ip_network(network: Callable[..., Tuple[Network, List[Testpmd]]],
               ) -> Tuple[Network, List[Testpmd]]:
    """The kernels behind their taps; no ARP and no neighbour discovery crosses the link."""
    net, testpmds = network(OURS, OURS, mode="ip")
    for number, testpmd in enumerate(testpmds):
        # The kernel takes what is for its own address.
        link, = json.loads(net.inside(number, "ip", "-j", "link", "show", "tap0"))
        testpmd.cmd(f"mac_addr set {memif_port(testpmd)} {link['address']}")
        net.inside(number, "ip", "neigh", "replace", ADDRESSES[1 - number], "lladdr",
                   "02:6d:00:00:00:00", "dev", "tap0")
    return net, testpmds


def test_ping(ip_network: Tuple[Network, List[Testpmd]]) -> None:
    """Small and with fragments, both ways."""
    net, testpmds = ip_network
    for number in (0, 1):
        for size in ("56", "1472", "6000"):
            text = net.inside(number, "ping", "-q", "-c", "20", "-i", "0.005", "-s", size,
                              ADDRESSES[1 - number])
            assert "20 packets transmitted" in text
        # As in test_network.py: late answers count.
        deadline = time.monotonic() + PATIENCE
        while netns.snmp(net.names[number], "Icmp")["InEchoReps"] < 60 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert netns.snmp(net.names[number], "Icmp")["InEchoReps"] == 60
    assert_nothing_lost_in_memif(testpmds)


def test_iperf3(ip_network: Tuple[Network, List[Testpmd]]) -> None:
    net, testpmds = ip_network
    net.start(0, "iperf3", "--server", "--one-off", "--forceflush").wait_for("Server listening")
    result = json.loads(net.inside(1, "iperf3", "--client", ADDRESSES[0], "--time", "2", "--json"))
    assert result["end"]["sum_received"]["bytes"] > 1e6
    assert_nothing_lost_in_memif(testpmds)


def test_arp_does_not_cross(ip_network: Tuple[Network, List[Testpmd]]) -> None:
    """Without an entry for its neighbour a kernel asks in vain; the requests are counted."""
    net, testpmds = ip_network
    net.inside(0, "ip", "neigh", "del", ADDRESSES[1], "dev", "tap0")
    with pytest.raises(AssertionError, match="100% packet loss"):
        net.inside(0, "ping", "-q", "-c", "2", "-W", "1", ADDRESSES[1])
    xstats = testpmds[0].cmd(f"show port xstats {memif_port(testpmds[0])}")
    found = re.search(r"tx_not_ip_packets: (\d+)", xstats)
    assert found is not None and int(found.group(1)) > 0
