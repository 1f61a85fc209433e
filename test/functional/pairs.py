# SPDX-License-Identifier: BSD-3-Clause
"""Two mif-traffic processes joined by memif, and what has to be true of them afterwards."""

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Tuple

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
    def total(self) -> int:
        return self.count * self.txq if self.sends else 0


def run_pair(start: StartTraffic, socket: Socket, server: End, client: End,
             client_first: bool = False, timeout: int = PATIENCE) -> Tuple[Result, Result]:
    """Runs both ends until both are done, and returns their results (server, client)."""
    ends = {"server": server, "client": client}
    order = ["client", "server"] if client_first else ["server", "client"]
    running = {}
    for role in order:
        end = ends[role]
        peer = ends["client" if role == "server" else "server"]
        expect = peer.total if peer.sends else end.total if peer.mode == "echo" else 0
        options: Dict[str, Any] = dict(
            mode=end.mode, count=end.count, rxq=end.rxq, txq=end.txq, timeout=timeout,
            seed=1 if role == "server" else 2, idle_end=10000, wait_link=timeout,
            expect=expect if end.mode != "send" else None)
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
        assert result.data["leaked_mbufs"] == 0


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


def assert_counters_survive(end: End, result: Result) -> None:
    """Stopping, which disconnects, changes no counter."""
    if end.driver == STOCK:
        return  # its counters read 0 then
    before, after = result.data["stats"], result.data["stats_after_stop"]
    assert before.keys() == after.keys()
    for name in before.keys() - {"link", "xstats"}:
        assert after[name] == before[name], name
    for name, value in before["xstats"].items():
        if name not in ("connections", "disconnections"):
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
    assert_counters_survive(server, server_result)
    assert_counters_survive(client, client_result)
    return server_result, client_result
