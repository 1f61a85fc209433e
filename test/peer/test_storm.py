# SPDX-License-Identifier: BSD-3-Clause
"""Millions of random descriptors and jumping indices, against a testpmd that echoes on one core for
the hostile port and for an honest one: that one loses nothing, and the process does not grow.

MIF_STORM says how many descriptors of each role.
"""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Dict, Iterator

import pytest

import dut
import sent
from memifpeer import Client, Config, Listener, Server
from memifpeer.session import Session
from sanitized import is_sanitized

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(dut.testpmd_path() is None, reason="dpdk-testpmd is not installed"),
    pytest.mark.skipif(dut.own_plugin() is None, reason="our driver is not built (MIF_PLUGIN)"),
]

DESCRIPTORS = {"client": int(os.environ.get("MIF_STORM", "4000000")),
               # A client pauses before it comes back to a server that threw it out.
               "server": int(os.environ.get("MIF_STORM", "1000000"))}
WARM_UP = 200_000
LOG2 = 8
HONEST = 2
PATIENCE = 200.0        # seconds; a lost packet never comes, a process that was stopped goes on
PROBE = [number.to_bytes(2, "big") * (30 + number) for number in range(200)]
# What the C library keeps; 4,000,000 leaks of one byte are more. The sanitizers keep what is freed, to
# see whether it is used once more.
GROWTH_KB = 64 << 10 if is_sanitized() else 512


def program() -> Path:
    build = Path(os.environ.get("MIF_BUILD") or Path(__file__).resolve().parents[2] / "build")
    return build / "test" / "peer" / "mif-storm"


class Target:
    """Port 0 is a server, port 1 a client, port 2 a server with an honest peer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.exchanged = 0
        roles = ("server", "client", "server")
        vdevs = [f"net_memif{port},role={role},id={port},socket={self.address(port)},"
                 f"socket-abstract=no,rsize={LOG2}" for port, role in enumerate(roles)]
        self.dut = dut.Dut(vdevs, plugin=dut.own_plugin(), mbufs=8192,
                           extra=["--enable-scatter", "--max-pkt-len=9000"])
        self.dut.command("start")
        self.honest = Client(Config(id=HONEST, log2=LOG2))
        self.honest.handshake(self.address(HONEST))

    def address(self, port: int) -> str:
        return str(self.folder / f"{port}.sock")

    def close(self) -> None:
        self.honest.close()
        self.dut.kill()

    def check(self) -> None:
        """What the honest peer sends comes back, all of it."""
        assert self.dut.alive, f"testpmd ended:\n{self.dut.text[-3000:]}"
        sent.check_packets(self.honest.exchange(0, PROBE, timeout=PATIENCE), PROBE)
        self.exchanged += len(PROBE)

    def check_victim(self, port: int) -> None:
        with self.linked(port) as peer:
            sent.check_packets(peer.exchange(0, PROBE), PROBE)

    def linked(self, port: int) -> Session:
        """An honest peer at a port that was attacked."""
        config = Config(id=port, log2=LOG2, timeout=10.0)
        if port == 0:
            return Client(config).handshake(self.address(port))
        with Listener(self.address(port)) as listener:
            server = Server(config)
            server.accept(listener, timeout=10.0)
            return server.handshake()

    def resources(self) -> Dict[str, int]:
        status = Path(f"/proc/{self.dut.pid}/status").read_text(encoding="ascii")
        values = dict(line.split(":", 1) for line in status.splitlines())
        return {"kB": int(values["VmRSS"].split()[0]), "threads": int(values["Threads"]),
                "fds": self.dut.open_fds(), "mappings": self.dut.mappings_of("mif-load")}

    def settled(self) -> Dict[str, int]:
        """The least of each within a second: a client port tries to connect now and then."""
        seen = []
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            seen.append(self.resources())
            time.sleep(0.005)
        return {name: min(one[name] for one in seen) for name in seen[0]}


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    made = Target(tmp_path)
    try:
        yield made
    finally:
        made.close()


def storm(target: Target, role: str, port: int, count: int, seed: int) -> Dict[str, float]:
    """Plays it, while the honest peer goes on."""
    command = [str(program()), "--role", role, "--socket", target.address(port), "--id", str(port),
               "--count", str(count), "--seed", str(seed), "--rsize", str(LOG2)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            while process.poll() is None:
                target.check()
            assert process.returncode == 0
            assert process.stdout is not None, "opened as a pipe"
            return json.loads(process.stdout.read())
        finally:
            process.kill()


@pytest.mark.parametrize("role, port", [("client", 0), ("server", 1)])
def test_random_descriptors_and_jumps(target: Target, role: str, port: int) -> None:
    assert program().exists(), f"{program()} is missing: run devtools/test.sh, or set MIF_BUILD"
    storm(target, role, port, WARM_UP, seed=1)
    before = target.settled()
    target.exchanged = 0
    played = storm(target, role, port, DESCRIPTORS[role], seed=2)
    after = target.settled()
    print(json.dumps({"role": role, "honest": target.exchanged, **played,
                      "before": before, "after": after}))
    assert played["descriptors"] >= DESCRIPTORS[role]
    assert played["bad"] > 1000 and played["connections"] > 1
    target.check()
    target.check_victim(port)
    assert after["kB"] - before["kB"] < GROWTH_KB
    for name in ("threads", "fds", "mappings"):
        assert after[name] <= before[name], name
