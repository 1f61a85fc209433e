# SPDX-License-Identifier: BSD-3-Clause
"""Rates between two dpdk-testpmd: the neutral application, which costs all drivers the same."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Iterator

from .child import Child, Shares, is_disturbed
from .distance import Distance
from .ends import CLIENT, SERVER, Meeting, Pair, Tools, cpus

PROMPT = "testpmd> "
BOOT_SECONDS = 60
COMMAND_SECONDS = 20
LINK_SECONDS = 20
SETTLE = 0.2  # between the start of a stream and its measurement
DRAIN = 0.1
SIZE_ERROR = 0.01
MBUFS = 16384
FIRST_BURSTS = 16  # 512 packets go round in io, half a ring

C2S, S2C, IO = "c2s", "s2c", "io"
WAYS = {C2S: "client -> server", S2C: "server -> client", IO: "io, both ways"}


@dataclass
class Rate:
    mpps: float
    shares: list[float]  # of their CPUs, server and client


@dataclass(frozen=True)
class Measured:
    """A rate, and whether it was one of a quiet machine."""

    mpps: float
    shares: list[float]
    apart: float  # nanoseconds between the CPUs
    disturbed: bool  # other programs took CPU time, or the CPUs were far apart


@dataclass
class Received:
    """What a port has received up to a moment."""

    when: float
    packets: int
    bytes: int


class Testpmd(Child):
    """Driven through its own command line."""

    def __init__(self, meeting: Meeting, role: str) -> None:
        tools = meeting.tools
        # Lines about the link, testpmd's or the driver's, would fall into the prompt.
        command = [tools.testpmd, *meeting.eal(role), "--log-level=pmd.net.memif:warning",
                   "--", "-i", "--disable-link-check", "--mask-event=intr_lsc",
                   f"--total-num-mbufs={MBUFS}", "--rxd=1024", "--txd=1024", "--burst=32"]
        super().__init__(f"testpmd {role} of {meeting.pair.name}", command,
                         cpus()[role == CLIENT], tools.environment)
        self._seen = 0

    def command(self, text: str) -> str:
        """Runs a command; returns what it printed."""
        start = self._seen or self.log.rfind(PROMPT) + len(PROMPT)
        self.write(text)
        self._seen = self.wait_for("\n" + PROMPT, COMMAND_SECONDS, start)
        return self.log[start:self._seen]

    def link_is_up(self) -> bool:
        return re.search(r"^0 .*\bup\b", self.command("show port summary 0"), re.M) is not None

    def received(self) -> Received:
        begin = time.monotonic()
        text = self.command("show port stats 0")
        when = (begin + time.monotonic()) / 2
        found = re.search(r"RX-packets:\s*(\d+).*RX-bytes:\s*(\d+)", text)
        if not found:
            raise self.fail("does not show its counters")
        return Received(when, int(found[1]), int(found[2]))

    def forward(self, mode: str, size: int, start: str = "start") -> None:
        self.command(f"set fwd {mode}")
        self.command(f"set txpkts {size}")
        self.command(start)


def wait_for_link(children: dict[str, Testpmd]) -> None:
    end = time.monotonic() + LINK_SECONDS
    while not all([child.link_is_up() for child in children.values()]):
        if time.monotonic() > end:
            raise children[CLIENT].fail(f"has no link after {LINK_SECONDS} s")
        time.sleep(0.1)


def start_stream(children: dict[str, Testpmd], way: str, size: int) -> Testpmd:
    """Lets packets flow; returns the end that counts them."""
    if way == IO:
        children[CLIENT].forward("io", size)
        children[SERVER].forward("io", size, f"start tx_first {FIRST_BURSTS}")
        return children[SERVER]
    sender, receiver = (CLIENT, SERVER) if way == C2S else (SERVER, CLIENT)
    children[receiver].forward("rxonly", size)
    children[sender].forward("txonly", size)
    return children[receiver]


def stop_stream(children: dict[str, Testpmd], way: str, size: int) -> None:
    """Stops, and in io takes the packets of this size out of the rings."""
    order = (SERVER, CLIENT) if way == S2C else (CLIENT, SERVER)
    for role in order:
        children[role].command("stop")
    if way != IO:
        return
    for role in order:
        children[role].forward("rxonly", size)
    time.sleep(DRAIN)
    for role in order:
        children[role].command("stop")


def measure_once(children: dict[str, Testpmd], way: str, size: int, seconds: float) -> Rate:
    counter = start_stream(children, way, size)
    time.sleep(SETTLE)
    shares = Shares([children[SERVER], children[CLIENT]])
    before = counter.received()
    time.sleep(seconds)
    after = counter.received()
    packets = after.packets - before.packets
    rate = Rate(packets / (after.when - before.when) / 1e6, shares.take())
    stop_stream(children, way, size)
    if packets == 0:
        raise counter.fail(f"has received no packet ({WAYS[way]}, {size} bytes)")
    # Not exactly: a driver's two counters need not be of the same moment.
    if abs((after.bytes - before.bytes) / packets - size) > size * SIZE_ERROR:
        raise counter.fail(f"has received packets that are not of {size} bytes ({WAYS[way]})")
    return rate


def measure(children: dict[str, Testpmd], way: str, size: int, seconds: float, distance: Distance
            ) -> Measured:
    """With the CPUs near each other, as far as they can be had."""
    rate, apart = distance.measure(lambda: measure_once(children, way, size, seconds))
    return Measured(rate.mpps, rate.shares, apart,
                    is_disturbed(rate.shares) or distance.is_far(apart))


@contextmanager
def session(tools: Tools, pair: Pair) -> Iterator[dict[str, Testpmd]]:
    """Both programs, for any number of measurements; between these they do not poll."""
    meeting = Meeting(tools, pair)
    ready = {CLIENT: PROMPT, SERVER: PROMPT}
    with meeting.run(lambda role: Testpmd(meeting, role), ready, BOOT_SECONDS) as children:
        wait_for_link(children)
        yield children
        # A virtio-user that outlives its vhost ends by SIGPIPE: so the client goes first.
        for role in CLIENT, SERVER:
            children[role].write("quit")
            children[role].finish(COMMAND_SECONDS)
