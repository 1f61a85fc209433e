# SPDX-License-Identifier: BSD-3-Clause
"""The device under test: a dpdk-testpmd with memif ports, which echoes what it receives.

It forwards in mode io with port topology loop: what comes in on a queue of a port leaves on the
same queue of that port, unchanged.
"""

import itertools
import os
import pty
import re
import shutil
import signal
import subprocess
import threading
import time
import tty
from pathlib import Path
from typing import Dict, List, Optional, Sequence

import ends

STOCK_FOLDER = "/usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0"
PROMPT = b"testpmd> "
_numbers = itertools.count()


class DutError(Exception):
    """The program ended, or did not answer; the message holds the end of what it printed."""


def testpmd_path() -> Optional[str]:
    """$MIF_TESTPMD, or what is installed."""
    return os.environ.get("MIF_TESTPMD") or shutil.which("dpdk-testpmd")


def own_plugin() -> Optional[Path]:
    """Our driver: $MIF_PLUGIN, or what the build in this checkout ($MIF_BUILD) made; None without
    a file."""
    build = os.environ.get("MIF_BUILD") or Path(__file__).resolve().parents[2] / "build"
    path = Path(os.environ.get("MIF_PLUGIN") or
                Path(build) / "drivers/net/memif/librte_net_memif.so.23")
    return path.resolve() if path.is_file() else None


class Dut:
    """One testpmd. Killed when the context is left, whatever state it is in."""

    def __init__(self, vdevs: Sequence[str], plugin: Optional[Path] = None, queues: int = 1,
                 mbufs: int = 8192, extra: Sequence[str] = (), timeout: float = 20.0) -> None:
        self.output = b""
        self.log = b""
        self.prefix = f"memifpeer{os.getpid()}n{next(_numbers)}"
        # killed with this process, should that die before its teardown
        command = ["setpriv", "--pdeathsig", "KILL", testpmd_path() or "dpdk-testpmd",
                   "--lcores", "0@(0-1),1@(0-1)", "--no-shconf", "--no-huge", "-m", "256",
                   "--no-pci", "--no-telemetry", "--file-prefix", self.prefix]
        command += ["-d", str(plugin)] if plugin is not None else []
        command += [f"--vdev={ends.vdev_of(vdev, plugin is not None)}" for vdev in vdevs]
        command += ["--", "-i", "--port-topology=loop", "--forward-mode=io",
                    "--disable-link-check", "--mask-event=intr_lsc", f"--rxq={queues}",
                    f"--txq={queues}", f"--total-num-mbufs={mbufs}", *extra]
        self.terminal, theirs = pty.openpty()
        tty.setraw(theirs)
        preload = os.environ.get("MIF_PRELOAD")     # a sanitizer's runtime, for it alone
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, start_new_session=True,
            env={**os.environ, **({"LD_PRELOAD": preload} if preload else {})})
        os.close(theirs)
        self._readers = [threading.Thread(target=self._read_output, daemon=True),
                         threading.Thread(target=self._read_log, daemon=True)]
        for reader in self._readers:
            reader.start()
        try:
            self._until_prompt(timeout)
        except DutError:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def text(self) -> str:
        """All it has printed and logged so far."""
        return (self.output + b"\n-- log --\n" + self.log).decode(errors="replace")

    def loaded(self) -> List[str]:
        """The memif plugins that the process has mapped."""
        maps = Path(f"/proc/{self.pid}/maps").read_text(encoding="utf-8")
        return sorted({line.split()[-1] for line in maps.splitlines()
                       if "librte_net_memif" in line})

    def mappings_of_peers(self) -> int:
        """Mappings of memfds that this peer made."""
        return self.mappings_of("memifpeer")

    def mappings_of(self, name: str) -> int:
        """Mappings of memfds of that name."""
        maps = Path(f"/proc/{self.pid}/maps").read_text(encoding="utf-8")
        return sum(f"memfd:{name}" in line for line in maps.splitlines())

    def open_fds(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    # All that it prints is read at once: a thread of it that logs into a full pipe stands still.
    def _read_output(self) -> None:
        try:
            while data := os.read(self.terminal, 65536):
                self.output += data
        except OSError:         # the program has ended, and with it the terminal
            pass

    def _read_log(self) -> None:
        assert self.process.stderr is not None, "opened as a pipe"
        while data := os.read(self.process.stderr.fileno(), 65536):
            self.log += data

    def _until_prompt(self, timeout: float, start: int = 0) -> str:
        deadline = time.monotonic() + timeout
        while PROMPT not in self.output[start:]:
            if not self.alive:
                self._join_readers()
                raise DutError(f"testpmd ended with {self.process.returncode}:\n{self._tail()}")
            if time.monotonic() > deadline:
                raise DutError(f"testpmd gave no prompt within {timeout} s:\n{self._tail()}")
            time.sleep(0.001)
        answer, _ = self.output[start:].split(PROMPT, 1)
        return answer.decode(errors="replace")

    def _join_readers(self) -> None:
        for reader in self._readers:
            reader.join(1.0)

    def _tail(self) -> str:
        return (self.output[-2000:] + b"\n-- log --\n" + self.log[-2000:]).decode(errors="replace")

    def command(self, line: str, timeout: float = 10.0) -> str:
        """Gives a command and waits for the next prompt; what it printed."""
        start = len(self.output)
        os.write(self.terminal, line.encode() + b"\n")
        return self._until_prompt(timeout, start)

    def stats(self, port: int = 0) -> Dict[str, int]:
        """The counters of 'show port stats', by their names there."""
        answer = self.command(f"show port stats {port}")
        return {name: int(value) for name, value in
                re.findall(r"([RT]X-[a-z]+):\s*(\d+)", answer)}

    def link_up(self, port: int = 0) -> bool:
        return "Link status: up" in self.command(f"show port info {port}")

    def quit(self, timeout: float = 10.0) -> int:
        """Ends it in good order; its exit status."""
        os.write(self.terminal, b"quit\n")
        deadline = time.monotonic() + timeout
        while self.alive:
            if time.monotonic() > deadline:
                raise DutError(f"testpmd did not quit within {timeout} s:\n{self._tail()}")
            time.sleep(0.005)
        return self.process.returncode

    def kill(self) -> None:
        if self.alive:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._join_readers()
        if self.terminal >= 0:
            os.close(self.terminal)
            self.terminal = -1
            assert self.process.stderr is not None, "opened as a pipe"
            self.process.stderr.close()
        shutil.rmtree(f"/var/run/dpdk/{self.prefix}", ignore_errors=True)

    def __enter__(self) -> "Dut":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
