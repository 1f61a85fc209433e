# SPDX-License-Identifier: BSD-3-Clause
"""Which ends of memif do not copy while a test runs: every test that starts ports can be played with
other ends than it was written for. conftest.py chooses, the starters of programs ask here."""

import zlib
from typing import FrozenSet, List, Optional

COPY: FrozenSet[str] = frozenset()
VARIANTS = {"client": frozenset({"client"}), "server": frozenset({"server"}),
            "both": frozenset({"client", "server"})}

# Functions that take many seconds, and look at what has little to do with copying.
LONG = {"test_server_is_back", "test_client_is_back", "test_testpmd_survives_kill9",
        "test_testpmd_cycles", "test_silent_and_slow_peers_are_dropped", "test_indices_wrap",
        "test_iperf3_udp", "test_http_download", "test_one_line_while_nobody_listens",
        "test_stopped_server_lets_nobody_in", "test_retry_pauses_grow",
        "test_disconnect_with_a_reason_at_the_end", "test_server_cannot_make_a_client_spin"}

# Where both ends are ports of DPDK; elsewhere there is one, against a peer of another kind.
PAIRS = "functional/"

# A stock client with zero-copy wants all of its memory in one file.
STOCK_MEMORY = ["--in-memory", "--single-file-segments"]

_zero_copy = COPY


def play(zero_copy: FrozenSet[str]) -> None:
    """From now on ports of these roles have zero-copy=yes."""
    global _zero_copy
    _zero_copy = zero_copy


def zero_copy(role: str) -> bool:
    """Do ports of this role, of our driver, not copy now?"""
    return role in _zero_copy


def _option(vdev: str, name: str) -> Optional[str]:
    for option in vdev.split(",")[1:]:
        key, _, value = option.partition("=")
        if key == name:
            return value
    return None


def is_zero_copy(vdev: str) -> bool:
    return _option(vdev, "zero-copy") == "yes"


def vdev_of(vdev: str, ours: bool = True) -> str:
    """The vdev with the option that these ends ask for, unless it has that option already. A stock
    server always copies."""
    role = _option(vdev, "role")
    if not vdev.startswith("net_memif") or role not in _zero_copy \
            or _option(vdev, "zero-copy") is not None \
            or not (ours or role == "client"):
        return vdev
    # The mbufs of short packets too.
    sharing = ",tx-copybreak=0" if ours and role == "client" else ""
    return f"{vdev},zero-copy=yes{sharing}"


def memory_of(vdevs: List[str], ours: bool, memory: Optional[List[str]]) -> Optional[List[str]]:
    """Memory arguments of a program with these vdevs."""
    if not ours and memory is None and any(map(is_zero_copy, vdevs)):
        return STOCK_MEMORY
    return memory


def chosen(function: str, variant: str, number: int, count: int) -> bool:
    """By default each test function but the long ones is played in one variant, with one of its sets
    of parameters: is this the one, of so many? The same on every machine."""
    spread = zlib.crc32(function.encode())
    names = list(VARIANTS) if function.startswith(PAIRS) else ["both"]
    return function.rpartition("::")[2] not in LONG and \
        variant == names[spread % len(names)] and number == spread // 3 % count
