# SPDX-License-Identifier: BSD-3-Clause
"""Our driver against our Python peer: every byte it sends, and the packets it returns.

testpmd holds several ports of both roles and echoes. $MIF_PLUGIN names the driver's file, else
that of the build in this checkout is taken.
"""

import os
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Optional

import pytest

import dut
import sent
from memifpeer import Client, Config, Listener, ProtocolError, Server, wire
from memifpeer.session import Disconnected, Session

pytestmark = [
    pytest.mark.skipif(dut.testpmd_path() is None, reason="dpdk-testpmd is not installed"),
    pytest.mark.skipif(dut.own_plugin() is None, reason="our driver is not built (MIF_PLUGIN)"),
]

QUEUES = 2
SECRET = "abcdefghijklmnopqrstuvwx"     # all 24 bytes, so no terminator on the wire
PORTS = ("server-path", "server-abstract", "server-at", "server-secret",
         "client-path", "client-abstract", "client-at", "client-512")
SERVERS = [name for name in PORTS if name.startswith("server")]
CLIENTS = [name for name in PORTS if name.startswith("client")]


class Ours:
    """A testpmd with ports of both roles, each on a socket of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.addresses: Dict[str, str] = {}
        self.dut: Any = None

    def vdev(self, number: int, name: str) -> str:
        role, kind = name.split("-")
        path = str(self.folder / f"{name}.sock")
        where = f"socket={path},socket-abstract=no"
        self.addresses[name] = path
        if kind == "abstract":
            where = f"socket={path},socket-abstract=yes"
            self.addresses[name] = "@" + path
        elif kind == "at":
            self.addresses[name] = f"@memifpeer-{os.getpid()}-{role}"
            where = f"socket={self.addresses[name]}"
        more = f",secret={SECRET}" if kind == "secret" else ""
        if kind == "512":
            more = f",bsize=512,rsize=6,secret={SECRET}"
        return f"net_memif{number},role={role},id={number},{where}{more}"

    @staticmethod
    def config(port: str, **changes: Any) -> Config:
        """What the peer of this port has to say."""
        secret = SECRET if port in ("server-secret", "client-512") else b""
        return Config(**{"id": PORTS.index(port), "c2s": QUEUES, "s2c": QUEUES,
                         "secret": secret, **changes})

    @staticmethod
    def options(name: str) -> Dict[str, int]:
        """What this client port was told."""
        return {"bsize": 512, "log2": 6} if name == "client-512" else {"bsize": 2048, "log2": 10}

    def peer(self, port: str, hello: Optional[wire.Hello] = None, until: Optional[str] = None,
             **changes: Any) -> Session:
        """A peer of the other role, through its handshake with this port."""
        config = self.config(port, **changes)
        if port.startswith("server"):
            client = Client(config)
            client.connect(self.addresses[port])
            return client.handshake(until=until)
        server = Server(config, hello=hello)
        with Listener(self.addresses[port]) as listener:
            server.accept(listener, timeout=8.0)
        return server.handshake(until=until)


def start(folder: Path, **more: Any) -> Ours:
    ours = Ours(folder)
    vdevs = [ours.vdev(number, name) for number, name in enumerate(PORTS)]
    ours.dut = dut.Dut(vdevs, plugin=dut.own_plugin(), queues=QUEUES, **more)
    return ours


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory, _ends: object) -> Iterator[Ours]:
    setup = start(tmp_path_factory.mktemp("ours"))
    with setup.dut:
        setup.dut.command("start")
        yield setup


def wait(condition: Callable[[], bool], timeout: float = 3.0) -> bool:
    """Looks again until it is so."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def fitting(log2: int, bsize: int, longest: int = 1500) -> int:
    """How many packets may be out at a time so that no ring can be full."""
    return max(1, min(64, (1 << log2) // -(-longest // bsize)))


def check_echo(peer, packets, queues=range(QUEUES), longest: int = 1500) -> None:
    rings = [end.ring.log2 for end in peer.tx + peer.rx]
    window = fitting(min(rings), 512, longest)
    for qid in queues:
        out = packets(200, seed=qid, longest=longest)
        sent.check_packets(peer.exchange(qid, out, window=window), out)


def test_it_is_our_driver(ours) -> None:
    assert str(dut.own_plugin()) in ours.dut.loaded()


# -- what a server sends ---------------------------------------------------------------------------

@pytest.mark.parametrize("name", SERVERS)
def test_server_messages(ours, name: str) -> None:
    with ours.peer(name) as client:
        raws = [raw for _, raw in client.seen]
        assert len(raws) == 2 + 1 + 2 * QUEUES + 1      # HELLO; INIT, region, rings; CONNECTED
        sent.check_hello(raws[0], highest_s2c=(QUEUES - 1,), highest_c2s=(QUEUES - 1,), log2=(14,))
        for raw in raws[1:-1]:
            sent.check_ack(raw)
        sent.check_connected(raws[-1])


@pytest.mark.parametrize("changes, word", [
    ({"id": 4000}, "id"), ({"mode": 1}, "mode"), ({"mode": 2}, "mode"),
    ({"secret": b""}, "secret"), ({"secret": SECRET[:23]}, "secret"), ({"secret": "x"}, "secret"),
], ids=["id", "mode-ip", "mode-punt", "no-secret", "cut-secret", "wrong-secret"])
def test_server_refuses_init(ours, changes: dict, word: str) -> None:
    client = Client(ours.config("server-secret", **changes))
    with client:
        client.connect(ours.addresses["server-secret"])
        client.recv_hello()
        client.send_init()
        outcome = client.observe()
        assert outcome.closed
        assert word in (outcome.reason or "").lower()
        sent.check_disconnect(outcome.disconnect.pack())
        assert SECRET not in outcome.reason


@pytest.mark.parametrize("version", [0x0100, 0x0201, 0x0300, 0])
def test_server_refuses_other_versions(ours, version: int) -> None:
    with Client(ours.config("server-path")) as client:
        client.connect(ours.addresses["server-path"])
        client.recv_hello()
        client.send_init(version=version)
        outcome = client.observe()
        assert outcome.closed and "version" in outcome.reason.lower()


def test_server_without_a_secret_accepts_any(ours) -> None:
    ours.peer("server-path", secret=SECRET).close()


def test_names_may_fill_their_last_byte(ours) -> None:
    with ours.peer("server-path", name="n" * 32, if_name="i" * 32) as client:
        assert client.peer_if_name


def test_second_client_is_refused_and_the_first_lives_on(ours, packets) -> None:
    with ours.peer("server-path") as first:
        with pytest.raises(Disconnected):
            ours.peer("server-path")
        check_echo(first, packets)


def test_server_writes_only_what_is_its_own(ours, packets) -> None:
    """Of C2S rings tail and flags, of S2C rings tail, and of a descriptor flags and length."""
    with ours.peer("server-path", log2=5, regions=3, s2c=1, c2s=1) as client:
        s2c, c2s = client.rx[0].ring, client.tx[0].ring
        posted = [(s2c.desc(slot).region, s2c.desc(slot).offset) for slot in range(32)]
        for packet in packets(80):
            before = client.tx[0].place(client.tx[0].index)
            slot = client.tx[0].index
            assert client.send(0, packet)
            assert client.recv_wait(0, 1) == [packet]
            after = c2s.desc(slot)
            assert (after.region, after.offset) == (before.region, before.offset)
            assert after.length == len(packet)
        assert [(s2c.desc(slot).region, s2c.desc(slot).offset) for slot in range(32)] == posted
        assert (s2c.head, c2s.head) == (client.rx[0].posted, client.tx[0].index)
        assert (s2c.tail, c2s.tail) == (80, 80)
        assert c2s.flags == 1, "a polling server masks interrupts"
        assert s2c.flags == 1, "the flags of an S2C ring are the client's"


# -- what a client sends ---------------------------------------------------------------------------

@pytest.mark.own_ends("the memory of a client that copies")
@pytest.mark.parametrize("name", CLIENTS)
def test_client_messages(ours, name: str) -> None:
    with ours.peer(name, until="connect") as server:
        raws = [raw for _, raw in server.seen]
        log2, bsize = ours.options(name)["log2"], ours.options(name)["bsize"]
        sent.check_init(raws[0], PORTS.index(name), wire.padded(server.config.secret, 24))
        count = len(server.regions)
        sizes = [sent.check_region(raw, index, server.regions[index].fd, sealed=True)
                 for index, raw in enumerate(raws[1:1 + count])]
        sent.check_rings(raws[1 + count:-1], [ring.eventfd for ring in server.offered],
                         QUEUES, QUEUES, log2, sizes)
        sent.check_connect(raws[-1])
        for number, offered in enumerate(server.offered):
            message = offered.message
            region = server.regions[message.region]
            header = region.mem[message.offset:message.offset + 128]
            assert sent.u32(header, 0) == 0x3E31F20
            assert sent.u16(header, 64) == 0, "nothing is sent or filled before CONNECTED"
            assert header[66:] == bytes(62)
            if number < QUEUES:
                assert sent.u16(header, 6) == 0
        server.send_connected()
        check_posted(server, bsize, 1 << log2)
        assert wait(lambda: {tx.ring.flags for tx in server.tx} == {1}), \
            "a polling client masks interrupts"


def check_posted(server, bsize: int, slots: int) -> None:
    """A client posts its whole S2C ring, buffers of its bsize that do not overlap."""
    for tx in server.tx:
        assert wait(lambda: tx.free() == slots)
        descs = [tx.ring.desc(index) for index in range(slots)]
        assert {desc.length for desc in descs} == {bsize}
        assert {desc.flags for desc in descs} == {0}
        spans = sorted((desc.region, desc.offset) for desc in descs)
        for (region, offset), (after, start) in zip(spans, spans[1:]):
            assert region != after or start >= offset + bsize


def test_client_keeps_to_the_limits_of_hello(ours, packets) -> None:
    hello = wire.Hello(max_c2s_ring=0, max_s2c_ring=0)
    with ours.peer("client-path", hello=hello, c2s=1, s2c=1) as server:
        assert (len(server.rx), len(server.tx)) == (1, 1)
        check_echo(server, packets, queues=[0])


@pytest.mark.parametrize("limit", [9, 5])
def test_client_keeps_to_the_ring_size_of_hello(ours, packets, limit: int) -> None:
    with ours.peer("client-path", hello=wire.Hello(max_log2_ring_size=limit)) as server:
        assert {rx.ring.log2 for rx in server.rx} == {limit}
        check_echo(server, packets, longest=1000)


def test_client_comes_back_with_fewer_rings_after_a_refusal(ours, packets) -> None:
    """As with a stock server of one queue, which does not say its limit in HELLO."""
    server = Server(ours.config("client-path"))
    with server, Listener(ours.addresses["client-path"]) as listener:
        server.accept(listener, timeout=8.0)
        server.send_hello()
        server.recv_init()
        server.send_ack()
        while True:
            offer = server.recv_offer()
            if isinstance(offer, wire.AddRing) and offer.index == 1:
                server.disconnect("Invalid ring index", code=0)
                break
            server.send_ack()
        again = Server(ours.config("client-path"), hello=wire.Hello())
        with again:
            again.accept(listener, timeout=8.0)
            again.handshake()
            assert len(again.rx) == 1
            check_echo(again, packets, queues=[0])


@pytest.mark.parametrize("hello", [{"min_version": 0x0300, "max_version": 0x0300},
                                   {"min_version": 0x0100, "max_version": 0x0100},
                                   {"min_version": 0x0201, "max_version": 0x0300}],
                         ids=["3.0", "1.0", "2.1-3.0"])
def test_client_refuses_other_versions(ours, hello: dict) -> None:
    server = Server(ours.config("client-path"))
    with server, Listener(ours.addresses["client-path"]) as listener:
        server.accept(listener, timeout=8.0)
        server.send_hello(**hello)
        outcome = server.observe()
        assert outcome.closed
        assert not any(isinstance(message, wire.Init) for message in outcome.messages)


def test_client_takes_a_range_of_versions_with_2_0_in_it(ours) -> None:
    with ours.peer("client-path", hello=wire.Hello(min_version=0x0100, max_version=0x0300)):
        pass


def test_client_gives_its_secret_only_in_init(ours) -> None:
    with pytest.raises(ProtocolError, match="incorrect secret"):
        ours.peer("client-512", secret="another")
    with ours.peer("client-512") as server:
        assert server.init.secret == SECRET.encode()


# -- packets ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", PORTS)
def test_echo(ours, packets, name: str) -> None:
    with ours.peer(name) as peer:
        check_echo(peer, packets)
        peer.disconnect("done")


@pytest.mark.parametrize("changes", [
    {"bsize": 512, "log2": 8}, {"bsize": 64, "log2": 8}, {"bsize": 2048, "regions": 2},
    {"bsize": 700, "regions": 7, "log2": 6}, {"bsize": 9216, "log2": 4}, {"post_early": True},
    {"sealed": False}, {"stride": 2112},
], ids=lambda changes: "-".join(f"{key}={value}" for key, value in changes.items()))
def test_echo_with_any_shape_of_client(ours, packets, changes: dict) -> None:
    with ours.peer("server-path", **changes) as client:
        window = fitting(client.config.log2, client.config.bsize)
        for qid in range(QUEUES):
            out = packets(200, seed=qid)
            sent.check_packets(client.exchange(qid, out, window=window), out)
        assert client.rx[0].bad_descs == 0


@pytest.mark.parametrize("log2", range(1, 15))
def test_server_takes_every_ring_size(ours, packets, log2: int) -> None:
    with ours.peer("server-path", log2=log2, bsize=256) as client:
        out = packets(100, 60, 256)
        sent.check_packets(client.exchange(0, out, window=min(64, 1 << log2)), out)


@pytest.mark.own_ends("its pieces are as long as the buffers of a client that copies")
def test_chains_with_pieces_of_any_size(ours, packets) -> None:
    for name in ("server-path", "client-512"):
        with ours.peer(name, log2=8, bsize=512) as peer:
            for packet in packets(60, 700, 1500):
                assert peer.send(0, packet, sizes=(1, 63, 512, 2))
                assert peer.recv_wait(0, 1) == [packet]
                chain = peer.rx[0].taken[0]
                assert [desc.flags for desc in chain] == [1] * (len(chain) - 1) + [0]
                assert all(0 < desc.length <= 512 for desc in chain)
                assert len(chain) == -(-len(packet) // 512)


def test_server_with_fewer_rings_than_queues(ours, packets) -> None:
    """Each tx queue of the driver delivers, though there is one ring for all."""
    with ours.peer("server-path", c2s=2, s2c=1) as client:
        for qid in range(2):
            out = packets(200, seed=qid)
            sent.check_packets(client.exchange(qid, out, rx_qid=0), out)
    with ours.peer("server-path", c2s=1, s2c=2) as client:
        check_echo(client, packets, queues=[0])


def test_indices_wrap(ours) -> None:
    out = [number.to_bytes(60, "big") for number in range(70_000)]
    for name in ("server-path", "client-path"):
        with ours.peer(name) as peer:
            sent.check_packets(peer.exchange(0, out, timeout=15.0, window=256), out)


def test_receiver_is_woken_unless_it_masks(ours, packets) -> None:
    for name in ("server-path", "client-path"):
        with ours.peer(name) as peer:
            check_echo(peer, packets, queues=[0])
            time.sleep(0.05)
            assert peer.rx[0].woken() == 0
            peer.rx[0].mask(False)
            for packet in packets(3):
                assert peer.exchange(0, [packet]) == [packet]
                assert wait(lambda: peer.rx[0].woken() >= 1)


# -- the link, and the end -------------------------------------------------------------------------

def wait_link(ours, port: int, up: bool) -> bool:
    return wait(lambda: ours.dut.link_up(port) == up)


@pytest.mark.parametrize("name", ["server-path", "client-path"])
def test_link_state_and_counters(ours, packets, name: str) -> None:
    port = PORTS.index(name)
    assert wait_link(ours, port, False)
    ours.dut.command(f"clear port stats {port}")
    out = packets(150)
    with ours.peer(name) as peer:
        assert wait_link(ours, port, True)
        sent.check_packets(peer.exchange(0, out), out)
        peer.disconnect("done")
    assert wait_link(ours, port, False)
    stats = ours.dut.stats(port)
    assert (stats["RX-packets"], stats["TX-packets"]) == (150, 150)
    assert stats["RX-bytes"] == stats["TX-bytes"] == sum(map(len, out))
    assert (stats["RX-errors"], stats["TX-errors"]) == (0, 0)


@pytest.mark.parametrize("name", ["server-path", "client-path"])
def test_nothing_stays_behind_a_peer(ours, name: str) -> None:
    """However a connection ends, fds and mappings are what they were."""
    port = PORTS.index(name)
    ours.peer(name).close()
    assert wait_link(ours, port, False)
    fds, maps = ours.dut.open_fds(), ours.dut.mappings_of_peers()
    for number in range(5):
        peer = ours.peer(name)
        assert wait_link(ours, port, True)
        peer.disconnect("bye") if number % 2 else peer.close()
        assert wait_link(ours, port, False)
    assert wait(lambda: ours.dut.open_fds() <= fds and ours.dut.mappings_of_peers() <= maps)


@pytest.mark.parametrize("ending", ["stop", "quit"])
def test_disconnect_with_a_reason_at_the_end(tmp_path, ending: str) -> None:
    ours = start(tmp_path)
    with ours.dut:
        peers = [ours.peer("server-path"), ours.peer("client-path")]
        if ending == "quit":
            assert ours.dut.quit() == 0
        else:
            ours.dut.command("port stop all")
        for peer in peers:
            raw = peer.chan.recv().raw
            sent.check_disconnect(raw)
            assert peer.observe().closed
            peer.close()
    if ending == "quit":
        assert not os.path.exists(ours.addresses["server-path"]), "the socket file stayed behind"
