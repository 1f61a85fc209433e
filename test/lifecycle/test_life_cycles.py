# SPDX-License-Identifier: BSD-3-Clause
"""Stop and start, detach and attach, again and again while the other end sends; and what the ports
of a process share.

    MIF_CYCLES=N   cycles of each kind (default: 1000 stop / start, 100 detach / attach; 1000 is what
                   the work item asks for)
"""

import os
import re
from typing import Any, Callable, Iterator, List

import pytest

from memif import Memif, Socket, other
from process import unique
from programs import (CommandError, Lifecycle, Load, check_resources, resources,
                      settled_resources, threads, wait_until)

CONTROL = "memif-ctrl"
QUEUES = 2
STACKS = 8      # mappings of two threads that follow each other closely
ROLES = ["server", "client"]    # of the end that goes round

StartLifecycle = Callable[..., Lifecycle]
StartLoad = Callable[..., Load]


def cycles(default: int) -> int:
    return int(os.environ.get("MIF_CYCLES", default))


def port_of(number: int, role: str) -> Memif:
    return Memif(role, Socket("@" + unique("cycle"), True), {"rsize": 8}, f"net_memif{number}")


@pytest.fixture(params=["mif-load", "driver"])
def start_peer(request: pytest.FixtureRequest, start_lifecycle: StartLifecycle,
               start_load: StartLoad) -> Callable[[Memif], Any]:
    """The other end, under full load: ours without DPDK, or the driver itself."""
    def start(memif: Memif) -> Any:
        if request.param == "mif-load":
            return start_load(other(memif.role), memif.socket.path, rings=QUEUES)
        peer = start_lifecycle()
        peer.up(Memif(other(memif.role), memif.socket, {"rsize": 8}).vdev(), QUEUES)
        return peer
    return start


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("command,count", [("restart", 1000), ("reattach", 100)])
def test_cycles(start_lifecycle: StartLifecycle, start_peer: Callable[[Memif], Any], role: str,
                command: str, count: int) -> None:
    """With 0 to 2 ms between the steps, so all states of a connection are met."""
    program = start_lifecycle()
    memif = port_of(0, role)
    program.up(memif.vdev(), QUEUES)
    peer = start_peer(memif)
    program.wait_traffic()
    program.cmd(f"{command} 0 20", timeout=60)
    program.cmd("stop 0")
    # The peer's mapping ends when it has noticed.
    wait_until(lambda: resources(program.pid).regions == 0, 5, "all rings are given back")
    before = settled_resources(program.pid)
    peer_before = settled_resources(peer.pid)
    program.start()

    program.cmd(f"{command} 0 {cycles(count)}", timeout=30 + cycles(count) / 10)
    program.wait_link()
    program.wait_traffic()
    program.cmd("stop 0")
    check_resources(program.pid, before, mappings=STACKS)
    check_resources(peer.pid, peer_before)
    assert peer.running
    program.start()
    program.wait_traffic()
    if isinstance(peer, Lifecycle):
        peer.check_polling()
        peer.cmd("stop 0")
        peer.check_mbufs(0)
        peer.quit()
    else:
        peer.kill9()
    program.wait_link(False)
    program.check_mbufs(0)
    program.quit()


# -- testpmd --------------------------------------------------------------------------------------

TESTPMD = [f"--rxq={QUEUES}", f"--txq={QUEUES}", "--disable-link-check"]
MEMORY = ["--no-huge", "-m", "256", "--no-shconf"]


def add_port(testpmd: Any, vdev: str) -> int:
    text = testpmd.cmd(f"port attach {vdev}")
    found = re.search(r"Port (\d+) is attached", text)
    assert found, text
    testpmd.cmd(f"port start {found.group(1)}")
    return int(found.group(1))


def remove_port(testpmd: Any, port: int, name: str, closing: bool) -> None:
    """In both ways that testpmd has; the port is stopped."""
    if closing:
        testpmd.cmd(f"port close {port}")
        text = testpmd.cmd(f"device detach {name}")
    else:
        text = testpmd.cmd(f"port detach {port}")
    assert "detached" in text, text


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("reattach", [False, True])
def test_testpmd_cycles(start_testpmd: Callable[..., Any], start_load: StartLoad, role: str,
                        reattach: bool) -> None:
    memif = port_of(0, role)
    testpmd = start_testpmd(["net_null9"], TESTPMD, memory=MEMORY)
    port = add_port(testpmd, memif.vdev())
    load = start_load(other(role), memif.socket.path, rings=QUEUES)
    before = None
    for cycle in range(5 + cycles(100 if reattach else 1000)):
        testpmd.cmd(f"port stop {port}")
        if cycle == 4:
            wait_until(lambda: resources(testpmd.pid).regions == 0, 5, "all rings given back")
            before = settled_resources(testpmd.pid)
        if reattach:
            remove_port(testpmd, port, memif.name, closing=cycle % 2 == 0)
            port = add_port(testpmd, memif.vdev())
        else:
            testpmd.cmd(f"port start {port}")
        if cycle % 20 == 0:
            testpmd.wait_link(True, port)
    testpmd.wait_link(True, port)
    testpmd.cmd(f"port stop {port}")
    check_resources(testpmd.pid, before, mappings=STACKS)
    testpmd.cmd(f"port start {port}")
    testpmd.wait_link(True, port)
    testpmd.forward("io")
    testpmd.wait_packets("RX-packets", 1000, port)
    assert load.running
    load.kill9()
    testpmd.wait_link(False, port)
    testpmd.stop()
    testpmd.quit()


# -- what ports share -----------------------------------------------------------------------------

@pytest.fixture
def program(start_lifecycle: StartLifecycle) -> Iterator[Lifecycle]:
    """It ends well, too."""
    program = start_lifecycle()
    yield program
    program.quit()


def control_threads(program: Lifecycle, count: int) -> None:
    wait_until(lambda: threads(program.pid, CONTROL) == count, 2, f"{count} control thread(s)")


def test_control_thread_comes_and_goes_with_ports(program: Lifecycle,
                                                  start_load: StartLoad) -> None:
    """With it go all its files. A port after the last works like the first."""
    control_threads(program, 0)
    before = resources(program.pid)
    for _ in range(3):
        ports = [port_of(0, "server"), port_of(1, "client"), port_of(2, "server")]
        numbers = [program.up(port.vdev()) for port in ports]
        control_threads(program, 1)
        loads = [start_load(other(port.role), port.socket.path) for port in ports]
        for number in numbers:
            program.wait_traffic(number)
        for load in loads:
            load.kill9()
        for left, number in zip((2, 1, 0), numbers):
            program.cmd(f"detach {number}")
            control_threads(program, min(left, 1))
        assert resources(program.pid).fds == before.fds


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("roles", [("server", "client"), ("server", "server"),
                                   ("client", "client")])
def test_two_ports_go_in_either_order(program: Lifecycle, start_load: StartLoad,
                                      order: List[int], roles: List[str]) -> None:
    """The one that stays goes on carrying packets; ports of one role share a socket."""
    memifs = [port_of(number, role) for number, role in enumerate(roles)]
    if roles[0] == roles[1] == "server":
        memifs[1] = Memif("server", memifs[0].socket, {"id": 1}, "net_memif1")
    loads = []
    for number, memif in enumerate(memifs):
        assert program.up(memif.vdev()) == number
        loads.append(start_load(other(memif.role), memif.socket.path,
                                id=memif.options.get("id", 0)))
        program.wait_traffic(number)
    # Packets may move before their link was reported.
    events = len(program.wait_events(len(memifs)))
    program.cmd(f"detach {order[0]}")
    program.wait_traffic(order[1])
    assert len(program.events()) == events, "the other port's link did not change"
    program.cmd(f"detach {order[1]}")
    control_threads(program, 0)
    for load in loads:
        load.kill9()


def test_both_ends_in_one_process(program: Lifecycle) -> None:
    """They find each other, and either may go first."""
    for order in ((0, 1), (1, 0)):
        server = port_of(0, "server")
        client = Memif("client", server.socket, {"rsize": 8}, "net_memif1")
        program.up(server.vdev())
        program.up(client.vdev())
        for port in order:
            program.wait_traffic(port)
        for port in order:
            program.cmd(f"detach {port}")
        control_threads(program, 0)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("steps", [("attach",), ("attach", "setup"),
                                   ("attach", "setup", "start", "stop")])
def test_close_without_a_connection(program: Lifecycle, role: str, steps: List[str]) -> None:
    """Never set up, never started, or stopped before anybody came; closed and detached."""
    before = None
    for number in range(4):
        memif = port_of(0, role)
        for step in steps:
            program.cmd({"attach": f"attach {memif.vdev()}", "setup": "setup 0 2"}.get(
                step, f"{step} 0"))
        if number % 2 == 0:
            program.cmd("close 0")
            program.cmd("remove 0")
        else:
            program.cmd("remove 0")
        control_threads(program, 0)
        before = before or resources(program.pid)
        check_resources(program.pid, before, mappings=STACKS)


def test_stopping_twice_and_starting_twice(program: Lifecycle, start_load: StartLoad) -> None:
    memif = port_of(0, "server")
    program.up(memif.vdev())
    start_load("client", memif.socket.path)
    for _ in range(3):
        program.cmd("start 0")
    program.wait_traffic()
    for _ in range(3):
        program.cmd("stop 0")
    program.cmd("start 0")
    program.wait_traffic()


def test_more_and_fewer_queues_after_a_stop(program: Lifecycle, start_load: StartLoad) -> None:
    """Set up anew in between, while the peer waits outside."""
    memif = port_of(0, "server")
    program.up(memif.vdev())
    load = start_load("client", memif.socket.path, rings=4)
    for queues in (4, 1, 3, 2, 8, 1):
        program.wait_link()
        program.wait_traffic()
        program.cmd("stop 0")
        program.cmd(f"setup 0 {queues}")
        program.cmd("start 0")
    program.wait_link()
    program.wait_traffic()
    assert load.running


def test_unknown_port_is_an_error(program: Lifecycle) -> None:
    """The program itself: a test that names a wrong port has to fail."""
    with pytest.raises(CommandError):
        program.cmd("start 0")
