# SPDX-License-Identifier: BSD-3-Clause
"""Regions and rings that are not what they are said to be, and memory that is pulled away."""

import ctypes
import os
import time

from .. import wire
from ..client import Client
from ..server import Server
from ..session import Outcome, Session
from ..shm import HUGE_PAGE, Region, ring_bytes
from .kit import CLIENT, behaviour, each, reach, until_refused

PUNCH_HOLE_KEEP_SIZE = 0x02 | 0x01


def _region(client: Client, index: int = 0) -> Region:
    region = client.regions[index]
    assert region is not None, "a client has its regions"
    return region


# -- ADD_REGION ------------------------------------------------------------------------------------

@behaviour(CLIENT, variants=each("more", 1, 4096, 1 << 40, (1 << 63) - 1))
def region_larger_than_its_file(client: Client, more: int) -> Outcome:
    reach(client, "init")
    client.create_memory()
    client.send_region(0, size=min(_region(client).size + more, (1 << 64) - 1))
    return client.observe()


@behaviour(CLIENT, variants=each("size", 0, (1 << 64) - 1, 1 << 63))
def region_of_size(client: Client, size: int) -> Outcome:
    reach(client, "init")
    client.create_memory()
    client.send_region(0, size=size)
    return client.observe()


@behaviour(CLIENT, variants=each("index", 1, 255, 256, 65535))
def first_region_has_index(client: Client, index: int) -> Outcome:
    reach(client, "init")
    client.create_memory()
    client.send_region(0, index=index)
    return client.observe()


@behaviour(CLIENT)
def region_twice(client: Client) -> Outcome:
    reach(client, "regions")
    client.send_region(0)
    return client.observe()


@behaviour(CLIENT)
def regions_without_end(client: Client) -> Outcome:
    """One region after the other, each answered, until one is refused; notes how many were not."""
    reach(client, "init")
    client.create_memory()
    accepted = 0
    while accepted < 70_000:
        client.send_region(0, index=accepted & 0xFFFF)
        message, _ = client.hear()
        if isinstance(message, wire.Disconnect):
            return Outcome([message], notes={"accepted": accepted})
        accepted += 1
    return Outcome(notes={"accepted": accepted})


# -- ADD_RING --------------------------------------------------------------------------------------

@behaviour(CLIENT, variants=each("log2", 0, 15, 16, 31, 32, 64, 255))
def ring_log2(client: Client, log2: int) -> Outcome:
    reach(client, "regions")
    client.send_ring(0, log2_ring_size=log2)
    return client.observe()


@behaviour(CLIENT, variants={"lacks-a-line": {"inside": -64}, "at-end": {"inside": 0},
                             "behind-end": {"inside": 64}})
def ring_past_its_region(client: Client, inside: int) -> Outcome:
    """A ring that does not end in its region, by a line or by all of it."""
    reach(client, "regions")
    size = _region(client).size
    fits = size - ring_bytes(client.config.log2)
    client.send_ring(0, offset=fits + 64 if inside < 0 else size + inside)
    return client.observe()


@behaviour(CLIENT, variants=each("offset", 0xFFFFFFC0, 0xFFFFF000, 0x80000000))
def ring_at_huge_offset(client: Client, offset: int) -> Outcome:
    """Where a 32-bit sum of offset and size wraps."""
    reach(client, "regions")
    client.send_ring(0, offset=offset)
    return client.observe()


@behaviour(CLIENT, variants=each("offset", 1, 2, 3, 7))
def ring_misaligned(client: Client, offset: int) -> Outcome:
    """Indices that no 16-bit access reaches at once."""
    reach(client, "regions")
    client.send_ring(0, offset=client.plans[0].offset + offset)
    return client.observe()


@behaviour(CLIENT, variants=each("by", 0, 64, 128))
def rings_overlap(client: Client, by: int) -> Outcome:
    """The second ring begins inside the first."""
    reach(client, "regions")
    client.send_ring(0)
    client.expect_ack()
    client.send_ring(1, offset=client.plans[0].offset + by)
    with until_refused():
        client.send_connect()
    return client.observe()


@behaviour(CLIENT, variants=each("number", 0, 1))
def ring_index_twice(client: Client, number: int) -> Outcome:
    """number 0: C2S, 1: S2C (of a client with one ring each)."""
    reach(client, "rings")
    client.send_ring(number * client.config.c2s, index=0)
    return client.observe()


@behaviour(CLIENT, variants=each("index", 255, 256, 32767, 65535))
def ring_index_out_of_range(client: Client, index: int) -> Outcome:
    reach(client, "regions")
    client.send_ring(0, index=index)
    return client.observe()


@behaviour(CLIENT)
def ring_index_skipped(client: Client) -> Outcome:
    """C2S ring 1 without a ring 0, then CONNECT."""
    reach(client, "regions")
    with until_refused():
        client.send_ring(0, index=1)
        client.send_connect()
    return client.observe()


@behaviour(CLIENT, variants=each("region", 1, 255, 65535))
def ring_in_unknown_region(client: Client, region: int) -> Outcome:
    reach(client, "regions")
    client.send_ring(0, region=region)
    return client.observe()


@behaviour(CLIENT, ends=False, variants=each("flags", 2, 3, 0x8000, 0xFFFF))
def ring_with_unknown_flags(client: Client, flags: int) -> Outcome:
    """Flags that 2.0 does not know: to refuse or to ignore."""
    reach(client, "regions")
    client.send_ring(0, flags=flags)
    return client.observe(0.1)


@behaviour(CLIENT, ends=False, variants=each("size", 1, 64, 65535))
def ring_with_private_header(client: Client, size: int) -> Outcome:
    reach(client, "regions")
    client.send_ring(0, private_hdr_size=size)
    return client.observe(0.1)


@behaviour(CLIENT)
def ring_without_cookie(client: Client) -> Outcome:
    reach(client, "rings")
    client.tx[0].ring.cookie = 0x12345678
    client.send_connect()
    return client.observe()


# -- memory that is pulled away --------------------------------------------------------------------
# From the moment it is gone, this process must not touch it either.

def _fallocate_hole(fd: int, offset: int, size: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
    if libc.fallocate(fd, PUNCH_HOLE_KEEP_SIZE, offset, size):
        code = ctypes.get_errno()
        raise OSError(code, "fallocate: " + os.strerror(code))


def _load(client: Client) -> None:
    """Gives the other end work, so that it is busy with the memory when that goes."""
    for number in range(min(200, 1 << client.config.log2)):
        client.send(0, number.to_bytes(4, "big") * 100)


@behaviour(CLIENT, stage="linked", needs={"sealed": False}, variants=each("keep", 0, 4096))
def truncates_region(client: Client, keep: int) -> Outcome:
    """All of it, or all but the first page (the rings' heads stay)."""
    _load(client)
    os.ftruncate(_region(client).fd, keep)
    if keep:
        # work that leads behind the cut; its descriptor is in the page that stayed
        tx = client.tx[0]
        tx.ring.set_desc(tx.index, tx.place(tx.index).but(length=100))
        tx.publish(1)
    return client.observe(3.0)


@behaviour(CLIENT, stage="linked", needs={"sealed": False, "regions": 2})
def truncates_buffers_only(client: Client) -> Outcome:
    """The rings stay, so that descriptors keep coming that point to nothing."""
    tx = client.tx[0]
    buffers = _region(client, 1)
    tx.send(b"x" * 100)
    os.ftruncate(buffers.fd, 0)
    deadline = time.monotonic() + 3.0
    outcome = Outcome()
    while not outcome.ended and time.monotonic() < deadline:
        if tx.free():
            tx.ring.set_desc(tx.index, tx.place(tx.index).but(length=100))
            tx.publish(1)
        outcome = client.observe(0.02)
    return outcome


@behaviour(CLIENT, needs={"sealed": False})
def truncates_before_connect(client: Client) -> Outcome:
    """After the rings were accepted, before anybody reads a cookie."""
    reach(client, "rings")
    os.ftruncate(_region(client).fd, 0)
    client.send_connect()
    return client.observe(3.0)


@behaviour(CLIENT, needs={"sealed": False})
def truncates_between_region_and_ring(client: Client) -> Outcome:
    reach(client, "regions")
    os.ftruncate(_region(client).fd, 0)
    with until_refused():
        for number in range(len(client.plans)):
            client.send_ring(number)
        client.send_connect()
    return client.observe(3.0)


@behaviour(CLIENT, stage="linked", ends=False, needs={"sealed": False, "hugetlb": True})
def punches_holes_in_hugetlb(client: Client) -> Outcome:
    """Pages come back as zeros, or as SIGBUS when the pool is empty; then the file is cut."""
    _load(client)
    region = _region(client)
    for offset in range(0, region.size, HUGE_PAGE):
        _fallocate_hole(region.fd, offset, HUGE_PAGE)
    return client.observe(0.1)


@behaviour(CLIENT, stage="linked", needs={"sealed": False, "hugetlb": True})
def truncates_hugetlb(client: Client) -> Outcome:
    _load(client)
    os.ftruncate(_region(client).fd, 0)
    return client.observe(3.0)


@behaviour(("server",), stage="linked", ends=False)
def server_tries_to_truncate(server: Server) -> Outcome:
    """A server holds the client's descriptor too: a seal must stop it. Notes whether it did."""
    region = server.regions[0]
    assert region is not None, "the client has offered it"
    try:
        os.ftruncate(region.fd, 0)
    except PermissionError:
        return Outcome(notes={"cut": False})
    outcome = server.observe(3.0)
    outcome.notes["cut"] = True
    return outcome


def memory_is_intact(peer: Session) -> bool:
    """Whether this peer may still touch its regions."""
    return all(region is None or os.fstat(region.fd).st_size >= region.size
               for region in peer.regions)
