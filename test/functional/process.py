# SPDX-License-Identifier: BSD-3-Clause
"""DPDK programs as child processes: memory and core arguments, output, clean end."""

import contextlib
import itertools
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import IO, Dict, Iterator, List, Optional

import pytest

ROOT = Path(__file__).resolve().parents[2]

HUGEPAGES = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")
# A process takes some 100 MB; other programs on the machine may want pages at the same moment.
HUGEPAGES_NEEDED = 320

# Seconds that anything may take which normally takes none: the machine may be busy elsewhere.
PATIENCE = 60

_numbers = itertools.count()


class ProgramError(Exception):
    """A program ended, or did not say what it should have said in time."""


def unique(word: str) -> str:
    """A name that no other run uses: for file prefixes, sockets, namespaces."""
    return f"{word}{os.getpid()}-{next(_numbers)}"


def huge_pages_free() -> int:
    try:
        return int(HUGEPAGES.read_text())
    except OSError:
        return 0


def memory_args(no_huge_mb: int = 768) -> List[str]:
    """Huge pages without a mounted hugetlbfs when there are enough, ordinary pages otherwise."""
    if os.geteuid() == 0 and huge_pages_free() >= HUGEPAGES_NEEDED:
        return ["--in-memory"]
    return ["--no-huge", "-m", str(no_huge_mb)]


def preload() -> Dict[str, str]:
    """What $MIF_PRELOAD puts into the environment of every program: a sanitizer's runtime."""
    library = os.environ.get("MIF_PRELOAD")
    return {"LD_PRELOAD": library} if library else {}


@contextlib.contextmanager
def common_heap() -> Iterator[None]:
    """
    For programs that share their memory: under the sanitizers, without the heap that
    devtools/sanitized.sh preloads. That is a process's own, and the primary's queues are there for all.
    """
    libraries = [name for name in os.environ.get("MIF_PRELOAD", "").split(":")
                 if "libmif_heap" not in name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIF_PRELOAD", ":".join(libraries))
        yield


def cpu(number: int) -> int:
    """One of the CPUs we may use; two ends of a pair take 0 and 1."""
    cpus = sorted(os.sched_getaffinity(0))
    return cpus[number % len(cpus)]


def eal_args(lcores: str, memory: Optional[List[str]] = None, primary: str = "") -> List[str]:
    """With the prefix of a primary process, those of a secondary one."""
    return ["--lcores", lcores, "--no-pci", "--no-telemetry", "--file-prefix",
            primary or unique("mif"), *(["--proc-type=secondary"] if primary else []),
            *(memory_args() if memory is None else memory)]


class Process:
    """A child process whose output is collected while it runs."""

    def __init__(self, command: List[str], env: Optional[Dict[str, str]] = None) -> None:
        self.command = command
        self.stdout = ""
        self.stderr = ""
        self._changed = threading.Condition()
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, **preload(), **(env or {})})
        self._readers = [
            threading.Thread(target=self._collect, args=(self._child.stdout, "stdout")),
            threading.Thread(target=self._collect, args=(self._child.stderr, "stderr"))]
        for reader in self._readers:
            reader.start()

    def _collect(self, pipe: IO[bytes], name: str) -> None:
        while True:
            data = os.read(pipe.fileno(), 65536)
            with self._changed:
                setattr(self, name, getattr(self, name) + data.decode(errors="replace"))
                self._changed.notify_all()
            if not data:
                return

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    def describe(self) -> str:
        return (f"$ {' '.join(self.command)}\n[exit status {self._child.poll()}]\n"
                f"--- stdout\n{self.stdout[-6000:]}\n--- stderr\n{self.stderr[-6000:]}")

    def wait_for(self, text: str, timeout: float = PATIENCE, start: int = 0,
                 pipe: str = "stdout") -> int:
        """Waits until stdout, or stderr, has the text from `start` on; returns where it ends."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = getattr(self, pipe).find(text, start)
                if found >= 0:
                    return found + len(text)
                left = deadline - time.monotonic()
                if left <= 0 or not any(reader.is_alive() for reader in self._readers):
                    break
                self._changed.wait(min(left, 0.2))
        raise ProgramError(f"no '{text}' within {timeout} s:\n{self.describe()}")

    def send_line(self, line: str = "") -> None:
        try:
            self._child.stdin.write(f"{line}\n".encode())
            self._child.stdin.flush()
        except BrokenPipeError:
            raise ProgramError(f"gone before '{line}':\n{self.describe()}") from None

    def wait(self, timeout: float = PATIENCE) -> int:
        """Waits for the end; returns the exit status."""
        try:
            status = self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            raise ProgramError(f"did not end within {timeout} s:\n{self.describe()}") from None
        for reader in self._readers:
            reader.join()
        return status

    def maps(self) -> List[str]:
        """Files that the process has mapped."""
        lines = Path(f"/proc/{self.pid}/maps").read_text().splitlines()
        return sorted({line.split(maxsplit=5)[5] for line in lines if len(line.split()) > 5})

    def fds(self) -> List[str]:
        """What its file descriptors are."""
        found = []
        for fd in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                found.append(os.readlink(fd))
            except OSError:
                pass  # closed meanwhile
        return sorted(found)

    def signal(self, number: int) -> None:
        self._child.send_signal(number)

    def kill9(self) -> None:
        """The peer that dies: no clean-up of its own."""
        self._child.send_signal(signal.SIGKILL)
        self.wait()

    def close(self) -> None:
        """Ends the process if it still runs; shows its output, which pytest keeps for failures."""
        if self.running:
            self._child.kill()
            self._child.wait()
        for reader in self._readers:
            reader.join()
        for pipe in (self._child.stdin, self._child.stdout, self._child.stderr):
            try:
                pipe.close()
            except BrokenPipeError:
                pass  # what was still to be written has no reader any more
        print(self.describe())
