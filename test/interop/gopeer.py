# SPDX-License-Identifier: BSD-3-Clause
"""memif-go, the peer on govpp's gomemif, or on a checkout of zmemif (test/interop/go)."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict, List

import pytest

from memif import Socket, build_dir
from process import PATIENCE, Process, ProgramError, cpu

SOURCE = Path(__file__).resolve().parent / "go"

# Seconds for a build whose cache is empty and whose modules have to be fetched.
BUILD_PATIENCE = 500


def lacking(reason: str) -> None:
    """A machine may be without Go; the one of continuous integration may not."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and CI=true")
    pytest.skip(reason)


def on_zmemif(go: str, checkout: Path, folder: Path) -> List[str]:
    """Arguments of a build on zmemif instead: its module is not served to this project's machines, so
    it takes the place of one that is, in a go.mod beside the project."""
    for name in ("go.mod", "go.sum"):
        shutil.copy(SOURCE / name, folder / name)
    module = "github.com/zartbot/zmemif"
    subprocess.run([go, "mod", "edit", f"-require={module}@v0.0.0",
                    f"-replace={module}={checkout.resolve()}", str(folder / "go.mod")], check=True)
    return ["-mod=mod", f"-modfile={folder / 'go.mod'}", "-tags=zmemif"]


def build_go() -> Path:
    """Builds memif-go as a user would, and returns its path."""
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    if go is None:
        lacking("go is not installed: devtools/setup.sh")
    program = build_dir() / "test/interop/memif-go"
    program.parent.mkdir(parents=True, exist_ok=True)
    fetched = subprocess.run([go, "mod", "download"], cwd=SOURCE, capture_output=True, text=True,
                             timeout=BUILD_PATIENCE, check=False)
    if fetched.returncode != 0:
        lacking(f"go cannot fetch the modules: {fetched.stderr.strip()}")
    zmemif = os.environ.get("MIF_ZMEMIF")
    options = on_zmemif(go, Path(zmemif), program.parent) if zmemif else []
    built = subprocess.run([go, "build", *options, "-o", str(program), "."], cwd=SOURCE,
                           capture_output=True, text=True, timeout=BUILD_PATIENCE, check=False)
    assert built.returncode == 0, built.stderr
    return program


class GoPeer(Process):
    """A running memif-go: GoPeer(program, socket, role="client", mode="send", check=False)."""

    def __init__(self, program: Path, socket: Socket, cpu_number: int = 1, **options: Any) -> None:
        command = ["taskset", "--cpu-list", str(cpu(cpu_number)), str(program),
                   f"-socket={socket.path}"]
        for name, value in options.items():
            command.append(f"-{name}={str(value).lower() if value in (True, False) else value}")
        super().__init__(command)

    def wait_started(self) -> "GoPeer":
        self.wait_for("memif-go: started\n")
        return self

    def wait_connected(self, times: int = 1, port: int = 0, timeout: float = PATIENCE) -> None:
        """Waits for so many connections of the port since the start."""
        end = 0
        for _ in range(times):
            end = self.wait_for(f"memif-go: connected {port}\n", timeout, end)

    def wait_disconnected(self, times: int = 1, port: int = 0, timeout: float = PATIENCE) -> None:
        end = 0
        for _ in range(times):
            end = self.wait_for(f"memif-go: disconnected {port}\n", timeout, end)

    def wait_complete(self, queues: int = 1, timeout: float = PATIENCE) -> None:
        """Waits until so many queues have received what they expect."""
        end = 0
        for _ in range(queues):
            end = self.wait_for("memif-go: complete\n", timeout, end)

    def finish(self) -> Dict[str, Any]:
        """Ends it by a line on stdin: a DISCONNECT to each peer. Returns what it counted."""
        self.send_line()
        status = self.wait()
        lines: List[str] = self.stdout.splitlines()
        if status != 0 or not lines or not lines[-1].startswith("{"):
            raise ProgramError(f"no result:\n{self.describe()}")
        return json.loads(lines[-1])


def assert_all_good(result: Dict[str, Any], received: int) -> None:
    """Everything came, once, in order, with the right bytes."""
    assert not result["problems"]
    assert result["received"] == received
    assert result["bad"] == result["lost"] == result["repeated"] == result["rx_errors"] == 0
