# SPDX-License-Identifier: BSD-3-Clause
"""testpmd's forwarding modes, and a capture file, on packets that a server has not copied: it works on
them where the client wrote them, and what goes out is what the mode makes of them."""

import sys
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Tuple

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from checksums import WRONG, with_checksums
from memif import Memif, Socket
from process import PATIENCE, ROOT, unique
from test_capture import read_pcap
from testpmd import Testpmd, memif_port
from zerocopy import ZERO_COPY, xstats

sys.path.insert(0, str(ROOT / "test/peer"))

from memifpeer import Client, Config  # noqa: E402
from memifpeer.shm import lookup  # noqa: E402

pytestmark = pytest.mark.own_ends("zero-copy is what it is about")

StartTestpmd = Callable[..., Testpmd]

# All packets of a test find room in a ring, so that what was in each slot can be seen afterwards.
LOG2 = 8
COUNT = 40
MACS = slice(0, 12)
# Of a buffer, and of a packet's payload: in one buffer, or in four which all are long enough.
SHAPES = {"single": (2048, 1300), "chain": (700, 2600)}
shapes = pytest.mark.parametrize("bsize,length", SHAPES.values(), ids=SHAPES.keys())


def packets(length: int) -> List[bytes]:
    """TCP and UDP over IPv4 and IPv6, with and without a tag, with wrong checksums."""
    made = []
    for number in range(COUNT):
        ether = Ether(src=f"02:00:00:00:00:{number:02x}", dst=f"02:00:00:00:01:{number:02x}")
        if number % 3 == 0:
            ether = ether / Dot1Q(vlan=number + 1)
        network = IPv6(src=f"fd00::{number:x}", dst="fd00::1:1")
        if number % 2 == 0:
            network = IP(src=f"10.0.0.{number}", dst="10.0.1.1", id=number, chksum=WRONG)
        transport = TCP(sport=1000 + number, dport=80, seq=number, flags="PA", chksum=WRONG)
        if number % 4 >= 2:
            transport = UDP(sport=1000 + number, dport=53, chksum=WRONG)
        payload = bytes((number + place) % 251 for place in range(length + number))
        made.append(bytes(ether / network / transport / Raw(payload)))
    return made


def macs_swapped(packet: bytes) -> bytes:
    return packet[6:12] + packet[:6] + packet[12:]


def all_swapped(packet: bytes) -> bytes:
    """Addresses of all layers, and ports."""
    swapped = Ether(macs_swapped(packet))
    network = swapped[IP if IP in swapped else IPv6]
    network.src, network.dst = network.dst, network.src
    transport = swapped[TCP if TCP in swapped else UDP]
    transport.sport, transport.dport = transport.dport, transport.sport
    return bytes(swapped)


MODES: Dict[str, Callable[[bytes], bytes]] = {
    "io": lambda packet: packet,
    "macswap": macs_swapped,
    "5tswap": all_swapped,
    "csum": lambda packet: bytes(with_checksums(Ether(packet))),
}


def first_pieces(client: Client, sent: List[bytes]) -> List[bytes]:
    """What now stands in the client's memory where each packet began."""
    pieces, index = [], 0
    for packet in sent:
        view = lookup(client.regions, client.tx[0].ring.desc(index))
        assert view is not None
        pieces.append(bytes(view))
        view.release()
        index += -(-len(packet) // client.config.bsize)
    return pieces


def without_macs(packet: bytes) -> bytes:
    """testpmd's csum writes addresses of its own."""
    return packet[MACS.stop:]


@pytest.fixture(name="place")
def _place() -> Socket:
    return Socket("@" + unique("zcm"), True)


@pytest.fixture(name="connect")
def _connect(place: Socket) -> Iterator[Callable[[int], Client]]:
    """Connects a client whose buffers have so many bytes."""
    clients: List[Client] = []

    def connect(bsize: int) -> Client:
        clients.append(Client(Config(log2=LOG2, bsize=bsize)))
        return clients[-1].handshake(place.path)

    yield connect
    for client in clients:
        client.close()


def start(start_testpmd: StartTestpmd, place: Socket, *vdevs: str) -> Tuple[Testpmd, int]:
    """A testpmd with a server that does not copy, which receives chains."""
    testpmd = start_testpmd([Memif("server", place, ZERO_COPY).vdev(), *vdevs])
    port = memif_port(testpmd) if vdevs else 0
    testpmd.enable_scatter(port)
    return testpmd, port


def send_all(client: Client, sent: List[bytes]) -> None:
    for packet in sent:
        assert client.send(0, packet)


def wait_free(client: Client) -> None:
    """All slots come back."""
    deadline = time.monotonic() + PATIENCE
    while client.tx[0].free() != 1 << LOG2:
        assert time.monotonic() < deadline, f"{client.tx[0].free()} of {1 << LOG2} slots are free"
        time.sleep(0.01)


def assert_all_lent(testpmd: Testpmd, port: int) -> None:
    counted = xstats(testpmd, port)
    assert counted["rx_zero_copy_packets"] == testpmd.stats(port)["RX-packets"] == COUNT
    assert counted["rx_zero_copy_high_water_packets"] == 0


@shapes
@pytest.mark.parametrize("mode", MODES)
def test_forwards(start_testpmd: StartTestpmd, place: Socket,
                  connect: Callable[[int], Client], mode: str, bsize: int, length: int) -> None:
    sent = packets(length)
    compared = without_macs if mode == "csum" else bytes
    testpmd, port = start(start_testpmd, place)
    client = connect(bsize)
    testpmd.wait_link()
    testpmd.forward(mode)
    send_all(client, sent)
    returned = client.recv_wait(0, COUNT, PATIENCE)
    testpmd.stop()
    assert [compared(packet) for packet in returned] == [
        compared(MODES[mode](packet)) for packet in sent]
    # What it has changed it has changed there.
    assert first_pieces(client, sent) == [packet[:bsize] for packet in returned]
    assert_all_lent(testpmd, port)
    wait_free(client)
    testpmd.quit()


@shapes
def test_capture_file(start_testpmd: StartTestpmd, place: Socket, scratch: Path,
                      connect: Callable[[int], Client], bsize: int, length: int) -> None:
    sent = packets(length)
    after = scratch / "after.pcap"
    testpmd, port = start(start_testpmd, place, f"net_pcap0,tx_pcap={after}")
    client = connect(bsize)
    testpmd.wait_link(port=port)
    testpmd.forward("io")
    send_all(client, sent)
    testpmd.wait_packets("TX-packets", COUNT, 1 - port)
    wait_free(client)
    testpmd.stop()
    assert_all_lent(testpmd, port)
    testpmd.quit()
    assert read_pcap(after) == sent
