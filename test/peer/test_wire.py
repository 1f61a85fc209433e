# SPDX-License-Identifier: BSD-3-Clause
"""Every message against the offsets of the protocol description, written out as numbers."""

import pytest

from memifpeer import wire
from sent import u16, u32, u64

pytestmark = pytest.mark.own_ends("no ports")

SECRET = bytes(range(1, 25))
NAME = bytes(range(65, 97))         # 32 bytes, no NUL: a peer may fill the last byte


def test_constants() -> None:
    assert wire.MSG_SIZE == 128
    assert wire.VERSION == 0x0200
    assert [cls.TYPE for cls in wire.MESSAGES] == list(range(9))


@pytest.mark.parametrize("kind, number", [(wire.NoMessage, 0), (wire.Ack, 1)])
def test_empty_bodies(kind: type, number: int) -> None:
    raw = kind().pack()
    assert len(raw) == 128
    assert u16(raw, 0) == number
    assert raw[2:] == bytes(126)


def test_hello() -> None:
    raw = wire.Hello(name=NAME, min_version=0x1122, max_version=0x3344, max_region=0x5566,
                     max_s2c_ring=0x7788, max_c2s_ring=0x99AA, max_log2_ring_size=0xBB).pack()
    assert len(raw) == 128
    assert u16(raw, 0) == 2
    assert raw[2:34] == NAME
    assert u16(raw, 34) == 0x1122
    assert u16(raw, 36) == 0x3344
    assert u16(raw, 38) == 0x5566
    assert u16(raw, 40) == 0x7788
    assert u16(raw, 42) == 0x99AA
    assert raw[44] == 0xBB
    assert raw[45:] == bytes(83)


def test_init() -> None:
    raw = wire.Init(version=0x1122, id=0x33445566, mode=0x77, secret=SECRET, name=NAME).pack()
    assert len(raw) == 128
    assert u16(raw, 0) == 3
    assert u16(raw, 2) == 0x1122
    assert u32(raw, 4) == 0x33445566
    assert raw[8] == 0x77
    assert raw[9:33] == SECRET
    assert raw[33:65] == NAME
    assert raw[65:] == bytes(63)


def test_add_region() -> None:
    raw = wire.AddRegion(index=0x1122, size=0x33445566778899AA).pack()
    assert len(raw) == 128
    assert u16(raw, 0) == 4
    assert u16(raw, 2) == 0x1122
    assert u64(raw, 4) == 0x33445566778899AA
    assert raw[12:] == bytes(116)


def test_add_ring() -> None:
    raw = wire.AddRing(flags=0x1122, index=0x3344, region=0x5566, offset=0x778899AA,
                       log2_ring_size=0xBB, private_hdr_size=0xCCDD).pack()
    assert len(raw) == 128
    assert u16(raw, 0) == 5
    assert u16(raw, 2) == 0x1122
    assert u16(raw, 4) == 0x3344
    assert u16(raw, 6) == 0x5566
    assert u32(raw, 8) == 0x778899AA
    assert raw[12] == 0xBB
    assert u16(raw, 13) == 0xCCDD
    assert raw[15:] == bytes(113)


@pytest.mark.parametrize("kind, number", [(wire.Connect, 6), (wire.Connected, 7)])
def test_connect_and_connected(kind: type, number: int) -> None:
    raw = kind(if_name=NAME).pack()
    assert len(raw) == 128
    assert u16(raw, 0) == number
    assert raw[2:34] == NAME
    assert raw[34:] == bytes(94)


def test_disconnect() -> None:
    reason = b"r" * 96
    raw = wire.Disconnect(code=0x11223344, string=reason).pack()
    assert len(raw) == 128
    assert u16(raw, 0) == 8
    assert u32(raw, 2) == 0x11223344
    assert raw[6:102] == reason
    assert raw[102:] == bytes(26)


@pytest.mark.parametrize("message", [
    wire.Ack(), wire.Hello(b"n", 1, 2, 3, 4, 5, 6), wire.Init(1, 2, 3, SECRET, NAME),
    wire.AddRegion(1, 2), wire.AddRing(1, 2, 3, 4, 5, 6), wire.Connect(b"x"),
    wire.Connected(NAME), wire.Disconnect(7, b"why")], ids=lambda message: type(message).__name__)
def test_decode_gives_back_what_was_packed(message: wire.Message) -> None:
    assert wire.decode(message.pack()) == message


def test_strings_are_padded_and_never_cut() -> None:
    assert wire.padded("ab", 4) == b"ab\0\0"
    assert wire.padded(b"abcd", 4) == b"abcd"
    with pytest.raises(ValueError, match="does not fit"):
        wire.padded("abcde", 4)
    assert wire.unpadded(b"ab\0garbage") == b"ab"
    assert wire.unpadded(b"abcd") == b"abcd"


@pytest.mark.parametrize("raw", [b"", bytes(127), bytes(129), wire.raw_message(9),
                                 wire.raw_message(0xFFFF)],
                         ids=["empty", "127", "129", "type9", "type65535"])
def test_decode_refuses(raw: bytes) -> None:
    with pytest.raises(ValueError):
        wire.decode(raw)


def test_override_names_unknown_fields() -> None:
    assert wire.Init().replaced(id=9).id == 9
    with pytest.raises(TypeError, match="colour"):
        wire.Init().replaced(colour=1)
