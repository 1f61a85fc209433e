# SPDX-License-Identifier: BSD-3-Clause
"""Silence, death at any point, messages without end, sockets that nobody reads."""

import time
from typing import List

from .. import wire
from ..chan import Channel, Closed, TimedOut
from ..client import Client
from ..session import Outcome, Session
from .kit import BOTH, CLIENT, POINTS, behaviour, each, reach, until_refused


@behaviour(BOTH, slow=True, variants=each("at", "start", "init", "regions", "rings"))
def says_nothing_more(peer: Session, at: str = "start", timeout: float = 30.0) -> Outcome:
    """Stops in the middle of the handshake; notes after how many seconds it was dropped."""
    reach(peer, at)
    begin = time.monotonic()
    outcome = peer.observe(timeout)
    outcome.notes["seconds"] = time.monotonic() - begin
    return outcome


@behaviour(BOTH, ends=False, variants=each("at", *POINTS))
def dies(peer: Session, at: str = "start") -> Outcome:
    """Closes its socket without a word, and all that it had open."""
    reach(peer, at)
    peer.close()
    return Outcome(closed=True)


@behaviour(CLIENT, ends=False, variants=each("at", *POINTS))
def dies_with_unread_messages(client: Client, at: str = "start") -> Outcome:
    """Its last message is sent when it closes, and the answer is never read."""
    reach(client, at)
    with until_refused():
        client.say(wire.Disconnect(string=b"gone") if at == "linked" else wire.Init(
            id=client.config.id, secret=client.config.secret))
    client.close()
    return Outcome(closed=True)


@behaviour(CLIENT, ends=False)
def never_reads_its_socket(client: Client, count: int = 5000) -> Outcome:
    """Valid messages whose answers it leaves in the socket: regions, until the other end stops
    taking them. Notes how many were sent."""
    reach(client, "init")
    client.create_memory()
    region = client.regions[0]
    assert region is not None, "a client has its regions"
    sent = 0
    try:
        for sent in range(count):
            client.chan.send(wire.AddRegion(index=sent & 0xFFFF, size=region.size).pack(),
                             (region.fd,), timeout=0.3)
    except (Closed, TimedOut):
        pass
    outcome = client.observe(0.5)
    outcome.notes["sent"] = sent
    return outcome


@behaviour(BOTH, "linked", ends=False)
def floods_the_control_socket(peer: Session, seconds: float = 0.3) -> Outcome:
    """Messages as fast as they go, after the handshake; the first is one too many already."""
    deadline = time.monotonic() + seconds
    with until_refused():
        while time.monotonic() < deadline:
            peer.chan.send(wire.Ack().pack(), timeout=0.1)
    return peer.observe(0.5)


def connects_many(address: str, count: int, timeout: float = 1.0) -> List[Channel]:
    """So many connections that say nothing, for the caller to close; fewer when no more are taken
    within the time."""
    channels: List[Channel] = []
    deadline = time.monotonic() + timeout
    try:
        while len(channels) < count and time.monotonic() < deadline:
            channels.append(Channel.connect(address, timeout=0.1))
    except (OSError, TimedOut):
        pass
    return channels
