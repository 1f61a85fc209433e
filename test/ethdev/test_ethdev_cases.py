# SPDX-License-Identifier: BSD-3-Clause
"""mif-ethdev: queues, limits, MTU, addresses, reset, counters, long packets; both roles."""

import os
import re
import subprocess
from pathlib import Path
from typing import Callable, Dict, List, Set, Tuple

import pytest

from memif import OURS, STOCK, Memif, Socket, build_dir, driver_args
from pairs import End, check_pair
from process import PATIENCE, ROOT, cpu, eal_args, preload
from testpmd import Testpmd

PROGRAM = "test/ethdev/mif-ethdev"
SOURCES = sorted((Path(__file__).parent / "program").glob("case_*.c"))
INI = ROOT / "doc/guides/nics/features/memif.ini"

# Features that no call shows. For the addresses: they are accepted, but memif has no filter.
NOT_VISIBLE = {"Multiprocess aware", "Linux", "x86-64", "ARMv8", "Usage doc", "Design doc",
               "Perf doc"}
# They make a place in EAL's heap and wait for others to come to lie there, so they cannot be played with
# the heap of devtools/sanitized.sh.
OF_THE_HEAP = {"freed-while-exposed", "freed-of-stopped-port"}
# With the sanitizers a driver is too slow for a stream.
OF_SPEED = {"stream-distance"}
NO_FILTER = {"Unicast MAC filter", "Multicast MAC filter"}


def cases() -> List[str]:
    """Names in the tables of the sources, so that collecting needs no build."""
    return [name for source in SOURCES
            for name in re.findall(r'^\t\{ "([a-z0-9-]+)", \w+ \},$', source.read_text(), re.M)]


def unplayable() -> Dict[str, str]:
    """What the sanitizers do not allow, and why."""
    if "libmif_heap" not in os.environ.get("MIF_PRELOAD", ""):
        return {}
    return {**dict.fromkeys(OF_THE_HEAP, "needs EAL's own heap, and the sanitizers have another one"),
            **dict.fromkeys(OF_SPEED, "with the sanitizers no sender is fast enough for a stream")}


def playable() -> List[str]:
    return [case for case in cases() if case not in unplayable()]


def run(*words: str) -> subprocess.CompletedProcess:
    # The output is long: the driver tells of each connection.
    return subprocess.run([str(build_dir() / PROGRAM), *eal_args(f"0@{cpu(0)},1@{cpu(1)}"),
                           *driver_args(OURS), "--", *words],
                          capture_output=True, text=True, timeout=4 * PATIENCE, check=False,
                          env={**os.environ, **preload()})


_outcomes: Dict[str, subprocess.CompletedProcess] = {}
_asked: Set[Tuple[str, str]] = set()


def outcome(role: str, case: str) -> subprocess.CompletedProcess:
    """All cases in one process, once; but a case that is asked for again is tried again, by itself."""
    if (role, case) in _asked:
        return run(role, case)
    if role not in _outcomes:
        _outcomes[role] = run(role, *playable())
    _asked.add((role, case))
    return _outcomes[role]


def test_all_cases_are_here() -> None:
    assert run("list").stdout.split() and set(run("list").stdout.split()) == set(cases())


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("case", cases())
def test_case(case: str, role: str) -> None:
    if case in unplayable():
        pytest.skip(unplayable()[case])
    done = outcome(role, case)
    before: List[str] = []
    for line in done.stdout.splitlines():
        if line == f"ok {role} {case}":
            return
        before = [] if line.startswith(("ok ", "failed ")) and case not in line else before + [line]
        if line == f"failed {role} {case}":
            pytest.fail("\n".join(before))
    pytest.fail(f"no result of {case}: the program ended with {done.returncode}\n"
                f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


def test_features_file() -> None:
    """doc/guides/nics/features/memif.ini says what the driver reports, no more and no less."""
    reported = dict(line.split(" = ") for line in run("features").stdout.splitlines()
                    if " = " in line)
    assert len(reported) > 40
    written = {name.strip(): value.strip() for name, value in (
        line.split("=") for line in INI.read_text().splitlines()
        if "=" in line and not line.startswith(";"))}
    assert set(written.values()) <= {"Y", "P"}
    has = {name for name, value in reported.items() if value == "Y"}
    assert has - written.keys() == set(), "reported, but not in memif.ini"
    assert written.keys() & reported.keys() - has == set(), "in memif.ini, but not reported"
    assert written.keys() & NO_FILTER == set(), "addresses are accepted; nothing is filtered"
    assert written.keys() - reported.keys() - NOT_VISIBLE == set(), "unknown to mif-ethdev"
    for name, path in (("Usage doc", "doc/guides/nics/memif.rst"),
                       ("Design doc", "doc/architecture.md")):
        assert (name in written) == (ROOT / path).exists(), name


@pytest.mark.parametrize("sender_role", ["client", "server"])
@pytest.mark.parametrize("sender_driver", [OURS, STOCK])
def test_jumbo_with_stock(start_traffic: Callable[..., object], socket: Socket,
                          sender_driver: str, sender_role: str) -> None:
    """9014 bytes over buffers and mbufs of 2048: five of each; our end has an MTU of 9000."""
    # A ring that has room for all: stock repeats parts of a chain for which there is too little.
    memif = {"rsize": 14, "bsize": 2048}
    sender = End(sender_driver, "send", 3000, memif=memif,
                 options={"size": "60,1514,9014", "burst": 4})
    receiver = End(STOCK if sender_driver == OURS else OURS, "receive", memif=memif)
    # Stock refuses one.
    (sender if sender_driver == OURS else receiver).options["mtu"] = 9000
    ends = {"server": receiver, "client": sender}
    if sender_role == "server":
        ends = {"server": sender, "client": receiver}
    server, client = check_pair(start_traffic, socket, **ends)
    got = client if sender_role == "server" else server
    assert got.data["max_segs"] == 5


def test_menus_of_testpmd(start_testpmd: Callable[..., Testpmd], socket: Socket) -> None:
    testpmd = start_testpmd([Memif("server", socket, {"rsize": 7}).vdev(),
                             Memif("client", socket, {"rsize": 9}, "net_memif1").vdev()])
    testpmd.wait_link()
    testpmd.wait_link(port=1)
    for port in (0, 1):
        assert re.search(r"Number of RXDs: 512\b", testpmd.cmd(f"show rxq info {port} 0"))
        assert re.search(r"Number of TXDs: 512\b", testpmd.cmd(f"show txq info {port} 0"))
        assert "Used desc count = 0" in testpmd.cmd(f"show port {port} rxq 0 desc used count")
        assert "AVAILABLE" in testpmd.cmd(f"show port {port} rxq 0 desc 511 status")
        assert "DONE" in testpmd.cmd(f"show port {port} txq 0 desc 511 status")
        assert "tx_interrupts_sent: 0" in testpmd.cmd(f"show port xstats {port}")
        assert testpmd.info(port, "Maximum number of MAC addresses") == "64"
    testpmd.cmd("mac_addr add 0 02:00:00:00:00:05")
    assert "Number of MAC address added: 2" in testpmd.cmd("show port 0 macs")
    testpmd.cmd("port config mtu 0 2000")
    assert testpmd.info(0, "MTU") == "2000"
    testpmd.cmd("port config mtu 0 9000")
    assert testpmd.info(0, "MTU") == "2000"
    for _ in range(3):
        testpmd.cmd("port stop 0")
        testpmd.cmd("port reset 0")
        testpmd.cmd("port start 0")
        testpmd.wait_link()
    assert "Number of MAC address added: 1" in testpmd.cmd("show port 0 macs")
    testpmd.cmd("set fwd io")
    testpmd.cmd("start tx_first 2")
    testpmd.wait_packets("RX-packets", 1000)
    # From the command line's thread, while another one polls.
    for _ in range(20):
        testpmd.cmd("show port 0 rxq 0 desc used count")
        testpmd.cmd("show port 1 txq 0 desc 0 status")
    testpmd.stop()
    testpmd.quit()
