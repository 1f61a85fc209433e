# SPDX-License-Identifier: BSD-3-Clause
"""Receive interrupts: no wake-up is lost, over changes of the peer as well, and sleeping is free.

    MIF_WAKE_UPS=N  packets per test (default 20000)
    MIF_SEED=N      of the pauses between them (default 1)
"""

import os
from typing import Any, Callable, Dict

import pytest

from memif import OURS, STOCK, Memif, Socket, other
from process import PATIENCE
from wakeups import Intr
from zerocopy import ZERO_COPY

pytestmark = pytest.mark.alone

WAKE_UPS = int(os.environ.get("MIF_WAKE_UPS", "20000"))
SEED = int(os.environ.get("MIF_SEED", "1"))
IDLE_SHARE = 0.02   # of a CPU

StartIntr = Callable[..., Intr]


def check_sender(result: Dict[str, Any], count: int, lost: int = 0) -> None:
    assert result["lost_wake_ups"] <= lost, result
    assert result["lost_packets"] == result["wrong"] == 0, result
    assert result["answered"] == result["sent"] >= count, result


def check_sleeper(report: Dict[str, Any], received: int, lost: int = 0) -> None:
    assert report["alarms"] == 0 or lost > 0, report
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
    come before the packet can be seen. It would lose some in ten thousand if the driver looked once.
    """
    sleeper = start_intr("sleep", Memif(role, socket)).wait_asleep()
    sender = start_intr("send", Memif(other(role), socket), sender_driver, count=WAKE_UPS,
                        seed=SEED)
    result = sender.result(2 * PATIENCE + WAKE_UPS / 2000)
    print(result)
    report = sleeper.finish()
    print(report)
    # How long a store is on its way has no bound: see doc/memory-model.md.
    check_sender(result, WAKE_UPS, lost=1 if sender_driver == STOCK else 0)
    check_sleeper(report, result["sent"], result["lost_wake_ups"])


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
    peer.kill9()
    sleeper.wait_stderr("disconnected from")
    shares["peer gone"] = sleeper.cpu_share(1)
    wake_ups = sleeper.finish()["wake_ups"]
    print(shares, wake_ups)
    assert max(shares.values()) < IDLE_SHARE, shares
    assert wake_ups <= 2
