# SPDX-License-Identifier: BSD-3-Clause
"""Link events, and callbacks that take the port away, or do not come back."""

import time
from typing import Callable

import pytest

from memif import Memif, Socket
from process import unique
from programs import CommandError, Lifecycle, Load, resources, threads, wait_until

CONTROL = "memif-ctrl"
CLOSE_MS = 500      # closing waits for no callback; a burst may take its time on a busy machine

StartLifecycle = Callable[..., Lifecycle]
StartLoad = Callable[..., Load]
ROLES = ["server", "client"]


def port_of(number: int, role: str) -> Memif:
    return Memif(role, Socket("@" + unique("event"), True), {"rsize": 6}, f"net_memif{number}")


def peer_of(start_load: StartLoad, port: Memif) -> Load:
    return start_load("client" if port.role == "server" else "server", port.socket.path)


def has(program: Lifecycle, text: str) -> Callable[[], bool]:
    return lambda: f"! {text}\n" in program.stdout or f"! {text} " in program.stdout


def check_gone(program: Lifecycle, port: int) -> None:
    with pytest.raises(CommandError):
        program.cmd(f"link {port}")


def check_still_works(program: Lifecycle, start_load: StartLoad, role: str, number: int) -> None:
    """A new port, in the place of one that went, carries packets."""
    memif = port_of(number, role)
    port = program.up(memif.vdev())
    load = peer_of(start_load, memif)
    program.wait_link(True, port)
    program.wait_traffic(port)
    load.kill9()
    program.wait_link(False, port)
    program.cmd(f"detach {port}")


@pytest.mark.parametrize("role", ROLES)
def test_events_tell_of_the_link(start_lifecycle: StartLifecycle, start_load: StartLoad,
                                 role: str) -> None:
    """One event for each change, with the link as it then is; none when nothing changes."""
    program = start_lifecycle()
    memif = port_of(0, role)
    port = program.attach(memif.vdev())
    assert program.cmd(f"flags {port}") == ["lsc"]
    program.start(port)
    time.sleep(0.2)
    assert program.events() == []
    for number in range(3):
        load = peer_of(start_load, memif)
        assert [event.up for event in program.wait_events(2 * number + 1)] == \
            [True, False] * number + [True]
        load.kill9()
        assert [event.up for event in program.wait_events(2 * number + 2)] == \
            [True, False] * (number + 1)
    time.sleep(0.1)
    assert len(program.events()) == 6
    program.quit()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("when", ["up", "down"])
@pytest.mark.parametrize("action", ["stop", "close", "detach"])
def test_callback_takes_the_port_away(start_lifecycle: StartLifecycle, start_load: StartLoad,
                                      role: str, when: str, action: str) -> None:
    """First with another port beside it, which does not notice; then the last one of all."""
    program = start_lifecycle()
    beside = port_of(0, "server")
    program.up(beside.vdev())
    neighbour = peer_of(start_load, beside)
    program.wait_link(True, 0)
    before = resources(program.pid)
    for number in (1, 2):
        memif = port_of(number, role)
        port = program.up(memif.vdev())
        program.cmd(f"on {port} {when} {action}")
        load = peer_of(start_load, memif)
        if when == "down":
            program.wait_link(True, port)
            load.kill9()
        wait_until(has(program, f"done {action} {port} 0"), 5, f"the callback has done {action}")
        if when == "up":
            load.kill9()
        if action == "stop":
            assert not program.link_up(port)
            program.cmd(f"close {port}")
        check_gone(program, port)
        # Removing the device of a closed port is the application's business still.
        if action != "detach":
            program.cmd(f"remove {port}")
        if number == 1:
            program.wait_traffic(0)
            neighbour.kill9()
            program.wait_link(False, 0)
            program.cmd("detach 0")
    wait_until(lambda: threads(program.pid, CONTROL) == 0, 2, "the control thread is gone")
    assert resources(program.pid).fds < before.fds
    check_still_works(program, start_load, role, 3)
    program.quit()


def test_blocked_callback_holds_up_no_close(start_lifecycle: StartLifecycle,
                                            start_load: StartLoad) -> None:
    """A callback that does not come back: its port, another one, and then the last can be closed
    meanwhile, and a new one works."""
    program = start_lifecycle()
    ports = [port_of(number, "server") for number in range(3)]
    for memif in ports:
        program.up(memif.vdev())
    program.cmd("on 1 up block")
    peer_of(start_load, ports[1])
    wait_until(has(program, "doing block 1"), 5, "the callback blocks")
    for port in (1, 0, 2):
        program.cmd(f"detach {port}")
        assert program.us < CLOSE_MS * 1000, f"closing port {port} took {program.us} us"
    check_still_works(program, start_load, "client", 3)
    check_still_works(program, start_load, "server", 4)
    assert has(program, "doing block 1")() and not has(program, "done block 1 0")()
    program.cmd("release")
    wait_until(has(program, "done block 1 0"), 5, "the callback goes on")
    wait_until(lambda: threads(program.pid, CONTROL) == 0, 2, "the control thread is gone")
    check_still_works(program, start_load, "server", 5)
    program.quit()


def test_blocked_callback_while_its_port_restarts(start_lifecycle: StartLifecycle,
                                                  start_load: StartLoad) -> None:
    """Stop and start do not wait for it either; the port connects once it has come back."""
    program = start_lifecycle()
    memif = port_of(0, "server")
    program.up(memif.vdev())
    program.cmd("on 0 up block")
    peer_of(start_load, memif)
    wait_until(has(program, "doing block 0"), 5, "the callback blocks")
    for _ in range(5):
        program.cmd("stop 0")
        assert program.us < CLOSE_MS * 1000
        program.cmd("start 0")
        assert program.us < CLOSE_MS * 1000
    program.cmd("release")
    program.wait_link()
    program.wait_traffic()
    program.quit()


@pytest.mark.parametrize("role", ROLES)
def test_link_set_down_and_up(start_lifecycle: StartLifecycle, start_load: StartLoad,
                              role: str) -> None:
    """While an lcore polls. The peer hears why, and is let in again."""
    program = start_lifecycle()
    memif = port_of(0, role)
    program.up(memif.vdev())
    load = peer_of(start_load, memif)
    load.wait_connected()
    for number in range(10):
        program.wait_link()
        program.wait_traffic()
        program.cmd("set-link 0 down")
        program.wait_link(False)
        program.cmd("set-link 0 up")
        load.wait_connected(times=number + 2)
    assert "mif-load: disconnected: interface set down\n" in load.stdout
    program.wait_traffic()
    load.kill9()
    program.wait_link(False)
    program.check_mbufs(0)
    program.quit()


def test_removing_a_started_port(start_lifecycle: StartLifecycle, start_load: StartLoad) -> None:
    """An application that forgets to stop: refused or done, but nothing in between."""
    program = start_lifecycle()
    memif = port_of(0, "server")
    program.up(memif.vdev())
    load = peer_of(start_load, memif)
    program.wait_link()
    try:
        program.cmd("poll 0 off")
        program.cmd("remove 0")
    except CommandError:
        program.cmd("poll 0 1")
        program.wait_traffic()
        program.cmd("detach 0")
    check_gone(program, 0)
    load.kill9()
    check_still_works(program, start_load, "server", 1)
    program.quit()
