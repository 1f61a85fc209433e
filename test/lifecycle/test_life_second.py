# SPDX-License-Identifier: BSD-3-Clause
"""A second client for a connected id, and the first one's return; what was under way when a peer
died."""

import signal
import threading
import time
from typing import Any, Callable, List

from memif import Memif, Socket
from memifpeer import Client, Config
from memifpeer.session import Disconnected
from process import unique
from programs import Lifecycle, Load, check_resources, resources, state_of, wait_until
from steps import client_steps, new_client
from traffic import Traffic

StartLifecycle = Callable[..., Lifecycle]
StartLoad = Callable[..., Load]

PACKETS = 2_000_000
RETURNS = 200


def server_port() -> Memif:
    return Memif("server", Socket("@" + unique("second"), True), {"rsize": 8})


def refusal(address: str) -> str:
    """What an intruder hears after his INIT."""
    with Client(Config()) as client:
        client.connect(address)
        client.recv_hello()
        client.send_init()
        outcome = client.observe()
        assert outcome.closed, "the intruder was kept"
        return outcome.reason or ""


def test_second_client_is_refused_and_not_noticed(processes: List[Any]) -> None:
    """The first one sends and receives as fast as it can and loses nothing, in neither direction,
    while others knock."""
    memif = server_port()
    client_memif = Memif("client", memif.socket)
    ends = []
    for role, one in (("server", memif), ("client", client_memif)):
        ends.append(Traffic(one, mode="both", count=PACKETS, expect=PACKETS, timeout=60,
                            seed=len(ends) + 1, cpu_number=len(ends), idle_end=3000,
                            memory=["--no-huge", "-m", "192", "--no-shconf"]))
        processes.append(ends[-1])
        ends[-1].wait_started()
    reasons: List[str] = []
    done = threading.Event()

    def knock() -> None:
        while not done.is_set():
            reasons.append(refusal(memif.socket.path))
            time.sleep(0.002)

    for end in ends:
        end.wait_link()
    intruder = threading.Thread(target=knock)
    intruder.start()
    try:
        for end in ends:
            assert end.wait_done(70)
    finally:
        done.set()
        intruder.join()
    for end in ends:
        end.count()
    results = [end.finish() for end in ends]
    assert len(reasons) > 20, "too few knocked while packets moved"
    assert set(reasons) == {"already connected"}
    for mine, other in (results, results[::-1]):
        assert not mine.errors, mine.errors
        assert mine.sent == {0: PACKETS} and mine.arrived == other.sent
        assert mine.data["leaked_mbufs"] == 0


def test_second_client_in_the_handshake(start_lifecycle: StartLifecycle) -> None:
    """The place is taken from INIT on, and free again when the handshake breaks off."""
    program = start_lifecycle()
    memif = server_port()
    program.up(memif.vdev())
    for count in range(4, 11):
        with new_client() as first:
            for _, step in client_steps(first, memif.socket.path)[:count]:
                step()
            assert refusal(memif.socket.path) == "already connected"
        with new_client() as second:
            for _, step in client_steps(second, memif.socket.path):
                step()
    program.quit()


def connect_beside(address: str) -> Client:
    """A client that has got HELLO, and whose INIT is next."""
    returning = new_client()
    returning.connect(address)
    returning.recv_hello()
    return returning


def finish(returning: Client) -> None:
    """The rest of its handshake, from the answer to INIT on."""
    try:
        returning.expect_ack()
    except Disconnected as error:
        raise AssertionError("kept out by what it had left itself") from error
    for _, step in client_steps(returning, "")[4:]:
        step()


def test_returning_client_is_let_in_at_once(start_lifecycle: StartLifecycle) -> None:
    """Its first attempt after its death, always."""
    program = start_lifecycle()
    memif = server_port()
    program.up(memif.vdev())
    old = new_client()
    old.handshake(memif.socket.path)
    slowest = 0.0
    for _ in range(RETURNS):
        returning = connect_beside(memif.socket.path)
        begin = time.monotonic()
        old.hang_up()
        returning.send_init()
        finish(returning)
        slowest = max(slowest, time.monotonic() - begin)
        old.close()
        old = returning
    print(f"the slowest was let in after {slowest * 1000:.1f} ms")
    assert slowest < 0.25
    old.close()
    program.quit()


def test_returning_client_overtakes_its_own_end(start_lifecycle: StartLifecycle) -> None:
    """A busy server finds both at once, and reads the INIT of the new connection first."""
    program = start_lifecycle()
    memif = server_port()
    program.up(memif.vdev())
    old = new_client()
    old.handshake(memif.socket.path)
    for _ in range(20):
        returning = connect_beside(memif.socket.path)
        program.signal(signal.SIGSTOP)
        wait_until(lambda: state_of(program.pid) == "T", 5, "the server has stopped")
        returning.send_init()
        old.hang_up()
        program.signal(signal.SIGCONT)
        finish(returning)
        old.close()
        old = returning
    old.close()
    program.quit()


def test_killed_client_is_let_in_at_once(start_lifecycle: StartLifecycle,
                                         start_load: StartLoad) -> None:
    """A process this time, under load: kill -9, and the next one finds the place free."""
    program = start_lifecycle()
    memif = server_port()
    program.up(memif.vdev())
    for _ in range(20):
        load = start_load("client", memif.socket.path)
        load.wait_connected()
        load.kill9()
        assert "disconnected" not in load.stdout, load.stdout
    program.quit()


# -- in flight ------------------------------------------------------------------------------------

def lost(program: Lifecycle) -> Any:
    xstats = program.xstats()
    return xstats["rx_lost_with_peer_packets"], xstats["tx_lost_with_peer_packets"]


def test_lost_packets_are_counted(start_lifecycle: StartLifecycle) -> None:
    """So many sent that the peer has not taken, so many by the peer that we have not: exactly
    those are counted when it dies, and their mbufs are free. What was taken is not counted."""
    program = start_lifecycle()
    memif = server_port()
    program.up(memif.vdev())
    program.cmd("mode echo")
    before = resources(program.pid)
    total_rx = total_tx = 0
    for taken in (0, 5, 12):
        with new_client(log2=4) as client:
            for _, step in client_steps(client, memif.socket.path):
                step()
            program.wait_link()
            for _ in range(12):
                assert client.send(0, b"\x55" * 60)
            # The driver echoes all: now 12 lie in the other ring.
            wait_until(lambda: client.rx[0].ring.tail >= 12, 5, "the echo")
            assert len(client.rx[0].gather(taken)) == taken
            client.rx[0].post()
            program.cmd("poll 0 off")
            for _ in range(7):
                assert client.send(0, b"\xaa" * 60)
            client.hang_up()
            program.wait_link(False)
        total_rx += 7
        total_tx += 12 - taken
        assert lost(program) == (total_rx, total_tx)
        assert program.mbufs() == 0
        program.cmd("poll 0 1")
    check_resources(program.pid, before)
    assert program.sent() == 36 and program.received() == 36
    program.quit()


def test_what_died_with_the_peer_is_the_difference(start_lifecycle: StartLifecycle,
                                                   start_load: StartLoad) -> None:
    """Under full load: sent = taken by the peer + counted as lost, to within a burst that the peer
    was just about to take."""
    program = start_lifecycle()
    memif = server_port()
    program.up(memif.vdev())
    for number in range(10):
        start = program.sent(), lost(program)[1]
        # Not killed in its handshake: that is every fourth, by its own dice.
        tally = start_load("client", memif.socket.path, kills=1, seed=number).wait_kills(20)
        if tally["up"] == 0:
            continue
        program.wait_link(False)
        sent = program.sent() - start[0]
        counted = lost(program)[1] - start[1]
        assert 0 <= sent - tally["received"] - counted <= 64 or \
            0 <= tally["received"] + counted - sent <= 64, (sent, tally, counted)
    program.check_mbufs(0)
    program.quit()
