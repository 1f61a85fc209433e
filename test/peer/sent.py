# SPDX-License-Identifier: BSD-3-Clause
"""What a driver must have sent, byte by byte: offsets are numbers from the protocol description,
so that an error in the peer's own tables cannot hide one of the driver's.
"""

import fcntl
import os
import stat
import struct
from typing import List, Tuple

RING_HEADER = 128
DESC = 16


def u16(raw: bytes, at: int) -> int:
    return struct.unpack_from("=H", raw, at)[0]


def u32(raw: bytes, at: int) -> int:
    return struct.unpack_from("=I", raw, at)[0]


def u64(raw: bytes, at: int) -> int:
    return struct.unpack_from("=Q", raw, at)[0]


def text(raw: bytes, at: int, size: int) -> bytes:
    """A NUL-padded array: nothing but zeros may follow the first NUL."""
    value, _, rest = raw[at:at + size].partition(b"\0")
    assert not rest.strip(b"\0"), f"garbage behind the string {value!r}: {rest!r}"
    return value


def check_packets(got: List[bytes], wanted: List[bytes]) -> None:
    """All of them, once, in order, byte for byte; says where it first differs."""
    for number, (one, other) in enumerate(zip(got, wanted)):
        if one != other:
            at = next((i for i, (a, b) in enumerate(zip(one, other)) if a != b),
                      min(len(one), len(other)))
            raise AssertionError(f"packet {number} of {len(wanted)}: {len(one)} bytes for "
                                 f"{len(other)}, different from byte {at} on")
    assert len(got) == len(wanted), f"{len(got)} packets of {len(wanted)}, no other difference"


def check_frame(raw: bytes, kind: int, used: int) -> None:
    assert len(raw) == 128
    assert u16(raw, 0) == kind
    assert raw[used:] == bytes(128 - used), "bytes behind the body must be zero"


def check_ack(raw: bytes) -> None:
    check_frame(raw, 1, 2)


def check_hello(raw: bytes, highest_s2c: Tuple[int, ...], highest_c2s: Tuple[int, ...],
                log2: Tuple[int, ...]) -> None:
    check_frame(raw, 2, 45)
    assert text(raw, 2, 32)
    assert u16(raw, 34) == 0x0200
    assert u16(raw, 36) == 0x0200
    assert u16(raw, 38) == 255
    assert u16(raw, 40) in highest_s2c
    assert u16(raw, 42) in highest_c2s
    assert raw[44] in log2


def check_init(raw: bytes, port_id: int, secret: bytes = b"", mode: int = 0) -> None:
    check_frame(raw, 3, 65)
    assert u16(raw, 2) == 0x0200
    assert u32(raw, 4) == port_id
    assert raw[8] == mode
    assert raw[9:33] == secret.ljust(24, b"\0")
    assert text(raw, 33, 32)


def check_region(raw: bytes, index: int, fd: int, sealed: bool) -> int:
    """Also of the file it came with; the region's size."""
    check_frame(raw, 4, 12)
    assert u16(raw, 2) == index
    status = os.fstat(fd)
    assert stat.S_ISREG(status.st_mode)
    assert u64(raw, 4) == status.st_size
    assert os.readlink(f"/proc/self/fd/{fd}").startswith("/memfd:")
    assert fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR
    if sealed:
        assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK
    return status.st_size


def check_rings(raws: List[bytes], fds: List[int], c2s: int, s2c: int, log2: int,
                sizes: List[int]) -> None:
    """All C2S, then all S2C, each counted from 0, apart from each other, inside their region."""
    assert len(raws) == c2s + s2c
    spans = []
    for number, (raw, fd) in enumerate(zip(raws, fds)):
        check_frame(raw, 5, 15)
        assert u16(raw, 2) == (1 if number < c2s else 0)
        assert u16(raw, 4) == (number if number < c2s else number - c2s)
        region, offset = u16(raw, 6), u32(raw, 8)
        end = offset + RING_HEADER + (DESC << log2)
        assert region < len(sizes)
        assert offset % 64 == 0
        assert end <= sizes[region]
        spans.append((region, offset, end))
        assert raw[12] == log2
        assert u16(raw, 13) == 0
        assert os.readlink(f"/proc/self/fd/{fd}") == "anon_inode:[eventfd]"
        assert fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK
    spans.sort()
    for before, after in zip(spans, spans[1:]):
        assert before[0] != after[0] or before[2] <= after[1], "rings overlap"


def check_connect(raw: bytes) -> None:
    check_frame(raw, 6, 34)
    assert text(raw, 2, 32)


def check_connected(raw: bytes) -> None:
    check_frame(raw, 7, 34)
    assert text(raw, 2, 32)


def check_disconnect(raw: bytes) -> None:
    """With a reason that a person can read."""
    check_frame(raw, 8, 102)
    reason = text(raw, 6, 96)
    assert reason and reason.decode("ascii").isprintable()
