# SPDX-License-Identifier: BSD-3-Clause
"""Descriptors that point elsewhere, and indices that jump: what a linked peer does in the rings.

Each function notes what came back of the honest packets it sent around its lie ('returned'). The
connection may live or be broken after it (ends=False), unless said otherwise.
"""

import os
import random
import time
from typing import Any, Callable, List, Optional, Sequence

from ..client import Client
from ..ring import ClientRx, ClientTx, ServerTx, distance
from ..server import Server
from ..session import Outcome, Session
from ..shm import DESC_NEXT, DESC_SIZE, Desc, HEADER_SIZE
from .kit import BOTH, CLIENT, SERVER, behaviour, each, until_refused

BAD_DESCS = {
    "region-unknown": {"region": 7},
    "region-65535": {"region": 0xFFFF},
    "offset-past": {"offset": 0xFFFFFFF0},
    "offset-at-end": {"offset": -1},        # the region's size, filled in when it is known
    "length-past": {"length": 0xFFFFFFFF},
    "length-wraps": {"offset": 0xFFFFFF00, "length": 0x200},
    "length-0": {"length": 0},
    "all": {"flags": 0xFFFE, "region": 0xFFFF, "length": 0xFFFFFFFF, "offset": 0xFFFFFFFF},
}
BEFORE = b"sent before the lie".ljust(100, b"-")
AFTER = b"sent after the lie".ljust(100, b"-")
LOOK = 0.1      # how long to look for a reaction, in s; a test may set it


def _spoiled(peer: Session, desc: Desc, change: dict) -> Desc:
    if change.get("offset") == -1:
        region = peer.regions[desc.region]
        assert region is not None, "an honest descriptor lies in a region"
        change = {**change, "offset": region.size}
    return desc.but(**change)


def _watch(peer: Session, poke: Callable[[], Any] = lambda: None, looks: float = 1,
           want: Sequence[bytes] = ()) -> Outcome:
    """Takes packets and messages for so many LOOKs; poke() is called again and again. When packets
    are wanted it waits longer for them, and ends soon after the last."""
    outcome = Outcome()
    returned: List[bytes] = []
    deadline = time.monotonic() + (20 if want else looks) * LOOK
    while not outcome.ended and time.monotonic() < deadline:
        poke()
        for rx in peer.rx:
            returned += rx.recv()
        if want and all(packet in returned for packet in want):
            want = ()
            deadline = time.monotonic() + LOOK / 4
        outcome = peer.observe(0.002)
    outcome.notes["returned"] = returned
    return outcome


def _client_tx(peer: Session) -> ClientTx:
    tx = peer.tx[0]
    assert isinstance(tx, ClientTx), "a client's"
    return tx


def _server_tx(peer: Session) -> ServerTx:
    tx = peer.tx[0]
    assert isinstance(tx, ServerTx), "a server's"
    return tx


# -- C2S, the client lies --------------------------------------------------------------------------

@behaviour(CLIENT, "linked", ends=False, variants={k: {"change": v} for k, v in BAD_DESCS.items()})
def c2s_bad_descriptor(client: Client, change: dict) -> Outcome:
    """One bad descriptor between two good packets, published together."""
    tx = _client_tx(client)
    tx.put(tx.index, BEFORE)
    desc = tx.put(tx.index + 1, b"x" * 100)
    tx.ring.set_desc(tx.index + 1, _spoiled(client, desc, change))
    tx.put(tx.index + 2, AFTER)
    tx.publish(3)
    return _watch(client, want=(BEFORE, AFTER))


@behaviour(CLIENT, "linked", ends=False, variants=each("position", 0, 1, 2))
def c2s_bad_descriptor_in_chain(client: Client, position: int) -> Outcome:
    """First, in the middle, last: the whole chain is bad, the packets around it are not."""
    tx = _client_tx(client)
    tx.put(tx.index, BEFORE)
    for number in range(3):
        desc = tx.put(tx.index + 1 + number, b"x" * 100, more=number < 2)
        if number == position:
            tx.ring.set_desc(tx.index + 1 + number, desc.but(region=0x7777))
    tx.put(tx.index + 4, AFTER)
    tx.publish(5)
    return _watch(client, want=(BEFORE, AFTER))


@behaviour(CLIENT, "linked", ends=False)
def c2s_only_bad_descriptors(client: Client, rounds: int = 100) -> Outcome:
    """Ring after ring of them: a driver may break the connection after so many."""
    tx = _client_tx(client)
    left = rounds

    def poke() -> None:
        nonlocal left
        if left and tx.free() == tx.ring.size:
            left -= 1
            for ahead in range(tx.ring.size):
                tx.ring.set_desc(tx.index + ahead, Desc(region=0xFFFF, length=0xFFFFFFFF))
            tx.publish(tx.ring.size)

    return _watch(client, poke, looks=10)


@behaviour(CLIENT, "linked", ends=False)
def c2s_next_loop(client: Client) -> Outcome:
    """A full ring, NEXT in every descriptor: a chain without end."""
    tx = _client_tx(client)
    for ahead in range(tx.ring.size):
        tx.put(tx.index + ahead, b"x" * 64, more=True)
    tx.publish(tx.ring.size)
    return _watch(client)


@behaviour(CLIENT, "linked", ends=False)
def c2s_longest_chain(client: Client) -> Outcome:
    """One packet over every slot of the ring: whole, and larger than any mbuf."""
    tx = _client_tx(client)
    size = min(client.config.bsize, 2048)
    for ahead in range(tx.ring.size):
        tx.put(tx.index + ahead, b"x" * size, more=ahead + 1 < tx.ring.size)
    tx.publish(tx.ring.size)
    return _watch(client)


@behaviour(CLIENT, "linked", ends=False)
def c2s_one_long_buffer(client: Client) -> Outcome:
    """A descriptor over most of the region: in bounds, and larger than any packet."""
    tx = _client_tx(client)
    region = client.regions[-1]
    assert region is not None, "a client has its regions"
    tx.ring.set_desc(tx.index, Desc(region=len(client.regions) - 1, length=region.size - 64,
                                    offset=64))
    tx.put(tx.index + 1, AFTER)
    tx.publish(2)
    return _watch(client)


@behaviour(CLIENT, "linked", ends=False)
def c2s_packet_is_the_ring_itself(client: Client) -> Outcome:
    """A buffer that is the ring's own header: its bytes are ours to give."""
    tx = _client_tx(client)
    tx.ring.set_desc(tx.index, Desc(region=0, length=128, offset=tx.ring.offset))
    tx.publish(1)
    return _watch(client)


@behaviour(CLIENT, "linked", ends=False, variants={
    "forward": {"by": 30_000}, "one-too-far": {"by": 1}, "most": {"by": 0x7FFF}})
def c2s_head_jumps_forward(client: Client, by: int) -> Outcome:
    """Beyond a full ring by so much."""
    tx = _client_tx(client)
    tx.ring.head = tx.index + tx.ring.size + by
    return _watch(client)


@behaviour(CLIENT, "linked", ends=False, variants=each("by", 1, 2, 1024))
def c2s_head_runs_backwards(client: Client, by: int) -> Outcome:
    """After honest packets were taken."""
    tx = _client_tx(client)
    client.send(0, BEFORE)
    first = _watch(client, want=(BEFORE,))
    tx.ring.head = tx.index - by
    outcome = _watch(client)
    outcome.notes["returned"] = first.notes["returned"] + outcome.notes["returned"]
    return outcome


@behaviour(CLIENT, "linked", ends=False)
def c2s_tail_overwritten(client: Client) -> Outcome:
    """The tail is the server's; its own copy of it must count."""
    tx = _client_tx(client)
    client.send(0, BEFORE)
    rng = random.Random(1)

    def poke() -> None:
        tx.ring.tail = rng.getrandbits(16)

    first = _watch(client, poke, want=(BEFORE,))
    outcome = _watch(client, poke)
    outcome.notes["returned"] = first.notes["returned"] + outcome.notes["returned"]
    return outcome


# -- S2C, the client lies --------------------------------------------------------------------------

@behaviour(CLIENT, "linked", ends=False, variants={k: {"change": v} for k, v in BAD_DESCS.items()})
def s2c_bad_buffers_posted(client: Client, change: dict) -> Outcome:
    """All posted buffers but the first point elsewhere; the server is made to fill some."""
    rx = client.rx[0]
    for ahead in range(1, rx.ring.size):
        index = rx.index + ahead
        rx.ring.set_desc(index, _spoiled(client, rx.ring.desc(index), change))
    for _ in range(8):
        client.send(0, BEFORE)
    return _watch(client)


@behaviour(CLIENT, "linked", ends=False, variants=each("length", 1, 14, 63))
def s2c_tiny_buffers_posted(client: Client, length: int) -> Outcome:
    """Buffers of so few bytes: a packet needs many, or has to be dropped. Notes how many were filled,
    and how many with more than fits."""
    rx = client.rx[0]
    for ahead in range(rx.ring.size):
        rx.ring.set_desc(rx.index + ahead, rx.ring.desc(rx.index + ahead).but(length=length))
    for _ in range(4):
        client.send(0, BEFORE)
    deadline = time.monotonic() + 20 * LOOK
    while rx.ring.tail == rx.index and time.monotonic() < deadline:
        time.sleep(0.001)
    filled = [rx.ring.desc(rx.index + ahead).length
              for ahead in range(distance(rx.ring.tail, rx.index))]
    outcome = _watch(client)
    outcome.notes["filled"] = len(filled)
    outcome.notes["overfilled"] = sum(used > length for used in filled)
    return outcome


@behaviour(CLIENT, "linked", ends=False)
def s2c_ring_posted_as_buffer(client: Client) -> Outcome:
    """The server is made to write a packet over the ring that it works in."""
    rx = client.rx[0]
    size = HEADER_SIZE + DESC_SIZE * rx.ring.size
    for ahead in range(rx.ring.size):
        rx.ring.set_desc(rx.index + ahead, Desc(region=0, length=size, offset=rx.ring.offset))
    for _ in range(8):
        client.send(0, b"\xff" * min(1400, client.config.bsize))
    return _watch_without_recv(client)


def _watch_without_recv(peer: Session) -> Outcome:
    time.sleep(LOOK)
    return peer.observe(0.05)


@behaviour(CLIENT, "linked", ends=False, variants={
    "forward": {"by": 30_000}, "backwards": {"by": -1}, "far-back": {"by": -1024}})
def s2c_head_jumps(client: Client, by: int) -> Outcome:
    rx = client.rx[0]
    rx.ring.head = rx.index + by if by < 0 else rx.index + rx.ring.size + by
    for _ in range(8):
        client.send(0, BEFORE)
    return _watch_without_recv(client)


@behaviour(CLIENT, "linked", ends=False)
def s2c_tail_overwritten(client: Client) -> Outcome:
    """The tail is the server's; its own copy of it must count."""
    rng = random.Random(1)

    def poke() -> None:
        client.rx[0].ring.tail = rng.getrandbits(16)
        client.send(0, BEFORE)

    deadline = time.monotonic() + LOOK
    while time.monotonic() < deadline:
        poke()
    return client.observe(0.05)


# -- the server lies -------------------------------------------------------------------------------

@behaviour(SERVER, "linked", ends=False, variants={
    **{k: {"change": v} for k, v in BAD_DESCS.items()},
    "length-over-posted": {"change": {"length": 65_000}},
    "offset-inside": {"change": {"offset": 0}}})
def s2c_bad_descriptor_filled(server: Server, change: dict) -> Outcome:
    """One bad descriptor between two good packets, published together."""
    tx = _server_tx(server)
    for _ in range(200):
        if tx.free() >= 3:
            break
        time.sleep(0.005)
    slot = tx.index + 1
    tx.send(BEFORE)
    tx.ring.set_desc(slot, _spoiled(server, tx.ring.desc(slot).but(length=100), change))
    tx.publish(1)
    tx.send(AFTER)
    return _watch(server, want=(BEFORE, AFTER))


@behaviour(SERVER, "linked", ends=False)
def s2c_next_loop(server: Server) -> Outcome:
    """All posted buffers filled, NEXT in every descriptor."""
    tx = _server_tx(server)
    free = tx.free()
    for ahead in range(free):
        posted = tx.ring.desc(tx.index + ahead)
        tx.ring.set_desc(tx.index + ahead, posted.but(flags=DESC_NEXT, length=64))
    tx.publish(free)
    return _watch(server)


@behaviour(SERVER, "linked", ends=False, variants={
    "forward": {"by": 30_000}, "one-too-far": {"by": 1}, "most": {"by": 0x7FFF}})
def s2c_tail_jumps_forward(server: Server, by: int) -> Outcome:
    """Beyond what was posted."""
    tx = _server_tx(server)
    tx.ring.tail = tx.index + tx.ring.size + by
    return _watch(server)


@behaviour(SERVER, "linked", ends=False, variants=each("by", 1, 2, 1024))
def s2c_tail_runs_backwards(server: Server, by: int) -> Outcome:
    tx = _server_tx(server)
    tx.send(BEFORE)
    first = _watch(server, want=(BEFORE,))
    tx.ring.tail = tx.index - by
    outcome = _watch(server)
    outcome.notes["returned"] = first.notes["returned"] + outcome.notes["returned"]
    return outcome


@behaviour(SERVER, "linked", ends=False)
def s2c_descriptors_rewritten(server: Server) -> Outcome:
    """Every descriptor of the client's S2C ring, before it is used: the client knows better."""
    tx = _server_tx(server)
    for slot in range(tx.ring.size):
        tx.ring.set_desc(slot, Desc(0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF))
    tx.publish(8)
    return _watch(server)


@behaviour(SERVER, "linked", ends=False, variants={
    "forward": {"by": 30_000}, "backwards": {"by": -1}, "most": {"by": 0x7FFF}})
def c2s_tail_jumps(server: Server, by: int) -> Outcome:
    """The server says that it took packets that were never sent; then packets make the client send,
    until it thinks that its ring is full, and has to look."""
    rx = server.rx[0]
    rx.ring.tail = rx.index + by
    outcome = Outcome()
    deadline = time.monotonic() + 20 * LOOK
    while not outcome.ended and time.monotonic() < deadline:
        for _ in range(32):
            server.send(0, BEFORE)
        outcome = server.observe(0.002)
    return outcome


@behaviour(SERVER, "linked", ends=False)
def c2s_descriptors_rewritten(server: Server) -> Outcome:
    """Every descriptor of the client's C2S ring; it knows itself where its buffers lie."""
    rx = server.rx[0]
    for slot in range(rx.ring.size):
        rx.ring.set_desc(slot, Desc(0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF))
    for _ in range(8):
        server.send(0, BEFORE)
    return _watch(server)


@behaviour(SERVER, "linked", ends=False)
def heads_overwritten(server: Server) -> Outcome:
    """Both heads are the client's; its own copies of them must count."""
    rng = random.Random(1)
    deadline = time.monotonic() + LOOK
    while time.monotonic() < deadline:
        for end in (server.tx[0], server.rx[0]):
            end.ring.head = rng.getrandbits(16)
        server.tx[0].ring.tail = rng.getrandbits(16)
    return server.observe(0.05)


# -- either ----------------------------------------------------------------------------------------

@behaviour(BOTH, "linked", ends=False)
def cookie_and_flags_overwritten(peer: Session) -> Outcome:
    for end in peer.tx + peer.rx:
        end.ring.cookie = 0
        end.ring.flags = 0xFFFF
    peer.send(0, BEFORE)
    return _watch(peer)


@behaviour(BOTH, "linked", ends=False)
def descriptors_flip(peer: Session, seconds: Optional[float] = None) -> Outcome:
    """Changes descriptors all the time between good and bad, to hit between check and use."""
    deadline = time.monotonic() + (LOOK if seconds is None else seconds)
    end = peer.tx[0]
    good = [end.ring.desc(slot) for slot in range(end.ring.size)]
    bad = Desc(0, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFF0)
    with until_refused():
        while time.monotonic() < deadline:
            peer.send(0, BEFORE)
            for ahead in range(-8, 1):
                slot = (end.index + ahead) & end.ring.mask
                end.ring.set_desc(slot, bad)
                end.ring.set_desc(slot, good[slot].but(length=100))
            for rx in peer.rx:
                rx.recv()
    return peer.observe(0.05)


@behaviour(BOTH, "linked", ends=False, variants=each("jumps", False, True))
def random_descriptors(peer: Session, jumps: bool, count: int = 50_000, seed: int = 1,
                       seconds: float = 0.5) -> Outcome:
    """Whole rings of random descriptors, published in steps that a ring allows, or that jump; until
    so many were published, the time is over, or the connection is broken. Half of the time region
    and upper bytes of length and offset are zero, so that some descriptors are nearly right.
    Notes how many were published."""
    rng = random.Random(seed)
    done = 0
    outcome = Outcome()
    deadline = time.monotonic() + seconds
    with until_refused():
        while done < count and not outcome.ended and time.monotonic() < deadline:
            for end in peer.tx + peer.rx:
                done += _scramble(end, rng, jumps)
            outcome = peer.observe(0)
    if not outcome.ended:
        outcome = peer.observe(0.05)
    outcome.notes["descriptors"] = done
    return outcome


def _scramble(end: Any, rng: random.Random, jumps: bool) -> int:
    """Random contents for one ring, and a step of the index that is ours; how many descriptors the
    other end has been given with it."""
    ring = end.ring
    size = DESC_SIZE * ring.size
    noise = bytearray(rng.randbytes(size))
    if rng.getrandbits(1):
        for byte in (1, 2, 3, 6, 7, 10, 11):
            noise[byte::DESC_SIZE] = bytes(ring.size)
    ring.region.mem[ring.offset + HEADER_SIZE:ring.offset + HEADER_SIZE + size] = bytes(noise)
    owns_head = isinstance(end, (ClientTx, ClientRx))
    between = min(distance(ring.head, ring.tail), ring.size)
    step = rng.randint(0, ring.size - between if owns_head else between)
    if jumps and rng.getrandbits(3) == 0:
        step = rng.getrandbits(16)
    if owns_head:
        ring.head = ring.head + step
    else:
        ring.tail = ring.tail + step
    return min(step, ring.size)


@behaviour(BOTH, "linked", ends=False)
def eventfds_blocking_and_full(peer: Session) -> Outcome:
    """Makes every eventfd blocking, fills its counter, and asks to be woken: a write() would hang.
    Honest traffic follows, which must still be answered."""
    for end in peer.tx + peer.rx:
        os.set_blocking(end.eventfd, False)     # of the shared description: for both ends
        try:
            os.eventfd_write(end.eventfd, 0xFFFFFFFFFFFFFFFE)
        except BlockingIOError:
            pass
        os.set_blocking(end.eventfd, True)
    for rx in peer.rx:
        rx.mask(False)
    returned = peer.exchange(0, [BEFORE, AFTER] * 20, timeout=2.0)
    outcome = peer.observe(0.05)
    outcome.notes["returned"] = returned
    return outcome


@behaviour(BOTH, "linked", ends=False)
def eventfds_flooded(peer: Session, seconds: Optional[float] = None) -> Outcome:
    """Wakes the other end without a reason, as often as it can."""
    deadline = time.monotonic() + (LOOK if seconds is None else seconds)
    while time.monotonic() < deadline:
        for end in peer.tx:
            try:
                os.eventfd_write(end.eventfd, 1 << 40)
            except BlockingIOError:
                pass
    return _watch(peer, looks=0.5)
