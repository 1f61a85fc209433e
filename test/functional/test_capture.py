# SPDX-License-Identifier: BSD-3-Clause
"""A capture file goes net_pcap -> memif -> net_pcap, and is the same afterwards."""

import random
import struct
from pathlib import Path
from typing import Callable, List

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from memif import Memif
from test_pairs import drivers
from test_testpmd import quit_pair, settled
from testpmd import Testpmd, memif_port

JUMBO = 9000


def mixed_packets(rng: random.Random) -> List[bytes]:
    """A few thousand packets of the protocols that a network carries, 14 to 9000 bytes long."""
    made: List[bytes] = []

    def add(*packets: Packet) -> None:
        made.extend(bytes(packet) for packet in packets)

    def payload(longest: int = 1400) -> Raw:
        return Raw(rng.randbytes(rng.randrange(longest)))

    for number in range(120):
        ether = Ether(src=f"02:00:00:00:00:{number:02x}", dst=f"02:00:00:00:01:{number:02x}")
        ip = IP(src=f"10.0.0.{number}", dst=f"10.0.1.{number}", id=number)
        ip6 = IPv6(src=f"fd00::{number:x}", dst=f"fd00::1:{number:x}")
        add(Ether(src=ether.src, dst="ff:ff:ff:ff:ff:ff") / ARP(pdst=f"10.0.1.{number}"))
        add(ether / ARP(op=2, psrc=f"10.0.1.{number}", pdst=f"10.0.0.{number}"))
        add(ether / ip / ICMP(seq=number) / payload())
        add(ether / ip6 / ICMPv6EchoRequest(seq=number) / payload())
        for network in (ip, ip6):
            add(ether / network / TCP(sport=1024 + number, dport=80, flags="S"),
                ether / network / TCP(sport=1024 + number, dport=80, flags="PA") / payload(),
                ether / network / UDP(sport=1024 + number, dport=53) / payload(),
                ether / Dot1Q(vlan=number + 1) / network / UDP(dport=4789) / payload(),
                ether / Dot1Q(vlan=7) / Dot1Q(vlan=number + 1) / network / TCP() / payload(),
                ether / network / UDP(dport=2049) / payload(JUMBO - 100))
        add(*fragment(ether / ip / UDP() / Raw(rng.randbytes(5000)), fragsize=1400))
        add(*fragment6(ether / ip6 / IPv6ExtHdrFragment(id=number) / UDP()
                       / Raw(rng.randbytes(4000)), 1280))
    # Runts: an Ethernet header and less than the wire's minimum.
    for length in range(14, 60):
        made.extend(rng.randbytes(length) for _ in range(10))
    for length in (60, 64, 1514, 1518, 2047, 2048, 2049, 4096, 8999, JUMBO):
        made.extend(rng.randbytes(length) for _ in range(10))
    rng.shuffle(made)
    return made


def write_pcap(path: Path, packets: List[bytes]) -> None:
    with path.open("wb") as file:
        file.write(struct.pack("=IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for number, packet in enumerate(packets):
            file.write(struct.pack("=IIII", number, 0, len(packet), len(packet)) + packet)


def read_pcap(path: Path) -> List[bytes]:
    data = path.read_bytes()
    magic, = struct.unpack_from("=I", data)
    assert magic in (0xa1b2c3d4, 0xa1b23c4d)
    packets = []
    offset = 24
    while offset < len(data):
        _, _, captured, length = struct.unpack_from("=IIII", data, offset)
        assert captured == length
        offset += 16
        packets.append(data[offset:offset + captured])
        offset += captured
    return packets


@drivers
@pytest.mark.parametrize("reader_role", ["server", "client"])
def test_capture_comes_out_identical(
        start_testpmd: Callable[..., Testpmd], server: Callable[..., Memif],
        client: Callable[..., Memif], scratch: Path, reader_role: str, server_driver: str,
        client_driver: str) -> None:
    """Two testpmds in io mode; the buffers hold any of the packets (stock repeats chains)."""
    packets = mixed_packets(random.Random(2))
    assert len(packets) > 2000
    before, after = scratch / "before.pcap", scratch / "after.pcap"
    write_pcap(before, packets)
    # Else testpmd throws away what it finds in a port at the start: the whole file.
    options = ("--no-flush-rx", "--mbuf-size=9728", "--total-num-mbufs=4096")
    pcap = {"reader": f"net_pcap0,rx_pcap={before}", "writer": f"net_pcap0,tx_pcap={after}"}
    running = {}
    for number, (role, make, driver) in enumerate([("server", server, server_driver),
                                                   ("client", client, client_driver)]):
        kind = "reader" if role == reader_role else "writer"
        running[kind] = start_testpmd([make(bsize=9216, rsize=8).vdev(), pcap[kind]], options,
                                      driver, cpu_number=number)
    for testpmd in running.values():
        testpmd.wait_link(port=memif_port(testpmd))
        # A full ring is no reason to drop: testpmd offers the packets again.
        testpmd.cmd("set fwd io retry")
        testpmd.cmd("set burst tx delay 10 retry 100000")
    running["writer"].cmd("start")
    running["reader"].cmd("start")
    settled(running["writer"], "RX-packets", len(packets), memif_port(running["writer"]))
    for testpmd in running.values():
        testpmd.stop()
    quit_pair(*running.values())
    arrived = read_pcap(after)
    assert [len(packet) for packet in arrived] == [len(packet) for packet in packets]
    assert arrived == packets


@pytest.mark.parametrize("reader_role", ["server", "client"])
def test_capture_through_small_buffers(
        start_testpmd: Callable[..., Testpmd], server: Callable[..., Memif],
        client: Callable[..., Memif], scratch: Path, reader_role: str) -> None:
    """Ours to ours, where most packets take several ring buffers and several mbufs."""
    packets = mixed_packets(random.Random(3))
    before, after = scratch / "before.pcap", scratch / "after.pcap"
    write_pcap(before, packets)
    pcap = {"reader": f"net_pcap0,rx_pcap={before}", "writer": f"net_pcap0,tx_pcap={after}"}
    running = {}
    for number, (role, make) in enumerate([("server", server), ("client", client)]):
        kind = "reader" if role == reader_role else "writer"
        running[kind] = start_testpmd([make(bsize=200, rsize=7).vdev(), pcap[kind]],
                                      ("--no-flush-rx",), cpu_number=number)
    for testpmd in running.values():
        port = memif_port(testpmd)
        testpmd.enable_scatter(port)
    for testpmd in running.values():
        testpmd.wait_link(port=memif_port(testpmd))
        testpmd.cmd("set fwd io retry")
        testpmd.cmd("set burst tx delay 10 retry 100000")
    running["writer"].cmd("start")
    running["reader"].cmd("start")
    settled(running["writer"], "RX-packets", len(packets), memif_port(running["writer"]))
    for testpmd in running.values():
        testpmd.stop()
    quit_pair(*running.values())
    assert read_pcap(after) == packets
