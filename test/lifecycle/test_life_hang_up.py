# SPDX-License-Identifier: BSD-3-Clause
"""The mbufs in which a server may write are those of a client with zero-copy=yes as long as the server is
there: they come back when it has hung up, or when it has had its time.

    attempt: the client's port goes; the server writes into all that is posted, then hangs up
"""

import time
from typing import Callable, Iterator, List

import pytest

from memif import Memif, Socket
from memifpeer import Config, Listener, Server
from memifpeer.shm import lookup
from memifpeer.wire import Disconnect, Hello
from process import PATIENCE, unique
from programs import Lifecycle, wait_until

pytestmark = pytest.mark.own_ends("zero-copy is what it is about")

StartLifecycle = Callable[..., Lifecycle]

SLOTS = 64
LIMIT = 0.5         # seconds that the driver waits
DAWDLE = 0.05       # of the server; a client that does not wait has done everything by then
ATTEMPTS = 8
COMPLAINT = "the server has not hung up"


@pytest.fixture(name="memif")
def _memif(file_socket: Socket) -> Memif:
    return Memif("client", file_socket, {"zero-copy": "yes", "rsize": 6})


@pytest.fixture(name="listener")
def _listener(file_socket: Socket) -> Iterator[Listener]:
    listener = Listener(file_socket.path)
    yield listener
    listener.close()


@pytest.fixture(name="program")
def _program(start_lifecycle: StartLifecycle) -> Lifecycle:
    program = start_lifecycle()
    program.cmd("mode sink")
    return program


def serve(program: Lifecycle, listener: Listener) -> Server:
    """A server to which the client has posted all its mbufs."""
    server = Server(Config(), hello=Hello(name=b"memifpeer"))
    server.accept(listener, timeout=float(PATIENCE))
    server.handshake()
    program.wait_link(timeout=PATIENCE)
    wait_until(lambda: server.tx[0].free() == SLOTS, PATIENCE, "all slots are posted")
    return server


def scribble(server: Server) -> None:
    """Writes into all that is posted, as a burst may that has not ended yet."""
    tx = server.tx[0]
    for slot in range(SLOTS):
        view = lookup(server.regions, tx.ring.desc(slot))
        assert view is not None
        view[:] = b"\xee" * len(view)
        view.release()


def dawdle(program: Lifecycle, count: int) -> None:
    """Until the program has answered so often, or for so long."""
    end = time.monotonic() + DAWDLE
    while program.stdout.count("\n= ") < count and time.monotonic() < end:
        time.sleep(0.001)


def spoiled(program: Lifecycle, server: Server, commands: List[str]) -> int:
    """Has the client end it, and writes into what was posted until the socket is closed; how many mbufs
    the application got meanwhile and found changed. -1: the machine was too slow for this to count."""
    answers = program.stdout.count("\n= ")
    begin = time.monotonic()
    for command in commands:
        program.send_line(command)
    server.expect(Disconnect, timeout=PATIENCE)
    dawdle(program, answers + len(commands))
    scribble(server)
    server.close()
    in_time = time.monotonic() - begin < LIMIT
    for command in commands:
        program.answer(command, PATIENCE)
    found = int(program.cmd("painted")[0])
    assert in_time or COMPLAINT in program.stderr or found == 0
    return found if in_time else -1


def test_stop_waits_for_the_hang_up(program: Lifecycle, memif: Memif, listener: Listener) -> None:
    """What the application has from its pool after rte_eth_dev_stop() nobody writes to."""
    program.attach(memif.vdev())
    found = []
    while len(found) < ATTEMPTS and found.count(0) < 3:
        program.start()
        found.append(spoiled(program, serve(program, listener), ["stop 0", "paint"]))
    print(found)
    assert max(found) <= 0
    if 0 not in found:
        pytest.skip(f"the machine is too slow: not once within {LIMIT} s")
    program.check_mbufs(0)


def test_hang_up_of_a_server_that_says_so_first(program: Lifecycle, memif: Memif,
                                                listener: Listener) -> None:
    """It sends DISCONNECT, and its bursts go on for a while: mbufs are not given back before."""
    program.up(memif.vdev())
    for _ in range(ATTEMPTS):
        server = serve(program, listener)
        program.cmd("poll 0 off")
        begin = time.monotonic()
        server.say(Disconnect(string=b"bye"))
        program.wait_link(False, timeout=PATIENCE)
        kept = program.mbufs()
        in_time = time.monotonic() - begin < LIMIT
        server.close()
        wait_until(lambda: program.mbufs() == 0, PATIENCE, "all mbufs are back")
        program.cmd("poll 0 1")
        if in_time:
            break
    else:
        pytest.skip(f"the machine is too slow: not once within {LIMIT} s")
    assert kept == SLOTS
    program.cmd("stop 0")
    program.check_mbufs(0)


def test_server_that_hangs(program: Lifecycle, memif: Memif, listener: Listener) -> None:
    """It never hangs up: the stop ends all the same, says why it took so long, and has all mbufs."""
    program.attach(memif.vdev())
    program.start()
    with serve(program, listener) as server:
        program.cmd("stop 0", timeout=PATIENCE)
        assert program.us >= LIMIT * 0.9 * 1e6
        program.wait_log(COMPLAINT)
        program.check_mbufs(0)
        server.expect(Disconnect)
    program.quit()


@pytest.mark.parametrize("action", ["stop", "detach"])
def test_stop_in_a_callback(program: Lifecycle, action: str) -> None:
    """Both ends in one process: the control thread runs the callback, and is who the server's end waits
    for. It has to hear of the DISCONNECT all the same."""
    socket = Socket("@" + unique("hangup"), True)
    client = program.attach(Memif("client", socket, {"zero-copy": "yes", "rsize": 6}).vdev())
    server = program.attach(Memif("server", socket, {}, "net_memif1").vdev())
    program.cmd(f"on {client} up {action}")
    # The client first: ethdev stops no port whose rte_eth_dev_start() has not returned yet.
    program.start(client)
    program.start(server)
    wait_until(lambda: f"! done {action} {client} 0\n" in program.stdout, PATIENCE,
               "the callback is done")
    # There need be no event: the server's link may be down again before its rise was reported.
    program.wait_link(False, server, PATIENCE)
    assert COMPLAINT not in program.stderr
    program.quit()


def test_restarts_are_fast(program: Lifecycle) -> None:
    """Both ends in one process, restarted in turn: who hangs up at once is not waited for."""
    socket = Socket("@" + unique("hangup"), True)
    program.up(Memif("server", socket, {}, "net_memif1").vdev())
    client = program.up(Memif("client", socket, {"zero-copy": "yes", "rsize": 6}).vdev())
    for _ in range(100):
        program.wait_link(True, client, PATIENCE)
        program.cmd(f"restart {client} 1")
    assert COMPLAINT not in program.stderr
    program.quit()
