# SPDX-License-Identifier: BSD-3-Clause
"""A zero-copy client and servers that take little, lie, or die: no packet and no mbuf is lost."""

import sys
import time
from typing import Callable, Iterator, List

import pytest

from memif import OURS, Memif, Socket
from process import PATIENCE, ROOT
from traffic import Result, Traffic
from zerocopy import SHARING

sys.path.insert(0, str(ROOT / "test/peer"))

from memifpeer import Closed, Config, Listener, Server  # noqa: E402
from memifpeer.session import ProtocolError  # noqa: E402
from memifpeer.wire import Hello  # noqa: E402

pytestmark = pytest.mark.own_ends("zero-copy is what it is about")

LOG2 = 8
StartTraffic = Callable[..., Traffic]
PAGES = ["--in-memory", "-m", "256"]
# The pools that mif-traffic sends from are in the file of the one that it receives into.
ONE_FILE = ["--no-huge", "-m", "256"]


@pytest.fixture(name="listener")
def _listener(file_socket: Socket) -> Iterator[Listener]:
    listener = Listener(file_socket.path)
    yield listener
    listener.close()


def start_client(start: StartTraffic, socket: Socket, rsize: int = LOG2,
                 **options: object) -> Traffic:
    client = start(Memif("client", socket, {**SHARING, "rsize": rsize}), driver=OURS,
                   timeout=PATIENCE, wait_link=PATIENCE, **options)
    client.wait_started()
    return client


def serve(listener: Listener, max_region: int = 255) -> Server:
    server = Server(Config(), hello=Hello(name=b"memifpeer", max_region=max_region))
    server.accept(listener, timeout=float(PATIENCE))
    server.handshake()
    return server


def take(server: Server, count: int) -> List[bytes]:
    return echo(server, [], count)


def echo(server: Server, packets: List[bytes], count: int = 0) -> List[bytes]:
    """Sends packets, and gathers as many, or so many."""
    returned: List[bytes] = []
    sent = 0
    deadline = time.monotonic() + PATIENCE
    while len(returned) < max(count, len(packets)) and time.monotonic() < deadline:
        if sent < len(packets) and server.tx[0].send(packets[sent]):
            sent += 1
        returned += server.rx[0].recv()
    return returned


def xstats(result: Result) -> dict:
    return result.stats["xstats"]


def assert_nothing_kept(result: Result) -> None:
    assert result.leaked_mbufs == 0


@pytest.mark.parametrize("max_region", [0, 1, 2, 255])
def test_server_of_few_regions(start_traffic: StartTraffic, file_socket: Socket,
                               listener: Listener, max_region: int) -> None:
    """A pool in more files than the server takes: what does not fit is copied, and counted."""
    sent = [bytes([number % 251]) * (60 + number % 1400) for number in range(3000)]
    # A ring of more mbufs than a page has.
    client = start_client(start_traffic, file_socket, 11, mode="echo", count=1, memory=PAGES,
                          pool_size=5000)
    with serve(listener, max_region) as server:
        regions = len(server.regions)
        returned = echo(server, sent)
        client.count()
        result = client.finish()
    assert returned == sent
    by_copy = xstats(result)["tx_copied_unexposed_segments"]
    assert by_copy == xstats(result)["rx_copied_buffers"]
    if max_region == 255:
        assert 2 < regions < 256 and by_copy == 0
    else:
        assert regions == max_region + 1
        assert by_copy == len(sent) if max_region == 0 else 0 < by_copy < len(sent)
    assert_nothing_kept(result)


@pytest.mark.parametrize("by", [1, 300, 30000, 0x7FFF, -1, -300])
def test_tail_that_jumps(start_traffic: StartTraffic, file_socket: Socket, listener: Listener,
                         by: int) -> None:
    """With mbufs in flight the server says that it took others: they come back, once."""
    client = start_client(start_traffic, file_socket, mode="send", count=5000, size="64",
                          memory=ONE_FILE)
    with serve(listener) as server:
        rx = server.rx[0]
        deadline = time.monotonic() + PATIENCE
        while rx.available(rx.ring.head) < rx.ring.size:
            assert time.monotonic() < deadline, "the ring was never full"
        # Beyond what was sent, or back before what was taken.
        rx.ring.tail = (rx.ring.head + by) & 0xFFFF if by > 0 else by & 0xFFFF
        with pytest.raises((Closed, ProtocolError)):
            while True:
                server.hear()
                raise Closed("told so")
    with serve(listener) as server:
        take(server, 4000)
        client.count()
        result = client.finish()
    assert xstats(result)["tx_bad_indices"] >= 1
    assert xstats(result)["tx_copied_unexposed_segments"] == 0
    assert_nothing_kept(result)


@pytest.mark.parametrize("mode", ["send", "both"])
def test_server_that_dies(start_traffic: StartTraffic, file_socket: Socket, mode: str) -> None:
    """kill -9 under load, again and again: all mbufs are back in the end."""
    client = start_client(start_traffic, file_socket, mode=mode, count=200000000, size="60-1514",
                          seg_kind="mixed", segs=3, memory=ONE_FILE)
    for _ in range(5):
        server = start_traffic(Memif("server", file_socket), mode="both", count=200000000,
                               cpu_number=1, timeout=PATIENCE)
        server.wait_started()
        server.wait_link()
        time.sleep(0.2)     # under load for a while; nothing depends on how long
        server.kill9()
    client.count()
    result = client.finish()
    assert xstats(result)["disconnections"] == 5
    assert_nothing_kept(result)
