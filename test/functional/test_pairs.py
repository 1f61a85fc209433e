# SPDX-License-Identifier: BSD-3-Clause
"""Ours and stock in every combination of roles, over the shapes that rings can have."""

import re
from dataclasses import dataclass

import pytest

from memif import OURS, STOCK, Socket
from pairs import End, StartTraffic, assert_delivered, assert_no_errors, check_pair, run_pair

# server, client
DRIVERS = [(OURS, OURS), (OURS, STOCK), (STOCK, OURS)]
drivers = pytest.mark.parametrize(
    "server_driver,client_driver", DRIVERS, ids=[f"{s}-{c}" for s, c in DRIVERS])


@dataclass(frozen=True)
class Shape:
    """Ring and traffic of a test; both ends get the same bsize (stock servers trust their own)."""

    rsize: int
    bsize: int
    queues: int
    socket: str
    size: str
    """lengths of the packets"""
    segs: int = 1
    """mbuf segments of a sent packet"""
    mbuf_size: int = 2048
    """data room of the receiver's mbufs"""
    count: int = 20000

    @property
    def chained(self) -> bool:
        return max(int(number) for number in re.findall(r"\d+", self.size)) > self.bsize

    @property
    def name(self) -> str:
        return f"r{self.rsize}-b{self.bsize}-q{self.queues}-{self.socket}-{self.size}B-s{self.segs}"


# Every value of a column with every value of the two ring columns, not the full product.
SHAPES = [
    Shape(1, 64, 1, "abstract", "46-64"),
    Shape(1, 512, 4, "file", "60-1024", segs=3),
    Shape(1, 2048, 1, "file", "60-4096", segs=5, mbuf_size=512),
    Shape(1, 9216, 4, "abstract", "60-9000", mbuf_size=9216, count=5000),
    Shape(3, 64, 4, "file", "60-512"),
    Shape(3, 512, 1, "abstract", "1400"),
    Shape(3, 512, 4, "abstract", "60-4096", segs=2, mbuf_size=1024),
    Shape(3, 2048, 1, "file", "60-1518", segs=2, count=50000),
    Shape(3, 9216, 1, "abstract", "64,512,9000", segs=3, mbuf_size=256),
    Shape(10, 64, 1, "file", "60-9000", segs=7, mbuf_size=9216),
    Shape(10, 512, 4, "abstract", "60-9000", segs=4),
    Shape(10, 2048, 4, "file", "60-1518", count=50000),
    Shape(10, 2048, 1, "abstract", "60", count=200000),
    Shape(10, 9216, 1, "file", "60-9000", segs=5, mbuf_size=300),
    Shape(14, 64, 4, "abstract", "60-1518", segs=3),
    Shape(14, 512, 1, "abstract", "60-512", count=100000),
    Shape(14, 2048, 4, "file", "60-9000", mbuf_size=9216),
    Shape(14, 9216, 1, "abstract", "60-9000", segs=2, mbuf_size=2048),
]


@drivers
@pytest.mark.parametrize("shape,socket", [(shape, shape.socket) for shape in SHAPES],
                         ids=[shape.name for shape in SHAPES], indirect=["socket"])
def test_both_directions(start_traffic: StartTraffic, socket: Socket, shape: Shape,
                         server_driver: str, client_driver: str) -> None:
    """All that was sent and not refused arrives, in order per queue, once, byte for byte."""
    def end(driver: str) -> End:
        # Stock repeats parts of a chain for which the ring has too little room: it only receives
        # here, and sends its chains in test_chains_of_stock.
        mode = "both"
        if shape.chained and STOCK in (server_driver, client_driver):
            mode = "receive" if driver == STOCK else "send"
        return End(driver, mode, shape.count, shape.queues, shape.queues,
                   {"rsize": shape.rsize, "bsize": shape.bsize},
                   {"size": shape.size, "segs": shape.segs, "mbuf_size": shape.mbuf_size})

    check_pair(start_traffic, socket, end(server_driver), end(client_driver))


@pytest.mark.parametrize("ours_is", ["server", "client"])
@pytest.mark.parametrize("bsize,size,count", [(64, "60-300", 3000), (512, "60-1500", 5000),
                                              (2048, "60-9000", 3000)])
def test_chains_of_stock(start_traffic: StartTraffic, socket: Socket, ours_is: str, bsize: int,
                         size: str, count: int) -> None:
    """Chains that stock sends: in a ring that has room for all of them, so that none is refused."""
    longest = int(size.split("-")[1])
    assert count * (longest // bsize + 1) < 1 << 14
    memif = {"rsize": 14, "bsize": bsize}
    ours = End(OURS, "receive", memif=memif)
    stock = End(STOCK, "send", count, memif=memif, options={"size": size, "segs": 3})
    ends = (ours, stock) if ours_is == "server" else (stock, ours)
    check_pair(start_traffic, socket, *ends)


@pytest.mark.parametrize("driver", [OURS, STOCK])
@pytest.mark.parametrize("echo_is", ["server", "client"])
def test_echo(start_traffic: StartTraffic, socket: Socket, driver: str, echo_is: str) -> None:
    """Received mbufs go out again as they are."""
    memif = {"rsize": 8, "bsize": 2048}
    sender = End(OURS, "both", 50000, 2, 2, memif, {"size": "60-1518", "burst": "1,32,33"})
    echo = End(driver, "echo", 0, 2, 2, memif)
    echo.options["count"] = 1
    ends = (echo, sender) if echo_is == "server" else (sender, echo)
    results = run_pair(start_traffic, socket, *ends)
    assert_no_errors(*results)
    result = results[1] if echo_is == "server" else results[0]
    assert_delivered(sender, result, sender, result)
    other = results[0] if echo_is == "server" else results[1]
    assert other.stats["ipackets"] == other.stats["opackets"] == sender.total


@pytest.mark.parametrize("server_driver", [OURS, STOCK])
def test_client_starts_first(start_traffic: StartTraffic, file_socket: Socket,
                             server_driver: str) -> None:
    """A client of ours waits for its server and connects when it is there."""
    server, client = End(server_driver), End(OURS)
    check_pair(start_traffic, file_socket, server, client, client_first=True)


@drivers
def test_small_packets_both_ways_at_length(
        start_traffic: StartTraffic, socket: Socket, server_driver: str, client_driver: str,
        ) -> None:
    """Both 16-bit indices of both rings wrap many times."""
    check_pair(start_traffic, socket, End(server_driver, count=1000000),
               End(client_driver, count=1000000))


@pytest.mark.parametrize("rsize", range(1, 15))
def test_every_ring_size(start_traffic: StartTraffic, socket: Socket, rsize: int) -> None:
    """Each of the 14 sizes, over more than one wrap of the indices where that is quick."""
    memif = {"rsize": rsize, "bsize": 256}
    count = 70000 if rsize > 3 else 20000
    check_pair(start_traffic, socket, End(memif=memif, count=count), End(memif=memif, count=count))


@pytest.mark.parametrize("bsize", [1, 64, 1500, 65535])
def test_odd_buffer_sizes(start_traffic: StartTraffic, socket: Socket, bsize: int) -> None:
    """bsize 1 (a slot for every byte), no power of two, the largest."""
    memif = {"rsize": 9, "bsize": bsize}
    size = "46-512" if bsize == 1 else "60-9000"
    end = End(memif=memif, count=3000 if bsize == 1 else 20000, options={"size": size})
    check_pair(start_traffic, socket, end, end)


@pytest.mark.parametrize("sender", ["server", "client"])
def test_buffer_sizes_differ(start_traffic: StartTraffic, socket: Socket, sender: str) -> None:
    """The client decides; what a server was told for itself does not matter."""
    ends = {"server": End(memif={"bsize": 2048, "rsize": 5}),
            "client": End(memif={"bsize": 700, "rsize": 6})}
    for role, end in ends.items():
        end.mode = "send" if role == sender else "receive"
        end.options["size"] = "60-9000"
    check_pair(start_traffic, socket, ends["server"], ends["client"])


