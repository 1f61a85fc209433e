# SPDX-License-Identifier: BSD-3-Clause
"""Our Python peer against the stock net_memif of the installed DPDK: when this passes, the peer
speaks what others speak. testpmd echoes every packet on the queue it came from."""

from pathlib import Path
from typing import Dict, Iterator

import pytest

import dut
import sent
from memifpeer import Client, Config, Listener, Server
from memifpeer.session import Disconnected

pytestmark = [
    pytest.mark.own_ends("the stock driver with peers that copy"),
    pytest.mark.skipif(dut.testpmd_path() is None, reason="dpdk-testpmd is not installed"),
    pytest.mark.skipif(not Path(dut.STOCK_FOLDER, "librte_net_memif.so").exists(),
                       reason=f"no stock net_memif in {dut.STOCK_FOLDER}"),
]

QUEUES = 2
SECRET = "abcdefghijklmnopqrstuvw"   # 23 bytes: stock cuts off the 24th
SERVERS = ("server-path", "server-abstract", "server-512")
CLIENTS = ("client-path", "client-abstract", "client-512")


class Stock:
    """A testpmd with three server ports, and three client ports that wait in our listeners."""

    def __init__(self, folder: Path) -> None:
        self.addresses: Dict[str, str] = {}
        self.vdevs = []
        self.listeners: Dict[str, Listener] = {}
        for number, name in enumerate(SERVERS + CLIENTS):
            path = str(folder / f"{name}.sock")
            abstract = name.endswith("abstract")
            self.addresses[name] = "@" + path if abstract else path
            options = "bsize=512,rsize=8" if name.endswith("512") else "rsize=10"
            self.vdevs.append(f"net_memif{number},role={name.split('-')[0]},id={number},"
                              f"socket={path},socket-abstract={'yes' if abstract else 'no'},"
                              f"secret={SECRET},{options}")
            if name in CLIENTS:
                self.listeners[name] = Listener(self.addresses[name])

    @staticmethod
    def config(name: str) -> Config:
        small = name.endswith("512")
        return Config(id=(SERVERS + CLIENTS).index(name), c2s=QUEUES, s2c=QUEUES,
                      secret=SECRET, log2=8 if small else 10,
                      bsize=512 if small else 2048)


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stock]:
    setup = Stock(tmp_path_factory.mktemp("stock"))
    with dut.Dut(setup.vdevs, queues=QUEUES) as program:
        setup.dut = program
        program.command("start")
        yield setup
    for listener in setup.listeners.values():
        listener.close()


def check_echo(peer, packets, shortest: int = 60) -> None:
    for qid in range(QUEUES):
        out = packets(300, shortest, seed=qid)
        sent.check_packets(peer.exchange(qid, out), out)


def wipe_all(rx) -> None:
    rx.wipe_next = True
    for slot in range(rx.ring.size):
        rx.ring.set_desc(slot, rx.ring.desc(slot).but(flags=0))


def test_it_is_the_stock_driver(stock) -> None:
    assert stock.dut.loaded()
    assert all(path.startswith(dut.STOCK_FOLDER) for path in stock.dut.loaded())


@pytest.mark.parametrize("name", SERVERS)
def test_stock_server(stock, packets, name: str) -> None:
    with Client(stock.config(name)) as client:
        client.handshake(stock.addresses[name])
        check_echo(client, packets)
        if name.endswith("512"):
            assert any(len(chain) == 3 for chain in client.rx[0].taken)
        (hello, first), *acks, (connected, last) = client.seen
        sent.check_hello(first, highest_s2c=(255,), highest_c2s=(255,), log2=(14,))
        for _, raw in acks:
            sent.check_ack(raw)
        sent.check_connected(last)
        client.disconnect("done")


def test_stock_server_with_several_regions(stock, packets) -> None:
    config = stock.config("server-path")
    config.regions = 3
    with Client(config) as client:
        client.handshake(stock.addresses["server-path"])
        check_echo(client, packets)
        client.disconnect("done")


def test_stock_server_refuses_a_wrong_secret(stock) -> None:
    config = stock.config("server-path")
    config.secret = "wrong"
    with Client(config) as client:
        with pytest.raises(Disconnected, match="(?i)secret"):
            client.handshake(stock.addresses["server-path"])


@pytest.mark.parametrize("name", CLIENTS)
def test_stock_client(stock, packets, name: str) -> None:
    config = stock.config(name)
    with Server(config) as server:
        server.accept(stock.listeners[name])
        server.handshake(until="connect")
        raws = [raw for _, raw in server.seen]
        sent.check_init(raws[0], config.id, SECRET.encode())
        size = sent.check_region(raws[1], 0, server.regions[0].fd, sealed=False)
        sent.check_rings(raws[2:-1], [ring.eventfd for ring in server.offered], QUEUES, QUEUES,
                         config.log2, [size])
        sent.check_connect(raws[-1])
        server.send_connected()
        if not name.endswith("512"):
            check_echo(server, packets)
            return
        # chains only, then mixed with single buffers: see ServerRx.wipe_next
        check_echo(server, packets, shortest=513)
        assert any(len(chain) == 3 for chain in server.rx[0].taken)
        for rx in server.rx:
            wipe_all(rx)
        check_echo(server, packets)
