#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Two dpdk-testpmd processes joined by net_memif, with live packet rates of both directions."""

from __future__ import annotations

import argparse
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

PROMPT = "testpmd> "
BOOT_SECONDS = 60
COMMAND_SECONDS = 10
LINK_SECONDS = 15
HUGE_PAGES_EACH = 256
MEMORY_MB = 256


class DemoError(Exception):
    """Something went wrong; the text says what, for the user."""


@dataclass
class Counters:
    """What a port has counted so far."""

    when: float
    rx_packets: int
    rx_bytes: int
    tx_packets: int

    @staticmethod
    def parse(text: str) -> Counters:
        def number(name: str) -> int:
            found = re.search(rf"{name}:\s*(\d+)", text)
            if not found:
                raise DemoError(f"no {name} in what testpmd says of its port:\n{text}")
            return int(found[1])

        return Counters(time.monotonic(), number("RX-packets"), number("RX-bytes"),
                        number("TX-packets"))


class Testpmd:
    """One dpdk-testpmd, driven through its own command line on a pseudo-terminal."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self.log = ""
        self._terminal, inner = pty.openpty()
        # A session of its own: Ctrl-C is for us, we then end the programs in good order.
        self._process = subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner,
                                         start_new_session=True)
        os.close(inner)

    @property
    def pid(self) -> int:
        return self._process.pid

    def _tail(self) -> str:
        return "\n".join(self.log.replace("\r", "").splitlines()[-20:])

    def read_until(self, text: str, seconds: float) -> str:
        """Returns what the program has printed up to and with the next @p text."""
        start = len(self.log)
        end = time.monotonic() + seconds
        while text not in self.log[start:]:
            left = end - time.monotonic()
            if left <= 0:
                raise DemoError(f"the {self.name} did not answer within {seconds:.0f} s; it said:\n"
                                f"{self._tail()}")
            if not select.select([self._terminal], [], [], left)[0]:
                continue
            try:
                data = os.read(self._terminal, 65536)
            except OSError:  # what a pseudo-terminal says at its end
                data = b""
            if not data:
                raise DemoError(f"the {self.name} ended by itself; it said:\n{self._tail()}")
            self.log += data.decode(errors="replace")
        return self.log[start:]

    def command(self, text: str) -> str:
        """Runs one testpmd command and returns what it prints."""
        os.write(self._terminal, f"{text}\n".encode())
        # The command comes back as an echo on the line of the prompt.
        return self.read_until("\n" + PROMPT, COMMAND_SECONDS)

    def link_is_up(self) -> bool:
        return re.search(r"^0 .*\bup\b", self.command("show port summary 0"), re.M) is not None

    def counters(self) -> Counters:
        return Counters.parse(self.command("show port stats 0"))

    def quit(self) -> int:
        """Ends the program as its user would; returns its exit status."""
        os.write(self._terminal, b"quit\n")
        try:
            self.read_until("Bye...", COMMAND_SECONDS)
        except DemoError:
            pass
        return self._process.wait(COMMAND_SECONDS)

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._terminal)

    def memif_drivers(self) -> list[str]:
        """Files with a memif driver, in the order in which EAL has loaded them."""
        order = re.findall(r"EAL: open shared lib (\S*net_memif\S*)", self.log)
        mapped = {line.split()[-1] for line in Path(f"/proc/{self.pid}/maps").read_text().split("\n")
                  if "net_memif" in line}
        files = []
        for path in map(os.path.realpath, order):
            if path in mapped and path not in files:
                files.append(path)
        return files


def lcores() -> tuple[int, int]:
    """The CPUs of server and client; the same one where there is but one."""
    cpus = sorted(os.sched_getaffinity(0))
    return cpus[0], cpus[1] if len(cpus) > 1 else cpus[0]


def memory_options() -> list[str]:
    try:
        free = int(Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages").read_text())
    except OSError:
        free = 0
    if os.geteuid() == 0 and free >= 2 * HUGE_PAGES_EACH:
        return ["--in-memory"]
    return ["--no-huge", "--no-shconf"]


def file_prefix(role: str) -> str:
    return f"mif-demo-{os.getpid()}-{role}"


def testpmd_command(options: argparse.Namespace, role: str, socket: Path, cpu: int) -> list[str]:
    """Main and worker lcore share a CPU: the main one only waits for commands."""
    command = [options.testpmd, "--lcores", f"0@{cpu},1@{cpu}", "--no-pci", "--no-telemetry",
               *memory_options(), "-m", str(MEMORY_MB), "--file-prefix", file_prefix(role),
               # Tells which plugins are opened, and in which order.
               "--log-level", "lib.eal:debug",
               # Lines about the link, the driver's or testpmd's, would fall into the prompt.
               "--log-level", "pmd.net.memif:warning"]
    if options.plugin:
        command += ["-d", options.plugin]
    command += [f"--vdev=net_memif0,role={role},id=0,socket={socket},socket-abstract=no",
                "--", "-i", "--disable-link-check", "--mask-event=intr_lsc",
                "--total-num-mbufs=16384", "--forward-mode=io", f"--burst={options.burst}",
                f"--txpkts={options.size}"]
    return command


def tell_plugin(server: Testpmd, client: Testpmd, plugin: str | None) -> None:
    """Says which driver serves net_memif. EAL takes the first one of a name that it loads."""
    for program in server, client:
        files = program.memif_drivers()
        if not files:
            raise DemoError(f"the {program.name} has loaded no memif driver")
        print(f"{program.name} (pid {program.pid}): driver {files[0]}")
        for other in files[1:]:
            print(f"    loaded later and not used: {other}")
        if plugin and files[0] != os.path.realpath(plugin):
            raise DemoError(f"that is not the plugin asked for, {plugin}")


def wait_for_link(programs: list[Testpmd], stop: Stop) -> None:
    end = time.monotonic() + LINK_SECONDS
    while not all([program.link_is_up() for program in programs]):
        if time.monotonic() > end:
            raise DemoError(f"the link did not come up within {LINK_SECONDS} s")
        if stop.sleep(0.2):
            return


def rate(old: Counters, new: Counters) -> str:
    seconds = new.when - old.when
    packets = (new.rx_packets - old.rx_packets) / seconds
    bits = (new.rx_bytes - old.rx_bytes) * 8 / seconds
    return f"{packets / 1e6:9.3f} Mpps {bits / 1e9:8.3f} Gbit/s"


class Stop:
    """Set by Ctrl-C or SIGTERM: the demonstration then ends early, but in good order."""

    def __init__(self) -> None:
        self.asked = False
        self._wake, self._write = os.pipe()
        for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
            signal.signal(number, self._handle)

    def _handle(self, _number: int, _frame: object) -> None:
        if not self.asked:
            self.asked = True
            os.write(self._write, b"x")

    def sleep(self, seconds: float) -> bool:
        """Returns True when it is time to end."""
        return bool(select.select([self._wake], [], [], max(seconds, 0))[0])


def show_rates(server: Testpmd, client: Testpmd, seconds: int, stop: Stop) -> bool:
    """Prints a line a second; returns whether packets moved both ways in every one of them."""
    always = True
    print(f"\n{'second':>6}   {'server -> client':^31}   {'client -> server':^31}")
    begin = time.monotonic()
    at_server, at_client = server.counters(), client.counters()
    for second in range(1, seconds + 1):
        if stop.sleep(begin + second - time.monotonic()):
            print("ending early, as asked")
            break
        new_server, new_client = server.counters(), client.counters()
        print(f"{second:6}   {rate(at_client, new_client)}   {rate(at_server, new_server)}",
              flush=True)
        always &= (new_server.rx_packets > at_server.rx_packets
                   and new_client.rx_packets > at_client.rx_packets)
        at_server, at_client = new_server, new_client
    return always


def sum_up(server: Testpmd, client: Testpmd) -> bool:
    """Stops both and prints the totals; returns whether any packets have moved both ways."""
    server.command("stop")
    client.command("stop")
    at_server, at_client = server.counters(), client.counters()
    print(f"\nserver -> client: {at_server.tx_packets:,} packets sent, "
          f"{at_client.rx_packets:,} received")
    print(f"client -> server: {at_client.tx_packets:,} packets sent, "
          f"{at_server.rx_packets:,} received")
    return min(at_server.rx_packets, at_client.rx_packets) > 0


def run_traffic(server: Testpmd, client: Testpmd, options: argparse.Namespace, stop: Stop) -> bool:
    client.command("start")
    server.command("start tx_first 16")
    always = show_rates(server, client, options.seconds, stop)
    good = sum_up(server, client) and always
    if not good:
        print("FAILED: packets did not move in both directions all the time")
    return good


def demonstrate(options: argparse.Namespace, folder: Path, stop: Stop) -> bool:
    socket = folder / "memif.sock"
    cpus = lcores()
    programs: list[Testpmd] = []
    try:
        for role, cpu in zip(("server", "client"), cpus):
            programs.append(Testpmd(role, testpmd_command(options, role, socket, cpu)))
            programs[-1].read_until(PROMPT, BOOT_SECONDS)
        server, client = programs
        tell_plugin(server, client, options.plugin)
        wait_for_link(programs, stop)
        print(f"link up; server on CPU {cpus[0]}, client on CPU {cpus[1]}, {options.size}-byte "
              f"packets, bursts of {options.burst}; each side sends back what it receives")
        good = stop.asked or run_traffic(server, client, options, stop)
        for program in client, server:
            status = program.quit()
            if status != 0:
                print(f"FAILED: the {program.name} ended with status {status}")
                good = False
        if socket.exists():
            print(f"note: the driver left its socket {socket} behind; removing it")
        return good
    finally:
        for program in programs:
            program.kill()


def remove_runtime_folders() -> None:
    """EAL leaves the folder of each --file-prefix behind."""
    base = "/run" if os.geteuid() == 0 else os.environ.get("XDG_RUNTIME_DIR", "/tmp")
    for role in "server", "client":
        shutil.rmtree(Path(base, "dpdk", file_prefix(role)), ignore_errors=True)


def parse_arguments() -> argparse.Namespace:
    def between(low: int, high: int):
        def number(text: str) -> int:
            value = int(text)
            if not low <= value <= high:
                raise argparse.ArgumentTypeError(f"{value} is not between {low} and {high}")
            return value
        return number

    parser = argparse.ArgumentParser(prog="devtools/demo.sh", description=__doc__)
    parser.add_argument("--seconds", type=between(1, 86400), default=10,
                        help="how long packets flow (10)")
    parser.add_argument("--size", type=between(64, 1500), default=64,
                        help="bytes of a packet (64)")
    parser.add_argument("--burst", type=between(1, 512), default=32,
                        help="packets of a burst (32)")
    parser.add_argument("--testpmd", default="dpdk-testpmd", help=argparse.SUPPRESS)
    parser.add_argument("--plugin", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    options = parse_arguments()
    stop = Stop()
    try:
        with tempfile.TemporaryDirectory(prefix="mif-demo-") as folder:
            return 0 if demonstrate(options, Path(folder), stop) else 1
    except (DemoError, OSError, subprocess.TimeoutExpired) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    finally:
        remove_runtime_folders()


if __name__ == "__main__":
    sys.exit(main())
