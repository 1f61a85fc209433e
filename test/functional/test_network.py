# SPDX-License-Identifier: BSD-3-Clause
"""
Real traffic: two network namespaces, each with a kernel interface (net_tap) that a testpmd joins
to memif. What one kernel sends, the other one gets through the ring.
"""

import hashlib
import json
import os
import re
import time
from pathlib import Path
from typing import Callable, Iterator, List, Tuple

import pytest

import netns
from memif import Memif
from process import PATIENCE, Process, unique
from test_pairs import drivers
from testpmd import Testpmd, memif_port

ADDRESSES = ("10.99.0.1", "10.99.0.2")


class Network:
    """The two namespaces."""

    def __init__(self, names: List[str], processes: List[Process]) -> None:
        self.names = names
        self._processes = processes

    def inside(self, number: int, *command: str, timeout: float = 60) -> str:
        return netns.inside(self.names[number], *command, timeout=timeout)

    def start(self, number: int, *command: str) -> Process:
        process = Process(["ip", "netns", "exec", self.names[number], *command])
        self._processes.append(process)
        return process


@pytest.fixture
def namespaces() -> Iterator[List[str]]:
    reason = netns.missing(("ping", "iperf3", "curl"))
    if reason:
        pytest.skip(reason)
    names = [netns.add(unique("mifa")), netns.add(unique("mifb"))]
    yield names
    for name in names:
        netns.delete(name)


@pytest.fixture
def network(namespaces: List[str], processes: List[Process],
            start_testpmd: Callable[..., Testpmd], file_socket: object,
            ) -> Callable[..., Tuple[Network, List[Testpmd]]]:
    """Starts the two testpmds, each in its namespace, and gives the interfaces addresses."""
    def start(server_driver: str, client_driver: str,
              **devargs: str) -> Tuple[Network, List[Testpmd]]:
        net = Network(namespaces, processes)
        testpmds = []
        for number, (role, driver) in enumerate([("server", server_driver),
                                                 ("client", client_driver)]):
            memif = Memif(role, file_socket, devargs)
            testpmds.append(start_testpmd(
                [memif.vdev(), "net_tap0,iface=tap0"], driver=driver, cpu_number=number,
                netns=namespaces[number]))
        for number, testpmd in enumerate(testpmds):
            testpmd.wait_link(port=memif_port(testpmd))
            testpmd.cmd("set fwd io")
            testpmd.cmd("start")
            # The machine's two CPUs also run both kernels' stacks: let packets wait, not go lost.
            net.inside(number, "ip", "link", "set", "tap0", "txqueuelen", "10000", "up")
            net.inside(number, "ip", "addr", "add", f"{ADDRESSES[number]}/24", "dev", "tap0")
        return net, testpmds
    return start


def assert_nothing_lost_in_memif(testpmds: List[Testpmd]) -> int:
    """Both ends counted the same, and no errors. Returns what testpmd dropped: full rings."""
    dropped = 0
    for testpmd in testpmds:
        total = re.findall(r"TX-dropped: (\d+)", testpmd.stop())
        dropped += int(total[-1])
    stats = [testpmd.stats(memif_port(testpmd)) for testpmd in testpmds]
    for one, other in (stats, stats[::-1]):
        # The last packets may still be in the ring: a stopped testpmd does not take them.
        assert 0 <= one["TX-packets"] - other["RX-packets"] <= 1024
        assert other["RX-errors"] == other["RX-missed"] == one["TX-errors"] == 0
    return dropped


def dropped_by_kernels(net: Network) -> int:
    """What a busy machine costs: full socket buffers and interface queues."""
    dropped = 0
    for number in (0, 1):
        dropped += netns.snmp(net.names[number], "Udp")["RcvbufErrors"]
        link, = json.loads(net.inside(number, "ip", "-s", "-j", "link", "show", "tap0"))
        dropped += link["stats64"]["tx"]["dropped"] + link["stats64"]["rx"]["dropped"]
    return dropped


@drivers
def test_ping(network: Callable[..., Tuple[Network, List[Testpmd]]], server_driver: str,
              client_driver: str) -> None:
    """Without loss, small and with fragments, both ways."""
    net, testpmds = network(server_driver, client_driver)
    for number in (0, 1):
        for size in ("56", "1472", "6000"):
            text = net.inside(number, "ping", "-q", "-c", "50", "-i", "0.005", "-s", size,
                              ADDRESSES[1 - number])
            assert "50 packets transmitted" in text
        # ping itself waits for late answers only briefly, which on a busy machine is too short.
        deadline = time.monotonic() + PATIENCE
        while netns.snmp(net.names[number], "Icmp")["InEchoReps"] < 150 and time.monotonic() < deadline:
            time.sleep(0.1)
        counted = netns.snmp(net.names[number], "Icmp")
        assert counted["OutEchos"] == counted["InEchoReps"] == 150
    assert_nothing_lost_in_memif(testpmds)


@drivers
@pytest.mark.parametrize("direction", [[], ["--reverse"]], ids=["forward", "reverse"])
def test_iperf3_tcp(network: Callable[..., Tuple[Network, List[Testpmd]]], direction: List[str],
                    server_driver: str, client_driver: str) -> None:
    net, testpmds = network(server_driver, client_driver)
    net.start(0, "iperf3", "--server", "--one-off", "--forceflush").wait_for("Server listening")
    result = json.loads(net.inside(1, "iperf3", "--client", ADDRESSES[0], "--time", "2", "--json",
                                   *direction))
    received = result["end"]["sum_received"]["bytes"]
    # Bytes that the sender still has in flight when the time is up are not received.
    assert received > 10e6
    assert received > 0.8 * result["end"]["sum_sent"]["bytes"]
    assert_nothing_lost_in_memif(testpmds)


@drivers
@pytest.mark.parametrize("direction", [[], ["--reverse"]], ids=["forward", "reverse"])
def test_iperf3_udp(network: Callable[..., Tuple[Network, List[Testpmd]]], direction: List[str],
                    server_driver: str, client_driver: str) -> None:
    """No packet is lost but what somebody else counts as dropped: nothing at all, as a rule."""
    net, testpmds = network(server_driver, client_driver)
    net.start(0, "iperf3", "--server", "--one-off", "--forceflush").wait_for("Server listening")
    result = json.loads(net.inside(
        1, "iperf3", "--client", ADDRESSES[0], "--time", "2", "--udp", "--bitrate", "20M",
        "--json", *direction))
    total = result["end"]["sum"]
    assert total["packets"] > 2000
    dropped = dropped_by_kernels(net) + assert_nothing_lost_in_memif(testpmds)
    assert total["lost_packets"] <= dropped


@drivers
def test_http_download(network: Callable[..., Tuple[Network, List[Testpmd]]], scratch: Path,
                       server_driver: str, client_driver: str) -> None:
    """20 MB each way, with the right checksum."""
    net, testpmds = network(server_driver, client_driver)
    content = os.urandom(20_000_000)
    wanted = hashlib.sha256(content).hexdigest()
    (scratch / "file").write_bytes(content)
    for number in (0, 1):
        web = net.start(number, "/usr/bin/python3", "-u", "-m", "http.server", "--directory",
                        str(scratch), "--bind", ADDRESSES[number], "8000")
        web.wait_for("Serving HTTP")
        net.inside(1 - number, "curl", "--silent", "--show-error", "--fail", "--output",
                   str(scratch / "copy"), f"http://{ADDRESSES[number]}:8000/file")
        assert hashlib.sha256((scratch / "copy").read_bytes()).hexdigest() == wanted
        web.signal(15)
        web.wait()
    assert_nothing_lost_in_memif(testpmds)
