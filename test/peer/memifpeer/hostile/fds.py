# SPDX-License-Identifier: BSD-3-Clause
"""File descriptors on messages that carry none, too many, none at all, or of the wrong kind."""

import contextlib
import fcntl
import os
import select
import socket
import tempfile
from typing import Callable, Dict, Iterator, List

from .. import wire
from ..chan import MAX_FDS
from ..client import Client
from ..server import Server
from ..session import Outcome, Session
from ..shm import create_memfd
from .kit import BOTH, CLIENT, SERVER, behaviour, each, reach

SIZE = 1 << 20


def _memfd() -> int:
    return create_memfd(SIZE)


def _socket() -> int:
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).detach()


def _pipe() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def _epoll() -> int:
    with select.epoll() as epoll:
        return os.dup(epoll.fileno())


def _read_only_memfd() -> int:
    fd = create_memfd(SIZE)
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
    finally:
        os.close(fd)


def _write_sealed_memfd() -> int:
    fd = create_memfd(SIZE, sealed=False)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK)
    return fd


def _path_only() -> int:
    fd = create_memfd(SIZE)
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_PATH)
    finally:
        os.close(fd)


def _deleted_folder() -> int:
    with tempfile.TemporaryDirectory() as name:
        return os.open(name, os.O_RDONLY)


KINDS: Dict[str, Callable[[], int]] = {
    "socket": _socket,
    "directory": _deleted_folder,
    "eventfd": lambda: os.eventfd(0, os.EFD_NONBLOCK),
    "pipe": _pipe,
    "epoll": _epoll,
    "null": lambda: os.open("/dev/null", os.O_RDWR),
    "zero": lambda: os.open("/dev/zero", os.O_RDWR),
    "read-only-memfd": _read_only_memfd,
    "write-sealed-memfd": _write_sealed_memfd,
    "path-only": _path_only,
    "memfd": _memfd,
    "blocking-eventfd": lambda: os.eventfd(0, 0),
}
NOT_A_REGION = [kind for kind in KINDS if kind not in ("memfd", "blocking-eventfd")]
NOT_AN_EVENTFD = [kind for kind in KINDS if "eventfd" not in kind]


@contextlib.contextmanager
def made(kind: str, count: int = 1) -> Iterator[List[int]]:
    """Descriptors of a kind, closed afterwards."""
    fds = [KINDS[kind]() for _ in range(count)]
    try:
        yield fds
    finally:
        for fd in fds:
            os.close(fd)


@behaviour(CLIENT, variants=each("number", 0, 1, 2, 3))
@behaviour(SERVER, variants=each("number", 0, 1, 2, 3))
def fd_with_message_that_has_none(peer: Session, number: int, count: int = 1) -> Outcome:
    """INIT, CONNECT, DISCONNECT, ACK of a client; HELLO, ACK, CONNECTED, DISCONNECT of a server;
    each when it is due, but for the last."""
    with made("memfd", count) as fds:
        if isinstance(peer, Client):
            reach(peer, ("start", "rings", "linked", "linked")[number])
            message = (wire.Init(id=peer.config.id, secret=peer.config.secret), wire.Connect(),
                       wire.Disconnect(), wire.Ack())[number]
        else:
            reach(peer, ("start", "hello", "rings", "linked")[number])
            if number == 1:
                assert isinstance(peer, Server), "the other role is handled above"
                peer.recv_init()
            message = (wire.Hello(), wire.Ack(), wire.Connected(), wire.Disconnect())[number]
        peer.say(message, fds)
        return peer.observe()


@behaviour(BOTH, variants=each("count", 2, 16, MAX_FDS))
def many_fds_with_message_that_has_none(peer: Session, count: int) -> Outcome:
    return fd_with_message_that_has_none(peer, 0, count)


@behaviour(CLIENT, variants=each("count", 0, 2, 3, MAX_FDS))
def region_with_fds(client: Client, count: int) -> Outcome:
    """None, or several; with many the receiver's control buffer is too small: cut control data."""
    reach(client, "init")
    client.create_memory()
    region = client.regions[0]
    assert region is not None, "a client has its regions"
    client.send_region(0, fds=[region.fd] * count)
    return client.observe()


@behaviour(CLIENT, variants=each("count", 0, 2, 3, MAX_FDS))
def ring_with_fds(client: Client, count: int) -> Outcome:
    """As region_with_fds."""
    reach(client, "regions")
    client.send_ring(0, fds=[client.tx[0].eventfd] * count)
    return client.observe()


@behaviour(CLIENT, variants=each("kind", *NOT_A_REGION))
def region_fd_is(client: Client, kind: str) -> Outcome:
    reach(client, "init")
    with made(kind) as fds:
        client.say(wire.AddRegion(index=0, size=SIZE), fds)
        return client.observe()


@behaviour(CLIENT, variants=each("kind", *NOT_AN_EVENTFD))
def ring_fd_is(client: Client, kind: str) -> Outcome:
    reach(client, "regions")
    with made(kind) as fds:
        client.send_ring(0, fds=fds)
        return client.observe()


@behaviour(CLIENT, ends=False)
def ring_fd_is_the_control_socket_of_the_connection(client: Client) -> Outcome:
    """Our own end of the control channel as eventfd: a loop of references in the kernel."""
    reach(client, "regions")
    client.send_ring(0, fds=[client.chan.sock.fileno()])
    return client.observe()


@behaviour(CLIENT, ends=False)
def one_eventfd_for_all_rings(client: Client) -> Outcome:
    """Legal, if unwise; whatever is done with one ring must not confuse another."""
    reach(client, "regions")
    for number in range(len(client.plans)):
        client.send_ring(number, fds=[client.tx[0].eventfd])
        client.expect_ack()
    client.send_connect()
    client.recv_connected()
    return client.observe(0.1)
