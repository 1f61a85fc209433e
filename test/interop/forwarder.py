# SPDX-License-Identifier: BSD-3-Clause
"""dpdk-memif-fwd between a host in a network namespace, the kernel of another one, and memif."""

import json
import os
import shutil
import socket as sockets
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import pytest

from memif import build_dir, driver_args, OURS
from process import PATIENCE, Process, ProgramError, cpu, memory_args, unique

HOST = "10.98.0.2"
KERNEL = "10.98.0.1"
INTERFACE = "fwd0"
NETWORK = "net0"


def run(*command: str, timeout: float = 120) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


def program() -> str:
    return os.environ.get("MIF_FWD", str(build_dir() / "app/fwd/dpdk-memif-fwd"))


def missing() -> str:
    """What this machine lacks for these tests; empty when it has everything."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not Path("/dev/net/tun").exists():
        return "no /dev/net/tun: net_tap cannot make an interface"
    for program in ("ip", "ping", "iperf3", "curl", "sysctl"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    name = unique("mifprobe")
    probe = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True,
                           check=False)
    if probe.returncode != 0:
        return f"no network namespace: {probe.stderr.strip()}"
    run("ip", "netns", "del", name)
    return ""


class Site:
    """
    Two namespaces joined by a cable: the host's, and that of the forwarder, whose end of the cable
    is the network port.
    """

    def __init__(self) -> None:
        self.host, self.fwd = unique("mifh"), unique("miff")
        self.processes: List[Process] = []
        for name in (self.host, self.fwd):
            run("ip", "netns", "add", name)
        run("ip", "link", "add", NETWORK, "netns", self.fwd, "type", "veth", "peer", "name",
            "eth0", "netns", self.host)
        # The kernel must not answer on the cable's end as well, which has the same MAC address.
        for key, value in (("ipv6.conf.net0.disable_ipv6", 1), ("ipv4.conf.net0.arp_ignore", 8),
                           ("ipv4.conf.net0.rp_filter", 1)):
            self.inside(self.fwd, "sysctl", "-q", "-w", f"net.{key}={value}")
        self.inside(self.host, "sysctl", "-q", "-w", "net.ipv6.conf.eth0.disable_ipv6=1")
        self.inside(self.host, "ip", "addr", "add", f"{HOST}/24", "dev", "eth0")
        self.inside(self.host, "/usr/bin/python3",
                    str(Path(__file__).with_name("checksumsoff.py")), "eth0")
        self.inside(self.host, "ip", "link", "set", "eth0", "up")
        self.inside(self.fwd, "ip", "link", "set", NETWORK, "up")
        deadline = time.monotonic() + PATIENCE
        while self.link(NETWORK)["operstate"] != "UP" and time.monotonic() < deadline:
            time.sleep(0.02)

    def remove(self) -> None:
        for name in (self.host, self.fwd):
            run("ip", "netns", "del", name)

    def inside(self, name: str, *command: str, timeout: float = 120) -> str:
        return run("ip", "netns", "exec", name, *command, timeout=timeout)

    def start(self, name: str, *command: str) -> Process:
        process = Process(["ip", "netns", "exec", name, *command])
        self.processes.append(process)
        return process

    def links(self) -> List[Dict[str, Any]]:
        """The forwarder's interfaces and addresses, without what counts."""
        found = json.loads(self.inside(self.fwd, "ip", "-j", "addr", "show"))
        return [{key: link.get(key) for key in
                 ("ifname", "flags", "mtu", "operstate", "address", "addr_info")}
                for link in found]

    def link(self, name: str = INTERFACE) -> Optional[Dict[str, Any]]:
        return next((link for link in self.links() if link["ifname"] == name), None)


class Forwarder(Process):
    """A running dpdk-memif-fwd. Idle, it sleeps: the machine has few CPUs, and others use them."""

    def __init__(self, site: Site, socket: str, workers: int = 1, network: str = "",
                 eal: Sequence[str] = (), **options: Any) -> None:
        self.prefix = unique("miffwd")
        command = [*self.command_line(site, socket, workers, self.prefix, network, eal),
                   "--sleep", "100", "--kernel-address", f"{KERNEL}/24"]
        for name, value in options.items():
            command += ["--" + name.replace("_", "-"), str(value)]
        super().__init__(command)

    @staticmethod
    def command_line(site: Site, socket: str, workers: int, prefix: str, network: str = "",
                     eal: Sequence[str] = ()) -> List[str]:
        """All but the forwarder's further options. The network port, if not given, is the cable;
        eal is more for EAL."""
        network = network or f"net_af_packet0,iface={NETWORK},qpairs={workers}"
        lcores = ",".join(f"{n}@{cpu(0)}" for n in range(workers + 1))
        return ["ip", "netns", "exec", site.fwd, program(),
                "--lcores", lcores, "--no-pci", "--file-prefix", prefix, *memory_args(),
                *eal, *driver_args(OURS), f"--vdev={network}",
                "--", "--socket", socket, "--kernel", "tap"]

    def wait_started(self) -> "Forwarder":
        self.wait_for("forwarding on")
        return self

    def wait_up(self, count: int, start: int = 0) -> int:
        """Waits until so many memif ports have a peer."""
        return self.wait_for(f", {count} of", start=start)

    def telemetry(self, command: str) -> Dict[str, Any]:
        with sockets.socket(sockets.AF_UNIX, sockets.SOCK_SEQPACKET) as sock:
            sock.settimeout(60)
            sock.connect(f"/var/run/dpdk/{self.prefix}/dpdk_telemetry.v2")
            sock.recv(1 << 14)
            sock.send(command.encode())
            return json.loads(sock.recv(1 << 16).decode())[command]

    def wait_count(self, port: str, counter: str, least: int) -> int:
        """Waits until telemetry counts so many; returns what it counts."""
        deadline = time.monotonic() + PATIENCE
        while True:
            value = self.telemetry("/fwd/ports")[port][counter]
            if value >= least:
                return value
            if time.monotonic() >= deadline:
                raise ProgramError(f"{port}: {counter} is {value}, not {least}:\n"
                                   f"{self.describe()}")
            time.sleep(0.05)

    def finish(self, number: int) -> None:
        """A signal, and a clean end."""
        self.signal(number)
        if self.wait() != 0:
            raise ProgramError(f"no clean end:\n{self.describe()}")


class Flows:
    """A running udpflows.py in the host's namespace."""

    def __init__(self, site: Site, flows: int, rate: float) -> None:
        self._process = site.start(site.host, "/usr/bin/python3", "-u",
                                   str(Path(__file__).with_name("udpflows.py")), KERNEL,
                                   str(flows), str(rate))
        self._process.wait_for("started\n")
        self.sent = 0
        self.echoes: List[List[Any]] = []

    def finish(self) -> "Flows":
        self._process.send_line()
        assert self._process.wait() == 0, self._process.describe()
        result = json.loads(self._process.stdout.splitlines()[-1])
        self.sent, self.echoes = result["sent"], result["echoes"]
        return self


def skip_if_missing() -> None:
    reason = missing()
    if reason:
        pytest.skip(reason)
