# SPDX-License-Identifier: BSD-3-Clause
"""The programs of the lifecycle tests: mif-lifecycle, an application that does what it is told, and
mif-load, a peer without DPDK that can be killed at any moment."""

import itertools
import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

import ends
from memif import build_dir, driver_args
from process import Process, ProgramError, cpu, unique

LIFECYCLE = "test/lifecycle/mif-lifecycle"
LOAD = "test/lifecycle/mif-load"

# Small, so that it starts in a fifth of a second.
MEMORY = ["--no-huge", "-m", "192", "--no-shconf"]

# What is freed is overwritten at once, so that who still uses it does not get away with it.
POISON = {"GLIBC_TUNABLES": "glibc.malloc.perturb=165:glibc.malloc.tcache_count=0"}

# Whose memory a process can have mapped: the driver's, mif-load's, the Python peer's.
REGION = re.compile(r"/memfd:(memif|mif-load)")


_secondaries = itertools.count()


class CommandError(Exception):
    """The program answered with an error; errno is negative."""

    def __init__(self, line: str, errno: int) -> None:
        super().__init__(f"'{line}' failed: {errno} ({os.strerror(-errno)})")
        self.errno = errno


@dataclass(frozen=True)
class Resources:
    """What a process holds."""

    fds: int
    regions: int
    """mappings of packet memory"""
    mappings: int
    """all of them"""


def resources(pid: int) -> Resources:
    maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()
    return Resources(fds=len(os.listdir(f"/proc/{pid}/fd")),
                     regions=sum(REGION.search(line) is not None for line in maps),
                     mappings=len(maps))


def wait_until(condition: Callable[[], Any], timeout: float, what: str) -> Any:
    """Polls until the condition holds; returns what it gave."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.005)


def settled_resources(pid: int) -> Resources:
    """The least of some looks: a client that knocks holds a socket for a moment."""
    least = resources(pid)
    for _ in range(20):
        time.sleep(0.01)
        now = resources(pid)
        least = Resources(min(least.fds, now.fds), min(least.regions, now.regions),
                          min(least.mappings, now.mappings))
    return least


def check_resources(pid: int, before: Resources, timeout: float = 10.0,
                    mappings: int = 0) -> None:
    """What it held before, and no more. Rings are given back when their last burst has ended, so
    this looks for a while. So many mappings more are no leak: stacks and arenas of threads, which
    the C library keeps for the next ones."""
    deadline = time.monotonic() + timeout
    while True:
        now = resources(pid)
        if now.fds <= before.fds and now.regions <= before.regions \
                and now.mappings <= before.mappings + mappings:
            print(f"process {pid} held {before}, holds {now}")
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"it holds more than before: {now} instead of {before}")
        time.sleep(0.02)


def threads(pid: int, name: str) -> int:
    """How many threads of this name the process has."""
    count = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            count += (task / "comm").read_text(encoding="ascii").strip() == name
        except OSError:
            pass  # ended meanwhile
    return count


def state_of(pid: int) -> str:
    """T when it is stopped; see proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]


@dataclass(frozen=True)
class Event:
    """A link event that the application's callback was told of."""

    port: int
    up: bool
    ns: int


class Lifecycle(Process):
    """A running mif-lifecycle. Commands are methods, errors exceptions."""

    def __init__(self, driver: str = "ours", extra: Sequence[str] = (),
                 memory: Sequence[str] = MEMORY, primary: Optional["Lifecycle"] = None) -> None:
        cpus = f"({cpu(0)},{cpu(1)})"
        self._ours = driver == "ours"
        self.prefix = primary.prefix if primary else unique("mifl")
        self._primary = primary is None
        # The caches of a pool belong to lcores: each process needs its own.
        first = 0 if primary is None else 2 + 2 * next(_secondaries) % 100
        super().__init__([
            str(build_dir() / LIFECYCLE), "--lcores", f"{first}@{cpus},{first + 1}@{cpus}",
            "--no-pci", "--no-telemetry", "--file-prefix", self.prefix, *memory,
            *(["--proc-type=secondary"] if primary else []), *driver_args(driver),
            *extra], env=POISON)
        self._at = 0
        self.us = 0
        """how long the last command took"""

    def wait_ready(self) -> "Lifecycle":
        self._at = self.wait_for("mif-lifecycle: ready\n") - 1
        return self

    def cmd(self, line: str, timeout: float = 20) -> List[str]:
        """Runs a command; returns the values of its answer."""
        self.send_line(line)
        return self.answer(line, timeout)

    def answer(self, line: str, timeout: float = 20) -> List[str]:
        """Waits for the answer to a command that was sent."""
        begin = self.wait_for("\n= ", timeout, self._at)
        self._at = self.wait_for("\n", timeout, begin) - 1
        words = self.stdout[begin:self._at].split()
        self.us = int(words.pop().removeprefix("us="))
        if words[0] != "ok":
            raise CommandError(line, int(words[1]))
        return words[1:]

    # -- ports ------------------------------------------------------------------------------------

    def attach(self, vdev: str, queues: int = 1) -> int:
        """Attaches and sets up a port; returns its number."""
        port = int(self.cmd(f"attach {ends.vdev_of(vdev, self._ours)}")[0])
        self.cmd(f"setup {port} {queues}")
        return port

    def start(self, port: int = 0) -> int:
        """Starts a port; returns when, in nanoseconds of CLOCK_MONOTONIC."""
        return int(self.cmd(f"start {port}")[0])

    def up(self, vdev: str, queues: int = 1) -> int:
        """Attaches, sets up and starts."""
        port = self.attach(vdev, queues)
        self.start(port)
        return port

    def link_up(self, port: int = 0) -> bool:
        return self.cmd(f"link {port}")[0] == "up"

    def wait_link(self, up: bool = True, port: int = 0, timeout: float = 10) -> None:
        wait_until(lambda: self.link_up(port) == up, timeout,
                   f"link of port {port} is {'up' if up else 'down'}")

    def received(self, port: int = 0) -> int:
        return int(self.cmd(f"stats {port}")[0])

    def sent(self, port: int = 0) -> int:
        return int(self.cmd(f"stats {port}")[1])

    def wait_traffic(self, port: int = 0, timeout: float = 10) -> None:
        """Packets come in, and go out."""
        was = self.received(port), self.sent(port)
        wait_until(lambda: self.received(port) > was[0] and self.sent(port) > was[1], timeout,
                   f"packets move on port {port}")

    def xstats(self, port: int = 0) -> Dict[str, int]:
        pairs = (word.rsplit("=", 1) for word in self.cmd(f"xstats {port}"))
        return {name: int(value) for name, value in pairs}

    def dump(self, port: int = 0) -> str:
        return " ".join(self.cmd(f"dump {port}")).replace("|", "\n")

    def first_packet(self, port: int = 0, timeout: float = 10) -> int:
        """When the first packet came, in nanoseconds of CLOCK_MONOTONIC; forgets it."""
        wait_until(lambda: self.cmd(f"first {port} keep")[0] != "0", timeout,
                   f"a packet comes in on port {port}")
        return int(self.cmd(f"first {port} forget")[0])

    def mbufs(self) -> int:
        """In use. Some always are while packets move."""
        return int(self.cmd("mbufs")[0])

    def check_mbufs(self, *ports: int) -> None:
        """When these ports, which have to be all, are not polled, every mbuf is free."""
        for port in ports:
            self.cmd(f"poll {port} off")
        assert self.mbufs() == 0

    def check_polling(self) -> None:
        """The polling lcore does not hang."""
        turns = int(self.cmd("turns")[0])
        wait_until(lambda: int(self.cmd("turns")[0]) > turns, 5, "the lcore goes on polling")

    # -- what it said -----------------------------------------------------------------------------

    def events(self, port: Optional[int] = None) -> List[Event]:
        found = re.findall(r"^! link (\d+) (up|down) (\d+)$", self.stdout, re.MULTILINE)
        events = [Event(int(number), word == "up", int(ns)) for number, word, ns in found]
        return [event for event in events if port in (None, event.port)]

    def wait_events(self, count: int, port: Optional[int] = None) -> List[Event]:
        wait_until(lambda: len(self.events(port)) >= count, 10, f"{count} link events")
        return self.events(port)

    def log(self, name: str = "net_memif0") -> List[str]:
        """What the driver has logged of a port, without its name."""
        lines = re.findall(rf"^(?:.*?: )?{name}: (.*)$", self.stderr, re.MULTILINE)
        return [line.strip() for line in lines]

    def wait_log(self, text: str, name: str = "net_memif0", timeout: float = 5) -> str:
        """Waits for a line of the log with this text."""
        return wait_until(lambda: next((line for line in self.log(name) if text in line), None),
                          timeout, f"'{text}' in the log of {name}")

    def close(self) -> None:
        super().close()
        if self._primary:
            shutil.rmtree(f"/var/run/dpdk/{self.prefix}", ignore_errors=True)

    def quit(self) -> None:
        """A clean end: nothing leaked, exit status 0."""
        self.send_line("quit")
        status = self.wait()
        assert status == 0, f"mif-lifecycle ended with {status}:\n{self.describe()}"


class Load(Process):
    """A running mif-load: Load("client", socket, rings=2, kills=100)."""

    def __init__(self, role: str, address: str, **options: int) -> None:
        command = [str(build_dir() / LOAD), "--role", role, "--socket", address]
        for name, value in options.items():
            command += ["--" + name.replace("_", "-"), str(value)]
        super().__init__(command)

    def wait_connected(self, timeout: float = 10, times: int = 1) -> None:
        wait_until(lambda: self.stdout.count("mif-load: connected\n") >= times or not self.running,
                   timeout, f"a connection\n{self.describe()}")
        assert self.running, self.describe()

    def wait_kills(self, timeout: float) -> Dict[str, Any]:
        """The tally of its deaths, once it has died for the last time."""
        status = self.wait(timeout)
        if status not in (0, 1) or not self.stdout.startswith("{"):
            raise ProgramError(f"no result:\n{self.describe()}")
        tally = json.loads(self.stdout)
        assert tally["stuck"] == 0 and status == 0, (
            f"a peer got no connection for 30 s: {tally}")
        return tally
