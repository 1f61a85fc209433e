# SPDX-License-Identifier: BSD-3-Clause
"""A Go program and ours: one of them goes while packets move, and comes back."""

import signal
from typing import Any, Callable

import pytest

from gopeer import GoPeer
from memif import Memif, Socket
from testpmd import Testpmd

StartGo = Callable[..., GoPeer]
StartTestpmd = Callable[..., Testpmd]

# Packets that show that traffic flows.
ENOUGH = 5000


def busy_testpmd(start: StartTestpmd, memif: Memif) -> Testpmd:
    """One that sends and receives all the time."""
    testpmd = start([memif.vdev()])
    testpmd.forward("flowgen")
    return testpmd


def flows(testpmd: Testpmd) -> None:
    testpmd.wait_packets("RX-packets", testpmd.stats()["RX-packets"] + ENOUGH)


@pytest.mark.parametrize("end", ["killed", "closed"])
def test_go_server_goes(start_go: StartGo, start_testpmd: StartTestpmd, socket: Socket,
                        end: str) -> None:
    """Killed or closed in the middle of packets, five times: ours loses the link, and returns."""
    ours = busy_testpmd(start_testpmd, Memif("client", socket))
    for _ in range(5):
        go = start_go(mode="echo")
        ours.wait_link()
        flows(ours)
        if end == "killed":
            go.kill9()
        else:
            assert go.finish()["sent"] >= ENOUGH
        ours.wait_link(up=False)
    ours.stop()
    ours.quit()


@pytest.mark.parametrize("end", ["killed", "stopped"])
def test_our_client_goes(start_go: StartGo, start_testpmd: StartTestpmd, socket: Socket,
                         end: str) -> None:
    """The same Go server serves each of our lives."""
    go = start_go(mode="echo")
    ours = busy_testpmd(start_testpmd, Memif("client", socket))
    for life in range(1, 4):
        go.wait_connected(life)
        flows(ours)
        if end == "killed":
            ours.kill9()
        else:
            ours.stop()
            ours.cmd("port stop 0")
        go.wait_disconnected(life)
        if end == "killed":
            ours = busy_testpmd(start_testpmd, Memif("client", socket))
        else:
            ours.cmd("port start 0")
            ours.cmd("start")
    go.wait_connected(4)
    flows(ours)
    ours.stop()
    ours.quit()
    counted = go.finish()
    assert counted["connections"] == 4
    assert counted["rx_errors"] == 0


@pytest.mark.parametrize("mode", ["send", "receive"])
def test_go_client_goes(start_go: StartGo, start_testpmd: StartTestpmd, socket: Socket,
                        mode: str) -> None:
    """Killed in the middle of packets, five times: ours is there for the next one."""
    ours = busy_testpmd(start_testpmd, Memif("server", socket))
    counter = "RX-packets" if mode == "send" else "TX-packets"
    for _ in range(5):
        go = start_go(role="client", mode=mode, count=1 << 40, check=False)
        go.wait_connected()
        ours.wait_packets(counter, ours.stats()[counter] + ENOUGH)
        go.kill9()
        ours.wait_link(up=False)
    ours.stop()
    ours.quit()


def test_our_server_goes(start_go: StartGo, start_testpmd: StartTestpmd, socket: Socket) -> None:
    """A Go client that calls again finds ours, killed or ended, when it is back."""
    go = start_go(role="client", mode="send", count=1 << 40, check=False)
    for life in range(1, 4):
        ours = busy_testpmd(start_testpmd, Memif("server", socket))
        go.wait_connected(life)
        flows(ours)
        if life == 1:
            ours.kill9()
        else:
            ours.signal(signal.SIGTERM)
            ours.wait()
        go.wait_disconnected(life)
    assert go.finish()["connections"] == 3
