# SPDX-License-Identifier: BSD-3-Clause
"""A program that runs beside us: pinned, on a pseudo-terminal that is read all the time."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

END_SECONDS = 15
TAIL_LINES = 25


class BenchError(Exception):
    """A measurement did not work; the text says why."""


class Child:
    """Its output is kept; on a pipe it would be buffered until the pipe is full."""

    def __init__(self, name: str, command: list[str], cpu: int | None,
                 environment: dict[str, str]) -> None:
        self.name = name
        self.log = ""
        self._changed = threading.Condition()
        self._terminal, inner = pty.openpty()
        # All threads of the program stay on its CPU: EAL would put those that are no lcores on the
        # CPU of the other program. And it ends when we do, however that happens.
        prefix = ["setpriv", "--pdeathsig", "KILL"]
        if cpu is not None:
            prefix += ["taskset", "-c", str(cpu)]
        try:
            self._process = subprocess.Popen([*prefix, *command], stdin=inner, stdout=inner,
                                             stderr=inner, start_new_session=True,
                                             env={**os.environ, **environment})
        except OSError as error:
            os.close(self._terminal)
            raise BenchError(f"cannot start the {name}: {error}") from None
        finally:
            os.close(inner)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._terminal, 65536)
            except OSError:  # what a pseudo-terminal says at its end
                data = b""
            with self._changed:
                self.log += data.decode(errors="replace").replace("\r", "")
                self._changed.notify_all()
            if not data:
                return

    @property
    def pid(self) -> int:
        return self._process.pid

    def fail(self, what: str) -> BenchError:
        tail = "\n".join("    " + line for line in self.log.splitlines()[-TAIL_LINES:])
        return BenchError(f"the {self.name} {what}; it said:\n{tail}")

    def wait_for(self, text: str, seconds: float, start: int = 0) -> int:
        """Waits for output; returns where it ends in the log."""
        end = time.monotonic() + seconds
        with self._changed:
            while True:
                found = self.log.find(text, start)
                if found >= 0:
                    return found + len(text)
                left = end - time.monotonic()
                if left <= 0:
                    raise self.fail(f"did not say '{text.strip()}' within {seconds:.0f} s")
                if not self._reader.is_alive():
                    raise self.fail(f"ended before it said '{text.strip()}'")
                self._changed.wait(min(left, 0.2))

    def write(self, line: str) -> None:
        try:
            os.write(self._terminal, f"{line}\n".encode())
        except OSError:
            raise self.fail(f"was gone before '{line}'") from None

    def wait(self, seconds: float) -> int:
        """Waits for the end; returns the exit status."""
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise self.fail(f"did not end within {seconds:.0f} s") from None
        self._reader.join(END_SECONDS)
        return status

    def finish(self, seconds: float) -> None:
        """Waits for an end without a complaint."""
        status = self.wait(seconds)
        if status != 0:
            raise self.fail(f"ended with status {status}")

    def interrupt(self) -> None:
        """What Ctrl-C does."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def cpu_seconds(self) -> float:
        """Time that its threads have been on a CPU so far."""
        total = 0
        for task in Path(f"/proc/{self.pid}/task").glob("*/schedstat"):
            try:
                total += int(task.read_text().split()[0])
            except (OSError, IndexError):
                pass  # the thread has ended meanwhile
        return total / 1e9

    def maps(self) -> str:
        try:
            return Path(f"/proc/{self.pid}/maps").read_text()
        except OSError:
            raise self.fail("has ended early") from None

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._reader.join(END_SECONDS)
        os.close(self._terminal)


DISTURBED = 0.95  # of its CPU, a polling program has at least that when nothing disturbs it


def is_disturbed(shares: list[float]) -> bool:
    return min(shares) < DISTURBED


class Shares:
    """How much of its CPU each of some programs gets over a span: near 1 unless others run."""

    def __init__(self, children: list[Child]) -> None:
        self._children = children
        self._begin = self._look()

    def _look(self) -> tuple[float, list[float]]:
        return time.monotonic(), [child.cpu_seconds() for child in self._children]

    def take(self) -> list[float]:
        begin, old = self._begin
        end, new = self._look()
        return [round((b - a) / (end - begin), 3) for a, b in zip(old, new)]


def remove_runtime_folder(prefix: str) -> None:
    """EAL leaves the folder of a --file-prefix behind."""
    base = "/run" if os.geteuid() == 0 else os.environ.get("XDG_RUNTIME_DIR", "/tmp")
    shutil.rmtree(Path(base, "dpdk", prefix), ignore_errors=True)
