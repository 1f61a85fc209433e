# SPDX-License-Identifier: BSD-3-Clause
"""Every scripted misbehaviour against our own strict peer: it does what its name says, to the end,
and a peer that checks what the protocol demands notices it."""

import threading
from typing import Any, List

import pytest

from memifpeer import (Channel, Client, Closed, Config, ProtocolError, Server, TimedOut, hostile)
from memifpeer.session import Disconnected

pytestmark = pytest.mark.own_ends("peers of the same kind")

BASE = Config(log2=6, bsize=512, timeout=2.0)


@pytest.fixture(autouse=True)
def short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostile.rings, "LOOK", 0.01)


def harmless(case: hostile.Case) -> bool:
    """Memory that is pulled away would kill this process, which has no handler for SIGBUS."""
    return case.config(BASE).sealed


class Victim(threading.Thread):
    """A strict peer in a thread: handshake, then echo until the other end is gone or wrong."""

    def __init__(self, peer: Any) -> None:
        super().__init__()
        self.peer = peer
        self.stop = threading.Event()
        self.ended_by: List[BaseException] = []
        self.start()

    def run(self) -> None:
        try:
            self.peer.handshake()
            self.peer.serve(self.stop)
        except (Disconnected, Closed, TimedOut) as error:
            self.ended_by.append(error)
        except ProtocolError as error:
            self.ended_by.append(error)
            self.peer.refuse(str(error))
        finally:
            self.peer.close()


def play(role: str, case: hostile.Case) -> Any:
    one, two = Channel.pair()
    config = case.config(BASE)
    peer = (Client if role == "client" else Server)(config, one)
    victim = Victim((Server if role == "client" else Client)(BASE, two))
    try:
        with peer:
            return hostile.run(case, peer), victim
    finally:
        victim.stop.set()
        victim.join()


def check(role: str, case: hostile.Case) -> None:
    outcome, victim = play(role, case)
    if case.ends:
        assert outcome.ended
        assert victim.ended_by


@pytest.mark.parametrize("case", filter(harmless, hostile.cases("client")), ids=str)
def test_hostile_client(case: hostile.Case) -> None:
    check("client", case)


@pytest.mark.parametrize("case", hostile.cases("server"), ids=str)
def test_hostile_server(case: hostile.Case) -> None:
    check("server", case)


@pytest.mark.parametrize("role", ["client", "server"])
def test_names_are_unique(role: str) -> None:
    names = [case.name for case in hostile.cases(role, slow=True)]
    assert len(names) == len(set(names))


def test_silence_is_reported_with_its_length() -> None:
    one, two = Channel.pair()
    with Client(BASE, one) as client:
        server = Server(BASE, two)
        server.send_hello()
        outcome = hostile.stall.says_nothing_more(client, "start", timeout=0.05)
        assert not outcome.ended and outcome.notes["seconds"] >= 0.05
        server.close()
