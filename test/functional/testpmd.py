# SPDX-License-Identifier: BSD-3-Clause
"""dpdk-testpmd in interactive mode."""

import os
import re
import shutil
import time
from typing import Dict, List, Optional, Sequence

import ends
from memif import OURS, driver_args
from process import PATIENCE, Process, ProgramError, cpu, eal_args

PROMPT = "testpmd> "


def program() -> str:
    found = os.environ.get("MIF_TESTPMD") or shutil.which("dpdk-testpmd")
    if not found:
        raise ProgramError("dpdk-testpmd not found: install the package dpdk or set MIF_TESTPMD")
    return found


class Testpmd(Process):
    """A running testpmd; one forwarding core, the command line on another lcore."""

    __test__ = False  # no test class, whatever pytest makes of its name

    def __init__(self, vdevs: Sequence[str], options: Sequence[str] = (), driver: str = OURS,
                 cpu_number: int = 0, memory: Optional[List[str]] = None,
                 netns: Optional[str] = None) -> None:
        vdevs = [ends.vdev_of(vdev, driver == OURS) for vdev in vdevs]
        memory = ends.memory_of(vdevs, driver == OURS, memory)
        lcores = f"0@{cpu(cpu_number + 1)},1@{cpu(cpu_number)}"
        # Lines about link events would fall into the prompt.
        command = ["stdbuf", "-oL", program(), *eal_args(lcores, memory), *driver_args(driver),
                   *(f"--vdev={vdev}" for vdev in vdevs), "--", "--interactive",
                   "--mask-event=intr_lsc",
                   *([] if any("mbufs" in option for option in options)
                     else ["--total-num-mbufs=16384"]), *options]
        if netns:
            command = ["ip", "netns", "exec", netns, *command]
        super().__init__(command)
        self.driver = driver
        self._seen = 0

    def wait_ready(self) -> "Testpmd":
        self._seen = self.wait_for(PROMPT)
        return self

    def cmd(self, line: str, timeout: float = PATIENCE) -> str:
        """Runs a command; returns what it printed."""
        start = self._seen
        self.send_line(line)
        self._seen = self.wait_for(PROMPT, timeout, start)
        return self.stdout[start:self._seen - len(PROMPT)]

    def stats(self, port: int = 0) -> Dict[str, int]:
        """'show port stats' as {"RX-packets": 0, ...}."""
        text = self.cmd(f"show port stats {port}")
        found = re.findall(r"([RT]X-(?:packets|missed|bytes|errors|nombuf)):\s+(\d+)", text)
        if len(found) < 7:
            raise ProgramError(f"unexpected output:\n{text}")
        return {name: int(value) for name, value in found}

    def info(self, port: int, field: str) -> str:
        """A line of 'show port info'."""
        text = self.cmd(f"show port info {port}")
        found = re.search(rf"^{re.escape(field)}: *(.*?)\s*$", text, re.MULTILINE)
        if not found:
            raise ProgramError(f"no '{field}' in:\n{text}")
        return found.group(1)

    def link_up(self, port: int = 0) -> bool:
        return self.info(port, "Link status") == "up"

    def wait_link(self, up: bool = True, port: int = 0, timeout: float = PATIENCE) -> None:
        deadline = time.monotonic() + timeout
        while self.link_up(port) != up:
            if time.monotonic() > deadline:
                raise ProgramError(f"link of port {port} is not {'up' if up else 'down'} after "
                                   f"{timeout} s:\n{self.describe()}")
            time.sleep(0.05)

    def wait_packets(self, counter: str, at_least: int, port: int = 0,
                     timeout: float = PATIENCE) -> int:
        """Waits until a counter has reached a value; returns it."""
        deadline = time.monotonic() + timeout
        while True:
            value = self.stats(port)[counter]
            if value >= at_least:
                return value
            if time.monotonic() > deadline:
                raise ProgramError(f"{counter} is {value}, not {at_least}, after {timeout} s:\n"
                                   f"{self.describe()}")
            time.sleep(0.05)

    def enable_scatter(self, port: int = 0) -> None:
        """A packet may take several mbufs."""
        self.cmd(f"port stop {port}")
        self.cmd(f"port config {port} rx_offload scatter on")
        self.cmd(f"port start {port}")

    def forward(self, mode: str) -> None:
        """Begins to forward: txonly, rxonly, io, ..."""
        self.cmd(f"set fwd {mode}")
        self.cmd("start")

    def stop(self) -> str:
        return self.cmd("stop")

    def quit(self) -> None:
        """A clean end, with exit status 0."""
        self.send_line("quit")
        status = self.wait()
        if status != 0:
            raise ProgramError(f"testpmd ended with {status}:\n{self.describe()}")


def memif_port(testpmd: Testpmd) -> int:
    """Which of two ports is the memif one: EAL orders vdevs as it likes."""
    return 0 if "memif" in testpmd.info(0, "Device name") else 1
