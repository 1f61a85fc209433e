# SPDX-License-Identifier: BSD-3-Clause
"""devtools/memif-top.py: a table that is right, of processes that come, go and hang."""

import json
import os
import pty
import re
import select
import signal
import socket as sockets
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from memif import Memif, Socket
from process import PATIENCE
from telemetry import PYTHON, TOP, Talker, top, top_ports, wait_state

StartTalker = Callable[..., Talker]


def forwarding_pair(start_talker: StartTalker, socket: Socket) -> Talker:
    talker = start_talker([Memif("server", socket).vdev(),
                           Memif("client", socket, {}, "net_memif1").vdev()])
    wait_state(talker, 0, "connected")
    talker.cmd("set fwd io")
    talker.cmd("start tx_first 8")
    return talker


def test_rates(start_talker: StartTalker, socket: Socket) -> None:
    """Rates are counters over time: as many packets as testpmd counts."""
    talker = forwarding_pair(start_talker, socket)
    begin, before = time.monotonic(), talker.stats(0)["RX-packets"]
    ports = top_ports(talker.pid, 1)
    after, end = talker.stats(0)["RX-packets"], time.monotonic()
    assert set(ports) == {"net_memif0", "net_memif1"}
    rates = ports["net_memif0"]["rates"]
    assert rates["rx_packets_per_second"] > 10000
    # It looked for one second of the time that it took; the pace may change.
    mean = (after - before) / (end - begin)
    assert mean / 4 < rates["rx_packets_per_second"] < mean * 4
    assert abs(rates["rx_bytes_per_second"] / rates["rx_packets_per_second"] - 64) < 0.01
    for port in ports.values():
        assert port["state"] == "connected" and port["process"]["prefix"] == talker.prefix


def lines_of(text: str, talker: Talker) -> List[str]:
    """Of the process in a table, with the remarks."""
    lines = text.splitlines()
    first = [number for number, line in enumerate(lines)
             if re.match(rf" *{talker.pid} ", line)]
    found = []
    for number in first:
        found.append(lines[number])
        for line in lines[number + 1:]:
            if not line.startswith("    ") or re.match(r" *\d+ ", line):
                break
            found.append(line)
    return found


def test_table(start_talker: StartTalker, socket: Socket) -> None:
    talker = forwarding_pair(start_talker, socket)
    text = top("--once", "--interval", "0.3")
    head = text.splitlines()[0].split()
    assert head[:5] == ["PID", "PROCESS", "PORT", "ROLE", "ID"]
    lines = lines_of(text, talker)
    assert "net_memif0" in lines[0] and "server" in lines[0] and "connected" in lines[0]
    assert "net_memif1 (DPDK" in lines[0]
    assert any("net_memif1" in line and "client" in line for line in lines)


def test_remarks(start_talker: StartTalker, socket: Socket) -> None:
    """What is dropped, what is slow, and why there is no connection."""
    talker = start_talker([Memif("server", socket, {"rsize": 5}).vdev(),
                           Memif("client", socket, {"rsize": 5}, "net_memif1").vdev()])
    wait_state(talker, 0, "connected")
    talker.cmd("set portlist 0")
    talker.cmd("set fwd txonly")
    talker.cmd("start")
    time.sleep(0.1)
    assert "slow: tx bursts cut by a full ring" in "\n".join(
        lines_of(top("--once", "--interval", "0.1"), talker))
    talker.stop()
    talker.cmd("port stop 1")
    wait_state(talker, 0, "waiting")
    text = "\n".join(lines_of(top("--once", "--interval", "0.1"), talker))
    assert "dropped: tx lost with peer 32" in text
    assert "last disconnect: the peer says: interface stopped" in text
    assert f"socket: @{socket.path}" in text and "stopped" in text


class Terminal:
    """memif-top.py in a terminal of 40 lines and 100 columns. It is gone at the end of the block."""

    def __init__(self, *options: str) -> None:
        self.status: Optional[int] = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            # A shell has its background jobs ignore it, and what they start inherits that.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.execve(PYTHON, [PYTHON, str(TOP), "--interval", "0.1", *options],
                      {"TERM": "dumb", "COLUMNS": "100", "LINES": "40"})
        self.shown = b""

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: Any) -> None:
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    def wait_for(self, text: str, timeout: float = 20) -> None:
        end = time.monotonic() + timeout
        start = len(self.shown)
        while text.encode() not in self.shown[start:]:
            assert time.monotonic() < end, self.shown[-3000:]
            if select.select([self.fd], [], [], 0.1)[0]:
                self.shown += os.read(self.fd, 65536)

    def end(self, key: bytes) -> int:
        """Presses a key; returns the exit status."""
        os.write(self.fd, key)
        end = time.monotonic() + PATIENCE
        while self.status is None:
            assert time.monotonic() < end, f"does not end: {self.shown[-3000:]!r}"
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.shown += os.read(self.fd, 65536)
                except OSError:  # what a pseudo-terminal says at its end
                    self.status = os.waitpid(self.pid, 0)[1]
        return os.waitstatus_to_exitcode(self.status)


def check_terminal(terminal: Terminal, key: bytes) -> None:
    assert terminal.end(key) == 0
    # Only moves that any terminal has; screen and cursor are given back.
    assert terminal.shown.startswith(b"\033[?1049h\033[?25l")
    assert terminal.shown.rstrip(b"^C").endswith(b"\033[?25h\033[?1049l")
    moves = set(re.findall(rb"\033\[[?0-9;]*[A-Za-z]", terminal.shown))
    assert moves == {b"\033[?1049h", b"\033[?25l", b"\033[H", b"\033[K", b"\033[J", b"\033[?25h",
                     b"\033[?1049l"}
    for line in re.sub(rb"\033\[[?0-9;]*[A-Za-z]", b"", terminal.shown).split(b"\r\n"):
        assert len(line.decode()) <= 200    # two pictures' lines meet where one begins


def test_live(start_talker: StartTalker, socket: Socket) -> None:
    """Started before there is a process, it shows ports as they come, connect, and go."""
    with Terminal() as terminal:
        terminal.wait_for("memif ports on")
        one = start_talker([Memif("server", socket).vdev()])
        terminal.wait_for(f"{one.pid}  dpdk-testpmd")
        other = start_talker([Memif("client", socket).vdev()], cpu_number=1)
        terminal.wait_for(f"{other.pid}  dpdk-testpmd")
        wait_state(one, 0, "connected")
        other.kill9()
        terminal.wait_for("the peer closed the connection")
        one.attach(Memif("client", Socket(socket.path + "x", True), {}, "net_memif9").vdev())
        terminal.wait_for("net_memif9")
        one.quit()
        check_terminal(terminal, b"q")


def test_interrupted(scratch: Path) -> None:
    with Terminal("--folder", str(scratch)) as terminal:
        terminal.wait_for("memif ports on")
        check_terminal(terminal, b"\x03")


def test_hanging_process(start_talker: StartTalker, socket: Socket) -> None:
    """One that is stopped is said to be silent; the others are shown all the same."""
    hanging = start_talker([Memif("server", socket).vdev()])
    running = start_talker([Memif("client", socket).vdev()], cpu_number=1)
    hanging.signal(signal.SIGSTOP)
    try:
        begin = time.monotonic()
        text = top("--once", "--interval", "0.1")
        assert time.monotonic() - begin < 12
        assert lines_of(text, running)
        assert re.search(rf"process .* \({hanging.prefix}\) does not answer", text)
    finally:
        hanging.signal(signal.SIGCONT)
    assert "net_memif0" in top_ports(hanging.pid)


def answer_badly(path: Path, replies: List[bytes]) -> subprocess.Popen:
    """A process of whatever kind behind a socket of that name."""
    program = ("import socket, sys\n"
               "sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
               "sock.bind(sys.argv[1]); sock.listen(9)\n"
               "print('listening', flush=True)\n"
               "while True:\n"
               "    peer = sock.accept()[0]\n"
               "    for reply in sys.argv[2:]:\n"
               "        try: peer.send(reply.encode()); peer.recv(99)\n"
               "        except OSError: break\n"
               "    peer.close()\n")
    child = subprocess.Popen([PYTHON, "-c", program, str(path), *replies], stdout=subprocess.PIPE)
    assert child.stdout and child.stdout.readline() == b"listening\n"
    return child


def test_strange_sockets(scratch: Path) -> None:
    """Sockets left behind, other programs, old DPDK, wild answers: no trouble, no escape codes."""
    replies: Dict[str, List[str]] = {
        "garbage": ["not JSON"], "closes": [], "other": ["{}"],
        "old": ['{"version": "x", "pid": 1, "max_output_len": 99}', '{"/memif/list": null}'],
        "list": ['{"pid": 1}', "[1]"],
    }
    children = []
    try:
        for name, said in replies.items():
            (scratch / name).mkdir()
            children.append(answer_badly(scratch / name / "dpdk_telemetry.v2", said))
        (scratch / "left").mkdir()
        with sockets.socket(sockets.AF_UNIX, sockets.SOCK_SEQPACKET) as left:
            left.bind(str(scratch / "left/dpdk_telemetry.v2"))
        assert json.loads(top("--once", "--json", "--interval", "0.1", "--folder",
                              str(scratch))) == []
        text = top("--once", "--interval", "0.1", "--folder", str(scratch))
        assert "no memif port in any DPDK process" in text
    finally:
        for child in children:
            child.kill()
            child.wait()
            child.stdout.close()


def test_escape_codes(scratch: Path) -> None:
    """Names of peers do not reach the terminal as they are."""
    port: Dict[str, Any] = {
        "port": 0, "name": "net_memif0", "role": "server", "id": 0, "state": "connected",
        "socket": "@x", "peer": "'evil\033[2J' of '\033]0;title\007'", "rx_packets": 1}
    (scratch / "evil").mkdir()
    child = answer_badly(scratch / "evil/dpdk_telemetry.v2", [
        '{"pid": 1}', '{"/memif/list": {"0": {}}}', json.dumps({"/memif/port": port})] + [
        '{"/memif/list": {"0": {}}}', json.dumps({"/memif/port": port})] * 3)
    try:
        text = top("--once", "--interval", "0.1", "--folder", str(scratch))
        assert "evil?[2J" in text and "\033" not in text and "\007" not in text
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
