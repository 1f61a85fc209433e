# SPDX-License-Identifier: BSD-3-Clause
"""The two ends of a measurement: which driver, with which options, on which CPU."""

from __future__ import annotations

import itertools
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator

from .child import BenchError, Child, remove_runtime_folder

OURS, STOCK, VHOST = "ours", "stock", "vhost"
CLIENT, SERVER = "client", "server"
HUGE_PAGES = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")
MEMORY_MB = 256

_numbers = itertools.count()


@dataclass(frozen=True)
class Tools:
    """What is measured, and with what."""

    testpmd: str
    perf: Path
    plugin: Path
    distance: Path
    scratch: Path  # folder for sockets and result files
    environment: dict[str, str] = field(default_factory=dict)
    eal_options: tuple[str, ...] = ()  # more options for every program


@dataclass(frozen=True)
class Side:
    driver: str
    options: tuple[str, ...] = ()  # devargs

    @property
    def zero_copy(self) -> bool:
        return "zero-copy=yes" in self.options


ZERO_COPY = ("zero-copy=yes",)
IP = ("mode=ip",)


@dataclass(frozen=True)
class Pair:
    name: str
    client: Side
    server: Side
    about: str

    @property
    def sides(self) -> dict[str, Side]:
        return {CLIENT: self.client, SERVER: self.server}


PAIRS = {pair.name: pair for pair in (
    Pair("ours", Side(OURS), Side(OURS), "this driver at both ends, copying"),
    Pair("stock", Side(STOCK), Side(STOCK), "DPDK's own net_memif at both ends, copying"),
    Pair("ours-stock", Side(OURS), Side(STOCK), "client ours, server stock"),
    Pair("stock-ours", Side(STOCK), Side(OURS), "client stock, server ours"),
    Pair("vhost", Side(VHOST), Side(VHOST), "client net_virtio_user, server net_vhost"),
    Pair("ours-zc", Side(OURS, ZERO_COPY), Side(OURS), "ours, client with zero-copy=yes"),
    Pair("ours-zc-server", Side(OURS), Side(OURS, ZERO_COPY), "ours, server with zero-copy=yes"),
    Pair("ours-zc-both", Side(OURS, ZERO_COPY), Side(OURS, ZERO_COPY),
         "ours, zero-copy=yes at both ends"),
    # Only when they are asked for.
    Pair("ours-ip", Side(OURS, IP), Side(OURS, IP), "ours in ip mode, copying"),
    Pair("ours-ip-zc", Side(OURS, IP + ZERO_COPY), Side(OURS, IP),
         "ours in ip mode, client with zero-copy=yes"),
    Pair("stock-zc", Side(STOCK, ZERO_COPY), Side(STOCK), "stock, client with zero-copy=yes"),
)}


def cpus() -> tuple[int, int]:
    """The CPUs of server and client."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise BenchError("two CPUs are needed, one for each end")
    return usable[0], usable[1]


def memory_options(megabytes: int = MEMORY_MB) -> list[str]:
    """Huge pages where there are enough; no hugetlbfs has to be mounted for that."""
    try:
        free = int(HUGE_PAGES.read_text())
    except OSError:
        free = 0
    if os.geteuid() == 0 and free >= megabytes:  # two programs, pages of 2 MB
        return ["--in-memory", "-m", str(megabytes)]
    return ["--no-huge", "--no-shconf", "-m", str(megabytes)]


@dataclass
class Meeting:
    """Where the two ends of one pair find each other: names that no other run uses."""

    tools: Tools
    pair: Pair
    ports: int = 1
    number: int = field(default_factory=lambda: next(_numbers))

    @property
    def name(self) -> str:
        return f"mif-bench-{os.getpid()}-{self.number}"

    def prefix(self, role: str) -> str:
        return f"{self.name}-{role}"

    def vdev(self, role: str, port: int) -> str:
        side = self.pair.sides[role]
        if side.driver == VHOST:
            path = self.tools.scratch / f"vhost-{self.number}-{port}"
            return (f"net_virtio_user{port},path={path},queues=1" if role == CLIENT
                    else f"net_vhost{port},iface={path},queues=1")
        # An abstract socket, as both drivers have by default: no file is left behind.
        return ",".join([f"net_memif{port}", f"role={role}", f"id={port}",
                         f"socket=/{self.name}", *side.options])

    def eal(self, role: str, megabytes: int = MEMORY_MB) -> list[str]:
        """EAL options of one end. Main and worker lcore share a CPU: the main one only waits."""
        cpu = cpus()[role == CLIENT]
        side = self.pair.sides[role]
        options = ["--lcores", f"0@{cpu},1@{cpu}", "--no-pci", "--no-telemetry",
                   "--file-prefix", self.prefix(role), *memory_options(megabytes),
                   *self.tools.eal_options]
        if side.driver == OURS:
            options += ["-d", str(self.tools.plugin)]
        if role == CLIENT and (side.driver == VHOST or side.zero_copy):
            # Both hand files of their memory over, and have room for a few.
            options += ["--single-file-segments"]
        return options + [f"--vdev={self.vdev(role, port)}" for port in range(self.ports)]

    @contextmanager
    def run(self, start: Callable[[str], Child], ready: dict[str, str],
            seconds: float) -> Iterator[dict[str, Child]]:
        """Starts the server, then the client; ends both whatever happens."""
        children: dict[str, Child] = {}
        try:
            for role in SERVER, CLIENT:
                children[role] = start(role)
                children[role].wait_for(ready[role], seconds)
                self._check_driver(role, children[role])
            yield children
        finally:
            for role, child in children.items():
                child.close()
                remove_runtime_folder(self.prefix(role))

    def _check_driver(self, role: str, child: Child) -> None:
        """EAL takes the first driver of a name; ours is loaded only where it is asked for."""
        loaded = os.path.realpath(self.tools.plugin) in child.maps()
        if loaded != (self.pair.sides[role].driver == OURS):
            raise child.fail("has loaded the wrong driver")
