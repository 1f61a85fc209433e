# SPDX-License-Identifier: BSD-3-Clause
"""mode=ip against our Python peer: INIT.mode, and packets that begin with their IP header.

testpmd holds ports of both roles and echoes: what the driver has put in front of a packet it takes
off again, so what returns is what was sent.
"""

import re
import struct
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

import dut
import sent
from memifpeer import Client, Config, Listener, Server, wire
from memifpeer.session import Disconnected, Session
from memifpeer.shm import DESC_NEXT, Desc

pytestmark = [
    pytest.mark.own_ends("buffers and headers of a client that copies"),
    pytest.mark.skipif(dut.testpmd_path() is None, reason="dpdk-testpmd is not installed"),
    pytest.mark.skipif(dut.own_plugin() is None, reason="our driver is not built (MIF_PLUGIN)"),
]

PORTS = {"server": "", "client": "", "client-512": ",bsize=512,rsize=6",
         "client-64": ",bsize=64,rsize=8", "server-zc": ",zero-copy=yes",
         "client-zc": ",zero-copy=yes,tx-copybreak=0,rsize=6"}
SERVERS = ["server", "server-zc"]
MIXED = ["server", "client", "client-512", "server-zc", "client-zc"]
ROOM = 2048     # of testpmd's mbufs, behind their headroom
NOT_IP = [first for first in range(0, 256, 5) if first >> 4 not in (4, 6)]


class Ours:
    """A testpmd with ports in ip mode, each on a socket of its own."""

    def __init__(self, folder: Path) -> None:
        self.addresses: Dict[str, str] = {}
        vdevs = []
        for number, (name, more) in enumerate(PORTS.items()):
            self.addresses[name] = str(folder / f"{name}.sock")
            vdevs.append(f"net_memif{number},role={name.split('-')[0]},id={number},mode=ip,"
                         f"socket={self.addresses[name]},socket-abstract=no{more}")
        # Mbufs that hold less than some packets: scatter.
        self.dut = dut.Dut(vdevs, plugin=dut.own_plugin(), extra=["--enable-scatter"])

    @staticmethod
    def bsize(port: str) -> int:
        """The most that a slot of this port, or of its peer, holds."""
        found = re.search(r"bsize=(\d+)", PORTS[port])
        return int(found.group(1)) if found else 2034 if port == "client-zc" else 2048

    @staticmethod
    def config(port: str, **changes: Any) -> Config:
        return Config(**{"id": list(PORTS).index(port), "mode": 1, **changes})

    def peer(self, port: str, **changes: Any) -> Session:
        """A peer of the other role, connected with this port."""
        config = self.config(port, **changes)
        if port.startswith("server"):
            return Client(config).handshake(self.addresses[port])
        server = Server(config)
        with Listener(self.addresses[port]) as listener:
            server.accept(listener, timeout=8.0)
        server.handshake()
        # With zero-copy it posts mbufs when it is connected.
        deadline = time.monotonic() + 8.0
        while server.tx[0].free() == 0:
            assert time.monotonic() < deadline, "nothing was posted"
        return server

    def xstat(self, port: str, name: str) -> int:
        text = self.dut.command(f"show port xstats {list(PORTS).index(port)}")
        found = re.search(rf"^{name}: (\d+)", text, re.M)
        assert found is not None, f"no counter {name} in {text}"
        return int(found.group(1))

    def wait_log(self, text: str) -> None:
        deadline = time.monotonic() + 8.0
        while text not in self.dut.text:
            assert time.monotonic() < deadline, f"'{text}' is not in {self.dut.text[-2000:]}"
            time.sleep(0.01)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ours]:
    setup = Ours(tmp_path_factory.mktemp("ip"))
    with setup.dut:
        setup.dut.command("start")
        yield setup


@pytest.fixture
def ip_packets(packets: Callable[..., List[bytes]]) -> Callable[..., List[bytes]]:
    """Packets of which every second one is IPv4, the others IPv6, by their first byte."""
    def make(count: int, shortest: int = 20, longest: int = 1500, seed: int = 1) -> List[bytes]:
        return [(b"\x60" if number % 2 else b"\x45") + packet[1:]
                for number, packet in enumerate(packets(count, shortest, longest, seed))]
    return make


def check_echo(peer: Session, out: List[bytes], bsize: int = 2048, **options: Any) -> None:
    """As many at a time as no ring can be too small for."""
    slots = min(end.ring.size for end in peer.tx + peer.rx)
    window = max(1, min(64, slots // -(-max(map(len, out)) // bsize)))
    sent.check_packets(peer.exchange(0, out, window=window, **options), out)


# -- modes -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("mode", [0, 2, 3, 255])
def test_server_refuses_other_modes(ours: Ours, mode: int) -> None:
    with pytest.raises(Disconnected, match="'mode mismatch'$"):
        ours.peer("server", mode=mode)
    ours.peer("server").close()


@pytest.mark.parametrize("mode", [1, 2, 3, 255])
def test_server_in_ethernet_mode_refuses_other_modes(tmp_path: Path, mode: int) -> None:
    address = str(tmp_path / "ethernet.sock")
    vdev = f"net_memif0,role=server,socket={address},socket-abstract=no"
    with dut.Dut([vdev], plugin=dut.own_plugin()):
        with pytest.raises(Disconnected, match="'mode mismatch'$"):
            Client(Config(mode=mode)).handshake(address)
        Client(Config(mode=0)).handshake(address).close()


def test_client_says_its_mode(ours: Ours) -> None:
    with ours.peer("client") as server:
        sent.check_init(server.raw_of(wire.Init)[0], list(PORTS).index("client"), mode=1)


def test_client_hears_of_a_mode_mismatch(ours: Ours, ip_packets: Callable[..., Any]) -> None:
    """It says so in its log, tries again, and is connected when the server has changed."""
    deadline = time.monotonic() + 15.0
    with Listener(ours.addresses["client"]) as listener:
        # One trouble soon after another is not told.
        while "net_memif1: not connected: mode mismatch" not in ours.dut.text:
            assert time.monotonic() < deadline, ours.dut.text[-2000:]
            with Server(ours.config("client")) as server:
                server.accept(listener, timeout=8.0)
                server.send_hello()
                server.recv_init()
                server.disconnect("mode mismatch", code=0)
    with ours.peer("client") as server:
        check_echo(server, ip_packets(50))


def test_log_says_the_mode(ours: Ours) -> None:
    ours.peer("server").close()
    ours.wait_log("id 0, mode ip, rings")


# -- packets ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", PORTS)
def test_echo(ours: Ours, ip_packets: Callable[..., Any], name: str) -> None:
    """Of every length from a byte on; the counters are the application's, with Ethernet header."""
    port = list(PORTS).index(name)
    ours.dut.command(f"clear port stats {port}")
    with ours.peer(name) as peer:
        out = ip_packets(200, longest=1500) + [b"\x45", b"\x60"]
        out += [(b"\x45" + bytes(range(1, 251)))[:length] for length in range(1, 251)]
        check_echo(peer, out, ours.bsize(name))
    stats = ours.dut.stats(port)
    assert stats["RX-packets"] == stats["TX-packets"] == len(out)
    assert stats["RX-bytes"] == stats["TX-bytes"] == sum(map(len, out)) + 14 * len(out)
    assert stats["RX-errors"] == stats["TX-errors"] == 0


@pytest.mark.parametrize("name", PORTS)
def test_long_packets(ours: Ours, ip_packets: Callable[..., Any], name: str) -> None:
    """About the limits of a ring's buffers and of the mbufs (2048 with 14 bytes in front), and far
    beyond."""
    with ours.peer(name) as peer:
        out = [packet[:length] for length, packet in zip(
            [*range(2030, 2052), *range(4060, 4098), 9000], ip_packets(61, 9000, 9000))]
        check_echo(peer, out, ours.bsize(name))


@pytest.mark.parametrize("name", MIXED)
@pytest.mark.parametrize("sizes", [(1,), (1, 1), (13, 1), (14,), (15,), (1, 63, 2)],
                         ids=lambda sizes: "-".join(map(str, sizes)))
def test_chains(ours: Ours, ip_packets: Callable[..., Any], name: str, sizes: tuple) -> None:
    """A first piece of any size; nothing empty comes back."""
    with ours.peer(name) as peer:
        for packet in ip_packets(20, 100, 500):
            assert peer.send(0, packet, sizes=sizes)
            assert peer.recv_wait(0, 1) == [packet]
            chain = peer.rx[0].taken[0]
            assert [desc.flags for desc in chain] == [DESC_NEXT] * (len(chain) - 1) + [0]
            assert all(desc.length != 0 for desc in chain)


@pytest.mark.parametrize("changes", [
    {"bsize": 64, "log2": 8}, {"bsize": 1, "stride": 64, "log2": 10}, {"bsize": 13, "log2": 9},
    {"bsize": 700, "regions": 7, "log2": 6}, {"bsize": 9216, "log2": 4},
], ids=lambda changes: "-".join(f"{key}={value}" for key, value in changes.items()))
@pytest.mark.parametrize("name", SERVERS)
def test_any_shape_of_client(ours: Ours, ip_packets: Callable[..., Any], name: str,
                             changes: dict) -> None:
    with ours.peer(name, **changes) as client:
        check_echo(client, ip_packets(100, longest=900), changes["bsize"])
        assert client.rx[0].bad_descs == 0


@pytest.mark.parametrize("changes", [{}, {"log2": 5, "regions": 3}])
@pytest.mark.parametrize("name", SERVERS)
def test_offer_of_vpp(ours: Ours, ip_packets: Callable[..., Any], name: str,
                      changes: dict) -> None:
    """VPP offers 2034 bytes, 14 behind a buffer's start. What is before them is its own."""
    with ours.peer(name, bsize=2034, lead=14, **changes) as client:
        slots = client.rx[0].ring.size
        places = [client.rx[0].place(slot) for slot in range(slots)]
        assert all(place.offset % 64 == 14 for place in places)
        for place in places:
            region = client.regions[place.region]
            region.mem[place.offset - 14:place.offset] = b"own-and-secret"
        check_echo(client, ip_packets(3 * slots, longest=2034), 2034)
        for place in places:
            region = client.regions[place.region]
            assert region.mem[place.offset - 14:place.offset] == b"own-and-secret"
        posted = [client.rx[0].ring.desc(slot) for slot in range(slots)]
        assert [(desc.region, desc.offset) for desc in posted] == [
            (place.region, place.offset) for place in places]


def test_application_sends(ours: Ours) -> None:
    """What testpmd makes itself: IPv4 and UDP behind an Ethernet header, which must not be there."""
    for name in ("server", "client", "server-zc", "client-zc"):
        with ours.peer(name) as peer:
            ours.dut.command("stop")
            ours.dut.command("set fwd txonly")
            ours.dut.command("start")
            got = peer.recv_wait(0, 200)
            ours.dut.command("stop")
            ours.dut.command("set fwd io")
            ours.dut.command("start")
        assert len(got) >= 200
        for packet in got:
            assert packet[0] == 0x45 and packet[9] == 17
            assert struct.unpack_from("!H", packet, 2)[0] == len(packet) == 64 - 14


# -- zero-copy -------------------------------------------------------------------------------------

def in_front(peer: Session, desc: Desc) -> bytes:
    """The 14 bytes before a packet."""
    region = peer.regions[desc.region]
    assert region is not None
    return bytes(region.mem[desc.offset - 14:desc.offset])


def header_of(packet: bytes) -> bytes:
    """Types of the header in front, of which the addresses are any."""
    return b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"


def test_client_posts_its_mbufs_behind_a_header(ours: Ours, ip_packets: Callable[..., Any]) -> None:
    """The room in front is for the Ethernet header, which stands there when the packet is sent back
    from the same mbuf: by its offset alone it is not in it."""
    with ours.peer("client-zc") as server:
        slots = server.tx[0].ring.size
        posted = [server.tx[0].ring.desc(slot) for slot in range(slots)]
        assert {(desc.length, desc.offset % 64) for desc in posted} == {(ROOM - 14, 14)}
        out = ip_packets(slots, 20, ROOM - 14)
        sent.check_packets(server.exchange(0, out, window=slots), out)
        before = server.tx[0].index
        for number, packet in enumerate(out):
            place = server.tx[0].ring.desc(before + number)
            assert server.send(0, packet)
            assert server.recv_wait(0, 1) == [packet]
            chain, = server.rx[0].taken
            assert [(desc.region, desc.offset, desc.length) for desc in chain] == [
                (place.region, place.offset, len(packet))]
            assert in_front(server, place)[12:] == header_of(packet)


def test_client_posts_chains_behind_headers(ours: Ours, ip_packets: Callable[..., Any]) -> None:
    """Each mbuf has the room, as any may be the first one; only the first one's is used."""
    with ours.peer("client-zc") as server:
        for packet in ip_packets(20, 100, 500):
            places = [server.tx[0].ring.desc(server.tx[0].index + ahead) for ahead in range(3)]
            region = server.regions[places[1].region]
            region.mem[places[1].offset - 14:places[1].offset] = b"left-as-it-is!"
            assert server.send(0, packet, sizes=(13, 50))
            assert server.recv_wait(0, 1) == [packet]
            chain, = server.rx[0].taken
            assert [(desc.region, desc.offset) for desc in chain] == [
                (place.region, place.offset) for place in places]
            assert in_front(server, places[0])[12:] == header_of(packet)
            assert in_front(server, places[1]) == b"left-as-it-is!"


@pytest.mark.parametrize("sizes", [(), (600,), (20, 600)], ids=["whole", "600-rest", "20-600-rest"])
def test_server_never_writes_in_front(ours: Ours, ip_packets: Callable[..., Any],
                                      sizes: tuple) -> None:
    """Of a descriptor, whose packet it hands up where it is: there may be more of the client's."""
    lent = ours.xstat("server-zc", "rx_zero_copy_packets")
    with ours.peer("server-zc", bsize=2034, lead=14) as client:
        tx = client.tx[0]
        for packet in ip_packets(tx.ring.size + 10, 1300, 2000):
            places = [tx.place(tx.index + ahead) for ahead in range(1 + len(sizes))]
            for place in places:
                region = client.regions[place.region]
                region.mem[place.offset - 14:place.offset] = b"own-and-secret"
            assert client.send(0, packet, sizes=sizes)
            assert client.recv_wait(0, 1) == [packet]
            assert {in_front(client, place) for place in places} == {b"own-and-secret"}
    assert ours.xstat("server-zc", "rx_zero_copy_packets") >= lent + 100


# -- hostile, or at least wrong --------------------------------------------------------------------

@pytest.mark.parametrize("name", MIXED)
@pytest.mark.parametrize("sizes", [(), (1,), (30, 1)], ids=["whole", "1-byte-first", "30-1"])
def test_what_is_not_ip_is_dropped(ours: Ours, ip_packets: Callable[..., Any], name: str,
                                   sizes: tuple) -> None:
    """Each in the company of good ones, and a whole burst of nothing else."""
    good = ip_packets(len(NOT_IP), 60, 500)
    before = ours.xstat(name, "rx_not_ip_packets")
    errors = ours.dut.stats(list(PORTS).index(name))["RX-errors"]
    with ours.peer(name) as peer:
        for number, first in enumerate(NOT_IP):
            bad = bytes([first]) + good[number][1:]
            assert peer.send(0, bad, sizes=sizes)
            assert peer.send(0, good[number], sizes=sizes)
            assert peer.recv_wait(0, 1) == [good[number]]
        for first in NOT_IP[:20]:
            assert peer.send(0, bytes([first]) + good[0][1:], sizes=sizes)
        assert peer.send(0, good[0])
        assert peer.recv_wait(0, 1) == [good[0]]
        assert ours.xstat(name, "rx_not_ip_packets") == before + len(NOT_IP) + 20
        assert ours.dut.stats(list(PORTS).index(name))["RX-errors"] == errors + len(NOT_IP) + 20
        check_echo(peer, good, 512)
    assert ours.xstat(name, "tx_not_ip_packets") == 0


@pytest.mark.parametrize("name", ["server", "server-zc", "client-zc"])
def test_short_packets_that_are_not_ip(ours: Ours, name: str) -> None:
    """A byte of nothing."""
    before = ours.xstat(name, "rx_not_ip_packets")
    with ours.peer(name) as peer:
        for first in (0x00, 0x35, 0x55, 0x70, 0xff):
            assert peer.send(0, bytes([first]))
        assert peer.send(0, b"\x45")
        assert peer.recv_wait(0, 1) == [b"\x45"]
    assert ours.xstat(name, "rx_not_ip_packets") == before + 5


@pytest.mark.parametrize("empty", [0, 1, 2])
@pytest.mark.parametrize("name", SERVERS)
def test_empty_descriptor(ours: Ours, ip_packets: Callable[..., Any], name: str,
                          empty: int) -> None:
    """Alone, or anywhere in a chain of three: that packet is dropped as bad, no other one is."""
    before = ours.xstat(name, "rx_bad_descriptors")
    packet = ip_packets(1, 300, 300)[0]
    with ours.peer(name) as peer:
        tx = peer.tx[0]
        for number in range(3):
            desc = tx.put(tx.index + number, packet[number * 100:number * 100 + 100],
                          more=number < 2)
            if number == empty:
                tx.ring.set_desc(tx.index + number, desc.but(length=0))
        tx.publish(3)
        tx.ring.set_desc(tx.index, tx.place(tx.index).but(length=0))
        tx.publish(1)
        check_echo(peer, ip_packets(50))
    assert ours.xstat(name, "rx_bad_descriptors") == before + 2
