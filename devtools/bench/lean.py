# SPDX-License-Identifier: BSD-3-Clause
"""Measurements with dpdk-memif-perf, our own lean application."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path

from .child import BenchError, Child, Shares, remove_runtime_folder
from .ends import (CLIENT, MEMORY_MB, OURS, SERVER, ZERO_COPY, Meeting, Pair, Side, Tools, cpus,
                   memory_options)
from .testpmd import C2S, IO

BOOT_SECONDS = 60
END_SECONDS = 20
WARMUP = 0.3
DIRECTIONS = ["one", "both"]  # of the bare ring
LAYOUTS = 6  # at most, that `limit` tries
NO_PAYLOAD = "descriptors only"  # the layout of `limit` that moves no packets


@dataclass
class Outcome:
    """What one run has given."""

    report: dict  # the JSON of the end that measures
    shares: list[float]  # of their CPUs, server and client
    shared_bytes: int = 0  # of memif memory that the measuring end has mapped

    @property
    def result(self) -> dict:
        return self.report["result"][0]


class Perf(Child):
    def __init__(self, meeting: Meeting, role: str, words: list[str], megabytes: int) -> None:
        tools = meeting.tools
        self.json = tools.scratch / f"{meeting.name}-{role}.json"
        command = [str(tools.perf), *meeting.eal(role, megabytes), "--log-level=lib.eal:error",
                   "--", *words]
        if words[0] != "hold":
            command += ["--json", str(self.json)]
        super().__init__(f"dpdk-memif-perf {words[0]} {role} of {meeting.pair.name}", command,
                         cpus()[role == CLIENT], tools.environment)


def shared_bytes(child: Child) -> int:
    """Bytes of memif regions in the program's address space."""
    total = 0
    for line in child.maps().splitlines():
        if re.search(r"memfd:.*memif|memif.*region", line):
            begin, end = line.split()[0].split("-")
            total += int(end, 16) - int(begin, 16)
    return total


def read_report(path: Path) -> dict:
    report = json.loads(path.read_text())
    path.unlink()
    return report


def run_pair(tools: Tools, pair: Pair, words: dict[str, list[str]], judge: str, seconds: float,
             ports: int = 1, megabytes: int = MEMORY_MB) -> Outcome:
    """
    Runs both ends until the judging one is done, which takes so many seconds when all is well; then
    the other one is asked to end.
    """
    meeting = Meeting(tools, pair, ports)
    # What each says once it has its ports.
    ready = {role: "starting and stopping" if said[0] == "connect" else f"port {ports - 1}:"
             for role, said in words.items()}

    def start(role: str) -> Perf:
        return Perf(meeting, role, words[role], megabytes)

    with meeting.run(start, ready, BOOT_SECONDS) as children:
        judging = children[judge]
        if words[judge][0] != "connect":
            judging.wait_for("link up", BOOT_SECONDS)
        mapped = shared_bytes(judging)
        time.sleep(WARMUP)
        shares = Shares([children[SERVER], children[CLIENT]])
        time.sleep(seconds * 0.6)  # a ping may have begun with the link
        taken = shares.take()
        end_pair(children, judging, "--hold" in words[judge], seconds)
        return Outcome(read_report(judging.json), taken, mapped)


def end_pair(children: dict[str, Perf], judging: Perf, holds: bool, seconds: float) -> None:
    """
    Waits for the end of the measurement, then ends both. Stock drivers crash when one end goes
    while the other one polls: so both stop to poll before the first one goes. A virtio-user that
    outlives its vhost ends by SIGPIPE: so the client goes first.
    """
    other = next(child for child in children.values() if child is not judging)
    if holds:
        judging.wait_for("holding", seconds + END_SECONDS)
        other.interrupt()
        other.wait_for("holding", END_SECONDS)
    else:
        judging.finish(seconds + END_SECONDS)
    for role in CLIENT, SERVER:
        children[role].interrupt()
        children[role].finish(END_SECONDS)
    other.json.unlink(missing_ok=True)


def throughput(tools: Tools, pair: Pair, way: str, size: str, seconds: float, check: bool = False,
               queues: int = 1, ports: int = 1, megabytes: int = MEMORY_MB) -> Outcome:
    common = ["throughput", "--hold", "--warmup", str(WARMUP), "--queues", str(queues),
              "--interval", "0"]
    counting = ["--seconds", str(seconds)]
    going_on = ["--seconds", "0", "--size", size]
    if check:
        common.append("--check")
    if ports * queues > 8:
        # Rings of a copying port hold no mbufs: what is under way suffices.
        common += ["--mbufs", "8192"]
    if way == IO:
        receiver = SERVER
        words = {SERVER: [*common, "--mode", "io", *counting],
                 CLIENT: [*common, "--mode", "io", *going_on, "--inject", "16"]}
    else:
        receiver, sender = (SERVER, CLIENT) if way == C2S else (CLIENT, SERVER)
        words = {receiver: [*common, "--mode", "rx", *counting],
                 sender: [*common, "--mode", "tx", *going_on]}
    outcome = run_pair(tools, pair, words, receiver, seconds, ports, megabytes)
    if outcome.result["rx_mpps"] == 0:
        raise BenchError(f"{pair.name}: no packet was received ({way}, {size} bytes)")
    return outcome


def latency(tools: Tools, pair: Pair, interrupt: bool, seconds: float) -> Outcome:
    words = {SERVER: ["latency", "--hold", "--mode", "reflect"],
             CLIENT: ["latency", "--hold", "--mode", "ping", "--count", "20000000",
                      "--seconds", str(seconds)]}
    if interrupt:
        words = {role: [*said, "--interrupt"] for role, said in words.items()}
    return run_pair(tools, pair, words, CLIENT, seconds)


def idle(tools: Tools, pair: Pair, role: str, ports: int, seconds: float) -> Outcome:
    """Cycles of an empty poll at one end; the other one does nothing."""
    words = {SERVER: ["hold"], CLIENT: ["hold"]}
    words[role] = ["idle", "--seconds", str(seconds)]
    return run_pair(tools, pair, words, role, seconds, ports)


def connect(tools: Tools, pair: Pair, seconds: float) -> Outcome:
    words = {SERVER: ["hold"],
             CLIENT: ["connect", "--count", "100000", "--seconds", str(seconds)]}
    return run_pair(tools, pair, words, CLIENT, seconds)


def limit(tools: Tools, direction: str, size: int, seconds: float) -> dict:
    """The bare ring in all layouts; one process on both CPUs."""
    path = tools.scratch / "limit.json"
    prefix = f"mif-bench-{path.parent.name}-limit"
    command = [str(tools.perf), "--lcores", f"0@{cpus()[0]},1@{cpus()[1]}", "--no-pci",
               "--no-telemetry", "--file-prefix", prefix, *memory_options(64), "--", "limit",
               "--direction", direction, "--size", str(size), "--rounds", "1", "--seconds",
               str(seconds), "--json", str(path)]
    child = Child("dpdk-memif-perf limit", command, None, tools.environment)
    try:
        status = child.wait(BOOT_SECONDS + LAYOUTS * (seconds + END_SECONDS))
        if status != 0:
            raise child.fail(f"ended with status {status}")
        return read_report(path)
    finally:
        child.close()
        remove_runtime_folder(prefix)


def refuses_zero_copy(tools: Tools) -> str:
    """Why our driver does not take zero-copy=yes; empty when it does."""
    meeting = Meeting(tools, Pair("zero-copy", Side(OURS, ZERO_COPY), Side(OURS, ZERO_COPY), ""))
    child = Child("zero-copy probe", [str(tools.perf), *meeting.eal(CLIENT), "--", "hold",
                                      "--seconds", "0.1"], cpus()[0], tools.environment)
    try:
        if child.wait(BOOT_SECONDS) == 0:
            return ""
        said = re.search(r"^.*zero-copy.*$", child.log, re.M)
        return said[0] if said else "the port cannot be made"
    finally:
        child.close()
        remove_runtime_folder(meeting.prefix(CLIENT))
