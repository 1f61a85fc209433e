# SPDX-License-Identifier: BSD-3-Clause
"""testpmd asks for offloads; what comes out at the other end is verified by scapy."""

from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw
from scapy.utils import rdpcap, wrpcap

from checksums import WRONG, assert_checksums
from memif import Memif, Socket, other
from test_testpmd import quit_pair, settled
from testpmd import Testpmd, memif_port
from zerocopy import xstats

SEGMENT = 800
Counted = Dict[str, Dict[str, int]]


def packets(longest: int) -> List[Packet]:
    """TCP and UDP over IPv4 and IPv6, with and without a tag, with wrong checksums."""
    made = []
    for number in range(120):
        ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
        if number % 3 == 0:
            ether = ether / Dot1Q(vlan=9)
        network = IPv6(src="fd00::1", dst="fd00::2")
        if number % 2 == 0:
            network = IP(src="10.0.0.1", dst="10.0.0.2", id=number, chksum=WRONG)
        payload = Raw(bytes((number + i) % 251 for i in range(number * longest // 120)))
        transport = TCP(sport=1000 + number, dport=80, seq=number * 100000, flags="PA",
                        chksum=WRONG)
        if number % 4 >= 2:
            transport = UDP(sport=1000 + number, dport=53, chksum=WRONG)
        made.append(ether / network / transport / payload)
    return made


def forward(start_testpmd: Callable[..., Testpmd], socket: Socket, scratch: Path, role: str,
            sent: List[Packet], commands: List[str], engine: str = "csum",
            strip: bool = False, memif: Optional[Dict[str, Any]] = None,
            counted: Optional[Counted] = None) -> List[Packet]:
    """
    pcap file -> memif with offloads -> memif -> pcap file; all packets of the second file. Into
    counted go the extended counters of the memif ports, by role.
    """
    before, after = scratch / "before.pcap", scratch / "after.pcap"
    wrpcap(str(before), sent)
    options = ("--no-flush-rx", "--mbuf-size=9728", "--total-num-mbufs=4096")
    pcap = {"reader": f"net_pcap0,rx_pcap={before}", "writer": f"net_pcap0,tx_pcap={after}"}
    running: Dict[str, Testpmd] = {}
    for number, end in enumerate(["server", "client"]):
        kind = "reader" if end == role else "writer"
        running[kind] = start_testpmd([Memif(end, socket, memif or {}).vdev(), pcap[kind]], options,
                                      cpu_number=number)
    reader, writer = running["reader"], running["writer"]
    port = memif_port(reader)
    reader.cmd(f"port stop {port}")
    for command in commands:
        reader.cmd(command.format(port=port))
    reader.cmd(f"port start {port}")
    peer_port = memif_port(writer)
    if memif:
        writer.enable_scatter(peer_port)
    if strip:
        writer.cmd(f"vlan set strip on {peer_port}")
    for testpmd in (reader, writer):
        testpmd.wait_link(port=memif_port(testpmd))
    writer.cmd("set fwd io retry")
    reader.cmd(f"set fwd {engine} retry")
    for testpmd in (writer, reader):
        testpmd.cmd("set burst tx delay 10 retry 100000")
        testpmd.cmd("start")
    settled(reader, "TX-packets", len(sent), port)
    assert reader.stats(port)["TX-errors"] == 0
    settled(writer, "RX-packets", reader.stats(port)["TX-packets"], peer_port)
    for kind, testpmd in running.items():
        testpmd.stop()
        if counted is not None:
            end = role if kind == "reader" else other(role)
            counted[end] = xstats(testpmd, memif_port(testpmd))
    quit_pair(running["reader" if role == "server" else "writer"],
              running["writer" if role == "server" else "reader"])
    return list(rdpcap(str(after)))


CHECKSUMS = [f"csum set {layer} hw {{port}}" for layer in ("ip", "tcp", "udp")]


@pytest.mark.parametrize("role", ["client", "server"])
def test_checksums(start_testpmd: Callable[..., Testpmd], socket: Socket, scratch: Path,
                   role: str) -> None:
    sent = packets(8000)
    arrived = forward(start_testpmd, socket, scratch, role, sent, CHECKSUMS)
    assert len(arrived) == len(sent)
    for old, new in zip(sent, arrived):
        assert_checksums(new)
        layer = TCP if TCP in old else UDP
        assert bytes(new[layer].payload) == bytes(old[layer].payload)
        assert new[layer].sport == old[layer].sport


def test_tags(start_testpmd: Callable[..., Testpmd], socket: Socket, scratch: Path) -> None:
    sent = packets(3000)
    arrived = forward(start_testpmd, socket, scratch, "client", sent, ["tx_vlan set {port} 55"],
                      engine="mac")
    assert len(arrived) == len(sent)
    for old, new in zip(sent, arrived):
        assert new[Dot1Q].vlan == 55
        # mac puts addresses of its own; the rest is as before.
        assert bytes(new[Dot1Q])[2:] == bytes(old)[12:]


def assert_segments(sent: List[Packet], arrived: List[Packet]) -> None:
    """Long TCP packets are divided; what arrives has no tags, and nothing else has changed."""
    assert len(arrived) > 2 * len(sent)
    parts = iter(arrived)
    for old in sent:
        wanted = bytes(old[TCP if TCP in old else UDP].payload)
        step = SEGMENT if TCP in old else len(wanted) + 1
        for offset in range(0, max(len(wanted), 1), step):
            new = next(parts)
            assert_checksums(new)
            assert Dot1Q not in new
            piece = wanted[offset:offset + step]
            if UDP in old:
                assert bytes(new[UDP].payload) == piece
                continue
            # Scapy takes the padding of short frames for payload; here there is none.
            assert bytes(new[TCP].payload) == piece
            assert new[TCP].seq == old[TCP].seq + offset
            assert new[TCP].flags == ("PA" if offset + len(piece) == len(wanted) else "A")
            if IP in old:
                assert new[IP].id == old[IP].id + offset // SEGMENT
    assert next(parts, None) is None


@pytest.mark.parametrize("role", ["client", "server"])
def test_segments(start_testpmd: Callable[..., Testpmd], socket: Socket, scratch: Path,
                  role: str) -> None:
    """The tags are stripped at the other end."""
    sent = packets(8000)
    arrived = forward(start_testpmd, socket, scratch, role, sent,
                      [*CHECKSUMS, f"tso set {SEGMENT} {{port}}"], strip=True)
    assert_segments(sent, arrived)


IP_ZERO_COPY = {"mode": "ip", "zero-copy": "yes"}


def assert_not_copied(counted: Counted, sender: str) -> None:
    """Both ends did without, as far as a receiver and a sender can."""
    if sender == "client":
        assert counted["server"]["rx_zero_copy_packets"] > 100
        copied = ["tx_copied_unexposed_segments", "tx_copied_unfit_segments"]
    else:
        copied = ["rx_copied_buffers"]
    assert [counted["client"][name] for name in copied] == [0] * len(copied)


@pytest.mark.parametrize("role", ["client", "server"])
def test_segments_of_ip_without_copy(start_testpmd: Callable[..., Testpmd], socket: Socket,
                                     scratch: Path, role: str) -> None:
    """mode=ip and zero-copy at both ends: checksums and segments all the same."""
    sent = packets(8000)
    counted: Counted = {}
    arrived = forward(start_testpmd, socket, scratch, role, sent,
                      [*CHECKSUMS, f"tso set {SEGMENT} {{port}}"], memif=IP_ZERO_COPY,
                      counted=counted)
    assert_segments(sent, arrived)
    assert_not_copied(counted, role)


@pytest.mark.parametrize("role", ["client", "server"])
def test_tags_of_ip_without_copy(start_testpmd: Callable[..., Testpmd], socket: Socket,
                                 scratch: Path, role: str) -> None:
    """A tag that transmit is to put in does not come between, or behind, the IP packet."""
    sent = packets(3000)
    counted: Counted = {}
    arrived = forward(start_testpmd, socket, scratch, role, sent, ["tx_vlan set {port} 55"],
                      engine="mac", memif=IP_ZERO_COPY, counted=counted)
    assert len(arrived) == len(sent)
    for old, new in zip(sent, arrived):
        kind = IP if IP in old else IPv6
        assert new[Ether].type == (0x0800 if kind is IP else 0x86dd)
        assert bytes(new[kind]) == bytes(old[kind])
    assert_not_copied(counted, role)
