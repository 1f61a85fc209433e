# SPDX-License-Identifier: BSD-3-Clause
"""Shared memory: a region (one memfd, mapped), and the view of one ring inside it.

The 16-bit indices go through memoryview casts, which read and write them in one access each;
struct's standard formats would go byte by byte. Python puts no barrier between accesses, so this
peer is for hosts that keep stores in order (x86-64).
"""

import fcntl
import mmap
import os
import struct
from dataclasses import dataclass, replace
from typing import Any, List, Optional

COOKIE = 0x3E31F20
LINE = 64
HEADER_SIZE = 2 * LINE
DESC_SIZE = 16
DESC_NEXT = 1
MASK_INT = 1
MAX_LOG2 = 14
HUGE_PAGE = 2 << 20

_DESC = struct.Struct("=HHIII")


def align(value: int, to: int = LINE) -> int:
    return (value + to - 1) // to * to


def ring_bytes(log2: int) -> int:
    return HEADER_SIZE + (DESC_SIZE << log2)


def create_memfd(size: int, sealed: bool = True, hugetlb: bool = False) -> int:
    """A memfd of this size. Sealed means that nobody can shrink or grow it, nor undo that."""
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    if hugetlb:
        flags |= os.MFD_HUGETLB
        size = align(size, HUGE_PAGE)
    fd = os.memfd_create("memifpeer", flags)
    try:
        os.ftruncate(fd, size)
        if sealed:
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS,
                        fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    except OSError:
        os.close(fd)
        raise
    return fd


class Region:
    """One region: owns its descriptor and its mapping."""

    def __init__(self, fd: int, size: int) -> None:
        self.fd = fd
        self.size = size
        self.mem = mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self._views: List[memoryview] = []

    @classmethod
    def create(cls, size: int, sealed: bool = True, hugetlb: bool = False) -> "Region":
        fd = create_memfd(size, sealed, hugetlb)
        try:
            return cls(fd, os.fstat(fd).st_size)
        except OSError:
            os.close(fd)
            raise

    def view(self, offset: int, size: int) -> memoryview:
        """Bytes of the region, writable; released with it."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise ValueError(f"{size} bytes at {offset} are outside a region of {self.size}")
        with memoryview(self.mem) as whole:
            part = whole[offset:offset + size]
        self._views.append(part)
        return part

    def cast(self, view: memoryview, code: str) -> memoryview:
        typed = view.cast(code)
        self._views.append(typed)
        return typed

    def close(self) -> None:
        for view in reversed(self._views):
            view.release()
        self._views.clear()
        self.mem.close()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


@dataclass
class Desc:
    """One descriptor, as values: reading it again is a new read."""

    flags: int = 0
    region: int = 0
    length: int = 0
    offset: int = 0
    metadata: int = 0

    @property
    def more(self) -> bool:
        return bool(self.flags & DESC_NEXT)

    def but(self, **override: Any) -> "Desc":
        return replace(self, **override)


class Ring:
    """A ring in a region: cookie, flags and head in line 0, tail in line 1, then descriptors."""

    def __init__(self, region: Region, offset: int, log2: int) -> None:
        self.region = region
        self.offset = offset
        self.log2 = log2
        self.size = 1 << log2
        self.mask = self.size - 1
        self._mem = region.view(offset, ring_bytes(log2))
        self._half = region.cast(self._mem, "H")
        self._word = region.cast(self._mem, "I")

    def format(self) -> None:
        """Makes a fresh ring of it: what the client does before it offers the ring."""
        self.cookie = COOKIE
        self.flags = 0
        self.head = 0
        self.tail = 0

    @property
    def cookie(self) -> int:
        return self._word[0]

    @cookie.setter
    def cookie(self, value: int) -> None:
        self._word[0] = value

    @property
    def flags(self) -> int:
        return self._half[2]

    @flags.setter
    def flags(self, value: int) -> None:
        self._half[2] = value

    @property
    def head(self) -> int:
        return self._half[3]

    @head.setter
    def head(self, value: int) -> None:
        self._half[3] = value & 0xFFFF

    @property
    def tail(self) -> int:
        return self._half[LINE // 2]

    @tail.setter
    def tail(self, value: int) -> None:
        self._half[LINE // 2] = value & 0xFFFF

    def desc(self, index: int) -> Desc:
        """The descriptor of a free-running index."""
        return Desc(*_DESC.unpack_from(self._mem, HEADER_SIZE + DESC_SIZE * (index & self.mask)))

    def set_desc(self, index: int, desc: Desc) -> None:
        _DESC.pack_into(self._mem, HEADER_SIZE + DESC_SIZE * (index & self.mask), desc.flags,
                        desc.region, desc.length, desc.offset, desc.metadata)


def lookup(regions: List[Optional[Region]], desc: Desc) -> Optional[memoryview]:
    """The bytes a descriptor points to, or None when it does not lie in one of the regions."""
    if desc.region >= len(regions):
        return None
    region = regions[desc.region]
    if region is None or desc.length == 0 or desc.offset + desc.length > region.size:
        return None
    return memoryview(region.mem)[desc.offset:desc.offset + desc.length]
