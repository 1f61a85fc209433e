# SPDX-License-Identifier: BSD-3-Clause
"""The messages of memif 2.0: 128 bytes each, a 16-bit type, a packed body, the rest zero.

A message is a dataclass whose fields can hold any value that fits their width: a hostile peer
uses the same classes as a good one.
"""

import struct
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Dict, Tuple, Type, Union

MSG_SIZE = 128
VERSION = (2 << 8) | 0

TYPE_NONE = 0
TYPE_ACK = 1
TYPE_HELLO = 2
TYPE_INIT = 3
TYPE_ADD_REGION = 4
TYPE_ADD_RING = 5
TYPE_CONNECT = 6
TYPE_CONNECTED = 7
TYPE_DISCONNECT = 8

MODE_ETHERNET = 0
MODE_IP = 1
MODE_PUNT_INJECT = 2

RING_C2S = 1
RING_S2C = 0

NAME_LEN = 32
SECRET_LEN = 24
REASON_LEN = 96

Text = Union[str, bytes]


def padded(text: Text, size: int) -> bytes:
    """The NUL-padded array of a string; the last byte may be used, more is an error."""
    raw = text.encode() if isinstance(text, str) else bytes(text)
    if len(raw) > size:
        raise ValueError(f"string of {len(raw)} bytes does not fit into {size}")
    return raw.ljust(size, b"\0")


def unpadded(raw: bytes) -> bytes:
    """What stands before the first NUL, or all of it: a peer may fill the last byte."""
    return raw.split(b"\0", 1)[0]


@dataclass
class Message:
    """Base of all messages. LAYOUT holds the struct code of every field, in wire order."""

    TYPE: ClassVar[int] = TYPE_NONE
    LAYOUT: ClassVar[Dict[str, str]] = {}

    @classmethod
    def _struct(cls) -> struct.Struct:
        return struct.Struct("=H" + "".join(cls.LAYOUT.values()))

    def pack(self) -> bytes:
        values = []
        for name, code in self.LAYOUT.items():
            value = getattr(self, name)
            values.append(padded(value, int(code[:-1])) if code.endswith("s") else value)
        return self._struct().pack(self.TYPE, *values).ljust(MSG_SIZE, b"\0")

    @classmethod
    def unpack(cls, raw: bytes) -> "Message":
        values = cls._struct().unpack_from(raw)[1:]
        return cls(**{name: unpadded(value) if code.endswith("s") else value
                      for (name, code), value in zip(cls.LAYOUT.items(), values)})

    def replaced(self, **override: Any) -> "Message":
        """The same message with some fields changed; an unknown name is an error."""
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        unknown = set(override) - set(known)
        if unknown:
            raise TypeError(f"{type(self).__name__} has no field {sorted(unknown)}")
        return type(self)(**{**known, **override})


@dataclass
class NoMessage(Message):
    """Type 0, which nobody may send."""


@dataclass
class Ack(Message):
    TYPE: ClassVar[int] = TYPE_ACK


@dataclass
class Hello(Message):
    TYPE: ClassVar[int] = TYPE_HELLO
    LAYOUT: ClassVar[Dict[str, str]] = {
        "name": "32s", "min_version": "H", "max_version": "H", "max_region": "H",
        "max_s2c_ring": "H", "max_c2s_ring": "H", "max_log2_ring_size": "B"}
    name: Text = b"memifpeer"
    min_version: int = VERSION
    max_version: int = VERSION
    max_region: int = 255
    max_s2c_ring: int = 255
    max_c2s_ring: int = 255
    max_log2_ring_size: int = 14


@dataclass
class Init(Message):
    TYPE: ClassVar[int] = TYPE_INIT
    LAYOUT: ClassVar[Dict[str, str]] = {
        "version": "H", "id": "I", "mode": "B", "secret": "24s", "name": "32s"}
    version: int = VERSION
    id: int = 0
    mode: int = MODE_ETHERNET
    secret: Text = b""
    name: Text = b"memifpeer"


@dataclass
class AddRegion(Message):
    TYPE: ClassVar[int] = TYPE_ADD_REGION
    LAYOUT: ClassVar[Dict[str, str]] = {"index": "H", "size": "Q"}
    index: int = 0
    size: int = 0


@dataclass
class AddRing(Message):
    TYPE: ClassVar[int] = TYPE_ADD_RING
    LAYOUT: ClassVar[Dict[str, str]] = {
        "flags": "H", "index": "H", "region": "H", "offset": "I", "log2_ring_size": "B",
        "private_hdr_size": "H"}
    flags: int = 0
    index: int = 0
    region: int = 0
    offset: int = 0
    log2_ring_size: int = 0
    private_hdr_size: int = 0


@dataclass
class Connect(Message):
    TYPE: ClassVar[int] = TYPE_CONNECT
    LAYOUT: ClassVar[Dict[str, str]] = {"if_name": "32s"}
    if_name: Text = b"memifpeer"


@dataclass
class Connected(Message):
    TYPE: ClassVar[int] = TYPE_CONNECTED
    LAYOUT: ClassVar[Dict[str, str]] = {"if_name": "32s"}
    if_name: Text = b"memifpeer"


@dataclass
class Disconnect(Message):
    TYPE: ClassVar[int] = TYPE_DISCONNECT
    LAYOUT: ClassVar[Dict[str, str]] = {"code": "I", "string": "96s"}
    code: int = 0
    string: Text = b""


MESSAGES: Tuple[Type[Message], ...] = (
    NoMessage, Ack, Hello, Init, AddRegion, AddRing, Connect, Connected, Disconnect)
BY_TYPE: Dict[int, Type[Message]] = {cls.TYPE: cls for cls in MESSAGES}

FROM_SERVER = (Ack, Hello, Connected, Disconnect)
FROM_CLIENT = (Ack, Init, AddRegion, AddRing, Connect, Disconnect)
WITH_FD = (AddRegion, AddRing)


def decode(raw: bytes) -> Message:
    """The message in these bytes; ValueError for a wrong length or an unknown type."""
    if len(raw) != MSG_SIZE:
        raise ValueError(f"message of {len(raw)} bytes, must be {MSG_SIZE}")
    (kind,) = struct.unpack_from("=H", raw)
    if kind not in BY_TYPE:
        raise ValueError(f"message of unknown type {kind}")
    return BY_TYPE[kind].unpack(raw)


def raw_message(kind: int, body: bytes = b"", size: int = MSG_SIZE) -> bytes:
    """Any bytes as a message: of any type and length."""
    return (struct.pack("=H", kind) + body).ljust(size, b"\0")[:size]
