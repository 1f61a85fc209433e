#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A live view of all memif ports on this machine: state, peer, rates, drops and why.

It asks DPDK's telemetry sockets (so not programs started with --no-telemetry), finds the processes by
itself, and does not mind when they come and go. Ctrl-C or q ends it.
"""

import argparse
import glob
import json
import os
import re
import select
import shutil
import signal
import socket
import sys
import termios
import time
import tty
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Optional, Tuple

ANSWER_SECONDS = 2.0     # a process that is stopped must not stop the others' view for long
PATIENCE_SECONDS = 10.0  # before one that did not answer is asked again
AT_A_TIME = 32           # processes that are asked together

# Counters that have a cause, and what to call it.
DROPS = {
    "rx_too_long_packets": "rx too long for the mbufs",
    "rx_bad_descriptors": "rx bad descriptors",
    "rx_bad_indices": "rx bad indices",
    "rx_lost_with_peer_packets": "rx lost with peer",
    "tx_too_long_packets": "tx too long for the ring",
    "tx_empty_packets": "tx empty packets",
    "tx_bad_descriptors": "tx bad descriptors",
    "tx_bad_indices": "tx bad indices",
    "tx_lost_with_peer_packets": "tx lost with peer",
}
# Nothing is lost by these, but something is slow.
WAITS = {
    "rx_no_mbuf_bursts": "rx bursts without mbufs",
    "tx_ring_full_bursts": "tx bursts cut by a full ring",
}
RATES = ("rx_packets", "rx_bytes", "tx_packets", "tx_bytes")


class Gone(Exception):
    """The process has ended, or has no memif driver."""


class Silent(Exception):
    """The process is there and does not answer."""


def clean(text: Any) -> str:
    """What may be written to a terminal."""
    return "".join(char if char.isprintable() else "?" for char in str(text))


def connect_patiently(sock: socket.socket, path: str) -> None:
    """Telemetry has room for one who waits; others have to come again."""
    end = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            sock.connect(path)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise socket.timeout from None
            time.sleep(0.01)


class Process:
    """The telemetry socket of a DPDK process."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.prefix = os.path.basename(os.path.dirname(path))
        self.silent_until = 0.0
        self.gone = False
        self._socket: Optional[socket.socket] = None
        self.pid = 0

    def _connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.settimeout(ANSWER_SECONDS)
        try:
            connect_patiently(sock, self.path)
            greeting = json.loads(sock.recv(4096))
            self.pid = int(greeting["pid"])
        except socket.timeout:
            sock.close()
            raise Silent from None
        except (OSError, ValueError, KeyError):
            sock.close()
            raise Gone from None
        self._size = max(65536, int(greeting.get("max_output_len", 0)))
        return sock

    def ask(self, command: str) -> Any:
        """The answer of a command; None when there is none."""
        if self._socket is None:
            self._socket = self._connect()
        try:
            self._socket.send(command.encode())
            answer = self._socket.recv(self._size)
            if not answer:
                raise Gone
            return json.loads(answer).get(command.split(",")[0])
        except socket.timeout:
            self.close()
            raise Silent from None
        except (OSError, ValueError, AttributeError):
            self.close()
            raise Gone from None

    def close(self) -> None:
        # A late answer would be taken for that of the next command.
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def name(self) -> str:
        try:
            with open(f"/proc/{self.pid}/comm", encoding="utf-8", errors="replace") as file:
                return file.read().strip()
        except OSError:
            return "?"

    def ports(self) -> List[Dict[str, Any]]:
        """What /memif/port says of each of its ports."""
        found = []
        for number in self.ask("/memif/list") or {}:
            port = self.ask(f"/memif/port,{number}")
            if port:    # else it was closed in between
                found.append(port)
        return found


def runtime_folders() -> List[str]:
    """Where EAL puts the sockets of root and of users."""
    found = ["/var/run/dpdk", "/tmp/dpdk"]
    found += glob.glob("/run/user/*/dpdk")
    if os.environ.get("XDG_RUNTIME_DIR"):
        found.append(os.path.join(os.environ["XDG_RUNTIME_DIR"], "dpdk"))
    return found


def find_sockets(folders: List[str]) -> List[str]:
    # With --in-memory several processes share a prefix, and number their sockets.
    return sorted({os.path.realpath(path) for folder in folders
                   for path in glob.glob(os.path.join(folder, "*", "dpdk_telemetry.v2*"))})


@dataclass
class Sample:
    """One look at one port."""

    process: Process
    port: Dict[str, Any]
    time: float
    rates: Dict[str, Optional[float]] = field(default_factory=dict)

    @property
    def key(self) -> Tuple[str, int, str]:
        return self.process.path, self.process.pid, self.port["name"]

    def rate(self, before: Optional["Sample"], counter: str) -> Optional[float]:
        """Per second since then; None for a counter that is new, or was reset."""
        now = self.port.get(counter)
        if before is None or now is None or before.port.get(counter) is None:
            return None
        if now < before.port[counter] or self.time <= before.time:
            return None
        return (now - before.port[counter]) / (self.time - before.time)

    def compare(self, before: Optional["Sample"]) -> None:
        for counter in (*RATES, *DROPS, *WAITS):
            self.rates[counter] = self.rate(before, counter)

    def as_dict(self) -> Dict[str, Any]:
        return {"process": {"pid": self.process.pid, "name": self.process.name(),
                            "prefix": self.process.prefix, "socket": self.process.path},
                **self.port,
                "rates": {f"{name}_per_second": rate for name, rate in self.rates.items()}}


class Machine:
    """All DPDK processes with memif ports."""

    def __init__(self, folders: List[str]) -> None:
        self.folders = folders
        self.silent: List[Process] = []
        self._processes: Dict[str, Process] = {}
        self._askers = ThreadPoolExecutor(AT_A_TIME)
        self._before: Dict[Tuple[str, int, str], Sample] = {}

    def _look(self, process: Process) -> List[Sample]:
        if process.silent_until > time.monotonic():
            self.silent.append(process)
            return []
        try:
            return [Sample(process, port, time.monotonic()) for port in process.ports()]
        except Silent:
            process.silent_until = time.monotonic() + PATIENCE_SECONDS
            self.silent.append(process)
        except Gone:
            process.gone = True
        return []

    def look(self) -> List[Sample]:
        paths = find_sockets(self.folders)
        for path in set(self._processes) - set(paths):
            self._processes.pop(path).close()
        self.silent = []
        processes = [self._processes.setdefault(path, Process(path)) for path in paths]
        samples = [sample for some in self._askers.map(self._look, processes) for sample in some]
        for process in processes:
            if process.gone:
                del self._processes[process.path]
        for sample in samples:
            sample.compare(self._before.get(sample.key))
        self._before = {sample.key: sample for sample in samples}
        return samples


def scaled(value: Optional[float]) -> str:
    if value is None:
        return "-"
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.2f} {unit}"
    return f"{value:.0f}"


def gigabits(value: Optional[float]) -> str:
    return "-" if value is None else f"{value * 8 / 1e9:.2f}"


HEAD = ("PID", "PROCESS", "PORT", "ROLE", "ID", "STATE", "PEER", "RX pps", "RX Gbit/s", "TX pps",
        "TX Gbit/s")
TO_THE_RIGHT = {"PID", "ID", "RX pps", "RX Gbit/s", "TX pps", "TX Gbit/s"}


def row(sample: Sample) -> List[str]:
    port, rates = sample.port, sample.rates
    peer = port.get("peer") or "-"
    program = re.match(r"'(.*)' of '(.*)'$", peer)
    return [clean(cell) for cell in (
        sample.process.pid, sample.process.name(), f"{port['port']} {port['name']}", port["role"],
        port["id"], port["state"], f"{program[1]} ({program[2]})" if program else peer,
        scaled(rates["rx_packets"]), gigabits(rates["rx_bytes"]),
        scaled(rates["tx_packets"]), gigabits(rates["tx_bytes"]))]


def reasons(sample: Sample, names: Dict[str, str]) -> str:
    parts = []
    for counter, words in names.items():
        if sample.port.get(counter):
            rate = sample.rates[counter]
            parts.append(f"{words} {sample.port[counter]}" +
                         (f" (+{scaled(rate)}/s)" if rate else ""))
    return ", ".join(parts)


def remarks(sample: Sample) -> Iterator[str]:
    """Lines below a port for what is not as it should be."""
    port = sample.port
    for title, names in (("dropped", DROPS), ("slow", WAITS)):
        text = reasons(sample, names)
        if text:
            yield f"{title}: {text}"
    if port["state"] != "connected":
        for title, name in (("trouble", "trouble"), ("last disconnect", "last_disconnect")):
            if port.get(name):
                yield f"{title}: {port[name]}"
        yield f"socket: {port['socket']}"


def table(samples: List[Sample], silent: List[Process]) -> List[str]:
    rows = [list(HEAD)] + [row(sample) for sample in samples]
    widths = [max(len(line[column]) for line in rows) for column in range(len(HEAD))]
    lines = []
    for number, cells in enumerate(rows):
        lines.append("  ".join(cell.rjust(width) if title in TO_THE_RIGHT else cell.ljust(width)
                               for title, cell, width in zip(HEAD, cells, widths)).rstrip())
        if number > 0:
            lines += [f"    {clean(remark)}" for remark in remarks(samples[number - 1])]
    if not samples:
        lines.append("no memif port in any DPDK process with telemetry")
    lines += [f"process {process.pid or '?'} ({clean(process.prefix)}) does not answer"
              for process in silent]
    return lines


class Screen:
    """The terminal's second screen, without echo; gives the first one back at the end."""

    def __enter__(self) -> "Screen":
        self._mode = None
        if sys.stdin.isatty():
            self._mode = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        sys.stdout.write("\033[?1049h\033[?25l")
        return self

    def __exit__(self, *_: Any) -> None:
        sys.stdout.write("\033[?25h\033[?1049l")
        sys.stdout.flush()
        if self._mode is not None:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._mode)

    def show(self, lines: List[str]) -> None:
        columns, rows = shutil.get_terminal_size()
        if len(lines) > rows:
            lines = lines[:rows - 1] + [f"... {len(lines) - rows + 1} more lines"]
        # Line by line over what is there: clearing all of it first would flicker.
        sys.stdout.write("\033[H" + "\r\n".join(f"{line[:columns]}\033[K" for line in lines) +
                         "\033[J")
        sys.stdout.flush()

    def wait(self, seconds: float) -> bool:
        """Until it is time for the next picture; False when the user has had enough."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._mode is None:
                time.sleep(left)
            elif select.select([sys.stdin], [], [], left)[0] and \
                    os.read(sys.stdin.fileno(), 64).lower() in (b"q", b""):
                return False
        return True


def watch(machine: Machine, interval: float) -> None:
    with Screen() as screen:
        while True:
            begin = time.monotonic()
            samples = machine.look()
            title = f"memif ports on {socket.gethostname()}, {time.strftime('%H:%M:%S')}"
            screen.show([title, "", *table(samples, machine.silent)])
            if not screen.wait(max(0.05, interval - (time.monotonic() - begin))):
                return


def report(machine: Machine, interval: float, once: bool, as_json: bool) -> None:
    """For scripts: a table or a line of JSON after each interval."""
    machine.look()
    while True:
        time.sleep(interval)
        samples = machine.look()
        if as_json:
            print(json.dumps([sample.as_dict() for sample in samples]), flush=True)
        else:
            print("\n".join(table(samples, machine.silent)), flush=True)
        if once:
            return


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--interval", type=float, default=1.0, metavar="SECONDS",
                        help="between two pictures, and what the rates are measured over (1)")
    parser.add_argument("--once", action="store_true", help="one table, after one interval")
    parser.add_argument("--json", action="store_true",
                        help="a line of JSON instead of a table: a list of ports")
    parser.add_argument("--folder", action="append", metavar="PATH",
                        help="look for sockets in PATH/*/ only, as /var/run/dpdk; may be repeated")
    args = parser.parse_args()
    if not 0.05 <= args.interval <= 3600:
        parser.error("--interval wants 0.05 to 3600 seconds")
    return args


def main() -> None:
    args = parse_args()
    machine = Machine(args.folder or runtime_folders())
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if args.once or args.json or not sys.stdout.isatty():
            report(machine, args.interval, args.once, args.json)
        else:
            watch(machine, args.interval)
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # Whoever read this has enough; and nothing may be flushed at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
