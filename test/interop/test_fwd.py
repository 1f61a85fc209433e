# SPDX-License-Identifier: BSD-3-Clause
"""dpdk-memif-fwd with real programs: a host's UDP flows go to Go programs, the rest to the kernel."""

import hashlib
import json
import os
import signal
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Sequence

import pytest

from forwarder import KERNEL, NETWORK, Flows, Forwarder, Site, skip_if_missing
from gopeer import GoPeer
from memif import STOCK, Socket
from process import PATIENCE, Process, memory_args, unique
from testpmd import Testpmd

StartFwd = Callable[..., Forwarder]
StartGo = Callable[..., GoPeer]

# A claim of the forwarder, in seconds. With a quiet machine a hundredth of it is enough.
FAILOVER = 0.1

# Packets a second of each flow.
RATE = 200

VHOST = os.access("/dev/vhost-net", os.R_OK | os.W_OK)

# What net_virtio_user hands over in a vhost-user message has to fit in eight files.
SHARED = [] if "--no-huge" in memory_args() else ["--single-file-segments"]

# A network port whose driver can be told to take all groups.
TAP = "net1"

# Of a ring that is soon full.
RING_LOG2 = 3


@pytest.fixture(scope="module")
def network() -> Iterator[Site]:
    skip_if_missing()
    made = Site()
    yield made
    made.remove()


@pytest.fixture
def site(network: Site, processes: List[Process]) -> Site:
    """The two namespaces, and this test's processes in them."""
    network.processes = processes
    return network


@pytest.fixture
def start_fwd(site: Site, socket: Socket, processes: List[Process]) -> StartFwd:
    """Starts a forwarder; the options are its own. Its socket, if not given, is the test's."""
    def start(socket_path: str = socket.path, workers: int = 1, network: str = "",
              eal: Sequence[str] = (), **options: Any) -> Forwarder:
        process = Forwarder(site, socket_path, workers, network, eal, **options)
        processes.append(process)
        return process.wait_started()
    return start


@pytest.fixture
def two_servers(go_program: Path, socket: Socket, processes: List[Process],
                ) -> Callable[[int], GoPeer]:
    """Starts Go program 1 or 2, a server on a socket of its own, which marks what it echoes."""
    def start(number: int) -> GoPeer:
        process = GoPeer(go_program, Socket(f"{socket.path}{number}", False), mode="reflect",
                         mark=number)
        processes.append(process)
        return process.wait_started()
    return start


def both_sockets(socket: Socket) -> str:
    return f"{socket.path}1,{socket.path}2"


def numbers(echoes: List[List[Any]]) -> List[int]:
    return [number for _, number, _ in echoes]


def marks(echoes: List[List[Any]], since: float = 0, until: float = float("inf")) -> set:
    return {mark for at, _, mark in echoes if since <= at <= until}


def in_order_and_once(echoes: List[List[Any]]) -> bool:
    came = numbers(echoes)
    return came == sorted(set(came))


@pytest.mark.parametrize("driver", [
    "tap", pytest.param("virtio", marks=pytest.mark.skipif(
        not VHOST, reason="no /dev/vhost-net: the kernel has no vhost_net"))])
def test_kernel(start_fwd: StartFwd, site: Site, tmp_path: Path, driver: str) -> None:
    """Ping and HTTP with the kernel, through the exception path; afterwards all is as before."""
    before = site.links()
    fwd = start_fwd(kernel=driver)
    made = site.link()
    assert made["address"] == site.link("net0")["address"]
    assert made["mtu"] == site.link("net0")["mtu"]
    assert [(a["local"], a["prefixlen"]) for a in made["addr_info"]
            if a["family"] == "inet"] == [(KERNEL, 24)]
    assert {"UP", "BROADCAST", "MULTICAST"} <= set(made["flags"])
    text = site.inside(site.host, "ping", "-c", "100", "-i", "0.01", "-W", "5", "-s", "1000",
                       KERNEL)
    assert "100 received" in text and "DUP" not in text
    content = os.urandom(5_000_000)
    (tmp_path / "file").write_bytes(content)
    web = site.start(site.fwd, "/usr/bin/python3", "-u", "-m", "http.server", "--directory",
                     str(tmp_path), "--bind", KERNEL, "8000")
    web.wait_for("Serving HTTP")
    site.inside(site.host, "curl", "--silent", "--show-error", "--fail", "--output",
                str(tmp_path / "copy"), f"http://{KERNEL}:8000/file")
    assert hashlib.sha256((tmp_path / "copy").read_bytes()).digest() == (
        hashlib.sha256(content).digest())
    ports = fwd.telemetry("/fwd/ports")
    assert ports["kernel"]["tx_packets"] >= 100
    assert ports["memif_0"]["tx_packets"] == 0
    fwd.finish(signal.SIGTERM)
    assert site.link() is None
    assert site.links() == before


def test_kernel_driver_of_the_host(start_fwd: StartFwd) -> None:
    """--kernel auto takes virtio where the host has vhost-net, else tap."""
    fwd = start_fwd(kernel="auto")
    assert fwd.telemetry("/fwd/ports")["kernel"]["ethdev"] == (
        "net_virtio_user_fwd" if VHOST else "net_tap_fwd")
    fwd.finish(signal.SIGTERM)


def test_packets_through_virtio_user(start_fwd: StartFwd, site: Site, socket: Socket,
                                     start_testpmd: Callable[..., Testpmd]) -> None:
    """
    The driver of --kernel virtio with packets, on any host: not on vhost-net, but on the vhost-user
    socket of a testpmd that has the cable, and as the network's port.
    """
    vhost = f"{socket.path}-vhost"
    testpmd = start_testpmd([f"net_vhost0,iface={vhost}", f"net_af_packet0,iface={NETWORK}"],
                            driver=STOCK, netns=site.fwd)
    testpmd.forward("io")
    # The host may know the cable's address still, from another test.
    mac = site.link(NETWORK)["address"]
    fwd = start_fwd(network=f"net_virtio_user0,path={vhost},queues=1,mac={mac}", eal=SHARED)
    text = site.inside(site.host, "ping", "-c", "100", "-i", "0.01", "-W", "5", "-s", "1000", KERNEL)
    assert "100 received" in text and "DUP" not in text
    ports = fwd.telemetry("/fwd/ports")
    assert ports["network"]["ethdev"] == "net_virtio_user0"
    assert min(ports["network"]["rx_packets"], ports["network"]["tx_packets"]) >= 100
    fwd.finish(signal.SIGTERM)
    testpmd.stop()
    testpmd.quit()


def test_groups_of_the_network(start_fwd: StartFwd, site: Site) -> None:
    """For the kernel the network port takes all groups, and does not any more afterwards."""
    site.inside(site.fwd, "ip", "tuntap", "add", "dev", TAP, "mode", "tap", "multi_queue")
    try:
        fwd = start_fwd(network=f"net_tap0,iface={TAP}")
        assert "ALLMULTI" in site.link(TAP)["flags"]
        fwd.finish(signal.SIGTERM)
        assert "ALLMULTI" not in site.link(TAP)["flags"]
    finally:
        site.inside(site.fwd, "ip", "link", "del", TAP)


def test_iperf3(start_fwd: StartFwd, site: Site) -> None:
    """Both ways through the exception path."""
    fwd = start_fwd()
    for direction in ([], ["--reverse"]):
        server = site.start(site.fwd, "iperf3", "--server", "--one-off", "--forceflush")
        server.wait_for("Server listening")
        result = json.loads(site.inside(site.host, "iperf3", "--client", KERNEL, "--time", "2",
                                        "--json", *direction))
        assert result["end"]["sum_received"]["bytes"] > 5e6
        server.wait()
    fwd.finish(signal.SIGINT)


@pytest.mark.parametrize("workers", [1, 2])
def test_flows_to_two_programs(start_fwd: StartFwd, site: Site, socket: Socket,
                               two_servers: Callable[[int], GoPeer], workers: int) -> None:
    """While the host pings the kernel, its flows are echoed: all, once, in order."""
    programs = [two_servers(1), two_servers(2)]
    fwd = start_fwd(both_sockets(socket), workers, memifs=2)
    fwd.wait_up(2)
    flows = Flows(site, 24, RATE)
    text = site.inside(site.host, "ping", "-c", "100", "-i", "0.02", "-W", "5", KERNEL)
    assert "100 received" in text and "DUP" not in text
    flows.finish()
    assert flows.sent >= 100
    for echoes in flows.echoes:
        assert numbers(echoes) == list(range(flows.sent))
        assert len(marks(echoes)) == 1
    # Both have work.
    assert set.union(*(marks(echoes) for echoes in flows.echoes)) == {1, 2}
    # Network (a queue per core), two memif ports, kernel: shared out evenly.
    queues = [len(line.split("/")) - 1 for line in fwd.stdout.splitlines()
              if line.startswith("core ")]
    assert len(queues) == workers and sum(queues) == workers + 3
    assert max(queues) - min(queues) <= 1
    share = fwd.telemetry("/fwd/flows")
    assert share["memif_0"] + share["memif_1"] == share["buckets"]
    counted = [program.finish() for program in programs]
    assert sum(program["sent"] for program in counted) == 24 * flows.sent
    fwd.finish(signal.SIGTERM)


def longest_gap(flows: List[List[List[Any]]], since: float, until: float) -> float:
    """Between two echoes of a flow, from the last one before the time on; the longest of all flows."""
    gaps = []
    for echoes in flows:
        times = [at for at, _, _ in echoes if at <= until]
        gaps += [b - a for a, b in zip(times, times[1:]) if b > since]
    return max(gaps)


def fail_over(fwd: Forwarder, site: Site, start: Callable[[int], GoPeer],
              victim: GoPeer) -> Dict[str, Any]:
    """Program 1 is killed while flows go on, and comes back."""
    seen = len(fwd.stdout)
    flows = Flows(site, 24, RATE)
    time.sleep(1)
    killed = time.monotonic()
    victim.kill9()
    seen = fwd.wait_up(1, seen)
    moved = time.monotonic()
    time.sleep(1)
    again = time.monotonic()
    successor = start(1)
    fwd.wait_up(2, seen)
    back = time.monotonic()
    time.sleep(1)
    flows.finish()
    return {"flows": flows, "killed": killed, "moved": moved, "again": again, "back": back,
            "new": successor}


def check_fail_over(done: Dict[str, Any]) -> Dict[str, float]:
    """
    The flows of the killed program have moved and come back, the others have noticed nothing.
    Returns, in seconds, how much longer the former paused than the latter did meanwhile, which is
    what the machine takes from both; and the time for which packets of a flow were lost.
    """
    flows, killed = done["flows"], done["killed"]
    moved = [echoes for echoes in flows.echoes if 1 in marks(echoes, until=killed)]
    stayed = [echoes for echoes in flows.echoes if echoes not in moved]
    assert moved and stayed
    for echoes in stayed:
        assert numbers(echoes) == list(range(flows.sent))
        assert marks(echoes) == {2}
    for echoes in moved:
        assert in_order_and_once(echoes)
        assert marks(echoes, until=killed) == {1}
        assert marks(echoes, done["moved"] + 0.5, done["again"]) == {2}
        assert marks(echoes, done["back"] + 0.5) == {1}
    pause, noise = [longest_gap(some, killed, done["again"]) for some in (moved, stayed)]
    lost = max(flows.sent - len(echoes) for echoes in moved)
    return {"pause": pause, "noise": noise, "lost": lost / RATE}


@pytest.mark.alone
def test_one_program_is_killed(start_fwd: StartFwd, site: Site, socket: Socket,
                               two_servers: Callable[[int], GoPeer],
                               capsys: pytest.CaptureFixture) -> None:
    """
    Its flows go on at the other one within 100 ms (the median of three kills), no other flow
    notices, and they return when the program is back.
    """
    victim, _ = two_servers(1), two_servers(2)
    fwd = start_fwd(both_sockets(socket), memifs=2)
    fwd.wait_up(2)
    seen = []
    for _ in range(3):
        done = fail_over(fwd, site, two_servers, victim)
        victim = done["new"]
        seen.append(check_fail_over(done))
    with capsys.disabled():
        for name, what in (("pause", "flows of a killed program paused for"),
                           ("noise", "other flows meanwhile for"),
                           ("lost", "packets were lost for")):
            values = ", ".join(f"{1000 * value[name]:.1f}" for value in seen)
            print(f"\n{what} {values} ms", end="")
    assert statistics.median(value["pause"] - value["noise"] for value in seen) <= FAILOVER
    assert statistics.median(value["lost"] for value in seen) <= FAILOVER
    fwd.finish(signal.SIGTERM)


def test_what_waits_goes_with_its_flows(start_fwd: StartFwd, site: Site, socket: Socket,
                                        two_servers: Callable[[int], GoPeer]) -> None:
    """
    A program stops taking packets: what its ring does not hold waits, then is dropped and counted.
    When it dies, all that waits goes to the other one, in order.
    """
    stopped, _ = two_servers(1), two_servers(2)
    fwd = start_fwd(both_sockets(socket), memifs=2, rsize=RING_LOG2)
    fwd.wait_up(2)
    flows = Flows(site, 24, RATE)
    fwd.wait_count("memif_0", "tx_packets", 100)
    stopped.signal(signal.SIGSTOP)
    fwd.wait_count("memif_0", "dropped_full", 1)
    stopped.kill9()
    fwd.wait_up(1, fwd.stdout.index("2 of 2"))
    flows.finish()
    ports = fwd.telemetry("/fwd/ports")
    # The other one has a small ring as well, and cannot always take what waits as fast as that comes.
    dropped = sum(ports[f"memif_{port}"]["dropped_full"] for port in range(2))
    for echoes in flows.echoes:
        assert in_order_and_once(echoes)
    lost = 24 * flows.sent - sum(map(len, flows.echoes))
    assert dropped <= lost
    # In both of its rings, and in its hands.
    assert lost - dropped <= 2 * (1 << RING_LOG2) + 1
    fwd.finish(signal.SIGTERM)


def test_no_packet_waits_for_its_burst(start_fwd: StartFwd, start_go: StartGo) -> None:
    """Five packets for a burst of 32, while the network always has others: they go on in time."""
    start_go(mode="send", count=5)
    fwd = start_fwd(network="net_null0", kernel="none", flush=1000000)
    assert fwd.wait_count("network", "tx_packets", 5) == 5
    ports = fwd.telemetry("/fwd/ports")
    # Nothing that it could select: frames of zeros.
    assert ports["network"]["dropped_no_way"] > 0
    assert ports["memif_0"]["tx_packets"] == ports["network"]["dropped_no_peer"] == 0
    fwd.finish(signal.SIGTERM)


def test_without_a_peer(start_fwd: StartFwd, site: Site) -> None:
    """Selected packets have nowhere to go, which is counted; the kernel path goes on."""
    fwd = start_fwd()
    flows = Flows(site, 2, RATE)
    text = site.inside(site.host, "ping", "-c", "20", "-i", "0.02", "-W", "5", KERNEL)
    assert "20 received" in text
    flows.finish()
    assert flows.echoes == [[], []]
    ports = fwd.telemetry("/fwd/ports")
    assert ports["network"]["dropped_no_peer"] == 2 * flows.sent
    assert ports["memif_0"]["tx_packets"] == 0
    assert ports["memif_0"]["link"] == "down"
    fwd.finish(signal.SIGTERM)


def test_ports_that_are_not_selected(start_fwd: StartFwd, site: Site,
                                     start_go: StartGo) -> None:
    """With a list of ports the kernel gets the other ones: nobody listens there, it says so."""
    start_go(mode="reflect", mark=1)
    fwd = start_fwd(ports="1-4999,5001-65535")
    fwd.wait_up(1)
    flows = Flows(site, 1, RATE).finish()
    assert flows.echoes == [[]]
    ports = fwd.telemetry("/fwd/ports")
    assert ports["memif_0"]["tx_packets"] == 0
    assert ports["kernel"]["tx_packets"] >= flows.sent
    fwd.finish(signal.SIGTERM)


def test_clients_that_only_receive(start_fwd: StartFwd, site: Site, start_go: StartGo) -> None:
    """As zmemif's own guide has it: the forwarder is the server, Go programs are its clients."""
    fwd = start_fwd(role="server", memifs=2)
    programs = [start_go(role="client", id=number, mode="receive", check=False)
                for number in (0, 1)]
    fwd.wait_up(2)
    flows = Flows(site, 24, RATE)
    time.sleep(1)
    flows.finish()
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        ports = fwd.telemetry("/fwd/ports")
        if sum(ports[f"memif_{n}"]["tx_packets"] for n in (0, 1)) == 24 * flows.sent:
            break
        time.sleep(0.1)
    received = [program.finish()["received"] for program in programs]
    assert sum(received) == 24 * flows.sent
    assert received == [ports[f"memif_{n}"]["tx_packets"] for n in (0, 1)]
    assert min(received) > 0
    fwd.finish(signal.SIGTERM)


# A /dev of the program's own, in the mount namespace that `ip netns exec` makes.
OTHER_DEV = ("mount -t tmpfs none {0} && mkdir {0}/up {0}/work && "
             "mount -t overlay -o lowerdir=/dev,upperdir={0}/up,workdir={0}/work none /dev && "
             "ln -s null /dev/vhost-net && shift && exec \"$@\"")


@pytest.mark.skipif(VHOST, reason="there is /dev/vhost-net: test_kernel_driver_of_the_host")
def test_virtio_comes_before_tap(site: Site, socket: Socket, tmp_path: Path) -> None:
    """Where /dev/vhost-net can be opened, --kernel auto takes it; here it is none, so that fails."""
    command = Forwarder.command_line(site, socket.path, 1, unique("miffwd"))
    inside = command.index(site.fwd) + 1
    command[inside:inside] = ["sh", "-c", OTHER_DEV.format(tmp_path), "sh", "words"]
    before = site.links()
    done = subprocess.run([*command, "--kernel", "auto"], capture_output=True, text=True,
                          timeout=PATIENCE, check=False)
    assert done.returncode == 1
    assert "net_virtio_user_fwd: cannot be made" in done.stderr
    assert site.links() == before


@pytest.mark.parametrize("words, says", [
    (["--net", "net_none"], "EAL has made no port of this name"),
    (["--kernel-name", "lo"], "there is an interface of this name"),
    (["--memifs", "65"], "wants a number from 1 to 64"),
    (["--ports", "99999"], "wants all, or ports"),
    (["--memif-args", "nonsense=1"], "cannot be made"),
    pytest.param(["--kernel", "virtio"], "load the module vhost_net, or take --kernel tap",
                 marks=pytest.mark.skipif(VHOST, reason="there is /dev/vhost-net")),
], ids=["net", "kernel-name", "memifs", "ports", "memif-args", "virtio"])
def test_refused(site: Site, socket: Socket, words: List[str], says: str) -> None:
    """A bad option ends it with a word about it, and leaves no interface behind."""
    before = site.links()
    command = [*Forwarder.command_line(site, socket.path, 1, unique("miffwd")), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1
    assert says in done.stderr
    assert site.links() == before
