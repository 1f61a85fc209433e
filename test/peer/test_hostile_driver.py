# SPDX-License-Identifier: BSD-3-Clause
"""Every scripted misbehaviour against our driver, in both roles: the program lives, an honest peer
on another port notices nothing, the port serves the next honest peer, and nothing stays open.

One testpmd holds all ports and echoes. The same program bears all cases, one after the other.
"""

import contextlib
import threading
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

import pytest

import dut
import expected
import sent
from memifpeer import Client, Closed, Config, Listener, Server, hostile
from memifpeer.hostile import stall
from memifpeer.session import ProtocolError, Session

pytestmark = [
    pytest.mark.skipif(dut.testpmd_path() is None, reason="dpdk-testpmd is not installed"),
    pytest.mark.skipif(dut.own_plugin() is None, reason="our driver is not built (MIF_PLUGIN)"),
]

LOG2 = 8
EACH = 5        # ports of a role; the last is the honest peer's, or the time-out tests'
SPARE = EACH - 1
NAMELESS_MAX = 256      # clients of a socket that have not said which port they want
PROBE = [bytes([number]) * (60 + number) for number in range(20)]


def free_huge_pages() -> int:
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("HugePages_Free:"):
            return int(line.split()[1])
    return 0


class Target:
    """A testpmd with server ports 0 to EACH - 1 and client ports after them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        vdevs = []
        for port in range(2 * EACH):
            role = "server" if port < EACH else "client"
            vdevs.append(f"net_memif{port},role={role},id={port},socket={self.address(port)},"
                         f"socket-abstract=no,rsize={LOG2}")
        self.vdevs = vdevs
        self.turn = 0
        self.dut: Any = None
        self.honest: Any = None
        self.listeners: Dict[int, Listener] = {}
        self.before = (0, 0)

    def start(self) -> None:
        """Starts it, also anew: a case that kills it shall not fail all that come after."""
        self.stop()
        self.dut = dut.Dut(self.vdevs, plugin=dut.own_plugin(), mbufs=16384)
        self.dut.command("start")
        self.honest = self.linked(SPARE, None)
        for port in (*range(SPARE), *range(EACH, EACH + SPARE)):
            self.check(port)
        self.before = self.settled()

    def stop(self) -> None:
        if self.honest is not None:
            self.honest.close()
            self.honest = None
        self.stop_listening()
        if self.dut is not None:
            self.dut.kill()

    def stop_listening(self) -> None:
        """Nor for the case that would be next, whose client has come by now and holds a socket."""
        for listener in self.listeners.values():
            listener.close()
        self.listeners.clear()

    def address(self, port: int) -> str:
        return str(self.folder / f"{port}.sock")

    def next_port(self, role: str) -> int:
        """A port of this role; in turns, so that a client's pause before it retries has passed."""
        self.turn += 1
        return self.port_of_turn(role, self.turn)

    @staticmethod
    def port_of_turn(role: str, turn: int) -> int:
        return turn % SPARE + (EACH if role == "client" else 0)

    @contextlib.contextmanager
    def listening(self, port: int, listen_too: Optional[int] = None
                  ) -> Iterator[Optional[Listener]]:
        """For a client port: listens, so that it can come, and come back. And begins to listen for
        another, whose client may then come in the meantime."""
        if port < EACH:
            yield None
            return
        for number in {port, port if listen_too is None else listen_too} - set(self.listeners):
            self.listeners[number] = Listener(self.address(number))
        try:
            yield self.listeners[port]
        finally:
            self.listeners.pop(port).close()

    def peer(self, port: int, listener: Optional[Listener], config: Config) -> Session:
        """Connected to this port, and silent."""
        config.id = port
        if listener is None:
            client = Client(config)
            client.connect(self.address(port))
            return client
        server = Server(config)
        server.accept(listener, timeout=8.0)
        return server

    def linked(self, port: int, listener: Optional[Listener], timeout: float = 3.0) -> Session:
        """An honest peer after its handshake. The one before may still be on its way out."""
        deadline = time.monotonic() + timeout
        while True:
            peer = self.peer(port, listener, Config(log2=LOG2))
            try:
                peer.handshake()
                return peer
            except (ProtocolError, Closed):
                peer.close()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.002)

    def check(self, port: int, listener: Optional[Listener] = None) -> None:
        """The program lives, the honest peer is served, and so is the next on this port."""
        if listener is None and port >= EACH:
            with self.listening(port) as listener:
                return self.check(port, listener)
        assert self.dut.alive, self.dut.text[-2000:]
        self.check_honest()
        with self.linked(port, listener) as peer:
            sent.check_packets(peer.exchange(0, PROBE), PROBE)
            peer.disconnect("checked")

    def check_honest(self) -> None:
        """The honest peer's packets return. First what an exchange left that took too long: one
        slow moment shall not fail the second try as well."""
        self.honest.recv(0)
        sent.check_packets(self.honest.exchange(0, PROBE), PROBE)

    def resources(self) -> Tuple[int, int]:
        """Its open descriptors, and the mappings of peers' memory."""
        return self.dut.open_fds(), self.dut.mappings_of_peers()

    def settled(self, seconds: float = 0.5) -> Tuple[int, int]:
        """The fewest resources within some time: a port may just be trying to connect."""
        seen = []
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            seen.append(self.resources())
            time.sleep(0.002)
        return min(fds for fds, _ in seen), min(maps for _, maps in seen)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, _ends: object) -> Iterator[Target]:
    target = Target(tmp_path_factory.mktemp("target"))
    try:
        target.start()
        yield target
    finally:
        target.stop()


@pytest.fixture
def target(running: Target) -> Target:
    if not running.dut.alive:
        running.start()
    return running


def play(target: Target, victim: str, case: hostile.Case) -> None:
    config = case.config(Config(log2=LOG2, timeout=2.0))
    if config.hugetlb and free_huge_pages() < 8:
        pytest.skip("fewer than 8 free huge pages")
    port = target.next_port(victim)
    with target.listening(port, target.port_of_turn(victim, target.turn + 1)) as listener:
        counter = expected.counter_of(case)
        before = expected.count(target.dut, port, counter) if counter else 0
        with target.peer(port, listener, config) as peer:
            outcome = hostile.run(case, peer)
            assert target.dut.alive, target.dut.text[-2000:]
            expected.check_ended(case, peer, outcome)
        if counter:
            expected.check_counted(target.dut, port, counter, before)
        expected.check_returned(case, outcome)
        target.check(port, listener)


@pytest.mark.parametrize("case", hostile.cases("client"), ids=str)
def test_server_port_bears(target: Target, case: hostile.Case) -> None:
    play(target, "server", case)


@pytest.mark.parametrize("case", hostile.cases("server"), ids=str)
def test_client_port_bears(target: Target, case: hostile.Case) -> None:
    play(target, "client", case)


def test_silent_peers_are_dropped(target: Target) -> None:
    """In every state of the handshake, of both roles, all at the same time."""
    problems: List[str] = []

    def wait(role: str, port: int, point: str) -> None:
        try:
            with (target.listening(port) as listener,
                  target.peer(port, listener, Config(log2=LOG2)) as peer):
                outcome = stall.says_nothing_more(peer, point, timeout=15.0)
                if not outcome.ended:
                    problems.append(f"{role} silent at {point} was not dropped")
        except Exception as error:  # a thread's: handed to the test
            problems.append(f"{role} at {point}: {error!r}")

    threads = []
    for number, point in enumerate(hostile.POINTS[:-1]):
        threads.append(threading.Thread(target=wait, args=("client", number, point)))
        threads.append(threading.Thread(target=wait, args=("server", EACH + number, point)))
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    target.check_honest()
    for thread in threads:
        thread.join()
    assert not problems
    for port in (0, EACH):
        target.check(port)


def test_nothing_stays_behind_all_of_them(target: Target) -> None:
    """Descriptors and mappings are what they were before the first case."""
    target.stop_listening()
    fds, mappings = target.settled()
    assert fds <= target.before[0]
    assert mappings <= target.before[1]


def test_many_silent_connections(target: Target) -> None:
    """The honest peer goes on, the oldest have to go; when all are gone, a newcomer is served."""
    channels = stall.connects_many(target.address(0), 500, timeout=20.0)
    try:
        assert len(channels) == 500
        target.check_honest()
        outcomes = [Client(chan=channel).observe(8.0) for channel in channels[:-NAMELESS_MAX]]
        assert "too many clients" in {outcome.reason for outcome in outcomes}
    finally:
        for channel in channels:
            channel.close()
    target.check(0)
