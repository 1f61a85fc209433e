# SPDX-License-Identifier: BSD-3-Clause
"""Random peers of both roles against live ports of a testpmd that echoes: messages, files and memory
by a seeded random generator, so a failure can be repeated with the round that it names.

fuzz_handshake.c tries many more of them, but without threads. Here the control thread, the polling
thread and the peer run at the same time. MIF_FUZZ_ROUNDS and MIF_FUZZ_SEED choose how many and which.
"""

import contextlib
import os
import random
import sys
import time
from pathlib import Path
from typing import Any, Callable, Iterator, List, Optional, Tuple

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "peer"))

import dut  # noqa: E402
from memifpeer import Client, Closed, Config, Listener, ProtocolError, Server, TimedOut  # noqa: E402
from memifpeer import wire  # noqa: E402
from memifpeer.shm import Desc, create_memfd  # noqa: E402

pytestmark = [
    pytest.mark.skipif(dut.testpmd_path() is None, reason="dpdk-testpmd is not installed"),
    pytest.mark.skipif(dut.own_plugin() is None, reason="our driver is not built (MIF_PLUGIN)"),
]

SEED = int(os.environ.get("MIF_FUZZ_SEED", "1"))
ROUNDS = int(os.environ.get("MIF_FUZZ_ROUNDS", "150"))
LOOK_EVERY = 25     # rounds between two looks at the honest peer
VICTIMS = {"server": (0, 1), "client": (2, 3)}
HONEST = 4
LOG2 = 6
PROBE = [bytes([number]) * (60 + 40 * number) for number in range(16)]

GONE = (Closed, TimedOut, ProtocolError, OSError)
Peer = Any


class Target:
    """A testpmd with two server ports, two client ports, and a server with an honest peer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        vdevs = []
        for port in range(HONEST + 1):
            role = "client" if port in VICTIMS["client"] else "server"
            memory = ",peer-memory=sealed" if port == 1 else ""
            vdevs.append(f"net_memif{port},role={role},id={port},socket={self.address(port)},"
                         f"socket-abstract=no,rsize={LOG2}{memory}")
        self.dut = dut.Dut(vdevs, plugin=dut.own_plugin(), queues=2, mbufs=16384)
        self.dut.command("start")
        self.honest = Client(Config(id=HONEST, log2=LOG2))
        self.honest.handshake(self.address(HONEST))
        self.check()
        self.before = self.resources()

    def address(self, port: int) -> str:
        return str(self.folder / f"{port}.sock")

    def close(self) -> None:
        self.honest.close()
        self.dut.kill()

    def check(self) -> None:
        assert self.dut.alive, f"testpmd ended:\n{self.dut.text[-3000:]}"
        assert sorted(self.honest.exchange(0, PROBE)) == sorted(PROBE), "the honest peer's packets"

    def resources(self) -> Tuple[int, int]:
        """The fewest within some time: a client port tries to connect now and then."""
        seen = []
        for _ in range(200):
            seen.append((self.dut.open_fds(), self.dut.mappings_of_peers()))
            time.sleep(0.002)
        return min(fds for fds, _ in seen), min(maps for _, maps in seen)

    def settle(self) -> None:
        """Everything that the peers brought has gone."""
        deadline = time.monotonic() + 15    # a handshake may last for ten seconds
        while (now := self.resources()) != self.before and time.monotonic() < deadline:
            pass
        assert now == self.before, f"(descriptors, mappings) were {self.before}, are {now}"


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    made = Target(tmp_path_factory.mktemp("port-fuzz"))
    try:
        yield made
    finally:
        made.close()


# -- what a peer may do -----------------------------------------------------------------------------

def any_fd(rng: random.Random) -> int:
    kind = rng.randrange(6)
    if kind < 3:
        return create_memfd(rng.choice((4096, 65536, 1 << 20)), sealed=kind == 0)
    if kind == 3:
        return os.eventfd(0, os.EFD_CLOEXEC)
    if kind == 4:
        return os.open("/dev/null", os.O_RDWR)
    return os.open("/", os.O_RDONLY | os.O_DIRECTORY)


def any_value(rng: random.Random, code: str, value: Any) -> Any:
    if code.endswith("s"):
        return rng.randbytes(int(code[:-1]))
    limit = 1 << {"B": 8, "H": 16, "I": 32, "Q": 64}[code]
    return rng.choice((value, 0, 1, 2, limit - 1, limit // 2, rng.randrange(limit))) % limit


def say_something(peer: Peer, rng: random.Random) -> None:
    """A message of any kind, some fields changed, with any files; sometimes of a wrong length."""
    message = rng.choice(wire.MESSAGES)()
    wrong = {name: any_value(rng, code, getattr(message, name))
             for name, code in message.LAYOUT.items() if rng.random() < 0.4}
    raw = message.replaced(**wrong).pack()
    if rng.random() < 0.1:
        raw = rng.randbytes(rng.choice((1, 2, 127, 129, 200)))
    needed = int(type(message) in wire.WITH_FD)
    fds = [any_fd(rng) for _ in range(needed if rng.random() < 0.7 else rng.randrange(5))]
    try:
        peer.say_raw(raw, fds)
    finally:
        for fd in fds:
            os.close(fd)


def scribble(peer: Peer, rng: random.Random) -> None:
    """Descriptors and indices of any value, while the other end polls."""
    ends = [*peer.tx, *peer.rx]
    if not ends:
        return
    ring = rng.choice(ends).ring
    for _ in range(rng.choice((1, 20, 200))):
        ring.set_desc(rng.randrange(ring.size), Desc(
            flags=rng.choice((0, 1, 0xffff)), region=rng.choice((0, 0, 0, 1, 255, 65535)),
            length=rng.choice((0, 1, 60, 2048, 65535, 1 << 31, (1 << 32) - 1)),
            offset=rng.choice((0, 4096, rng.randrange(1 << 20), (1 << 32) - 60))))
        if rng.random() < 0.5:
            ring.head = ring.tail + rng.randrange(ring.size + 2)
        elif rng.random() < 0.1:
            ring.tail = rng.randrange(1 << 16)
        ring.flags = rng.randrange(2)


def send_packets(peer: Peer, rng: random.Random) -> None:
    for _ in range(20):
        if peer.tx:
            peer.send(rng.randrange(len(peer.tx)), rng.randbytes(rng.choice((1, 60, 1500, 4000))))


def pull_away(peer: Peer, rng: random.Random) -> None:
    """A client's memory becomes shorter than what it said; the server's mappings fault."""
    for region in peer.regions:
        if region is not None and region.fd >= 0:
            with contextlib.suppress(OSError):      # sealed
                os.ftruncate(region.fd, rng.choice((0, 4096)))


def disconnect(peer: Peer, rng: random.Random) -> None:
    peer.say(wire.Disconnect(string=rng.randbytes(rng.randrange(97))))


ACTIONS: Tuple[Callable[[Peer, random.Random], None], ...] = (
    say_something, scribble, scribble, send_packets, pull_away, disconnect)


def misbehave(peer: Peer, rng: random.Random) -> None:
    """Up to ten things; what happens to us meanwhile does not matter."""
    with contextlib.suppress(*GONE):
        for _ in range(rng.randrange(10)):
            action = rng.choice(ACTIONS)
            if action is pull_away:
                # Our own mappings would fault as well, and nobody guards them.
                action(peer, rng)
                return
            action(peer, rng)
            if rng.random() < 0.3:
                time.sleep(0.001)


def play_client(target: Target, rng: random.Random) -> None:
    """Against a server port: a handshake up to some point, and then anything."""
    port = rng.choice(VICTIMS["server"])
    config = Config(id=rng.choice((port, port, port, 99)), log2=rng.choice((1, 4, 8)),
                    c2s=rng.randint(1, 3), s2c=rng.randint(1, 3), bsize=rng.choice((64, 2048)),
                    sealed=rng.random() < 0.6, regions=rng.randint(1, 3), timeout=2.0)
    with Client(config) as peer:
        with contextlib.suppress(*GONE):
            peer.connect(target.address(port))
            peer.handshake(until=rng.choice((*Client.STEPS, "connect", "connect")))
        misbehave(peer, rng)


def play_server(target: Target, listener: Listener, port: int, rng: random.Random) -> None:
    """Against a client port, which comes by itself."""
    with Server(Config(id=port, log2=LOG2, timeout=2.0)) as peer:
        with contextlib.suppress(*GONE):
            peer.accept(listener, timeout=4.0)
            until: Optional[str] = rng.choice(("start", "init", "regions", "rings", None, None))
            if until != "start":
                peer.handshake(until=until)
        misbehave(peer, rng)


def rounds_of(seed: int, count: int) -> Iterator[Tuple[int, random.Random]]:
    for number in range(count):
        print(f"round {number} of seed {seed}")
        yield number, random.Random(f"{seed}-{number}")


# -- the tests --------------------------------------------------------------------------------------

def test_server_ports(target: Target) -> None:
    for number, rng in rounds_of(SEED, ROUNDS):
        play_client(target, rng)
        assert target.dut.alive, f"round {number}: {target.dut.text[-3000:]}"
        if number % LOOK_EVERY == 0:
            target.check()
    target.check()
    target.settle()
    for port in VICTIMS["server"]:
        with Client(Config(id=port, log2=LOG2)) as peer:
            peer.handshake(target.address(port))
            assert sorted(peer.exchange(0, PROBE)) == sorted(PROBE), f"port {port} afterwards"


def test_client_ports(target: Target) -> None:
    ports: List[int] = list(VICTIMS["client"])
    with contextlib.ExitStack() as stack:
        listeners = {port: stack.enter_context(Listener(target.address(port))) for port in ports}
        for number, rng in rounds_of(SEED, ROUNDS // 3):
            port = ports[number % len(ports)]
            play_server(target, listeners[port], port, rng)
            assert target.dut.alive, f"round {number}: {target.dut.text[-3000:]}"
            if number % LOOK_EVERY == 0:
                target.check()
        for port in ports:
            with Server(Config(id=port, log2=LOG2)) as peer:
                serve_honestly(peer, listeners[port])
    target.check()
    target.settle()


def serve_honestly(peer: Server, listener: Listener) -> None:
    """The client comes back, however it was treated; it may have left a connection in the queue."""
    for _ in range(5):
        try:
            peer.accept(listener, timeout=4.0)
            peer.handshake()
            break
        except (Closed, ProtocolError):
            peer.close()
    assert sorted(peer.exchange(0, PROBE)) == sorted(PROBE), "the client port afterwards"
