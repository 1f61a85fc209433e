# SPDX-License-Identifier: BSD-3-Clause
"""What a hostile peer must not get of the control thread, and who may be a peer at all.

One testpmd holds all ports and echoes, with two queues each.
"""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Iterator, List, Tuple

import pytest

import dut
import sent
from memifpeer import Client, Closed, Config, Listener, ProtocolError, Server, wire
from memifpeer.hostile import reach

pytestmark = [
    pytest.mark.skipif(dut.testpmd_path() is None, reason="dpdk-testpmd is not installed"),
    pytest.mark.skipif(dut.own_plugin() is None, reason="our driver is not built (MIF_PLUGIN)"),
]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")

LOG2 = 8
PROBE = [bytes([number]) * (60 + number) for number in range(20)]
VICTIM, HONEST, BY_UID, BY_GID, BY_BOTH, SECRET, CLIENT = range(7)
UIDS, GIDS = (4001, 4002), (5001, 5002)
NOBODY = (6001, 6001)
PASSWORD = "xyzzy-Tr0ub4dor-24-bytes"       # of 24 bytes
LINGER = 30
SOON = 15                                   # seconds; on a loaded machine


class Target:
    """A testpmd with servers of several kinds, and a client."""

    def __init__(self, folder: Path) -> None:
        os.chmod(folder, 0o711)
        self.folder = folder
        options = {BY_UID: f"peer-uid={UIDS[0]}:{UIDS[1]}", BY_GID: f"peer-gid={GIDS[0]}:{GIDS[1]}",
                   BY_BOTH: f"peer-uid={UIDS[0]},peer-gid={GIDS[0]}", SECRET: f"secret={PASSWORD}"}
        vdevs = []
        for port in range(CLIENT + 1):
            role = "client" if port == CLIENT else "server,socket-mode=777"
            more = f",{options[port]}" if port in options else ""
            vdevs.append(f"net_memif{port},role={role},id={port},socket={self.address(port)},"
                         f"socket-abstract=no,rsize={LOG2}{more}")
        self.dut = dut.Dut(vdevs, plugin=dut.own_plugin(), queues=2, mbufs=16384,
                           extra=["--nb-cores=1"])
        self.dut.command("start")

    def address(self, port: int) -> str:
        return str(self.folder / f"{port}.sock")

    def check(self, port: int, secret: bytes = b"") -> None:
        with Client(Config(id=port, log2=LOG2, secret=secret, timeout=SOON)) as peer:
            peer.handshake(self.address(port))
            sent.check_packets(peer.exchange(0, PROBE), PROBE)
            peer.disconnect("checked")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory, _ends: object) -> Iterator[Target]:
    # Not below pytest's own folder, which is for its user alone.
    folder = Path(subprocess.check_output(["mktemp", "-d", "/tmp/mifXXXXXX"], text=True).strip())
    made = None
    try:
        made = Target(folder)
        yield made
    finally:
        if made is not None:
            made.dut.kill()
        subprocess.run(["rm", "-rf", str(folder)], check=True)


# -- files that take their time to close -------------------------------------------------------------

class Lingering:
    """A TCP socket whose last close waits for LINGER seconds, as the other end does not read."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.sock = socket.create_connection(listener.getsockname())
            self.other, _ = listener.accept()
        self.sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.sock.send(bytes(65536))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, LINGER))

    def __enter__(self) -> "Lingering":
        return self

    def __exit__(self, *_: object) -> None:
        self.other.close()      # ends it everywhere
        self.sock.close()


def send_with_init(peer: Client, fds: List[int]) -> None:
    peer.say(wire.Init(id=peer.config.id), fds)


def send_as_region(peer: Client, fds: List[int]) -> None:
    peer.say(wire.AddRegion(index=0, size=4096), fds)


def send_as_ring(peer: Client, fds: List[int]) -> None:
    peer.send_ring(0, fds=fds)


def send_unread(peer: Client, fds: List[int]) -> None:
    """Behind a message over which the connection ends."""
    peer.say(wire.Connected())
    peer.say(wire.Connected(), fds)


@pytest.mark.parametrize("point, send", [
    ("start", send_with_init), ("init", send_as_region), ("regions", send_as_ring),
    ("start", send_unread)], ids=["init", "region", "ring", "unread"])
def test_file_that_takes_long_to_close(target: Target, point: str,
                                       send: Callable[[Client, List[int]], None]) -> None:
    """The last reference is the driver's: it is stopped until the peer has none any more."""
    with Lingering() as file, Client(Config(id=VICTIM, log2=LOG2)) as peer:
        peer.connect(target.address(VICTIM))
        reach(peer, point)
        os.kill(target.dut.pid, signal.SIGSTOP)
        try:
            send(peer, [file.sock.fileno()])
            file.sock.close()
        finally:
            os.kill(target.dut.pid, signal.SIGCONT)
        begin = time.monotonic()
        target.check(HONEST)
        assert time.monotonic() - begin < SOON
        assert peer.observe(SOON).ended
    target.check(VICTIM)


def test_sparse_region_is_not_filled(target: Target) -> None:
    """testpmd calls mlockall(MCL_FUTURE): what it maps would be filled, here 4 GiB."""
    with Client(Config(id=VICTIM, log2=LOG2)) as peer:
        peer.connect(target.address(VICTIM))
        reach(peer, "init")
        peer.create_memory()
        with open(os.memfd_create("memifpeer", os.MFD_ALLOW_SEALING), "wb") as file:
            os.ftruncate(file.fileno(), 4 << 30)
            peer.say(wire.AddRegion(index=0, size=4 << 30), [file.fileno()])
            peer.expect_ack()
            assert os.fstat(file.fileno()).st_blocks * 512 < 1 << 20
    target.check(VICTIM)


# -- a server that plays with a client's pauses --------------------------------------------------------

def test_server_cannot_make_a_client_spin(target: Target) -> None:
    """It lets it in and throws it out at once, then refuses its second ring, in turns."""
    met = 0
    with Listener(target.address(CLIENT)) as listener:
        deadline = time.monotonic() + 3.0
        while time.monotonic() < deadline:
            with contextlib.suppress(Closed, ProtocolError), \
                    Server(Config(id=CLIENT, log2=LOG2)) as peer:
                peer.accept(listener, timeout=8.0)
                met += 1
                if met % 2:
                    peer.handshake()
                    peer.disconnect("out")
                else:
                    peer.handshake(until="regions")
                    peer.send_ack()
                    peer.recv_ring()
                    peer.disconnect("ring refused")
        # 0, 1, 2, 4 ... 128, 200, 200 ms: ten pauses in the first half second, five in each further
        # one; and as many attempts without a pause.
        assert 4 <= met < 80


# -- the log ------------------------------------------------------------------------------------------

COME_AND_GO = 300
LINES_AT_ONCE, LINE_SECONDS = 64, 0.25


def lines_of(target: Target, port: int) -> int:
    return target.dut.text.count(f"net_memif{port}: ")


@pytest.mark.parametrize("port, rudely", [(HONEST, False), (VICTIM, True)],
                         ids=["in-order", "with-garbage"])
def test_log_is_not_flooded(target: Target, port: int, rudely: bool) -> None:
    """A client that comes and goes as fast as it can, or talks nonsense between two handshakes."""
    before, begin = lines_of(target, port), time.monotonic()
    for number in range(COME_AND_GO):
        with contextlib.suppress(Closed, ProtocolError), \
                Client(Config(id=port, log2=LOG2, timeout=SOON)) as peer:
            peer.connect(target.address(port))
            reach(peer, "init" if rudely and number % 2 else "linked")
            peer.say(wire.Hello())
            assert peer.observe(SOON).ended
    lines = lines_of(target, port) - before
    assert 2 < lines < LINES_AT_ONCE + 2 * (time.monotonic() - begin + 1) / LINE_SECONDS
    # Whoever reads it learns that there was more.
    until_logged(target, "lines left out: peers come and go too fast", lambda: target.check(port))


def guess_wrong(target: Target) -> None:
    with Client(Config(id=SECRET, log2=LOG2, secret=b"wrong", timeout=SOON)) as peer:
        peer.connect(target.address(SECRET))
        peer.recv_hello()
        peer.send_init()
        assert peer.observe(SOON).reason == "incorrect secret"


def test_trouble_is_said_when_the_log_has_room(target: Target) -> None:
    """A trouble that begins while the log has no room, and lasts, is said later. There may be room on a
    slow machine, so it is tried several times, and at each said once more."""
    said = f"net_memif{SECRET}: not connected: refused a client of 'memifpeer': incorrect secret"
    for visits in (LINES_AT_ONCE, 8, 8):
        for _ in range(visits):
            target.check(SECRET, PASSWORD.encode())
        before = target.dut.text.count(said)
        # The last disconnection counts as the trouble until then.
        target.dut.command(f"set link-down port {SECRET}")
        target.dut.command(f"set link-up port {SECRET}")
        deadline = time.monotonic() + SOON
        while target.dut.text.count(said) == before:
            assert time.monotonic() < deadline, "it is never said"
            guess_wrong(target)
            time.sleep(0.05)


# -- who may connect ----------------------------------------------------------------------------------

ASK = """
import os, sys
sys.path.insert(0, sys.argv[1])
from memifpeer import Client, Config
os.setgroups([int(group) for group in sys.argv[6].split(",") if group])
os.setgid(int(sys.argv[5]))
os.setuid(int(sys.argv[4]))
peer = Client(Config(id=int(sys.argv[3]), log2=8, timeout=15.0))
try:
    peer.handshake(sys.argv[2])
    print("connected")
except Exception as error:
    print(error)
"""


def ask_as(target: Target, port: int, uid: int, gid: int, groups: str = "") -> str:
    """What a client of this user and group hears; groups are its supplementary ones."""
    return subprocess.run(
        [sys.executable, "-c", ASK, str(Path(__file__).resolve().parent), target.address(port),
         str(port), str(uid), str(gid), groups],
        stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout


REFUSED = "not permitted"
WHO: List[Tuple[int, Tuple[Any, ...], str]] = [
    (BY_UID, (UIDS[0], NOBODY[1]), "connected"),
    (BY_UID, (UIDS[1], NOBODY[1]), "connected"),
    (BY_UID, NOBODY, REFUSED),
    (BY_UID, (0, 0), REFUSED),
    (BY_UID, (NOBODY[0], UIDS[0]), REFUSED),
    (BY_GID, (NOBODY[0], GIDS[1]), "connected"),
    (BY_GID, NOBODY, REFUSED),
    (BY_GID, (GIDS[0], NOBODY[1]), REFUSED),
    (BY_GID, (*NOBODY, str(GIDS[0])), REFUSED),
    (BY_BOTH, (UIDS[0], NOBODY[1]), "connected"),
    (BY_BOTH, (NOBODY[0], GIDS[0]), "connected"),
    (BY_BOTH, (UIDS[1], GIDS[1]), REFUSED),
    (VICTIM, NOBODY, "connected"),
]


@needs_root
@pytest.mark.parametrize("port, who, answer", WHO)
def test_who_may_connect(target: Target, port: int, who: Tuple[Any, ...], answer: str) -> None:
    heard = ask_as(target, port, *who)
    assert answer in heard
    if answer == REFUSED:
        assert "connected: " in heard, "refused by a DISCONNECT"


def until_logged(target: Target, line: str, again: Callable[[], None]) -> None:
    """A port says no new trouble within a second of the last one: provokes it until it does."""
    deadline = time.monotonic() + SOON
    again()
    while line not in target.dut.text and time.monotonic() < deadline:
        time.sleep(0.3)
        again()
    assert line in target.dut.text


@needs_root
def test_refusal_is_logged(target: Target) -> None:
    until_logged(target, "net_memif4: not connected: refused a client of 'memifpeer': not permitted",
                 lambda: ask_as(target, BY_BOTH, *NOBODY) and None)


def test_secret_is_in_no_log(target: Target) -> None:
    """Right, wrong by one byte, shorter, longer: neither ours nor the peer's guess is shown."""
    secret = PASSWORD.encode()
    target.check(SECRET, secret)

    def try_guesses() -> None:
        for guess in (secret[:-1] + b"#", secret[:-1], b"#" + secret[1:], b"guess"):
            with Client(Config(id=SECRET, log2=LOG2, secret=guess)) as peer:
                peer.connect(target.address(SECRET))
                peer.recv_hello()
                peer.send_init()
                assert peer.observe().reason == "incorrect secret"

    until_logged(target, "incorrect secret", try_guesses)
    log = target.dut.text
    for word in (PASSWORD[:8], PASSWORD[-8:], "guess"):
        assert word not in log
