# SPDX-License-Identifier: BSD-3-Clause
"""Each end hears why the other leaves: at stop, at close, at every error, in both roles."""

import contextlib
import signal
import time
from typing import Callable, Iterator

import pytest

from memif import Memif, Socket
from memifpeer import Client, Config, Listener, Server, wire
from memifpeer.session import Session
from process import unique
from programs import Lifecycle, state_of, wait_until
from steps import client_steps, new_client, server_steps

StartLifecycle = Callable[..., Lifecycle]
ROLES = ["server", "client"]    # of the driver
TROUBLE_SECONDS = 1.2           # so long after a line about one trouble, another one has its own


def port_of(role: str, **options: object) -> Memif:
    return Memif(role, Socket("@" + unique("why"), True), {"rsize": 6, **options})


@contextlib.contextmanager
def met(memif: Memif, steps: int = 99) -> Iterator[Session]:
    """A Python peer of the port, after so many steps of the handshake."""
    if memif.role == "server":
        with new_client() as client:
            for _, step in client_steps(client, memif.socket.path)[:steps]:
                step()
            yield client
    else:
        with Server(Config(log2=6)) as server, Listener(memif.socket.path) as listener:
            for _, step in server_steps(server, listener)[:steps]:
                step()
            yield server


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("command,reason", [
    ("stop 0", "interface stopped"),
    ("close 0", "interface stopped"),   # an application has to stop before it closes
    ("detach 0", "interface stopped"),
    ("set-link 0 down", "interface set down"),
])
def test_peer_hears_why(start_lifecycle: StartLifecycle, role: str, command: str,
                        reason: str) -> None:
    """When packets move, and in the middle of the handshake."""
    for steps in (99, 4):
        program = start_lifecycle()
        memif = port_of(role)
        program.up(memif.vdev())
        with met(memif, steps) as peer:
            program.cmd(command)
            outcome = peer.observe()
        assert outcome.reason == reason and outcome.closed
        program.quit()


def test_nameless_client_hears_why(start_lifecycle: StartLifecycle) -> None:
    """It has not yet said which port it wants when the last one on the socket goes."""
    program = start_lifecycle()
    memif = port_of("server")
    program.up(memif.vdev())
    with met(memif, 2) as peer:
        program.cmd("stop 0")
        program.cmd("close 0")
        assert peer.observe().reason == "interface deleted"
    program.quit()


def break_index(peer: Session) -> None:
    """An impossible index in the ring that the driver receives from."""
    peer.tx[0].ring.head = 0x7fff
    peer.tx[0].ring.tail = 0x7fff


def break_message(peer: Session) -> None:
    peer.say_raw(b"\0" * 64)


def break_order(peer: Session) -> None:
    peer.say(wire.Ack())


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("break_it,reason", [
    (break_index, "impossible ring index"),
    (break_message, "malformed message"),
    (break_order, ""),
])
def test_error_is_said_logged_and_kept(start_lifecycle: StartLifecycle, role: str,
                                       break_it: Callable[[Session], None], reason: str) -> None:
    program = start_lifecycle()
    memif = port_of(role)
    program.up(memif.vdev())
    with met(memif) as peer:
        program.wait_link()
        break_it(peer)
        outcome = peer.observe()
        assert outcome.closed and outcome.reason and reason in outcome.reason
    assert "the peer says" not in program.wait_log(f": {outcome.reason}")
    assert outcome.reason in program.dump()
    with met(memif):
        program.wait_link()
    program.quit()


@pytest.mark.parametrize("role", ROLES)
def test_reason_of_the_peer_is_logged_and_kept(start_lifecycle: StartLifecycle,
                                               role: str) -> None:
    """Cleaned of what does not belong into a log."""
    program = start_lifecycle()
    memif = port_of(role)
    program.up(memif.vdev())
    for reason in ("the weather is bad", "x" * wire.REASON_LEN, "bell \a and\nnew line"):
        with met(memif) as peer:
            program.wait_link()
            peer.disconnect(reason.encode())
        shown = "".join(char if char.isprintable() else "?" for char in reason)
        assert "the peer says" in program.wait_log(shown)
        wait_until(lambda: shown in program.dump(), 2, "the dump says it")
    assert "\a" not in program.stderr
    program.quit()


@pytest.mark.parametrize("role,steps", [("server", 4), ("server", 6), ("client", 5), ("client", 7)])
def test_reason_in_the_handshake_is_logged_and_kept(start_lifecycle: StartLifecycle, role: str,
                                                    steps: int) -> None:
    program = start_lifecycle()
    memif = port_of(role)
    program.up(memif.vdev())
    time.sleep(TROUBLE_SECONDS)
    with met(memif, steps) as peer:
        peer.disconnect(b"the weather is bad")
        program.wait_log("the weather is bad")
        assert "the weather is bad" in program.dump()
    program.quit()


def test_last_words_are_heard(start_lifecycle: StartLifecycle) -> None:
    """A server that agrees, and then leaves before the client has read either: what the client
    sends then breaks the pipe, but why is said already."""
    program = start_lifecycle()
    memif = port_of("client")
    program.up(memif.vdev())
    time.sleep(TROUBLE_SECONDS)
    with met(memif, 3) as peer:
        program.signal(signal.SIGSTOP)
        wait_until(lambda: state_of(program.pid) == "T", 5, "the client has stopped")
        peer.say(wire.Ack())
        peer.disconnect(b"the weather is bad")
        program.signal(signal.SIGCONT)
        program.wait_log("the weather is bad")
    program.quit()


@pytest.mark.parametrize("role", ROLES)
def test_hang_up_is_told_from_a_reason(start_lifecycle: StartLifecycle, role: str) -> None:
    """A peer that died has said nothing, and the log does not claim that it did."""
    program = start_lifecycle()
    memif = port_of(role)
    program.up(memif.vdev())
    with met(memif) as peer:
        program.wait_link()
        peer.hang_up()
        line = program.wait_log("disconnected from")
    assert "the peer closed the connection" in line and "the peer says" not in line
    assert "the peer closed the connection" in program.dump()
    program.quit()


@pytest.mark.parametrize("client,reason", [
    (Config(id=7), "unmatched interface id"),
    (Config(secret=b"wrong"), "incorrect secret"),
    (Config(), "secret required"),
    (Config(secret=b"right", mode=wire.MODE_IP), "mode mismatch"),
])
def test_refusals_have_reasons(start_lifecycle: StartLifecycle, client: Config,
                               reason: str) -> None:
    program = start_lifecycle()
    memif = port_of("server", secret="right")
    program.up(memif.vdev())
    with Client(client) as peer:
        peer.connect(memif.socket.path)
        peer.recv_hello()
        peer.send_init()
        assert peer.observe().reason == reason
    program.quit()
