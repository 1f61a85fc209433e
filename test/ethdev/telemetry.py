# SPDX-License-Identifier: BSD-3-Clause
"""Programs with telemetry, and what they answer."""

import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, List, Sequence

from memif import driver_args, OURS
from process import PATIENCE, ROOT, Process, ProgramError, cpu, memory_args, unique
from testpmd import Testpmd, program

PYTHON = "/usr/bin/python3"
TOP = ROOT / "devtools/memif-top.py"
FOLDER = Path("/var/run/dpdk")


class Talker(Testpmd):
    """A testpmd with telemetry; without vdevs there are no ports until 'attach'."""

    def __init__(self, vdevs: Sequence[str] = (), driver: str = OURS, cpu_number: int = 0) -> None:
        self.prefix = unique("tel")
        lcores = f"0@{cpu(cpu_number + 1)},1@{cpu(cpu_number)}"
        command = ["stdbuf", "-oL", program(), "--lcores", lcores, "--no-pci", "--file-prefix",
                   self.prefix, *memory_args(), *driver_args(driver),
                   *(f"--vdev={vdev}" for vdev in vdevs), "--", "--interactive",
                   "--mask-event=intr_lsc", "--total-num-mbufs=4096"]
        Process.__init__(self, command)
        self.driver = driver
        self._seen = 0

    @property
    def path(self) -> Path:
        return FOLDER / self.prefix / "dpdk_telemetry.v2"

    def attach(self, vdev: str) -> None:
        text = self.cmd(f"port attach {vdev}")
        if "is attached" not in text:
            raise ProgramError(f"{vdev}: {text}")

    def ask(self, *commands: str) -> List[Any]:
        """The answers, without the command that is around each."""
        with Line(self.path) as line:
            return [line.ask(command) for command in commands]


class Line:
    """A connection with a telemetry socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(PATIENCE)
        end = time.monotonic() + PATIENCE
        while True:
            try:
                self._socket.connect(str(path))
                break
            except BlockingIOError:     # it has room for one who waits
                assert time.monotonic() < end
                time.sleep(0.01)
        self.greeting = json.loads(self._socket.recv(4096))

    def ask(self, command: str) -> Any:
        self._socket.send(command.encode())
        answer = json.loads(self._socket.recv(1 << 17))
        assert list(answer) == [command.split(",")[0]], answer
        return list(answer.values())[0]

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_: Any) -> None:
        self._socket.close()


def top(*options: str, timeout: float = PATIENCE) -> str:
    """What memif-top.py prints."""
    run = subprocess.run([PYTHON, str(TOP), *options], capture_output=True, text=True,
                         timeout=timeout, check=False)
    assert run.returncode == 0 and not run.stderr, run.stderr
    return run.stdout


def top_ports(pid: int, interval: float = 0.2) -> Dict[str, Dict[str, Any]]:
    """What memif-top.py says of the ports of a process, by name."""
    ports = json.loads(top("--once", "--json", "--interval", str(interval)))
    return {port["name"]: port for port in ports if port["process"]["pid"] == pid}


def wait_state(talker: Talker, port: int, state: str, timeout: float = PATIENCE) -> Dict[str, Any]:
    """Waits until a port is so; returns all that it says."""
    end = time.monotonic() + timeout
    while True:
        said = talker.ask(f"/memif/port,{port}")[0]
        if said["state"] == state:
            return said
        assert time.monotonic() < end, said
        time.sleep(0.02)
