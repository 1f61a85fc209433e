# SPDX-License-Identifier: BSD-3-Clause
"""An Open vSwitch of the test's own: its processes, database and sockets are in a private folder, its
interfaces in a network namespace. The machine's own one is not touched."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, List

import netns
from memif import OURS, Memif, assert_driver_loaded, plugin
from process import PATIENCE, Process, cpu, unique

VSWITCHD = Path("/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk")
SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
PROGRAMS = ("ovsdb-tool", "ovsdb-server", "ovs-vsctl", "ovs-ofctl", "ovs-appctl")

BRIDGE = "br0"

# Pools of 20,000 mbufs for each of three ports, two of them with room for 9000 bytes. No huge pages:
# the switch gives a port's pool back when it is deleted, and Linux 6.18 has then held it for minutes,
# on a busy machine, in remove_inode_hugepages().
MEMORY_MB = 840


class Switch:
    """ovsdb-server and ovs-vswitchd with one userspace bridge."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.netns = netns.add(unique("mifovs"))
        self._processes: List[Process] = []
        try:
            self._database = self._start_database()
            self.vswitchd = self._start_vswitchd()
            self.vsctl("add-br", BRIDGE, "--", "set", "bridge", BRIDGE, "datapath_type=netdev")
        except BaseException:
            self.close()
            raise

    def _start(self, *command: str) -> Process:
        process = Process(list(command), env=self._environment())
        self._processes.insert(0, process)
        return process

    def _environment(self) -> Dict[str, str]:
        return {name: str(self.folder) for name in
                ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR")}

    def _run(self, *command: str, timeout: float = PATIENCE) -> str:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout,
                              check=False, env={**os.environ, **self._environment()})
        said = f"{' '.join(command)}: {done.stdout}{done.stderr}"
        assert done.returncode == 0, said
        # A port that could not be set up is a warning of ovs-vsctl.
        assert "Error" not in done.stderr, said
        return done.stdout

    def _start_database(self) -> Process:
        self._run("ovsdb-tool", "create", str(self.folder / "conf.db"), str(SCHEMA))
        database = self._start("ovsdb-server", f"--remote=punix:{self.folder}/db.sock",
                               f"--unixctl={self.folder}/db.ctl", str(self.folder / "conf.db"))
        self._wait_socket("db.sock", database)
        self.vsctl("init", wait=False)
        return database

    def _start_vswitchd(self) -> Process:
        # Without --legacy-mem it adds --in-memory, which does not go with --no-huge.
        extra = " ".join(["-d", str(plugin()), "--no-pci", "--no-telemetry", "--legacy-mem",
                          "--no-shconf", "--no-huge", "-m", str(MEMORY_MB)])
        # A polling thread on one CPU; it rests while there is nothing to do, as the hosts need
        # that CPU as well.
        self.vsctl("set", "Open_vSwitch", ".", "other_config:dpdk-init=true",
                   f'other_config:dpdk-extra="{extra}"', f"other_config:pmd-cpu-mask={self.mask()}",
                   "other_config:pmd-maxsleep=100", "other_config:per-port-memory=true", wait=False)
        vswitchd = self._start("ip", "netns", "exec", self.netns, str(VSWITCHD),
                               f"unix:{self.folder}/db.sock",
                               f"--unixctl={self.folder}/vswitchd.ctl", "-vconsole:info")
        self._wait_socket("vswitchd.ctl", vswitchd)
        # It may end because of dpdk-extra, and nobody would tell who waits for it.
        deadline = time.monotonic() + PATIENCE
        while self.get("Open_vSwitch", ".", "dpdk_initialized") != "true":
            assert vswitchd.running and time.monotonic() < deadline, vswitchd.describe()
            time.sleep(0.05)
        assert_driver_loaded(vswitchd, OURS)
        return vswitchd

    @staticmethod
    def mask() -> str:
        return hex(1 << cpu(1))

    def _wait_socket(self, name: str, process: Process) -> None:
        deadline = time.monotonic() + PATIENCE
        while not (self.folder / name).exists():
            assert process.running and time.monotonic() < deadline, process.describe()
            time.sleep(0.02)

    # -- what one says to it ----------------------------------------------------------------------

    def vsctl(self, *words: str, wait: bool = True) -> str:
        """Returns when the switch has done it."""
        return self._run("ovs-vsctl", f"--db=unix:{self.folder}/db.sock", f"--timeout={PATIENCE}",
                         *([] if wait else ["--no-wait"]), *words)

    def appctl(self, *words: str) -> str:
        return self._run("ovs-appctl", "-t", str(self.folder / "vswitchd.ctl"), *words)

    def ofctl(self, command: str, *words: str) -> str:
        return self._run("ovs-ofctl", command, BRIDGE, *words)

    def get(self, table: str, record: str, column: str) -> str:
        return self.vsctl("get", table, record, column).strip()

    # -- ports ------------------------------------------------------------------------------------

    def add_memif(self, name: str, memif: Memif, **columns: Any) -> None:
        """As the README says it. Columns: n_rxq (an option), mtu_request."""
        mtu = columns.pop("mtu_request", None)
        options = [f'options:dpdk-devargs="{memif.vdev()}"',
                   *(f"options:{key}={value}" for key, value in columns.items())]
        if mtu is not None:
            options.append(f"mtu_request={mtu}")
        self.add(name, "type=dpdk", *options)

    def add(self, name: str, *columns: str) -> None:
        self.vsctl("add-port", BRIDGE, name, "--", "set", "Interface", name, *columns)
        assert self.get("Interface", name, "error") == "[]"

    def set(self, name: str, *columns: str) -> None:
        self.vsctl("set", "Interface", name, *columns)
        assert self.get("Interface", name, "error") == "[]"

    def remove(self, name: str) -> None:
        self.vsctl("del-port", BRIDGE, name)

    def ports(self) -> List[str]:
        return self.vsctl("list-ports", BRIDGE).split()

    def wait_link(self, name: str, up: bool = True) -> None:
        """The link state is in the database a moment after it has changed."""
        wanted = "up" if up else "down"
        deadline = time.monotonic() + PATIENCE
        while self.get("Interface", name, "link_state") != wanted:
            assert time.monotonic() < deadline, f"{name} is not {wanted}"
            time.sleep(0.05)

    def counters(self, name: str) -> Dict[str, int]:
        """What the switch counts of a port, now: "rx pkts", "tx drop" and so on."""
        text = self.ofctl("dump-ports", name)
        found: Dict[str, int] = {}
        for way, counts in re.findall(r"(rx|tx) (pkts=.*)", text):
            found.update({f"{way} {word}": int(value)
                          for word, value in re.findall(r"(\w+)=(\d+)", counts)})
        return found

    def statistics(self, name: str) -> Dict[str, int]:
        """All counters of a port, as of some seconds ago."""
        text = self.get("Interface", name, "statistics")
        return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", text)}

    def dropped(self) -> Dict[str, int]:
        """Packets that the switch itself has dropped, by its reason; told a moment later."""
        text = self.appctl("coverage/show")
        return {reason: int(total) for reason, total in
                re.findall(r"^datapath_drop_(\w+) .* total: (\d+)$", text, re.M)}

    def wait_flow(self, flow: str, packets: int) -> None:
        """Waits until a flow has matched so many; they are counted a moment later."""
        deadline = time.monotonic() + PATIENCE
        while True:
            text = self.ofctl("dump-flows", flow)
            counts = re.findall(r"n_packets=(\d+)", text)
            assert len(counts) == 1 and int(counts[0]) <= packets, text
            if int(counts[0]) == packets:
                return
            assert time.monotonic() < deadline, text
            time.sleep(0.1)

    def flows(self, *flows: str) -> None:
        """These and no others."""
        self.ofctl("del-flows")
        for flow in flows or ("actions=NORMAL",):
            self.ofctl("add-flow", flow)

    # -- its end ----------------------------------------------------------------------------------

    def stop(self) -> None:
        """A clean end."""
        self.appctl("exit", "--cleanup")
        assert self.vswitchd.wait() == 0, self.vswitchd.describe()
        self._database.signal(signal.SIGTERM)
        self._database.wait()

    def close(self) -> None:
        """Whatever is left of it."""
        for process in self._processes:
            process.close()
        netns.delete(self.netns)


def missing() -> str:
    """Why there can be no switch here; empty when there can."""
    for program in PROGRAMS:
        if subprocess.run(["which", program], capture_output=True, check=False).returncode != 0:
            return f"{program} is not installed (package openvswitch-switch-dpdk)"
    for path in (VSWITCHD, SCHEMA):
        if not path.exists():
            return f"there is no {path} (package openvswitch-switch-dpdk)"
    return ""
