# SPDX-License-Identifier: BSD-3-Clause
"""A server with zero-copy=yes: packets go up as they are in the client's memory."""

import re
from dataclasses import dataclass
from typing import Callable, List, Tuple

import pytest

from memif import OURS, STOCK, Memif, Socket
from pairs import (End, StartTraffic, assert_counters_survive, assert_delivered, assert_no_errors,
                   check_pair, run_pair)
from test_testpmd import quit_pair, send, settled
from testpmd import Testpmd
from traffic import Result
from zerocopy import ZERO_COPY

pytestmark = pytest.mark.own_ends("zero-copy is what it is about")

MakeMemif = Callable[..., Memif]
StartTestpmd = Callable[..., Testpmd]

FROM = 512          # bytes: shorter packets are copied


@dataclass(frozen=True)
class ClientKind:
    """Who sends: which driver, copying or not."""

    driver: str
    zero_copy: bool = False

    def end(self, count: int, size: str, **memif: object) -> End:
        end = End(self.driver, "send", count, memif=dict(memif), options={"size": size})
        if self.zero_copy:
            end.memif.update(ZERO_COPY)
        return end


CLIENTS = {"ours": ClientKind(OURS), "stock": ClientKind(STOCK),
           "stock-zero-copy": ClientKind(STOCK, True)}
clients = pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS.keys())


def server(mode: str = "receive", **options: object) -> End:
    end = End(OURS, mode, memif=dict(ZERO_COPY), options=dict(options))
    return end


def lent(result: Result) -> int:
    return result.stats["xstats"]["rx_zero_copy_packets"]


def long_ones(total: int, sizes: List[int]) -> int:
    """Of so many packets that have these lengths in turn, how many are not copied."""
    whole, rest = divmod(total, len(sizes))
    return whole * sum(size >= FROM for size in sizes) + sum(size >= FROM for size in sizes[:rest])


@clients
@pytest.mark.parametrize("sizes", [[64], [511, 512, 513], [1514], [60, 1518, 2048, 64]], ids=str)
def test_sizes(start_traffic: StartTraffic, socket: Socket, client: ClientKind,
               sizes: List[int]) -> None:
    """Long packets are not copied, short ones are; all arrive as they were."""
    count = 100000
    sender = client.end(count, ",".join(map(str, sizes)), rsize=10, bsize=2048)
    got, _ = check_pair(start_traffic, socket, server(), sender)
    assert lent(got) == long_ones(count, sizes)
    assert got.stats["xstats"]["rx_zero_copy_high_water_packets"] == 0


@pytest.mark.parametrize("sizes,bsize,segs", [("9000", 9216, 1), ("60-9000", 2048, 5),
                                              ("60-9000", 700, 9), ("60-1500", 256, None)])
def test_chains(start_traffic: StartTraffic, socket: Socket, sizes: str, bsize: int,
                segs: int) -> None:
    """A segment for each long buffer; the others are copied."""
    count = 30000
    got, _ = check_pair(start_traffic, socket, server(),
                        End(OURS, "send", count, memif={"bsize": bsize}, options={"size": sizes}))
    if bsize < FROM:
        assert lent(got) == 0
    elif segs == 1:
        assert lent(got) == count and got.data["max_segs"] == 1
    else:
        assert lent(got) > count // 2
        # What is left of a packet behind its long buffers may take one more.
        assert got.data["max_segs"] in (-(-9000 // bsize), -(-9000 // bsize) + 1)


@pytest.mark.parametrize("size,ours_gets", [("64,1025,1024,3000", 2), ("600,2000,9000", 1)])
def test_without_scatter(start_traffic: StartTraffic, socket: Socket, size: str,
                         ours_gets: int) -> None:
    """What would not fit an mbuf is dropped, whether it would have been copied or not."""
    kinds = len(size.split(","))
    count = 3000 * kinds
    client = End(OURS, "send", count, memif={"bsize": 2048, "rsize": 9}, options={"size": size})
    receiver = server(mbuf_size=1024, rx_scatter="off", allow_loss=True,
                      expect=count // kinds * ours_gets)
    got, sent = run_pair(start_traffic, socket, receiver, client)
    assert_no_errors(got, sent)
    assert got.arrived == {0: count // kinds * ours_gets}
    assert got.data["max_segs"] == 1
    assert got.stats["ierrors"] == count // kinds * (kinds - ours_gets)


@clients
def test_echo(start_traffic: StartTraffic, socket: Socket, client: ClientKind) -> None:
    """What has come without copying goes out again, is copied into the client's buffers and freed."""
    sender = client.end(50000, "60-1518", rsize=8, bsize=2048)
    sender.mode, sender.rxq, sender.txq = "both", 2, 2
    echo = server("echo", count=1)
    echo.rxq = echo.txq = 2
    echoed, result = run_pair(start_traffic, socket, echo, sender)
    assert_no_errors(echoed, result)
    assert_delivered(sender, result, sender, result)
    assert echoed.stats["ipackets"] == echoed.stats["opackets"] == sender.total
    assert lent(echoed) > 0


@pytest.mark.parametrize("hold", [1, 20, 48, 60, 63])
def test_held_packets(start_traffic: StartTraffic, socket: Socket, hold: int) -> None:
    """The receiver always keeps some packets; what is beyond the mark is copied."""
    got, _ = check_pair(start_traffic, socket, server(hold=hold),
                        End(OURS, "send", 30000, memif={"rsize": 6}, options={"size": "1514"}))
    copied = got.stats["xstats"]["rx_zero_copy_high_water_packets"]
    assert lent(got) + copied == 30000
    assert lent(got) > 0
    if hold > 48:
        assert copied > 0


@pytest.mark.parametrize("pool_size", [8, 33, 100])
def test_small_pool(start_traffic: StartTraffic, socket: Socket, pool_size: int) -> None:
    """No mbufs left in mid-packet, some of whose segments are lent already: it waits, unharmed."""
    count = 200 * pool_size
    client = End(OURS, "send", count, memif={"rsize": 7, "bsize": 600},
                 options={"size": "60-2000", "segs": 2})
    receiver = server(pool_size=pool_size, hold=pool_size, rx_burst="32,3")
    got, sent = run_pair(start_traffic, socket, receiver, client)
    assert_no_errors(got, sent)
    assert got.arrived == sent.sent == {0: count}
    assert got.stats["rx_nombuf"] > 0, "the pool was never empty: this test tests nothing"
    assert_counters_survive(receiver, got)


# -- testpmd ---------------------------------------------------------------------------------------

@pytest.fixture
def start_pair(start_testpmd: StartTestpmd, server: MakeMemif, client: MakeMemif,
               ) -> Callable[..., Tuple[Testpmd, Testpmd]]:
    """Starts a server with zero-copy and a client, waits for the link."""
    def start(options: Tuple[str, ...] = ()) -> Tuple[Testpmd, Testpmd]:
        pair = (start_testpmd([server(**ZERO_COPY).vdev()], options, cpu_number=0),
                start_testpmd([client().vdev()], options, cpu_number=1))
        for testpmd in pair:
            testpmd.wait_link()
        assert re.search(r"net_memif0: connected as server .*, zero-copy, ", pair[0].stderr)
        return pair
    return start


@pytest.mark.parametrize("mode", ["io", "mac", "macswap", "csum", "5tswap", "flowgen"])
def test_forwarding_modes(start_pair: Callable[..., Tuple[Testpmd, Testpmd]], mode: str) -> None:
    """testpmd reads and writes such packets where they are, and sends them back."""
    server, client = start_pair(("--txpkts=1500",))
    server.cmd("set txpkts 1500")
    server.forward(mode)
    client.cmd("set fwd io")
    client.cmd("set txpkts 1500")
    client.cmd("start tx_first 8")
    client.wait_packets("RX-packets", 5000)
    client.stop()
    server.stop()
    xstats = server.cmd("show port xstats 0")
    assert int(re.search(r"rx_zero_copy_packets: (\d+)", xstats).group(1)) > 1000
    for testpmd in (server, client):
        stats = testpmd.stats()
        assert stats["RX-errors"] == stats["TX-errors"] == stats["RX-nombuf"] == 0
    quit_pair(server, client)


def test_burst_mode_is_shown(start_pair: Callable[..., Tuple[Testpmd, Testpmd]]) -> None:
    server, client = start_pair()
    assert "server, zero-copy" in server.cmd("show rxq info 0 0")
    assert "client, copy" in client.cmd("show rxq info 0 0")


def test_txonly_rxonly(start_pair: Callable[..., Tuple[Testpmd, Testpmd]]) -> None:
    """In both directions; a server's transmit always copies."""
    server, client = start_pair(("--txpkts=1500",))
    send(client, server)
    send(server, client)
    assert client.stats()["TX-packets"] == settled(server, "RX-packets", 1) > 10000
    assert server.stats()["TX-packets"] == settled(client, "RX-packets", 1) > 10000
    quit_pair(server, client)
