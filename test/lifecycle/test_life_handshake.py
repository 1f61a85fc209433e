# SPDX-License-Identifier: BSD-3-Clause
"""The peer dies, stops, or dawdles at each single step of the handshake, in both roles.

    MIF_STOP_SECONDS=N   how long a stopped peer stays so (default 4; the work item says 10)
"""

import os
import signal
import statistics
import threading
import time
from typing import Callable, Dict, List, Tuple

import pytest

from memif import Memif, Socket
from memifpeer import Closed, Config, Listener, Server
from memifpeer.session import ProtocolError, Session
from process import unique
from programs import Lifecycle, Load, check_resources, resources, state_of, wait_until
from steps import Step, client_steps, new_client, server_steps

STOP_SECONDS = float(os.environ.get("MIF_STOP_SECONDS", "4"))
STEP_SECONDS = 2.0          # what one step may take
HANDSHAKE_SECONDS = 10.0    # and all of them
NOTICED_MS = 50.0           # no other port's handshake is delayed by more
LATE_MS = 250.0             # of all that time, in late handshakes: the machine's doing

StartLifecycle = Callable[..., Lifecycle]
StartLoad = Callable[..., Load]

CLIENT_STEPS = len(client_steps(new_client(), ""))


def count_server_steps() -> int:
    return len(server_steps(Server(), None))  # type: ignore[arg-type]


def port_of(number: int, role: str) -> Memif:
    return Memif(role, Socket("@" + unique("step"), True), {"rsize": 6}, f"net_memif{number}")


def do(steps: List[Step], count: int) -> None:
    for name, step in steps[:count]:
        try:
            step()
        except (ProtocolError, Closed) as error:
            raise AssertionError(f"at '{name}': {error}") from error


# -- death ----------------------------------------------------------------------------------------

def die_as_client(address: str, count: int) -> None:
    with new_client() as client:
        do(client_steps(client, address), count)


def die_as_server(address: str, count: int) -> None:
    with Server(Config(log2=6)) as server, Listener(address) as listener:
        do(server_steps(server, listener), count)


@pytest.mark.parametrize("dying", ["client", "server"])
def test_peer_dies_at_each_step(start_lifecycle: StartLifecycle, start_load: StartLoad,
                                dying: str) -> None:
    survivor = start_lifecycle()
    port = port_of(0, "server" if dying == "client" else "client")
    survivor.up(port.vdev())
    die, steps = ((die_as_client, CLIENT_STEPS) if dying == "client"
                  else (die_as_server, count_server_steps()))
    die(port.socket.path, steps)
    survivor.wait_link(False)
    time.sleep(0.1)
    before = resources(survivor.pid)
    for count in range(1, steps + 1):
        for _ in range(3 if dying == "client" else 2):
            die(port.socket.path, count)
        check_resources(survivor.pid, before)
    survivor.wait_link(False)
    load = start_load(dying, port.socket.path)
    survivor.wait_traffic()
    load.kill9()
    survivor.wait_link(False)
    survivor.check_mbufs(0)
    survivor.quit()


# -- SIGSTOP --------------------------------------------------------------------------------------

def handshake_ms(address: str) -> float:
    """How long an honest client's handshake takes."""
    with new_client() as client:
        begin = time.monotonic()
        do(client_steps(client, address), CLIENT_STEPS)
        return (time.monotonic() - begin) * 1000


def check_not_noticed(times: List[float], calm: List[float]) -> None:
    """Against those of a program without any trouble, made in turns with them: on a busy machine
    some of both are late. Counted is the time in handshakes that were, as one that meets a blocked
    control thread waits for all that it does until then."""
    limit = statistics.median(calm) + NOTICED_MS
    late, calm_late = (sum(ms for ms in list_ if ms > limit) for list_ in (times, calm))
    print(f"{len(times)} handshakes of the other port: median {statistics.median(times):.1f} ms, "
          f"worst {max(times):.1f}, late ones together {late:.0f}; of the calm program: "
          f"{statistics.median(calm):.1f}, {max(calm):.1f}, {calm_late:.0f}")
    assert statistics.median(times) < statistics.median(calm) + NOTICED_MS / 5
    assert late < 2 * calm_late + LATE_MS


# The peer of a port with this role stops before its so many-th thing: the connection, then each
# message that it gets. A client's 7th is CONNECTED, so the server is up when it stops; a server has
# none, and is stopped from outside.
STOP_AT = [("server", moment) for moment in range(1, 8)]
STOP_AT += [("client", moment) for moment in range(1, 8)]
LINKED = (STOP_AT.index(("server", 7)), STOP_AT.index(("client", 7)))


@pytest.mark.own_ends("counts the messages of a client that copies")
def test_peer_stopped_at_each_step(start_lifecycle: StartLifecycle,
                                   start_load: StartLoad) -> None:
    """SIGSTOP; the connection times out, others do not notice, and SIGCONT brings it back."""
    victim, calm = start_lifecycle(), start_lifecycle()
    calm_port = port_of(0, "server")
    calm.up(calm_port.vdev())
    stopped: List[Load] = []
    for number in range(len(STOP_AT)):
        role, moment = STOP_AT[number]
        port = port_of(number, role)
        victim.up(port.vdev())
        stopped.append(start_load("client" if role == "server" else "server", port.socket.path,
                                  rsize=6, stop_at=moment))
    probed = port_of(len(STOP_AT), "server")
    probe = victim.up(probed.vdev())
    for number in LINKED:
        victim.wait_link(True, number)
        stopped[number].signal(signal.SIGSTOP)
    for load in stopped:
        wait_until(lambda load=load: state_of(load.pid) == "T", 5, "the peer has stopped")

    begin = time.monotonic()
    times, calm_times = [], []
    while time.monotonic() - begin < STOP_SECONDS:
        times.append(handshake_ms(probed.socket.path))
        calm_times.append(handshake_ms(calm_port.socket.path))
        time.sleep(0.01)
    check_not_noticed(times, calm_times)
    for number, (role, moment) in enumerate(STOP_AT):
        assert victim.link_up(number) == (number in LINKED), f"port {number}"
        # Without INIT, nobody knows which port it is for.
        if number not in LINKED and (role == "client" or moment > 2):
            assert "timed out" in victim.wait_log("timed out", f"net_memif{number}")
        else:
            assert not any("timed out" in line for line in victim.log(f"net_memif{number}"))
    for load in stopped:
        load.signal(signal.SIGCONT)
    for number in range(len(STOP_AT)):
        victim.wait_traffic(number)
    victim.cmd(f"detach {probe}")
    victim.quit()
    calm.quit()


# -- silence and slowness -------------------------------------------------------------------------

SLOW_SECONDS = 1.0      # less than a step may take
SLOW_REGIONS = 20       # enough steps to take longer than all may
SLOW_RINGS = 8


def time_until_dropped(peer: Session, steps: List[Step], pause: float) -> Tuple[float, str]:
    """Takes these steps, with a pause before it says anything, and waits; returns after how many
    seconds the connection was ended, and why."""
    begin = time.monotonic()
    for name, step in steps:
        if pause and name.startswith("send"):
            outcome = peer.observe(pause)
            if outcome.ended:
                return time.monotonic() - begin, outcome.reason or "hung up"
        step()
    outcome = peer.observe(HANDSHAKE_SECONDS + 5)
    assert outcome.ended, "kept for ever"
    return time.monotonic() - begin, outcome.reason or "hung up"


def test_silent_and_slow_peers_are_dropped(start_lifecycle: StartLifecycle) -> None:
    """Silent after each step: dropped after 2 s. A message every second: dropped after 10 s."""
    victim = start_lifecycle()
    found: Dict[str, Tuple[float, str]] = {}

    def as_client(name: str, address: str, count: int) -> None:
        slow = count == 0
        with new_client(regions=SLOW_REGIONS if slow else 1) as client:
            steps = client_steps(client, address)
            found[name] = time_until_dropped(client, steps if slow else steps[:count],
                                             SLOW_SECONDS if slow else 0)

    def as_server(name: str, address: str, count: int) -> None:
        slow = count == 0
        with Server(Config(log2=6)) as server, Listener(address) as listener:
            steps = server_steps(server, listener, SLOW_RINGS if slow else 2)
            steps[0][1]()
            found[name] = time_until_dropped(server, steps[1:] if slow else steps[1:count],
                                             SLOW_SECONDS if slow else 0)

    threads = []
    for role in ("server", "client"):
        for count in (0, 1, 2, 4, 6, 8, 10):
            port = port_of(len(threads), role)
            name = f"to a {role}: " + (f"silent after {count} steps" if count else "slow")
            threads.append(threading.Thread(target=as_client if role == "server" else as_server,
                                            args=(name, port.socket.path, count)))
            if role == "client":
                threads[-1].start()
            victim.up(port.vdev(), SLOW_RINGS // 2 if count == 0 else 1)
            if role == "server":
                threads[-1].start()
    for thread in threads:
        thread.join()
    print(*(f"{name}: {seconds:.2f} s, '{why}'" for name, (seconds, why) in found.items()),
          sep="\n")
    assert len(found) == len(threads)
    for name, (seconds, why) in found.items():
        limit = HANDSHAKE_SECONDS if "slow" in name else STEP_SECONDS
        assert limit - 0.2 < seconds < limit + 1.5, name
        assert "timed out" in why, f"{name}: {why}"
    victim.quit()


# -- a port that starts meanwhile -----------------------------------------------------------------

def test_port_starts_between_hello_and_init(start_lifecycle: StartLifecycle) -> None:
    """HELLO told of two rings, the least, as the port was not up: the client does not stay with that."""
    program = start_lifecycle()
    memif = port_of(0, "server")
    port = program.attach(memif.vdev(), queues=3)
    with new_client() as early:
        early.connect(memif.socket.path)
        assert early.recv_hello().max_c2s_ring == 1
        program.start(port)
        early.send_init()
        assert early.observe().reason == "interface is down"
    with new_client() as late:
        late.connect(memif.socket.path)
        hello = late.recv_hello()
        assert hello.max_c2s_ring == hello.max_s2c_ring == 2
        late.send_init()
        late.expect_ack()
    program.quit()
