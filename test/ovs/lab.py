# SPDX-License-Identifier: BSD-3-Clause
"""A switch with two memif ports, one of each role, and a host behind each."""

import contextlib
import re
from pathlib import Path
from typing import Dict, Iterator, List, Optional

import netns
from hosts import Host
from memif import Memif, Socket
from process import PATIENCE
from programs import wait_until
from switch import BRIDGE, Switch

# What OVS has; the host has the other end.
ROLES = {"memif0": "server", "memif1": "client"}
LOCAL_ADDRESS = "10.98.0.9"


class Lab:
    """What all tests share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._switch: Optional[Switch] = None
        self._hosts: Dict[str, Host] = {}
        self._lost_before: Dict[str, Dict[str, int]] = {}

    @property
    def switch(self) -> Switch:
        assert self._switch is not None
        return self._switch

    @property
    def hosts(self) -> List[Host]:
        return list(self._hosts.values())

    def socket(self, name: str) -> Socket:
        return Socket(str(self.folder / f"{name}.sock"), abstract=False)

    def socket_exists(self, name: str) -> bool:
        return (self.folder / f"{name}.sock").exists()

    def add_port(self, name: str, **columns: object) -> None:
        vdev = f"net_{name}"
        self.switch.add_memif(name, Memif(ROLES[name], self.socket(name), name=vdev), **columns)

    def new_host(self, number: int, name: str) -> Host:
        role = "client" if ROLES[name] == "server" else "server"
        return Host(number, Memif(role, self.socket(name)).vdev())

    def prepare(self) -> None:
        """What is not as it should be is made anew."""
        if self._switch is None or not self._switch.vswitchd.running:
            self._start_switch()
        self.switch.flows()
        for name in set(self.switch.ports()) - ROLES.keys():
            self.switch.remove(name)
        for number, name in enumerate(ROLES, 1):
            if name not in self.switch.ports():
                self.add_port(name)
            self.switch.set(name, "options:n_rxq=1")
            if name not in self._hosts:
                self._hosts[name] = self.new_host(number, name)
            host = self._hosts[name]
            if host.testpmd is None or not host.testpmd.running:
                host.start()
        for name, host in self._hosts.items():
            host.wait_link()
            self.switch.wait_link(name)
        self.hosts[0].wait_answer(self.hosts[1].address)
        self._lost_before = {name: self._lost(name) for name in ROLES}

    @contextlib.contextmanager
    def resting_hosts(self) -> Iterator[None]:
        """Their testpmds leave the CPUs to others meanwhile."""
        for host in self.hosts:
            host.testpmd.stop()
        try:
            yield
        finally:
            for host in self.hosts:
                host.testpmd.cmd("start")

    def _start_switch(self) -> None:
        if self._switch is not None:
            self._switch.close()
        for left in self.folder.iterdir():
            left.unlink()
        self._switch = Switch(self.folder)
        netns.inside(self.switch.netns, "ip", "addr", "add", f"{LOCAL_ADDRESS}/24", "dev", BRIDGE)
        netns.inside(self.switch.netns, "ip", "link", "set", BRIDGE, "up")

    def _lost(self, name: str) -> Dict[str, int]:
        """What both ends of a port have counted as lost; each sends before its peer is there."""
        host = self._hosts[name]
        lost = {**host.testpmd.stats(host.port()), **self.switch.counters(name),
                "dropped by testpmd": host.dropped()}
        return {word: count for word, count in lost.items()
                if re.search("err|drop|missed|nombuf", word)}

    def check_received(self) -> None:
        """What a host has sent the switch has received, and the other way round."""
        for name, host in self._hosts.items():
            def same() -> bool:
                mine = host.testpmd.stats(host.port())
                its = self.switch.counters(name)
                return (its["rx pkts"], its["tx pkts"]) == (mine["TX-packets"], mine["RX-packets"])
            wait_until(same, PATIENCE, f"both ends of {name} have counted the same")

    def check_counters(self) -> None:
        """And nothing was lost on the way, nor refused."""
        self.check_received()
        for name in self._hosts:
            assert self._lost(name) == self._lost_before[name]

    def show(self) -> None:
        """For who looks at a failure; pytest keeps it."""
        for process in [self.switch.vswitchd, *(host.testpmd for host in self.hosts)]:
            print(process.describe())

    def close(self) -> None:
        """Everything ends by itself, and well."""
        try:
            if self._switch is not None and self._switch.vswitchd.running:
                self._switch.stop()
                left = [path.name for path in self.folder.glob("memif*.sock")]
                assert set(left) <= {"memif1.sock"}, "the switch leaves a socket of its own behind"
        finally:
            for host in self.hosts:
                host.close()
            if self._switch is not None:
                self._switch.close()
