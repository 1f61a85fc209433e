# SPDX-License-Identifier: BSD-3-Clause
"""Regions, the ring header and the descriptor, byte by byte, and the verbs at their edges."""

import fcntl
import os
import struct

import pytest

from memifpeer import shm
from memifpeer.ring import ClientTx, ServerRx, pieces
from memifpeer.shm import Desc, Region, Ring

pytestmark = pytest.mark.own_ends("no ports")


def test_ring_layout() -> None:
    region = Region.create(4096)
    ring = Ring(region, 64, 2)
    ring.cookie, ring.flags, ring.head, ring.tail = 0x3E31F20, 0x1122, 0x3344, 0x5566
    ring.set_desc(6, Desc(0x0102, 0x0304, 0x05060708, 0x090A0B0C, 0x0D0E0F10))
    raw = region.mem[64:64 + 192]
    assert struct.unpack_from("=I", raw, 0) == (0x3E31F20,)
    assert struct.unpack_from("=H", raw, 4) == (0x1122,)
    assert struct.unpack_from("=H", raw, 6) == (0x3344,)
    assert raw[8:64] == bytes(56)
    assert struct.unpack_from("=H", raw, 64) == (0x5566,)
    assert raw[66:128] == bytes(62)
    at = 128 + 2 * 16               # index 6 in a ring of 4 is slot 2
    assert struct.unpack_from("=H", raw, at) == (0x0102,)
    assert struct.unpack_from("=H", raw, at + 2) == (0x0304,)
    assert struct.unpack_from("=I", raw, at + 4) == (0x05060708,)
    assert struct.unpack_from("=I", raw, at + 8) == (0x090A0B0C,)
    assert struct.unpack_from("=I", raw, at + 12) == (0x0D0E0F10,)
    assert ring.desc(2) == ring.desc(6) == Desc(0x0102, 0x0304, 0x05060708, 0x090A0B0C, 0x0D0E0F10)
    region.close()


@pytest.mark.parametrize("log2, size", [(1, 160), (10, 16512), (14, 262272)])
def test_ring_bytes(log2: int, size: int) -> None:
    assert shm.ring_bytes(log2) == size


def test_sealed_region_cannot_be_cut() -> None:
    fd = shm.create_memfd(8192, sealed=True)
    assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 4096)
    os.close(fd)
    fd = shm.create_memfd(8192, sealed=False)
    os.ftruncate(fd, 4096)
    os.close(fd)


def test_region_releases_what_it_took() -> None:
    before = len(os.listdir("/proc/self/fd"))
    region = Region.create(4096)
    Ring(region, 0, 2).format()
    region.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_pieces() -> None:
    assert pieces(b"abcdefg", (), 3) == [b"abc", b"def", b"g"]
    assert pieces(b"abcdefg", (1, 2), 3) == [b"a", b"bc", b"def", b"g"]
    assert pieces(b"abc", (3,), 3) == [b"abc"]


@pytest.fixture
def c2s():
    """A client's and a server's end of one C2S ring of 4 slots, buffers of 16 bytes."""
    region = Region.create(4096)
    ring = Ring(region, 0, 2)
    ring.format()
    tx = ClientTx(ring, os.eventfd(0, os.EFD_NONBLOCK), [region],
                  lambda index: Desc(offset=1024 + (index & 3) * 16), 16)
    rx = ServerRx(Ring(region, 0, 2), os.dup(tx.eventfd), [region])
    yield tx, rx
    tx.close()
    rx.close()
    region.close()


def test_full_ring_takes_no_part_of_a_chain(c2s) -> None:
    tx, rx = c2s
    assert tx.send(b"a" * 16) and tx.send(b"b" * 32)
    assert tx.free() == 1
    assert not tx.send(b"c" * 17)
    assert tx.send(b"d" * 16)
    assert rx.recv() == [b"a" * 16, b"b" * 32, b"d" * 16]


def test_incomplete_chain_waits(c2s) -> None:
    tx, rx = c2s
    tx.put(0, b"a", more=True)
    tx.publish(1)
    assert rx.recv() == []
    tx.put(1, b"b")
    tx.publish(1)
    assert rx.recv() == [b"ab"]


@pytest.mark.parametrize("change", [{"region": 1}, {"offset": 4096}, {"length": 4096},
                                    {"length": 0}, {"offset": 0xFFFFFFFF}],
                         ids=lambda change: "-".join(change))
def test_bad_descriptor_costs_its_packet_only(c2s, change: dict) -> None:
    tx, rx = c2s
    for index, part in enumerate((b"a", b"b", b"c")):
        tx.put(index, part)
    tx.ring.set_desc(1, tx.ring.desc(1).but(**change))
    tx.publish(3)
    assert rx.recv() == [b"a", b"c"]
    assert rx.bad_descs == 1


def test_index_jump_is_noticed(c2s) -> None:
    tx, rx = c2s
    tx.ring.head = 5
    assert rx.recv() == []
    assert rx.bad_indices == 1


def test_receiver_is_woken_unless_masked(c2s) -> None:
    tx, rx = c2s
    rx.mask(True)
    tx.send(b"a")
    assert rx.woken() == 0
    rx.mask(False)
    tx.send(b"b")
    tx.send(b"c")
    assert rx.woken() == 2
    assert rx.woken() == 0
