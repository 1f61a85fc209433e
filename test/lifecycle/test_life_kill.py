# SPDX-License-Identifier: BSD-3-Clause
"""kill -9 of either end, at random moments of the handshake and under full load: no crash, no hang,
and afterwards the survivor holds what it held before.

    MIF_KILLS=N   deaths of each role (default 1000 clients, 120 servers; a client comes back at
                  once, but a server has to wait for the client's next attempt)
    MIF_SEED=N    of the moments of these deaths (default 1)
"""

import os
from typing import Any, Callable, Dict, List

import pytest

from memif import Memif, Socket, other
from process import unique
from programs import Lifecycle, Load, check_resources, resources

KILLS = {"client": 1000, "server": 120}
SEED = int(os.environ.get("MIF_SEED", "1"))
PORTS = 3
QUEUES = 2
UP = "10"   # mif_state.h: MIF_STATE_UP

StartLifecycle = Callable[..., Lifecycle]
StartLoad = Callable[..., Load]


def kills_of(role: str) -> int:
    return int(os.environ.get("MIF_KILLS", KILLS[role]))


def port_of(number: int, role: str) -> Memif:
    return Memif(role, Socket("@" + unique("kill"), True), {"rsize": 8}, f"net_memif{number}")


def kill_on_all(start_load: StartLoad, ports: List[Memif], kills: int,
                seed: int) -> List[Dict[str, Any]]:
    """Peers of all ports at the same time; returns their tallies."""
    loads = [start_load(other(port.role), port.socket.path, rings=QUEUES, seed=seed + number,
                        kills=max(1, kills // len(ports))) for number, port in enumerate(ports)]
    return [load.wait_kills(timeout=60 + kills) for load in loads]


def check_tallies(tallies: List[Dict[str, Any]]) -> None:
    """The deaths were spread over handshake and load, and there was load."""
    print(*tallies, sep="\n")
    for tally in tallies:
        early = {state for state in tally["states"] if state != UP}
        assert tally["up"] >= tally["kills"] / 2 and early, tally
        # All packets of at least one ring each: more than the first burst of each life.
        assert tally["received"] > 256 * tally["up"] and tally["sent"] > 256 * tally["up"], tally


@pytest.mark.parametrize("killed", ["client", "server"])
def test_survives_kill9(start_lifecycle: StartLifecycle, start_load: StartLoad,
                        killed: str) -> None:
    survivor = start_lifecycle()
    ports = [port_of(number, other(killed)) for number in range(PORTS)]
    for port in ports:
        survivor.up(port.vdev(), QUEUES)
    kill_on_all(start_load, ports, 10 * PORTS, SEED)
    before = resources(survivor.pid)
    assert before.regions == 0

    check_tallies(kill_on_all(start_load, ports, kills_of(killed), SEED + 1000))

    assert survivor.running
    survivor.check_polling()
    for number in range(PORTS):
        survivor.wait_link(False, number)
    check_resources(survivor.pid, before)
    last = start_load(killed, ports[0].socket.path, rings=QUEUES)
    survivor.wait_link(True, 0)
    survivor.wait_traffic(0)
    last.kill9()
    survivor.wait_link(False, 0)
    check_resources(survivor.pid, before)
    survivor.check_mbufs(*range(PORTS))
    survivor.quit()


@pytest.mark.parametrize("killed", ["client", "server"])
def test_testpmd_survives_kill9(start_testpmd: Callable[..., Any], start_load: StartLoad,
                                killed: str) -> None:
    port = port_of(0, other(killed))
    testpmd = start_testpmd([port.vdev()], [
        f"--rxq={QUEUES}", f"--txq={QUEUES}", "--port-topology=loop", "--disable-link-check"],
        memory=["--no-huge", "-m", "256", "--no-shconf"])
    testpmd.forward("io")
    kill_on_all(start_load, [port], 10, SEED)
    testpmd.wait_link(False)
    before = resources(testpmd.pid)

    check_tallies(kill_on_all(start_load, [port], kills_of(killed) // 4, SEED + 1000))

    testpmd.wait_link(False)
    check_resources(testpmd.pid, before)
    last = start_load(killed, port.socket.path, rings=QUEUES)
    testpmd.wait_link()
    testpmd.wait_packets("RX-packets", testpmd.stats()["RX-packets"] + 1000)
    last.kill9()
    testpmd.stop()
    testpmd.quit()
