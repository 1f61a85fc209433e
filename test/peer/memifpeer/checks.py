# SPDX-License-Identifier: BSD-3-Clause
"""What a server demands of a client before it maps or polls anything: the reason, or None."""

import os
import stat
from dataclasses import dataclass
from typing import List, Optional

from . import wire
from .session import Config
from .shm import COOKIE, LINE, MAX_LOG2, Region, Ring, ring_bytes


@dataclass
class OfferedRing:
    """A ring that the client offered and the server accepted."""

    message: wire.AddRing
    eventfd: int
    ring: Ring

    def span(self) -> range:
        start = self.message.offset
        return range(start, start + ring_bytes(self.message.log2_ring_size))


def is_eventfd(fd: int) -> bool:
    return os.readlink(f"/proc/self/fd/{fd}") == "anon_inode:[eventfd]"


def check_init(init: wire.Init, config: Config) -> Optional[str]:
    if init.version != wire.VERSION:
        return f"version {init.version:#x} not supported"
    if init.id != config.id:
        return f"no interface with id {init.id}"
    if init.mode != config.mode:
        return "mode mismatch"
    secret = config.secret.encode() if isinstance(config.secret, str) else config.secret
    if secret and init.secret != secret:
        return "incorrect secret" if init.secret else "secret required"
    return None


def check_region(message: wire.AddRegion, fd: int, count: int, limit: int) -> Optional[str]:
    if message.index != count or count > limit:
        return f"region index {message.index}, expected {count}, highest {limit}"
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        return "region is not a memory file"
    if not 0 < message.size <= status.st_size:
        return f"region size {message.size}, its file has {status.st_size}"
    return None


def check_ring(message: wire.AddRing, fd: int, regions: List[Optional[Region]],
               offered: List[OfferedRing], hello: wire.Hello) -> Optional[str]:
    same = [ring for ring in offered if ring.message.flags == message.flags]
    limit = hello.max_c2s_ring if message.flags & wire.RING_C2S else hello.max_s2c_ring
    if message.flags not in (wire.RING_C2S, wire.RING_S2C):
        return f"ring flags {message.flags:#x} unknown"
    if message.index != len(same) or message.index > limit:
        return f"ring index {message.index}, expected {len(same)}, highest {limit}"
    if not 1 <= message.log2_ring_size <= min(MAX_LOG2, hello.max_log2_ring_size):
        return f"log2 ring size {message.log2_ring_size}"
    if message.region >= len(regions):
        return f"ring in region {message.region}, which was not added"
    if message.private_hdr_size:
        return "private headers are not supported"
    if message.offset % LINE:
        return f"ring offset {message.offset} is not aligned"
    region = regions[message.region]
    span = range(message.offset, message.offset + ring_bytes(message.log2_ring_size))
    if region is None or span.stop > region.size:
        return "ring does not fit into its region"
    for ring in offered:
        other = ring.span()
        if (ring.message.region == message.region and other.start < span.stop
                and span.start < other.stop):
            return "ring overlaps another"
    if not is_eventfd(fd):
        return "ring descriptor is not an eventfd"
    return None


def check_connect(offered: List[OfferedRing]) -> Optional[str]:
    if not offered:
        return "no rings"
    for ring in offered:
        if ring.ring.cookie != COOKIE:
            return f"ring cookie {ring.ring.cookie:#x}"
    return None
