# SPDX-License-Identifier: BSD-3-Clause
"""Hosts behind a switch: a kernel interface in a network namespace, joined by a testpmd to a port that
the switch has the other end of."""

import re
import time
from typing import Callable, List, Optional

import netns
from process import PATIENCE, Process, unique
from testpmd import Testpmd, memif_port

IFACE = "tap0"
QUEUES = 2
MEMORY = ["--no-huge", "-m", "256"]
OPTIONS = ["--total-num-mbufs=16384", "--disable-link-check"]


class Host:
    """A namespace with an address; its testpmd may be ended and started again."""

    def __init__(self, number: int, vdev: str, queues: int = QUEUES) -> None:
        self.number = number
        self.address = f"10.98.0.{number}"
        self.mac = f"02:00:00:00:98:{number:02x}"
        self.netns = netns.add(unique("mifh"))
        self.testpmd: Optional[Testpmd] = None
        self._vdev = vdev
        self._queues = queues
        self._processes: List[Process] = []

    def start(self) -> "Host":
        """Does not wait for a link."""
        self.testpmd = Testpmd(
            [self._vdev, f"net_tap0,iface={IFACE}"],
            [*OPTIONS, f"--rxq={self._queues}", f"--txq={self._queues}"],
            cpu_number=self.number, memory=MEMORY, netns=self.netns)
        self._processes.append(self.testpmd)
        self.testpmd.wait_ready()
        self.testpmd.cmd("set fwd io")
        text = self.testpmd.cmd("start")
        assert "io packet forwarding" in text, text
        self.inside("sysctl", "-qw", f"net.ipv6.conf.{IFACE}.disable_ipv6=1")
        # Both CPUs also run the kernel's stacks: let packets wait, not go lost.
        self.inside("ip", "link", "set", IFACE, "address", self.mac, "txqueuelen", "10000", "up")
        self.inside("ip", "addr", "add", f"{self.address}/24", "dev", IFACE)
        return self

    def port(self) -> int:
        """Of the testpmd, the one to the switch."""
        return memif_port(self.testpmd)

    def sent_by_queue(self) -> List[int]:
        """Packets to the switch, of each queue."""
        text = self.testpmd.cmd(f"show port xstats {self.port()}")
        return [int(count) for count in re.findall(r"tx_q\d+_packets: (\d+)", text)]

    def wait_link(self) -> None:
        self.testpmd.wait_link(port=self.port())

    def inside(self, *command: str, timeout: float = 60) -> str:
        return netns.inside(self.netns, *command, timeout=timeout)

    def spawn(self, *command: str) -> Process:
        """A program in the namespace; it ends with the host."""
        process = Process(["ip", "netns", "exec", self.netns, *command])
        self._processes.append(process)
        return process

    def echoes(self) -> int:
        """Answers to pings so far."""
        return netns.snmp(self.netns, "Icmp")["InEchoReps"]

    def echo_requests(self) -> int:
        """Pings sent so far."""
        return netns.snmp(self.netns, "Icmp")["OutEchos"]

    def ping(self, address: str, count: int = 20, size: int = 56, answers: bool = True) -> None:
        """All of them are answered, or none is."""
        before = self.echoes()
        command = ["ping", "-q", "-c", str(count), "-i", "0.01", "-s", str(size),
                   "-W", "1", address]
        # It fails when none is answered.
        text = self.inside("sh", "-c", f"{' '.join(command)} || true")
        assert f"{count} packets transmitted" in text, text
        if answers:
            self.wait_echoes(before + count)
        else:
            assert self.echoes() == before

    def wait_echoes(self, wanted: int, dropped: Callable[[], object] = lambda: "nothing") -> None:
        """
        ping itself waits for late answers only briefly, which on a busy machine is too short.

        :param dropped: tells what the switch has dropped
        """
        deadline = time.monotonic() + PATIENCE
        while self.echoes() < wanted:
            assert time.monotonic() < deadline, (
                f"{self.echoes()} answers of {wanted}; the switch says it has dropped {dropped()}")
            time.sleep(0.05)

    def wait_answer(self, address: str) -> None:
        """Pings until there is an answer: addresses have to be learned, links to come up."""
        deadline = time.monotonic() + PATIENCE
        while True:
            text = self.inside("sh", "-c", f"ping -q -c 1 -W 1 {address} || true")
            if "1 received" in text:
                return
            assert time.monotonic() < deadline, f"{address} does not answer"

    def dropped(self) -> int:
        """Packets that the testpmd found no room for, since it began to forward."""
        text = self.testpmd.cmd("show fwd stats all")
        return sum(map(int, re.findall(r"TX-dropped: (\d+)", text)))

    def close(self) -> None:
        for process in reversed(self._processes):
            process.close()
        netns.delete(self.netns)
