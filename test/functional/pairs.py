# SPDX-License-Identifier: BSD-3-Clause
"""Two mif-traffic processes joined by memif, and what has to be true of them afterwards."""

import re
from dataclasses import dataclass, field
from typing import Any, Callable, Collection, Dict, Tuple

import pytest

import ends
from memif import OURS, STOCK, Memif, Socket
from process import PATIENCE
from traffic import Result, Traffic

StartTraffic = Callable[..., Traffic]


@dataclass
class End:
    """One end of a pair."""

    driver: str = OURS
    mode: str = "both"
    count: int = 20000
    rxq: int = 1
    txq: int = 1
    memif: Dict[str, Any] = field(default_factory=dict)
    """devargs beside role and socket"""
    options: Dict[str, Any] = field(default_factory=dict)
    """options of mif-traffic beside the above"""

    @property
    def sends(self) -> bool:
        return self.mode in ("send", "both")

    @property
    def receives(self) -> bool:
        return self.mode != "send"

    @property
    def total(self) -> int:
        return self.count * self.txq if self.sends else 0

    def is_zero_copy(self, role: str) -> bool:
        """In this role, by its own options or as all ends of a test (see ends.py)."""
        vdev = Memif(role, Socket("", True), self.memif).vdev()
        return ends.is_zero_copy(ends.vdev_of(vdev, self.driver == OURS))


# Bytes of a buffer, and of an mbuf; log2 of slots.
DEFAULT_SIZE = 2048
DEFAULT_RSIZE = 10
# Bytes that the mbufs of a ring may take.
MBUF_MEMORY = 256 << 20


def longest(end: End) -> int:
    """Packet that it sends."""
    return max(map(int, re.findall(r"\d+", str(end.options.get("size", 64)))))


def skip_what_cannot_be(server: End, client: End) -> None:
    """Pairs that a test was not written for: a client's receive ring is of mbufs with zero-copy."""
    if not client.is_zero_copy("client") or not client.receives:
        return
    rsize = client.memif.get("rsize", DEFAULT_RSIZE)
    if client.driver == STOCK and rsize < 5:
        pytest.skip("a stock client with zero-copy posts nothing in rings of less than 32 slots")
    room = client.options.get("mbuf_size", DEFAULT_SIZE)
    if client.driver == STOCK and server.sends and longest(server) > room:
        pytest.skip("a stock client with zero-copy reports wrong lengths of packets in several mbufs")
    if server.sends and longest(server) > room << rsize:
        pytest.skip("the packets are longer than all mbufs that the client can post")
    if server.driver == STOCK and server.sends and room < server.memif.get("bsize", DEFAULT_SIZE):
        pytest.skip("a stock server trusts its own bsize and overruns mbufs that are smaller")


def mbufs_for_ring(client: End, peer: End) -> Dict[str, int]:
    """Options of mif-traffic: each slot of a zero-copy client's receive ring holds an mbuf."""
    if not client.is_zero_copy("client") or not client.receives:
        return {}
    room = client.options.get("mbuf_size", DEFAULT_SIZE)
    in_rings = client.rxq << client.memif.get("rsize", DEFAULT_RSIZE)
    if in_rings * (room + 256) > MBUF_MEMORY:
        pytest.skip(f"a pool of {in_rings} mbufs of {room} bytes")
    burst = max(map(int, re.findall(r"\d+", str(client.options.get("rx_burst", 32)))))
    segments = -(-longest(peer) // room)
    return {"pool_size": in_rings + client.rxq * (burst * segments + 512) +
            client.options.get("hold", 0) + 4096}


def run_pair(start: StartTraffic, socket: Socket, server: End, client: End,
             client_first: bool = False, timeout: int = PATIENCE) -> Tuple[Result, Result]:
    """Runs both ends until both are done, and returns their results (server, client)."""
    skip_what_cannot_be(server, client)
    pair = {"server": server, "client": client}
    order = ["client", "server"] if client_first else ["server", "client"]
    running = {}
    for role in order:
        end = pair[role]
        peer = pair["client" if role == "server" else "server"]
        expect = peer.total if peer.sends else end.total if peer.mode == "echo" else 0
        options: Dict[str, Any] = dict(
            mode=end.mode, count=end.count, rxq=end.rxq, txq=end.txq, timeout=timeout,
            seed=1 if role == "server" else 2, idle_end=10000, wait_link=timeout,
            expect=expect if end.mode != "send" else None)
        if role == "client":
            options.update(mbufs_for_ring(end, peer))
        options.update(end.options)
        running[role] = start(
            Memif(role, socket, end.memif), driver=end.driver,
            cpu_number=0 if role == "server" else 1, **options)
        running[role].wait_started()
    for role in order:
        running[role].wait_done(timeout + 10)
    # Both count before either disconnects; an end that gave up has counted already.
    for role in order:
        running[role].count()
    # The client first: a stopped stock server spins on its closed listener when a client calls.
    client_result = running["client"].finish()
    server_result = running["server"].finish()
    return server_result, client_result


def assert_no_errors(*results: Result) -> None:
    for result in results:
        assert not result.errors, f"{result.data['mode']} end: {result.errors}"
        assert result.leaked_mbufs == 0


def assert_delivered(sender: End, sent: Result, receiver: End, got: Result) -> None:
    """All that was sent and not refused arrived, and both ends counted the same."""
    assert sent.sent == {queue: sender.count for queue in range(sender.txq)}
    assert got.arrived == sent.sent
    for queue, rx_queues in got.rx_queues.items():
        assert len(rx_queues) == 1, f"packets of queue {queue} came in on queues {rx_queues}"
    assert got.stats["ipackets"] == got.data["received"] == sum(sent.sent.values())
    assert got.stats["ibytes"] == got.data["received_bytes"] == sent.sent_bytes
    assert got.stats["ierrors"] == got.stats["rx_nombuf"] == 0
    assert sent.stats["opackets"] == sum(sent.sent.values())
    assert sent.stats["oerrors"] == 0
    # Stock counts the bytes of packets that it refuses.
    if sender.driver != STOCK:
        assert sent.stats["obytes"] == sent.sent_bytes


def assert_counters_survive(end: End, result: Result, unsure: Collection[str] = ()) -> None:
    """Stopping, which disconnects, changes no counter but those."""
    if end.driver == STOCK:
        return  # its counters read 0 then
    before, after = result.data["stats"], result.data["stats_after_stop"]
    assert before.keys() == after.keys()
    for name in before.keys() - {"link", "xstats"}:
        assert after[name] == before[name], name
    for name, value in before["xstats"].items():
        if name not in ("connections", "disconnections", *unsure):
            assert after["xstats"][name] == value, name


def check_pair(start: StartTraffic, socket: Socket, server: End, client: End,
               **options: Any) -> Tuple[Result, Result]:
    """Runs a pair of which nothing may be lost, and checks all there is to check."""
    server_result, client_result = run_pair(start, socket, server, client, **options)
    assert_no_errors(server_result, client_result)
    if server.sends and client.mode != "send":
        assert_delivered(server, server_result, client, client_result)
    if client.sends and server.mode != "send":
        assert_delivered(client, client_result, server, server_result)
    # What a client has taken shows when it posts again, which a stock one does late.
    late = client.driver == STOCK and client.is_zero_copy("client")
    assert_counters_survive(server, server_result,
                            ["tx_lost_with_peer_packets"] if late else [])
    assert_counters_survive(client, client_result)
    return server_result, client_result
