# SPDX-License-Identifier: BSD-3-Clause
"""The four ends of the two kinds of ring, each with its own private index.

    ClientTx  C2S  fills descriptors, advances head
    ServerRx  C2S  consumes them, advances tail
    ClientRx  S2C  posts empty buffers (head), takes what lies below tail, posts again
    ServerTx  S2C  fills posted buffers, advances tail; region and offset stay as posted
"""

import os
import select
from typing import Callable, List, Optional, Sequence

from .shm import DESC_NEXT, Desc, MASK_INT, Region, Ring, lookup

Place = Callable[[int], Desc]


def distance(newer: int, older: int) -> int:
    """How far a free-running 16-bit index is ahead of another."""
    return (newer - older) & 0xFFFF


class End:
    """What all ends have: the ring, its eventfd, the regions, and counters of the peer's sins."""

    def __init__(self, ring: Ring, eventfd: int, regions: List[Optional[Region]]) -> None:
        self.ring = ring
        self.eventfd = eventfd
        self.regions = regions
        self.index = 0          # private: what this end advances, or has consumed up to
        self.wakes = True       # False: as if it had looked too early whether the receiver sleeps
        self.bad_descs = 0
        self.bad_indices = 0

    def notify(self) -> None:
        """Wakes the receiver, unless it does not want to be woken."""
        if self.ring.flags & MASK_INT or not self.wakes:
            return
        if select.select([], [self.eventfd], [], 0)[1]:
            os.eventfd_write(self.eventfd, 1)

    def available(self, peer_index: int) -> int:
        """How many slots the peer has given us; more than a ring of them is a lie."""
        ready = distance(peer_index, self.index)
        if ready > self.ring.size:
            self.bad_indices += 1
            return 0
        return ready

    def close(self) -> None:
        if self.eventfd >= 0:
            os.close(self.eventfd)
            self.eventfd = -1


def pieces(packet: bytes, sizes: Sequence[int], largest: int) -> List[bytes]:
    """Cuts a packet: first by the sizes given, what is left by the largest size."""
    cut, start = [], 0
    for size in sizes:
        cut.append(packet[start:start + size])
        start += size
    cut += [packet[at:at + largest] for at in range(start, len(packet), largest)]
    return [piece for piece in cut if piece]


class ClientTx(End):
    def __init__(self, ring: Ring, eventfd: int, regions: List[Optional[Region]], place: Place,
                 bsize: int) -> None:
        super().__init__(ring, eventfd, regions)
        self.place = place
        self.bsize = bsize

    def free(self) -> int:
        return self.ring.size - distance(self.index, self.ring.tail)

    def start_at(self, index: int) -> None:
        """Lets the free-running indices begin elsewhere; only before the connection is up."""
        self.index = index & 0xFFFF
        self.ring.head = self.ring.tail = self.index

    def send(self, packet: bytes, sizes: Sequence[int] = ()) -> bool:
        """Sends a packet, as a chain where it does not fit one buffer; False: the ring is full."""
        parts = pieces(packet, sizes, self.bsize)
        if len(parts) > self.free():
            return False
        for number, part in enumerate(parts):
            self.put(self.index + number, part, more=number + 1 < len(parts))
        self.publish(len(parts))
        return True

    def put(self, index: int, part: bytes, more: bool = False) -> Desc:
        """Writes one buffer and its descriptor, without publishing it."""
        desc = self.place(index).but(flags=DESC_NEXT if more else 0, length=len(part))
        view = lookup(self.regions, desc)
        if view is None:
            raise ValueError(f"own buffer {desc} is outside its region")
        view[:] = part
        view.release()
        self.ring.set_desc(index, desc)
        return desc

    def publish(self, count: int) -> None:
        self.index = (self.index + count) & 0xFFFF
        self.ring.head = self.index
        self.notify()


class Receiver(End):
    """Gathers packets from descriptors: the same for both directions."""

    def __init__(self, ring: Ring, eventfd: int, regions: List[Optional[Region]]) -> None:
        super().__init__(ring, eventfd, regions)
        self.taken: List[List[Desc]] = []   # descriptors of the packets of the last recv()

    def mask(self, masked: bool = True) -> None:
        """Says whether this receiver wants to be woken: it does not when masked."""
        self.ring.flags = MASK_INT if masked else 0

    def woken(self) -> int:
        """Takes what the eventfd has counted; 0 when nobody woke us since the last time. Never
        blocks, although the other end may have made the descriptor blocking."""
        if not select.select([self.eventfd], [], [], 0)[0]:
            return 0
        return os.eventfd_read(self.eventfd)

    def gather(self, ready: int) -> List[bytes]:
        """Whole packets among the ready descriptors; a chain not yet complete stays."""
        packets: List[bytes] = []
        self.taken = []
        chain: List[Desc] = []
        for ahead in range(ready):
            chain.append(self.ring.desc(self.index + ahead))
            if chain[-1].more:
                continue
            packet = self.read(chain)
            if packet is not None:
                packets.append(packet)
                self.taken.append(chain)
            chain = []
        self.index = (self.index + ready - len(chain)) & 0xFFFF
        return packets

    def read(self, chain: List[Desc]) -> Optional[bytes]:
        parts = []
        for desc in chain:
            view = lookup(self.regions, desc)
            if view is None:
                self.bad_descs += 1
                return None
            parts.append(bytes(view))
            view.release()
        return b"".join(parts)


class ServerRx(Receiver):
    def __init__(self, ring: Ring, eventfd: int, regions: List[Optional[Region]]) -> None:
        super().__init__(ring, eventfd, regions)
        self.index = ring.tail
        # Stock clients do not write the flags of a packet's first descriptor: a NEXT from the
        # previous turn of the ring joins a short packet with the one after it, unless it was wiped.
        self.wipe_next = False

    def recv(self) -> List[bytes]:
        first = self.index
        packets = self.gather(self.available(self.ring.head))
        if self.wipe_next:
            for ahead in range(distance(self.index, first)):
                self.ring.set_desc(first + ahead, self.ring.desc(first + ahead).but(flags=0))
        self.ring.tail = self.index
        return packets


class ClientRx(Receiver):
    def __init__(self, ring: Ring, eventfd: int, regions: List[Optional[Region]], place: Place,
                 bsize: int) -> None:
        super().__init__(ring, eventfd, regions)
        self.place = place
        self.bsize = bsize
        self.posted = 0     # private copy of head

    def start_at(self, index: int) -> None:
        """As ClientTx.start_at."""
        self.index = self.posted = index & 0xFFFF
        self.ring.head = self.ring.tail = self.index

    def post(self, count: Optional[int] = None) -> int:
        """Posts so many empty buffers, or as many as fit; how many it were."""
        room = self.ring.size - distance(self.posted, self.index)
        count = room if count is None else min(count, room)
        for ahead in range(count):
            self.ring.set_desc(self.posted + ahead,
                               self.place(self.posted + ahead).but(length=self.bsize))
        self.posted = (self.posted + count) & 0xFFFF
        self.ring.head = self.posted
        return count

    def read(self, chain: List[Desc]) -> Optional[bytes]:
        for desc in chain:
            if desc.length > self.bsize:
                self.bad_descs += 1
                return None
        return super().read(chain)

    def recv(self, repost: bool = True) -> List[bytes]:
        ready = distance(self.ring.tail, self.index)
        if ready > distance(self.posted, self.index):
            self.bad_indices += 1
            return []
        packets = self.gather(ready)
        if repost:
            self.post()
        return packets


class ServerTx(End):
    def __init__(self, ring: Ring, eventfd: int, regions: List[Optional[Region]]) -> None:
        super().__init__(ring, eventfd, regions)
        self.index = ring.tail

    def free(self) -> int:
        return self.available(self.ring.head)

    def send(self, packet: bytes, sizes: Sequence[int] = ()) -> bool:
        """Fills posted buffers, each up to its own length or the size asked for; False: no room."""
        plan: List[Desc] = []
        start = 0
        for ahead in range(self.free()):
            if start >= len(packet):
                break
            posted = self.ring.desc(self.index + ahead)
            if lookup(self.regions, posted) is None:
                self.bad_descs += 1
                return False
            wanted = sizes[ahead] if ahead < len(sizes) else len(packet) - start
            length = min(wanted, posted.length, len(packet) - start)
            plan.append(posted.but(flags=DESC_NEXT, length=length))
            start += length
        if start < len(packet):
            return False
        plan[-1] = plan[-1].but(flags=0)
        self._fill(plan, packet)
        return True

    def _fill(self, plan: List[Desc], packet: bytes) -> None:
        start = 0
        for ahead, desc in enumerate(plan):
            view = lookup(self.regions, desc)
            assert view is not None, "checked when the packet was planned"
            view[:] = packet[start:start + desc.length]
            view.release()
            self.ring.set_desc(self.index + ahead, desc)
            start += desc.length
        self.publish(len(plan))

    def publish(self, count: int) -> None:
        self.index = (self.index + count) & 0xFFFF
        self.ring.tail = self.index
        self.notify()
