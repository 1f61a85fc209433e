# SPDX-License-Identifier: BSD-3-Clause
"""Ports in secondary processes: they come late, leave, are killed inside bursts, and poll while the
primary's peer dies; nobody is held up, and nothing is left behind."""

import errno
import os
import subprocess
from typing import Callable, Iterator, List

import pytest

from hugefs import shared_memory
from memif import Memif, Socket, driver_args, other
from process import PATIENCE, unique
from programs import (CommandError, Lifecycle, Load, check_resources, resources,
                      settled_resources, wait_until)

pytestmark = pytest.mark.own_ends("secondary processes behind a zero-copy server only send")

KILLS = int(os.environ.get("MIF_SECONDARY_KILLS", "20"))
PEER_KILLS = int(os.environ.get("MIF_SECONDARY_PEER_KILLS", "50"))
ROLES = ["server", "client"]    # of the driver

StartLifecycle = Callable[..., Lifecycle]
StartLoad = Callable[..., Load]


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


@pytest.mark.parametrize("role", ROLES)
def test_secondary_moves_packets(family: Callable[..., Family], start_load: StartLoad,
                                 role: str) -> None:
    """Whether it comes before the connection or after it; both processes count the same."""
    group = family(role)
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
    late.quit()
    group.primary.cmd("poll 0 1")
    group.primary.wait_traffic()


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


@pytest.mark.parametrize("role", ROLES)
def test_secondary_is_killed_inside_bursts(family: Callable[..., Family], start_load: StartLoad,
                                           role: str) -> None:
    """The primary goes on: the connection comes back, the port stops, starts and closes."""
    group = family(role)
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
            capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert f"RX-packets: {received} " in proc_info("--stats")
    assert "rx_zero_copy_packets: 0" in proc_info("--xstats")
    assert "driver net_memif" in proc_info("--show-port")
    assert "mapped a connection" in proc_info("--show-port-private")
    assert f"RX-packets: {received} " not in proc_info("--stats", driver="stock")
    group.primary.cmd("poll 0 1")
    group.primary.wait_traffic()
