# SPDX-License-Identifier: BSD-3-Clause
"""mif-intr: an end that sleeps until packets come, and one that polls and sends single packets."""

import json
import os
import time
from pathlib import Path
from typing import Any, Dict

from memif import OURS, Memif, build_dir, driver_args
from process import PATIENCE, Process, ProgramError, cpu, eal_args

PROGRAM = "test/ethdev/mif-intr"
TICKS = os.sysconf("SC_CLK_TCK")


class Intr(Process):
    """A running mif-intr; role is "sleep" or "send"."""

    def __init__(self, role: str, memif: Memif, driver: str = OURS, plain: bool = False,
                 **options: int) -> None:
        # The sleeper has the CPU to itself most of the time; the sender polls on the other one.
        command = [str(build_dir() / PROGRAM), *eal_args(f"0@{cpu(0 if role == 'sleep' else 1)}"),
                   *driver_args(driver), f"--vdev={memif.vdev()}", "--", f"--{role}",
                   *(["--plain"] if plain else [])]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        super().__init__(command)
        self.role = role
        self._reported = 0

    def wait_asleep(self) -> "Intr":
        self.wait_for("mif-intr: asleep\n")
        return self

    def wait_stderr(self, text: str) -> None:
        """Until the driver has logged it."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.stderr:
            assert time.monotonic() < deadline, self.describe()
            time.sleep(0.02)

    def _next_report(self, timeout: float) -> Dict[str, Any]:
        begin = self.wait_for("{", timeout, self._reported) - 1
        self._reported = self.wait_for("}\n", timeout, begin)
        return json.loads(self.stdout[begin:self._reported])

    def report(self) -> Dict[str, Any]:
        """The sleeper, so far. It wakes up for it."""
        self.send_line("report")
        return self._next_report(10)

    def finish(self) -> Dict[str, Any]:
        """The sleeper, at its end."""
        self._child.stdin.close()
        status = self.wait()
        report = self._next_report(1)
        assert status == (0 if report["alarms"] == 0 else 1), self.describe()
        return report

    def result(self, timeout: float) -> Dict[str, Any]:
        """What the sender found. The stock driver may crash at its end, after that."""
        try:
            return self._next_report(timeout)
        except ProgramError:
            raise ProgramError(f"no result:\n{self.describe()}") from None

    def ctrl_turns(self) -> int:
        """How often the driver's control thread has gone to sleep."""
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            if (task / "comm").read_text(encoding="ascii").strip() != "memif-ctrl":
                continue
            for line in (task / "status").read_text(encoding="ascii").splitlines():
                if line.startswith("voluntary_ctxt_switches:"):
                    return int(line.split()[1])
        raise AssertionError("no control thread")

    def cpu_share(self, seconds: float) -> float:
        """Part of a CPU that it uses, all its threads together, over some seconds."""
        def used() -> float:
            with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / TICKS

        before, begin = used(), time.monotonic()
        time.sleep(seconds)
        return (used() - before) / (time.monotonic() - begin)
