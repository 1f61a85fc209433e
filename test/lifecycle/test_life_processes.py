# SPDX-License-Identifier: BSD-3-Clause
"""Ports in secondary processes: they come late, leave, are killed inside bursts, and poll while the
primary's peer dies, or the primary itself; nobody is held up, and nothing is left behind."""

import errno
import os
import subprocess
from typing import Callable, Dict, Iterator, List

import pytest

from hugefs import shared_memory
from memif import Memif, Socket, driver_args, other
from memifpeer import Client, Config
from process import PATIENCE, preload, unique
from programs import (CommandError, Lifecycle, Load, check_resources, resources,
                      settled_resources, wait_until)
from traffic import Traffic
from zerocopy import SHARING, ZERO_COPY, copied

pytestmark = pytest.mark.own_ends("copies and not, each, as processes share more without copying")

KILLS = int(os.environ.get("MIF_SECONDARY_KILLS", "20"))
PEER_KILLS = int(os.environ.get("MIF_SECONDARY_PEER_KILLS", "50"))
PACKETS = 50000    # each way, of which a secondary checks each
ROLES = ["server", "client"]    # of the driver
HOW = pytest.mark.parametrize("how", [{}, SHARING], ids=["copy", "zero-copy"])

StartLifecycle = Callable[..., Lifecycle]
StartLoad = Callable[..., Load]
StartTraffic = Callable[..., Traffic]
How = Dict[str, str]


@pytest.fixture(scope="module")
def memory() -> Iterator[List[str]]:
    with shared_memory() as arguments:
        yield arguments


class Family:
    """A primary process that owns a port but does not poll it, and its secondaries."""

    def __init__(self, start: StartLifecycle, memory: List[str], role: str, queues: int = 1,
                 **options: object) -> None:
        self._start = start
        self.memory = memory
        self.socket = Socket("/" + unique("fam"), True)
        self.primary = start(memory=memory)
        self.primary.up(Memif(role, self.socket, {"rsize": 8, **options}).vdev(), queues)
        self.primary.cmd("poll 0 off")

    def secondary(self, poll: str = "1") -> Lifecycle:
        process = self._start(memory=self.memory, primary=self.primary)
        if poll:
            process.cmd(f"poll 0 {poll}")
        return process

    def address(self) -> str:
        return "@" + self.socket.path


@pytest.fixture
def family(start_lifecycle: StartLifecycle, memory: List[str]) -> Callable[..., Family]:
    return lambda *args, **kwargs: Family(start_lifecycle, memory, *args, **kwargs)


def has_mapped(process: Lifecycle) -> bool:
    return "mapped a connection" in process.dump()


@HOW
@pytest.mark.parametrize("role", ROLES)
def test_secondary_moves_packets(family: Callable[..., Family], start_load: StartLoad,
                                 role: str, how: How) -> None:
    """Whether it comes before the connection or after it; both processes count the same."""
    group = family(role, **how)
    early = group.secondary()
    load = start_load(other(role), group.address())
    group.primary.wait_link()
    early.wait_traffic()
    early.quit()
    late = group.secondary()
    late.wait_traffic()
    late.cmd("poll 0 off")
    assert late.received() == group.primary.received() > 0
    assert late.sent() == group.primary.sent() > 0
    assert late.xstats() == group.primary.xstats()
    assert late.link_up() and load.running
    assert not copied(late.xstats())
    late.quit()
    group.primary.cmd("poll 0 1")
    group.primary.wait_traffic()


@HOW
@pytest.mark.parametrize("role", ROLES)
def test_secondary_checks_each_packet(family: Callable[..., Family], start_traffic: StartTraffic,
                                      role: str, how: How) -> None:
    """Both ways at once: in order, once, byte for byte."""
    group = family(role, **how)
    options = {"mode": "both", "count": PACKETS, "expect": PACKETS, "size": "60-1518",
               "timeout": PATIENCE, "wait_link": PATIENCE, "idle_end": 10000}
    peer = start_traffic(Memif(other(role), group.socket, how), seed=1, cpu_number=1, **options)
    secondary = start_traffic(None, primary=group.primary.prefix, memory=group.memory[2:4], seed=2,
                              **options)
    for end in (peer, secondary):
        assert end.wait_done(2 * PATIENCE), end.describe()
        end.count()
    for result in (secondary.finish(), peer.finish()):
        assert not result.errors and result.leaked_mbufs == 0, result
        assert result.arrived == result.sent == {0: PACKETS}
    assert group.primary.received() == group.primary.sent() == PACKETS


def test_secondary_receives_behind_what_is_lent(family: Callable[..., Family]) -> None:
    """The primary keeps packets that it has not copied: slots behind them stay, until it frees them."""
    group = family("server", **ZERO_COPY)
    group.primary.cmd("mode hold")
    secondary = group.secondary(poll="")
    secondary.cmd("mode sink")
    with Client(Config(log2=8)) as client:
        client.handshake(group.address())
        ring = client.tx[0].ring

        def send(packets: int) -> None:
            total = group.primary.received() + packets
            for _ in range(packets):
                assert client.send(0, bytes(1000))
            wait_until(lambda: group.primary.received() == total, 5, "they are received")

        group.primary.cmd("poll 0 1")
        send(10)
        group.primary.cmd("poll 0 off")
        assert group.primary.xstats()["rx_zero_copy_packets"] == 10
        secondary.cmd("poll 0 1")
        send(100)
        assert ring.tail == 0
        group.primary.cmd("free 9")
        send(1)
        assert ring.tail == 9
        group.primary.cmd("free 1")
        send(1)
        wait_until(lambda: ring.tail == 112, 5, "all slots are given back")
        secondary.cmd("poll 0 off")
        group.primary.cmd("poll 0 1")
        send(300 - 112)
        assert group.primary.xstats()["rx_zero_copy_packets"] == 10 + 300 - 112
        group.primary.cmd("free 0")
    secondary.quit()
    group.primary.quit()


@HOW
@pytest.mark.parametrize("role", ROLES)
def test_primary_is_killed(family: Callable[..., Family], start_load: StartLoad, role: str,
                           how: How) -> None:
    """Its secondary polls on, finds no packets and no link, and ends cleanly."""
    group = family(role, **how)
    secondary = group.secondary()
    start_load(other(role), group.address())
    secondary.wait_traffic()
    group.primary.kill9()
    wait_until(lambda: "the primary process is gone" in secondary.stderr, 10, "it has noticed")
    secondary.wait_link(False)
    secondary.check_polling()
    received, sent = secondary.received(), secondary.sent()
    secondary.check_polling()
    assert (secondary.received(), secondary.sent()) == (received, sent)
    assert resources(secondary.pid).regions > 0, "nothing was mapped, so nothing was tested"
    secondary.cmd("close 0")
    assert resources(secondary.pid).regions == 0
    secondary.quit()


@pytest.mark.parametrize("role", ROLES)
def test_peer_is_killed_while_secondary_polls(family: Callable[..., Family],
                                              start_load: StartLoad, role: str) -> None:
    """Again and again; afterwards both processes hold what they held after the first time."""
    group = family(role)
    secondary = group.secondary()
    load = start_load(other(role), group.address(), kills=PEER_KILLS, seed=3)
    wait_until(lambda: has_mapped(secondary) or not load.running, 20, "a connection is mapped")
    load.wait_kills(120)
    assert secondary.received() > 0 and secondary.sent() > 0
    secondary.check_polling()
    group.primary.wait_link(False)
    wait_until(lambda: resources(secondary.pid).regions == 0, 10, "all is unmapped")
    before = resources(secondary.pid), settled_resources(group.primary.pid)
    again = start_load(other(role), group.address(), kills=10, seed=4)
    again.wait_kills(60)
    group.primary.wait_link(False)
    check_resources(secondary.pid, before[0])
    check_resources(group.primary.pid, before[1])


@HOW
@pytest.mark.parametrize("role", ROLES)
def test_secondary_is_killed_inside_bursts(family: Callable[..., Family], start_load: StartLoad,
                                           role: str, how: How) -> None:
    """The primary goes on: the connection comes back, the port stops, starts and closes."""
    group = family(role, **how)
    start_load(other(role), group.address())
    group.primary.wait_link()
    before = settled_resources(group.primary.pid)
    for number in range(8 * KILLS):
        if number >= KILLS and group.primary.xstats()["disconnections"] >= 2:
            break
        secondary = group.secondary()
        secondary.wait_traffic()
        secondary.kill9()
    # Pages that EAL takes for a secondary's own use stay with the heap: some mappings more.
    check_resources(group.primary.pid, before, mappings=8)
    wait_until(lambda: resources(group.primary.pid).regions == before.regions, 10,
               "the memory of old connections is unmapped")
    assert group.primary.xstats()["disconnections"] >= 2, "hardly one was killed inside a burst"
    group.primary.cmd("stop 0")
    group.primary.start()
    group.primary.wait_link()
    group.primary.wait_traffic()
    group.primary.cmd("close 0")    # it cannot quit cleanly: the mbufs of the dead are lost


def test_what_a_secondary_may_not_do(family: Callable[..., Family]) -> None:
    """The primary configures, starts and stops; being refused changes nothing."""
    group = family("server")
    secondary = group.secondary()
    for command in ("setup 0 1", "stop 0", "set-link 0 down"):
        with pytest.raises(CommandError) as refused:
            secondary.cmd(command)
        assert refused.value.errno == -errno.ENOTSUP, command
    secondary.check_polling()
    secondary.quit()
    group.primary.cmd("stop 0")
    group.primary.start()


def test_proc_info(family: Callable[..., Family], start_load: StartLoad) -> None:
    """dpdk-proc-info shows what the primary counts; without -d it has the stock driver, shows no
    packets, and does not crash."""
    group = family("server")
    start_load("client", group.address())
    group.primary.wait_link()
    group.primary.cmd("poll 0 1")
    group.primary.wait_traffic()
    group.primary.cmd("poll 0 off")
    received = group.primary.received()

    def proc_info(*options: str, driver: str = "ours") -> str:
        done = subprocess.run(
            ["dpdk-proc-info", "--no-pci", "--file-prefix", group.primary.prefix, *group.memory[2:4],
             *driver_args(driver), "--", *options],
            capture_output=True, text=True, timeout=PATIENCE, check=False,
            env={**os.environ, **preload()})
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert f"RX-packets: {received} " in proc_info("--stats")
    assert "rx_zero_copy_packets: 0" in proc_info("--xstats")
    assert "driver net_memif" in proc_info("--show-port")
    assert "mapped a connection" in proc_info("--show-port-private")
    assert f"RX-packets: {received} " not in proc_info("--stats", driver="stock")
    group.primary.cmd("poll 0 1")
    group.primary.wait_traffic()
