# SPDX-License-Identifier: BSD-3-Clause
"""Receive interrupts: no wake-up is lost, over changes of the peer as well, and sleeping is free.

    MIF_WAKE_UPS=N  packets per test (default 20000)
    MIF_SEED=N      of the pauses between them (default 1)
"""

import contextlib
import os
import time
from typing import Any, Callable, Dict, Iterator

import pytest

from memif import OURS, STOCK, Memif, Socket, other
from memifpeer import Client, Config, Listener, Server
from memifpeer.session import Session
from memifpeer.shm import MASK_INT
from process import PATIENCE
from wakeups import Intr
from zerocopy import ZERO_COPY

pytestmark = pytest.mark.alone

WAKE_UPS = int(os.environ.get("MIF_WAKE_UPS", "20000"))
SEED = int(os.environ.get("MIF_SEED", "1"))
IDLE_SHARE = 0.02   # of a CPU
IDLE_TURNS = 5      # of the control thread, in a second
LOOKED_AFTER = 0.005    # seconds: the control thread's last look is later than that
FLOOD = 1000        # events without a packet
FLOOD_SHARE = 0.2   # of a CPU, in the second after them
UNTOLD = 20         # packets of which the sleeper is not told

StartIntr = Callable[..., Intr]


def check_sender(result: Dict[str, Any], count: int) -> None:
    assert result["lost_wake_ups"] == result["lost_packets"] == result["wrong"] == 0, result
    assert result["answered"] == result["sent"] >= count, result


def check_sleeper(report: Dict[str, Any], received: int) -> None:
    assert report["alarms"] == 0, report
    assert report["received"] == report["answered"] == received, report
    assert report["refused"] == 0, report
    # One a queue: several of them may have packets when it wakes up.
    assert report["wake_ups"] <= report["interrupts_taken"] <= 4 * report["wake_ups"], report
    # Else it was not asleep, and nothing has been tested.
    assert report["wake_ups"] >= received / 10, report


@pytest.mark.parametrize("sender_driver", [OURS, STOCK])
@pytest.mark.parametrize("role", ["client", "server"])
def test_no_wake_up_is_lost(start_intr: StartIntr, socket: Socket, role: str,
                            sender_driver: str) -> None:
    """
    The stock driver has no fence between its packet and its look at our wish for interrupts: the look may
    come before the packet can be seen. It would lose some in ten thousand if the driver looked once. How long
    the packet is on its way has no bound: see doc/memory-model.md.
    """
    sleeper = start_intr("sleep", Memif(role, socket)).wait_asleep()
    sender = start_intr("send", Memif(other(role), socket), sender_driver, count=WAKE_UPS,
                        seed=SEED)
    result = sender.result(2 * PATIENCE + WAKE_UPS / 2000)
    print(result)
    report = sleeper.finish()
    print(report)
    check_sender(result, WAKE_UPS)
    check_sleeper(report, result["sent"])


@contextlib.contextmanager
def joined(role: str, socket: Socket) -> Iterator[Session]:
    """A Python peer that is connected in this role."""
    address = "@" + socket.path
    if role == "client":
        with Client(Config(log2=6)) as client:
            client.handshake(address)
            yield client
        return
    with Listener(address) as listener, Server() as server:
        server.accept(listener, PATIENCE)
        server.handshake()
        yield server


def send_untold(peer: Session) -> bool:
    """
    Sends a packet to a sleeper that has just fallen asleep, and does not wake it. Returns whether that was
    while the control thread still had to look after it.
    """
    tx = peer.tx[0]
    begin = time.monotonic()
    tx.wakes = True
    assert peer.send(0, bytes(60))
    assert len(peer.recv_wait(0, 1, PATIENCE)) == 1
    while tx.ring.flags & MASK_INT:
        assert time.monotonic() < begin + PATIENCE, "the sleeper stays awake"
    # Its own look, after it has said so, takes 10 us.
    asleep = time.monotonic()
    while time.monotonic() < asleep + 0.0001:
        pass
    tx.wakes = False
    assert peer.send(0, bytes(60))
    return time.monotonic() < begin + LOOKED_AFTER


@pytest.mark.parametrize("role", ["client", "server"])
def test_packet_that_nobody_tells_of(start_intr: StartIntr, socket: Socket, role: str) -> None:
    """What a peer without a fence may do, if its packet is late: the sleeper has it all the same."""
    sleeper = start_intr("sleep", Memif(role, socket)).wait_asleep()
    told = untold = 0
    with joined(other(role), socket) as peer:
        deadline = time.monotonic() + 3 * PATIENCE
        while untold < UNTOLD:
            assert time.monotonic() < deadline, f"only {untold} packets were sent in time"
            told += 1
            if send_untold(peer):
                untold += 1
                assert len(peer.recv_wait(0, 1, PATIENCE)) == 1, f"packet {untold} was forgotten"
                continue
            # Too late to be sure: the machine was busy.
            told += 2
            peer.tx[0].wakes = True
            assert peer.send(0, bytes(60))
            assert len(peer.recv_wait(0, 2, PATIENCE)) == 2
    check_sleeper(sleeper.finish(), told + untold)


@pytest.mark.parametrize("plain", [False, True], ids=["epoll", "poll"])
@pytest.mark.parametrize("role", ["client", "server"])
def test_flooded_eventfd(start_intr: StartIntr, socket: Socket, role: str, plain: bool) -> None:
    """
    A peer that wakes us for nothing costs a turn each time, and leaves a counter that nobody reads: once it
    rests, so do we; and its next packet wakes us.
    """
    sleeper = start_intr("sleep", Memif(role, socket), plain=plain).wait_asleep()
    with joined(other(role), socket) as peer:
        for _ in range(FLOOD):
            os.eventfd_write(peer.tx[0].eventfd, 1 << 40)
        share = sleeper.cpu_share(1)
        assert peer.send(0, bytes(60))
        assert len(peer.recv_wait(0, 1, PATIENCE)) == 1
        report = sleeper.finish()
    print(share, report)
    assert share < FLOOD_SHARE, share
    assert 1 <= report["idle_wake_ups"] <= FLOOD + 1 and report["received"] == 1, report
    assert report["alarms"] == 0, report


@pytest.mark.parametrize("role", ["client", "server"])
def test_several_queues(start_intr: StartIntr, socket: Socket, role: str) -> None:
    """One thread sleeps on four queues; disabled are those that fired."""
    count = WAKE_UPS // 4
    sleeper = start_intr("sleep", Memif(role, socket), queues=4).wait_asleep()
    sender = start_intr("send", Memif(other(role), socket), queues=4, count=count)
    result = sender.result(2 * PATIENCE + count / 2000)
    check_sender(result, count)
    check_sleeper(sleeper.finish(), result["sent"])


@pytest.mark.parametrize("role", ["client", "server"])
def test_zero_copy(start_intr: StartIntr, socket: Socket, role: str) -> None:
    """At both ends: a client wakes up for mbufs that were filled, a server for such as were handed over."""
    count = WAKE_UPS // 10
    sleeper = start_intr("sleep", Memif(role, socket, ZERO_COPY)).wait_asleep()
    sender = start_intr("send", Memif(other(role), socket, ZERO_COPY), count=count, seed=SEED)
    result = sender.result(2 * PATIENCE + count / 2000)
    assert ", zero-copy, " in sleeper.stderr
    check_sender(result, count)
    check_sleeper(sleeper.finish(), result["sent"])


@pytest.mark.parametrize("role", ["client", "server"])
def test_peers_come_and_go(start_intr: StartIntr, socket: Socket, role: str) -> None:
    """It sleeps on the same file before the first peer, between two, and after one was killed."""
    sleeper = start_intr("sleep", Memif(role, socket)).wait_asleep()
    fd = sleeper.report()["fd"]
    sent = 0
    for number in range(6):
        sender = start_intr("send", Memif(other(role), socket), [OURS, STOCK][number % 3 == 2],
                            count=500, seed=number)
        result = sender.result(2 * PATIENCE)
        check_sender(result, 500)
        sent += result["sent"]
        if number % 2:
            sender.kill9()
        else:
            sender.wait()
        report = sleeper.report()
        assert report["fd"] == fd
        assert report["connections"] == number + 1
    check_sleeper(sleeper.finish(), sent)


@pytest.mark.parametrize("role", ["client", "server"])
def test_idle_costs_nothing(start_intr: StartIntr, socket: Socket, role: str) -> None:
    """Alone, with a peer that sleeps too, and after it has gone."""
    sleeper = start_intr("sleep", Memif(role, socket)).wait_asleep()
    shares = {"alone": sleeper.cpu_share(1)}
    peer = start_intr("sleep", Memif(other(role), socket)).wait_asleep()
    sleeper.wait_stderr("connected as")
    shares["connected"] = sleeper.cpu_share(1)
    before = sleeper.ctrl_turns()
    shares["later"] = sleeper.cpu_share(1)
    turns = sleeper.ctrl_turns() - before
    assert turns <= IDLE_TURNS, "the control thread goes on looking after who sleeps"
    peer.kill9()
    sleeper.wait_stderr("disconnected from")
    shares["peer gone"] = sleeper.cpu_share(1)
    wake_ups = sleeper.finish()["wake_ups"]
    print(shares, wake_ups)
    assert max(shares.values()) < IDLE_SHARE, shares
    assert wake_ups <= 2
