# SPDX-License-Identifier: BSD-3-Clause
"""mif-traffic, our sender and verifier of packets."""

import json
import os
from dataclasses import dataclass
from typing import Any, Dict, List, Optional

import ends
from memif import OURS, Memif, build_dir, driver_args, plugin
from process import PATIENCE, Process, ProgramError, cpu, eal_args

PROGRAM = "test/traffic/mif-traffic"


@dataclass(frozen=True)
class Result:
    """What one end counted; see test/traffic/report.c."""

    data: Dict[str, Any]
    status: int
    loses_mbufs: bool = False
    """a stock driver with zero-copy: it keeps those in its rings"""

    @property
    def errors(self) -> List[str]:
        return [error for error in self.data["errors"]
                if not (self.loses_mbufs and "mbufs in use" in error)]

    @property
    def leaked_mbufs(self) -> int:
        return 0 if self.loses_mbufs else self.data["leaked_mbufs"]

    @property
    def stats(self) -> Dict[str, Any]:
        return self.data["stats"]

    @property
    def sent(self) -> Dict[int, int]:
        """Packets taken by the driver, by tx queue."""
        return {queue["queue"]: queue["sent"] for queue in self.data["tx"]}

    @property
    def sent_bytes(self) -> int:
        return sum(queue["bytes"] for queue in self.data["tx"])

    @property
    def refused(self) -> int:
        return sum(queue["refused"] for queue in self.data["tx"])

    @property
    def arrived(self) -> Dict[int, int]:
        """Distinct good packets, by tx queue of their sender."""
        return {queue["queue"]: queue["received"] for queue in self.data["from"]}

    @property
    def rx_queues(self) -> Dict[int, Dict[int, int]]:
        """For each tx queue of the sender: on which rx queues its packets came in."""
        return {queue["queue"]: {int(q): n for q, n in queue["rx_queues"].items()}
                for queue in self.data["from"]}


class Traffic(Process):
    """A running mif-traffic. Options: traffic(mode="send", seg_kind="external") and so on."""

    def __init__(self, memif: Optional[Memif], driver: str = OURS, cpu_number: int = 0,
                 memory: Optional[List[str]] = None, more_vdevs: Optional[List[str]] = None,
                 primary: str = "", **options: Any) -> None:
        ours = driver == OURS
        vdevs = ([ends.vdev_of(memif.vdev(), ours)] if memif else []) + (more_vdevs or [])
        memory = ends.memory_of(vdevs, ours, memory)
        # The caches of a pool belong to lcores: a secondary process needs one of its own.
        lcores = f"64@{cpu(cpu_number)}" if primary else str(cpu(cpu_number))
        command = [str(build_dir() / PROGRAM), *eal_args(lcores, memory, primary),
                   *driver_args(driver), *(f"--vdev={vdev}" for vdev in vdevs), "--",
                   "--wait-stdin"]
        for name, value in options.items():
            name = "--" + name.replace("_", "-")
            if value is True:
                command.append(name)
            elif value is not None and value is not False:
                command += [name, str(value)]
        super().__init__(command)
        self.driver = driver
        self._loses_mbufs = not ours and any(map(ends.is_zero_copy, vdevs))

    def wait_started(self) -> None:
        self.wait_for("mif-traffic: started\n")

    def wait_link(self, timeout: float = PATIENCE) -> None:
        self.wait_for("mif-traffic: link up\n", timeout)

    def wait_done(self, timeout: float) -> bool:
        """Whether it had all it wanted; False when it gave up."""
        try:
            self.wait_for("mif-traffic: done\n", timeout)
        except ProgramError:
            if not self.running:
                raise
            return False
        return True

    def count(self) -> None:
        """Makes it take its final counters; both ends count before either stops."""
        if "mif-traffic: counted\n" not in self.stdout:
            self.send_line()
        self.wait_for("mif-traffic: counted\n")

    def finish(self) -> Result:
        """Stops the port and reads the result."""
        self.count()
        try:
            self.send_line()
        except ProgramError:
            pass  # it gave up by itself, and took the line of count() for this one
        status = self.wait()
        lines = self.stdout.splitlines()
        if status not in (0, 1) or not lines or not lines[-1].startswith("{"):
            raise ProgramError(f"no result:\n{self.describe()}")
        result = Result(json.loads(lines[-1]), status, self._loses_mbufs)
        assert (status == 0) == (not result.data["errors"])
        ours = os.path.realpath(result.data["driver_object"]) == os.path.realpath(plugin())
        assert ours == (self.driver == OURS), (
            f"{self.driver} wanted, {result.data['driver_object']} is in use")
        return result
