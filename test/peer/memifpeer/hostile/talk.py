# SPDX-License-Identifier: BSD-3-Clause
"""Messages: in the wrong order, of the other role, of unknown type, too short, with bad values."""

import random
from typing import Any, List

from .. import wire
from ..client import Client
from ..server import Server
from ..session import Outcome, Session
from .kit import BOTH, CLIENT, POINTS, SERVER, behaviour, each, reach, until_refused

AT_ANY_POINT = each("at", *POINTS)


def _at(points: tuple, key: str, *values: Any) -> dict:
    return {f"{value}-at-{at}": {key: value, "at": at} for at in points for value in values}


@behaviour(BOTH, variants=_at(("start", "linked"), "kind", 0, 9, 65535))
def unknown_type(peer: Session, kind: int, at: str = "start") -> Outcome:
    """A message of a type that nobody may send."""
    reach(peer, at)
    peer.say_raw(wire.raw_message(kind))
    return peer.observe()


@behaviour(BOTH, variants=_at(("start", "linked"), "size", 1, 127, 129, 4096))
def wrong_length(peer: Session, size: int, at: str = "start") -> Outcome:
    """A message that would be due, shorter or longer than 128 bytes."""
    reach(peer, at)
    due: wire.Message = wire.Disconnect(string=b"x")
    if at == "start":
        due = wire.Init(id=peer.config.id) if isinstance(peer, Client) else wire.Hello()
    peer.say_raw(due.pack().ljust(size, b"\0")[:size])
    return peer.observe()


@behaviour(BOTH, variants=AT_ANY_POINT)
def random_bytes(peer: Session, at: str = "start", seed: int = 1) -> Outcome:
    """Random messages, until one is refused."""
    reach(peer, at)
    rng = random.Random(seed)
    with until_refused():
        for _ in range(20):
            peer.say_raw(rng.randbytes(wire.MSG_SIZE))
    return peer.observe()


def _of_other_role(peer: Session) -> List[wire.Message]:
    if isinstance(peer, Client):
        return [wire.Hello(), wire.Connected()]
    return [wire.Init(id=peer.config.id), wire.AddRegion(size=4096),
            wire.AddRing(log2_ring_size=10), wire.Connect()]


@behaviour(CLIENT, variants=_at(POINTS, "number", 0, 1))
@behaviour(SERVER, variants=_at(("start", "init", "linked"), "number", 0, 1, 2, 3))
def message_of_other_role(peer: Session, number: int, at: str = "start") -> Outcome:
    """What only the other end may send; with the descriptor that it would carry."""
    reach(peer, at)
    message = _of_other_role(peer)[number]
    needs_fd = isinstance(message, wire.WITH_FD)
    peer.say(message, (peer.chan.sock.fileno(),) if needs_fd else ())
    return peer.observe()


@behaviour(CLIENT, variants=AT_ANY_POINT)
@behaviour(SERVER, variants=each("at", "start", "rings", "linked"))
def ack_nobody_waits_for(peer: Session, at: str = "start") -> Outcome:
    """An ACK out of turn; at 'rings' a server sends it where CONNECTED is due."""
    reach(peer, at)
    peer.say(wire.Ack())
    return peer.observe()


@behaviour(BOTH, variants=AT_ANY_POINT)
def disconnects(peer: Session, at: str = "start") -> Outcome:
    """A DISCONNECT at this point; its string fills all 96 bytes, with no terminator."""
    reach(peer, at)
    peer.say(wire.Disconnect(code=0xFFFFFFFF, string=b"%s%n" * 24))
    return peer.observe()


# -- a client's ------------------------------------------------------------------------------------

@behaviour(CLIENT, variants=each("version", 0, 0x0100, 0x0201, 0x0300, 0xFFFF))
def init_with_version(client: Client, version: int) -> Outcome:
    reach(client, "start")
    client.send_init(version=version)
    return client.observe()


@behaviour(CLIENT)
def init_with_unknown_id(client: Client, port_id: int = 0xFFFFFFFE) -> Outcome:
    reach(client, "start")
    client.send_init(id=port_id)
    return client.observe()


@behaviour(CLIENT, variants=each("mode", 1, 2, 3, 255))
def init_with_mode(client: Client, mode: int) -> Outcome:
    reach(client, "start")
    client.send_init(mode=mode)
    return client.observe()


@behaviour(CLIENT, variants=each("at", *POINTS[1:]))
def init_twice(client: Client, at: str = "init") -> Outcome:
    reach(client, at)
    client.send_init()
    return client.observe()


@behaviour(CLIENT)
def region_before_init(client: Client) -> Outcome:
    reach(client, "start")
    client.create_memory()
    client.send_region(0)
    return client.observe()


@behaviour(CLIENT, variants=each("at", "start", "init"))
def ring_before_region(client: Client, at: str) -> Outcome:
    reach(client, at)
    client.create_memory()
    client.send_ring(0)
    return client.observe()


@behaviour(CLIENT, variants=each("at", "start", "init"))
def connect_before_region(client: Client, at: str) -> Outcome:
    reach(client, at)
    client.send_connect()
    return client.observe()


@behaviour(CLIENT, ends=False)
def connect_before_rings(client: Client) -> Outcome:
    """A connection without rings: useless, and for the server to refuse or to bear."""
    reach(client, "regions")
    client.send_connect()
    return client.observe(0.1)


@behaviour(CLIENT, ends=False)
def s2c_rings_before_c2s(client: Client) -> Outcome:
    reach(client, "regions")
    with until_refused():
        for number in reversed(range(len(client.plans))):
            client.send_ring(number)
        client.send_connect()
    return client.observe(0.1)


@behaviour(CLIENT)
def connect_twice(client: Client) -> Outcome:
    reach(client, "linked")
    client.send_connect()
    return client.observe()


@behaviour(CLIENT)
def region_after_connected(client: Client) -> Outcome:
    reach(client, "linked")
    region = client.regions[0]
    assert region is not None, "a client has its regions"
    client.say(wire.AddRegion(index=len(client.regions), size=region.size), (region.fd,))
    return client.observe()


@behaviour(CLIENT)
def ring_after_connected(client: Client) -> Outcome:
    reach(client, "linked")
    client.send_ring(0, index=client.config.c2s)
    return client.observe()


@behaviour(CLIENT)
def everything_at_once(client: Client) -> Outcome:
    """The whole handshake without waiting for an answer, then a message too many."""
    with until_refused():
        client.send_init()
        client.create_memory()
        for number in range(len(client.regions)):
            client.send_region(number)
        for number in range(len(client.plans)):
            client.send_ring(number)
        client.send_connect()
        client.send_connect()
    return client.observe()


# -- a server's ------------------------------------------------------------------------------------

@behaviour(SERVER, variants={
    "1.0": {"low": 0x0100, "high": 0x0100}, "2.1": {"low": 0x0201, "high": 0x0201},
    "3.0": {"low": 0x0300, "high": 0x0300}, "none": {"low": 0x0300, "high": 0x0100}})
def hello_with_versions(server: Server, low: int, high: int) -> Outcome:
    server.send_hello(min_version=low, max_version=high)
    return server.observe()


@behaviour(SERVER, variants=each("at", "hello", *POINTS[1:]))
def hello_twice(server: Server, at: str) -> Outcome:
    reach(server, at)
    server.send_hello()
    return server.observe()


@behaviour(SERVER, ends=False, variants={
    "regions": {"max_region": 0}, "c2s": {"max_c2s_ring": 0}, "s2c": {"max_s2c_ring": 0},
    "log2-0": {"max_log2_ring_size": 0}, "log2-1": {"max_log2_ring_size": 1},
    "log2-255": {"max_log2_ring_size": 255},
    "65535": {"max_region": 65535, "max_c2s_ring": 65535, "max_s2c_ring": 65535}})
def hello_with_limits(server: Server, **limits: int) -> Outcome:
    """The smallest and the largest a HELLO can allow; the client may go on within them, or not."""
    server.send_hello(**limits)
    return server.observe(0.1)


@behaviour(SERVER, variants=each("at", "start", "hello", "init", "regions"))
def connected_too_early(server: Server, at: str) -> Outcome:
    reach(server, at)
    server.say(wire.Connected())
    return server.observe()


@behaviour(SERVER)
def connected_twice(server: Server) -> Outcome:
    reach(server, "linked")
    server.say(wire.Connected())
    return server.observe()
