#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the seed inputs of the fuzz targets into corpus/TARGET/: one for each thing that takes a
fuzzer long to find by itself, such as a complete handshake. Other files there are kept: inputs that
have once made a target fail.

The bytes are what the targets' read functions take; an input that ends early goes on with zeros.
"""

import itertools
import struct
from pathlib import Path
from typing import Dict, List

CORPUS = Path(__file__).resolve().parent / "corpus"
CLIENT, SERVER = 0, 1


def msg() -> Dict[str, bytes]:
    """fuzz_msg: role, state, fds, bytes of an array, room for it; then a message."""
    seeds = {}
    bodies = {
        "none": (0, b""), "ack": (1, b""), "unknown": (9, b""),
        "hello": (2, b"name".ljust(32, b"\0") + struct.pack("<5HB", 512, 512, 255, 3, 3, 14)),
        "init": (3, struct.pack("<HIB24s32s", 512, 7, 0, b"secret", b"name")),
        "add-region": (4, struct.pack("<HQ", 0, 1 << 20)),
        "add-ring": (5, struct.pack("<HHHIBH", 1, 0, 0, 128, 10, 0)),
        "connect": (6, b"if0"), "connected": (7, b"if0"),
        "disconnect": (8, struct.pack("<I96s", 0, b"no \x01 terminator".ljust(96, b"."))),
    }
    states = {"ack": 3, "hello": 1, "init": 7, "add-region": 9, "add-ring": 9, "connect": 9,
              "connected": 6, "disconnect": 10}
    for name, (kind, body) in bodies.items():
        role = CLIENT if name in ("ack", "hello", "connected") else SERVER
        fds = 1 if name.startswith("add") else 0
        head = bytes([role, states.get(name, 9), fds, 99, 39])
        seeds[name] = head + struct.pack("<H126s", kind, body) + b"name" * 40
    return seeds


def conn_start(role: int, rings: int = 2, secret: bytes = b"", bsize: int = 2048) -> bytes:
    """fuzz_conn: the port's configuration, the role, and a server's limits."""
    head = bytes([7, 0, 9, rings, rings])
    head += b"\1" + secret.ljust(24, b"\0") if secret else b"\0"
    head += b"program".ljust(31, b"\0") + b"memif0".ljust(31, b"\0")
    head += struct.pack("<H", bsize) + bytes([role])
    return head + (bytes([255, 3, 3, 13]) if role == SERVER else b"")


def conn() -> Dict[str, bytes]:
    """fuzz_conn: events; small bytes say 'what is usual now, and all of it right'."""
    usual, right = b"\0", b"\0"
    hello = usual + b"server".ljust(32, b"\0") + right * 2 + (b"\xff" + right) * 3 + b"\x0d" + right
    init = usual + right * 3 + b"\0" + right + b"client".ljust(32, b"\0") + right
    bind = usual + right
    region = usual + b"\0" + struct.pack("<H", 0xffff) + right + b"\x08" + right + right
    c2s = usual + b"\1" + b"\0" + right * 3 + b"\0" + right + b"\x09" + right + right
    s2c = usual + b"\2" + b"\1" + right * 3 + b"\x80" + right + b"\x09" + right + right
    connect = usual + b"\3" + b"\0" + right
    acks = (usual + b"\0" + right) * 600
    server = conn_start(SERVER) + init + bind + region
    return {
        "client-1-ring": conn_start(CLIENT, 1) + hello + usual + acks[:30],
        "client-2-rings": conn_start(CLIENT, 2) + hello + usual + acks[:60],
        "client-255-rings": conn_start(CLIENT, 255) + hello + usual + acks,
        "client-many-regions": conn_start(CLIENT, 255, bsize=65535) + hello + usual + acks,
        "client-fails": conn_start(CLIENT) + hello + usual + acks[:9] + b"\xf0",
        "client-hangup": conn_start(CLIENT) + hello + usual + acks[:9] + b"\xff",
        "server": server + c2s + s2c + connect + usual + b"\0",
        "server-4-rings": server + c2s + c2s + s2c + s2c + connect + usual + b"\x10why",
        "server-regions": server + region * 40 + c2s + s2c + connect,
        "server-secret": conn_start(SERVER, secret=b"secret") + init + bind + region + c2s,
        "server-no-rings": server + connect,
        "server-fails": server + c2s + b"\xf0",
    }


def ring_cfg(role: int, transmit: bool, log2: int = 5, bsize: int = 300, first: int = 0,
             scatter: bool = True, pool: int = 2, simd: int = 0, ip: bool = False,
             zero_copy: bool = False, exposed: bool = True, seed: int = 0) -> bytes:
    bits = role | transmit << 1 | scatter << 2 | pool << 3 | simd << 5
    kind = ip | zero_copy << 1 | (not exposed) << 2 | seed << 3
    return struct.pack("<BBBHH", bits, (log2 - 1) % 8 if log2 <= 8 else 250 + (log2 - 9 + 2) % 6,
                       kind, bsize, first)


def fill(count: int, length: int, chain: int = 1) -> bytes:
    return bytes([3, count]) + struct.pack("<HB", length, chain - 1)


def burst(count: int, *lengths: int) -> bytes:
    """A burst; for transmit, packets of one segment with these lengths come with it."""
    return bytes([7, count]) + b"".join(struct.pack("<BH", 0, length) for length in lengths)


def ring() -> Dict[str, bytes]:
    """fuzz_ring: a configuration and steps."""
    seeds = {}
    follow, emptied = bytes([5, 255, 0]), bytes([2, 255])
    long_packet = b"\xfe" + struct.pack("<40H", *[2000] * 40)
    change = bytes([4, 3, 120, 1]) + bytes([0x43]) + struct.pack("<HH", 60, 100)
    for name, role in (("client", CLIENT), ("server", SERVER)):
        for simd in range(3):
            rx = ring_cfg(role, False, simd=simd)
            seeds[f"{name}-rx-{simd}"] = rx + fill(32, 64) + burst(40) + fill(20, 200) + burst(7)
            tx = ring_cfg(role, True, simd=simd)
            seeds[f"{name}-tx-{simd}"] = (tx + fill(32, 256) + burst(3, 60, 61, 64) + emptied +
                                          burst(2, 700, 1))
        rx, tx = ring_cfg(role, False, first=65530), ring_cfg(role, True, first=65530)
        seeds[f"{name}-rx-chains"] = rx + fill(32, 290, 3) + burst(64) + fill(31, 290, 4) + burst(9)
        seeds[f"{name}-rx-one-room"] = (ring_cfg(role, False, scatter=False, pool=0) +
                                        fill(16, 60) + burst(8) + fill(16, 300) + burst(8))
        seeds[f"{name}-rx-few-mbufs"] = rx + fill(32, 250, 4) + bytes([6, 5]) + burst(20)
        seeds[f"{name}-rx-changes"] = rx + fill(32, 64) + change * 3 + burst(32)
        seeds[f"{name}-rx-follows"] = rx + follow + burst(64) + follow + burst(64)
        seeds[f"{name}-rx-jump"] = rx + bytes([5, 0, 0xff, 0x7f, 0]) + burst(10)
        seeds[f"{name}-tx-ahead"] = tx + bytes([5, 0, 0, 0, 0]) + burst(40, *[60] * 40)
        seeds[f"{name}-tx-full"] = (ring_cfg(role, True, log2=2) + fill(4, 500) +
                                    burst(6, *[400] * 6) + emptied + burst(3, 1500, 90, 0))
        seeds[f"{name}-tx-too-long"] = tx + fill(32, 2048) + bytes([7, 1]) + long_packet
        seeds[f"{name}-tx-changes"] = tx + fill(32, 64) + change * 3 + burst(2, 60, 300)
        seeds[f"{name}-tx-follows"] = tx + follow + burst(4, 1, 2, 3, 4) + follow + burst(1, 900)
    return seeds


def ring_kinds() -> Dict[str, bytes]:
    """fuzz_ring: the same with ip mode, and with zero-copy of each role."""
    seeds = {}
    kinds = {"ip": {"ip": True}, "zc": {"zero_copy": True}, "zc-ip": {"zero_copy": True, "ip": True},
             "zc-hidden": {"zero_copy": True, "exposed": False}}
    emptied, hold, free, not_ip = bytes([2, 255]), bytes([22]), bytes([14, 200]), bytes([8, 2, 0x12])
    other_ip = bytes([8, 3, 0x60])
    for (role, name), (kind, what) in itertools.product(((CLIENT, "client"), (SERVER, "server")),
                                                        kinds.items()):
        rx = ring_cfg(role, False, bsize=1500, first=65530, **what)
        tx = ring_cfg(role, True, bsize=1500, first=65530, seed=30, **what)
        small = ring_cfg(role, False, pool=1, bsize=300, scatter=False, **what)
        change = bytes([4, 3, 105, 1, 2, 0x12])
        seeds[f"{name}-{kind}-rx"] = rx + fill(20, 64) + burst(20) + fill(32, 600) + burst(40)
        seeds[f"{name}-{kind}-rx-chains"] = rx + fill(32, 603, 3) + burst(64) + fill(9, 603, 4) + burst(9)
        seeds[f"{name}-{kind}-rx-held"] = ((rx + fill(20, 600) + hold + burst(20) + fill(9, 700)) +
                                           (hold + burst(9) + free + fill(20, 900, 2) + burst(64)))
        seeds[f"{name}-{kind}-rx-few-mbufs"] = rx + fill(32, 900, 2) + bytes([6, 5]) + burst(64)
        seeds[f"{name}-{kind}-rx-one-room"] = (small + fill(16, 60) + burst(8) + fill(16, 120, 2) +
                                               burst(9) + fill(16, 290) + burst(9))
        seeds[f"{name}-{kind}-rx-first-byte"] = ((rx + fill(20, 64) + not_ip + other_ip + burst(20)) +
                                                 (fill(20, 600) + change * 2 + burst(20)))
        seeds[f"{name}-{kind}-rx-follows"] = rx + (bytes([5, 255, 0]) + burst(64)) * 2
        seeds[f"{name}-{kind}-tx"] = ((tx + fill(32, 1500) + burst(3, 60, 61, 64) + emptied) +
                                      burst(30, *[700] * 30) + emptied + burst(2, 15, 14))
        seeds[f"{name}-{kind}-tx-chains"] = ((tx + fill(32, 1500) + bytes([7, 3])) +
                                             b"\xfb" + struct.pack("<4H", 10, 0, 20, 1600) +
                                             b"\xfe" + struct.pack("<40H", *[100] * 40) +
                                             b"\xfb" + struct.pack("<4H", 14, 600, 1, 1))
    return seeds


def moments(cfg: bytes, half: int, length: int, offset: int, sent: bytes = b"") -> bytes:
    """A decent peer, but for the descriptor of the first slot, of which half is written anew in front
    of the burst's first read; of its second, in the next round; and so on."""
    steps = b""
    for moment in range(60):
        change = bytes([4, 120 + half, moment, 0, 0x42]) + struct.pack("<HHII", 0, 0, length, offset)
        steps += fill(2, 600) + change + bytes([7, 2]) + sent * 2 + emptied_by(cfg)
    return cfg + steps


def emptied_by(cfg: bytes) -> bytes:
    """A server that has taken all, for a client that sends."""
    return bytes([2, 255]) if cfg[0] & 3 == 2 else b""


def slots(count: int, length: int) -> bytes:
    """A packet of so many slots of any length."""
    return b"".join(bytes([0, slot, 0x30]) + struct.pack("<HHHH", length, 0, 1, slot + 1 != count)
                    for slot in range(count)) + bytes([2, count, 7, 4])


def ring_defences() -> Dict[str, bytes]:
    """fuzz_ring: what devtools/mutate.py shows to be noticed."""
    seeds = {}
    one = struct.pack("<BH", 0, 600)
    for name, what in {"copy": {}, "zc": {"zero_copy": True}, "ip": {"ip": True}}.items():
        for role, of in ((CLIENT, "client"), (SERVER, "server")):
            rx = ring_cfg(role, False, log2=7, bsize=1500, **what)
            tx = ring_cfg(role, True, log2=7, bsize=1500, seed=1, **what)
            for half, word in enumerate(("length", "offset")):
                seeds[f"{of}-{name}-rx-again-{word}"] = moments(rx, half, 60000, 0xf0000000)
                seeds[f"{of}-{name}-tx-again-{word}"] = moments(tx, half, 60000, 0xf0000000, one)
            bad = b"".join(bytes([0, slot, 0x60]) + struct.pack("<HHB", 0, 0, 0)
                           for slot in range(60))
            seeds[f"{of}-{name}-rx-all-bad"] = rx + bad + bytes([2, 60]) + burst(8) + burst(33)
            large = ring_cfg(role, False, log2=7, bsize=2048, **what)
            seeds[f"{of}-{name}-rx-too-long"] = large + slots(40, 1900) + slots(34, 1900)
    seeds["server-copy-rx-too-long-in-two"] = ring_cfg(SERVER, False) + slots(2, 40000)
    return seeds


def race() -> Dict[str, bytes]:
    """fuzz_race: a configuration, two seeds, how often indices are written, and how wildly."""
    seeds = {}
    for role in (CLIENT, SERVER):
        for transmit in (False, True):
            for number, (indices, wild) in enumerate(((40, 0), (128, 8), (10, 128))):
                cfg = ring_cfg(role, transmit, log2=3 + 2 * number, pool=number, simd=number)
                name = f"{'server' if role else 'client'}-{'tx' if transmit else 'rx'}-{number}"
                rest = struct.pack("<IIBB", 77, 1234567 + number, indices, wild)
                seeds[name] = cfg + rest
                ip, zero_copy = number != 1, number != 0
                cfg = ring_cfg(role, transmit, log2=5, ip=ip, zero_copy=zero_copy)
                seeds[f"{name}{'-zc' * zero_copy}{'-ip' * ip}"] = cfg + rest
    return seeds


def devargs() -> Dict[str, bytes]:
    """fuzz_devargs: texts."""
    texts: List[str] = [
        "", "id=0", "role=server,id=4294967295", "role=master", "role=slave,id=1",
        "socket=/run/a.sock,socket-abstract=no", "socket=@abstract", "socket=" + "x" * 107,
        "socket=@", "bsize=65535,rsize=14", "bsize=0", "rsize=1", "mac=02:00:00:00:00:01",
        "mac=01:00:00:00:00:00", "secret=0123456789abcdef01234567", "zero-copy=no",
        "role=server,peer-memory=sealed,mode=ethernet",
        "role=server,socket=/a,socket-abstract=no,owner-uid=0,owner-gid=0,socket-mode=660",
        "role=server,peer-uid=1:2:3,peer-gid=4294967294", "id=1,id=1", "unknown=1", "id", "id=",
        "mode=ip", "socket=[a,b]", "id=1,,role=client", "id= 1", "id=-1", "id=0x10",
    ]
    return {f"{number:02}": text.encode() for number, text in enumerate(texts)}


def handshake() -> Dict[str, bytes]:
    """fuzz_handshake: a port, then steps; 9 lets the peer talk, 3 moves packets, and so on."""
    sealed, unsealed, huge = bytes([9, 0]), bytes([9, 1]), bytes([9, 2])
    move = bytes([3, 2]) + struct.pack("<HH", 64, 403) + bytes([2]) + struct.pack("<HH", 60, 90)
    gone, cut, punch = bytes([6, 0]), bytes([8, 0, 2]), bytes([8, 0, 1])
    head, tail = bytes([0, 0, 0, 8]), bytes([0, 1, 0, 8])
    posted = b"".join(bytes([0, 3, slot]) + bytes([0, 0]) + struct.pack("<HH", 500, 1024 * slot)
                      for slot in range(8, 16))
    bad = bytes([0, 2, 8]) + struct.pack("<HHIII", 1, 5, 0xffffffff, 0xfffffff0, 0)
    stop, down, up, replace = (bytes([5, what]) for what in (0, 1, 2, 255))
    enable, disable, stats = bytes([5, 4]), bytes([5, 5]), bytes([5, 6])
    wait, second = bytes([7, 0, 250]), bytes([225, 0])
    seeds = {}
    for port, name in enumerate(("server", "secret", "sealed", "others")):
        seeds[f"{name}-sealed"] = bytes([port]) + sealed * 4 + move + posted + head + move + gone
        seeds[f"{name}-unsealed"] = bytes([port]) + unsealed * 4 + move + cut + move + move
        seeds[f"{name}-huge"] = bytes([port]) + huge * 4 + move + punch + move
    server = bytes([0]) + sealed * 4
    client = bytes([4]) + bytes([9, 0]) * 8
    for name, start in (("server", server), ("client", client)):
        seeds[f"{name}-bad"] = start + posted + bad + head + tail + move + move
        seeds[f"{name}-interrupts"] = start + enable + head + move + disable + stats
        seeds[f"{name}-stop"] = start + stop + move + start[1:] + down + move + up + start[1:]
        seeds[f"{name}-replace"] = start + head + replace + move + start[1:] + move
        seeds[f"{name}-gone"] = start + gone + start[1:] + move
        seeds[f"{name}-late"] = start[:5] + wait + wait
        seeds[f"{name}-second"] = start + second * 5 + move
    for number in range(5):
        seeds[f"server-again-{number}"] = server[:1 + 2 * number] + bytes([9, 230, 0, 3, 1, 8, 4, 3])
        seeds[f"client-again-{number}"] = client[:1 + 2 * number] + bytes([9, 230, 0, 3, 1, 8, 4, 3])
    return seeds


def main() -> None:
    targets = {"fuzz_msg": msg, "fuzz_conn": conn, "fuzz_devargs": devargs, "fuzz_ring": lambda: {**ring(), **ring_kinds(), **ring_defences()},
               "fuzz_race": race, "fuzz_handshake": handshake}
    for target, make in targets.items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in make().items():
            (folder / name).write_bytes(data)
        print(f"{target}: {len(list(folder.iterdir()))} seeds")


if __name__ == "__main__":
    main()
