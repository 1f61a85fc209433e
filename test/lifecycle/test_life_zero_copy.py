# SPDX-License-Identifier: BSD-3-Clause
"""Packets that a server with zero-copy=yes has handed up, and an application keeps: whatever the client
does, they can be read, and when they are freed its memory is unmapped."""

import contextlib
import os
import signal
from dataclasses import dataclass
from typing import Callable, Iterator

import pytest

from memif import Memif, Socket
from memifpeer import Client, Config
from process import unique
from programs import Lifecycle, resources, threads, wait_until

pytestmark = pytest.mark.own_ends("zero-copy is what it is about")

StartLifecycle = Callable[..., Lifecycle]

LOG2 = 6
SLOTS = 1 << LOG2
LENGTH = 1500
STRIDE = 2048


@dataclass(frozen=True)
class Held:
    packets: int
    external: int
    bytes: int
    sum: int


def held(program: Lifecycle) -> Held:
    """Reads every byte of the packets that it keeps."""
    return Held(*map(int, program.cmd("held")))


def wait_held(program: Lifecycle, packets: int) -> Held:
    return wait_until(lambda: (now := held(program)).packets >= packets and now, 10,
                      f"{packets} packets are held")


def peers_regions(program: Lifecycle) -> int:
    with open(f"/proc/{program.pid}/maps", encoding="utf-8") as maps:
        return sum("/memfd:memifpeer" in line for line in maps)


def wait_regions(program: Lifecycle, count: int) -> None:
    wait_until(lambda: peers_regions(program) == count, 10,
               f"{count} regions of the peer are mapped, not {peers_regions(program)}")


@pytest.fixture
def memif() -> Memif:
    return Memif("server", Socket("@" + unique("zc"), True), {"zero-copy": "yes"})


@pytest.fixture
def program(start_lifecycle: StartLifecycle, memif: Memif) -> Lifecycle:
    program = start_lifecycle()
    program.cmd("mode hold")
    program.up(memif.vdev())
    return program


def new_client(memif: Memif, **options: object) -> Client:
    config = Config(log2=LOG2, bsize=STRIDE, stride=STRIDE, **options)
    client = Client(config)
    client.handshake(memif.socket.path)
    return client


@contextlib.contextmanager
def holding(program: Lifecycle, memif: Memif, packets: int = 20, **options: object,
            ) -> Iterator[Client]:
    """A client whose first packets the program keeps."""
    with new_client(memif, **options) as client:
        send(client, packets)
        assert wait_held(program, packets).external == packets
        yield client


def send(client: Client, packets: int, length: int = LENGTH) -> None:
    for number in range(packets):
        assert client.send(0, bytes([number + 1]) * length)


def check_served(program: Lifecycle, memif: Memif) -> None:
    """The next client gets through, and its slots back, at last the index of a whole turn."""
    program.cmd("mode sink")
    with new_client(memif) as client:
        for _ in range(3 * SLOTS):
            wait_until(lambda: client.send(0, b"x" * LENGTH), 5, "there is a free slot")
        tx = client.tx[0]
        wait_until(lambda: tx.free() == SLOTS, 5, "all slots are given back")
    program.cmd("mode hold")


def check_end(program: Lifecycle, memif: Memif) -> None:
    """All that was kept is freed: nothing is mapped, no mbuf is missing."""
    program.cmd("free 0")
    wait_regions(program, 0)
    check_served(program, memif)
    wait_regions(program, 0)
    program.quit()


def test_slots_go_back_in_order(program: Lifecycle, memif: Memif) -> None:
    """As many as were freed, and what was copied behind them; and the client's descriptors say so."""
    with holding(program, memif, 10) as client:
        tx = client.tx[0]
        send(client, 5, 100)
        assert wait_held(program, 15).external == 10
        assert tx.ring.tail == 0
        for freed in range(1, 10):
            program.cmd("free 1")
            wait_until(lambda: tx.ring.tail == freed, 5, f"{freed} slots are given back")
        program.cmd("free 1")
        wait_until(lambda: tx.ring.tail == 15, 5, "all slots are given back")
    check_end(program, memif)


@pytest.mark.parametrize("how", ["closes", "disconnects"])
def test_client_leaves(program: Lifecycle, memif: Memif, how: str) -> None:
    with holding(program, memif) as client:
        before = held(program)
        if how == "disconnects":
            client.disconnect("bye")
    program.wait_link(False)
    assert held(program) == before
    wait_regions(program, 1)
    program.cmd("free 10")
    assert held(program).packets == 10
    wait_regions(program, 1)
    check_end(program, memif)


def test_client_is_killed(start_lifecycle: StartLifecycle, program: Lifecycle, memif: Memif) -> None:
    """Another process with this driver, which sends long packets; its memory stays readable."""
    for kills in range(1, 4):
        client = start_lifecycle()
        client.cmd("length 1500")
        client.up(Memif("client", memif.socket, {"rsize": LOG2}).vdev())
        wait_held(program, SLOTS * kills)
        before = held(program)
        assert before.external == SLOTS * 3 // 4 * kills
        os.kill(client.pid, signal.SIGKILL)
        program.wait_link(False)
        assert held(program) == before
        wait_until(lambda: resources(program.pid).regions == kills, 10, "its memory stays")
    program.cmd("free 0")
    wait_until(lambda: resources(program.pid).regions == 0, 10, "it is unmapped")
    check_end(program, memif)


def test_many_clients(program: Lifecycle, memif: Memif) -> None:
    """Packets of 20 connections are kept, and freed from the oldest on."""
    for number in range(20):
        with new_client(memif) as client:
            send(client, 10)
            wait_held(program, 10 * (number + 1))
        program.wait_link(False)
    wait_regions(program, 20)
    assert held(program).external == 200
    for left in range(19, -1, -1):
        program.cmd("free 10")
        wait_regions(program, left)
    check_end(program, memif)


@pytest.mark.parametrize("command", ["stop 0", "close 0", "detach 0"])
def test_port_ends(program: Lifecycle, memif: Memif, command: str) -> None:
    """The last port, with which the control thread ends: nobody waits for the packets."""
    with holding(program, memif):
        before = held(program)
        program.cmd(command)
        assert program.us < 900_000, "it waited for packets that the application keeps"
    wait_regions(program, 1)
    if command != "stop 0":
        wait_until(lambda: threads(program.pid, "memif-ctrl") == 0, 5, "its thread ends")
    assert held(program) == before
    assert "a burst has not ended" not in program.stderr
    program.cmd("free 0")
    wait_regions(program, 0)
    program.quit()


# -- what a hostile client may do ------------------------------------------------------------------

def memory_of(client: Client) -> int:
    """The file of its memory, which stays open when the client has left."""
    region = client.regions[0]
    assert region is not None
    return os.dup(region.fd)


@pytest.mark.parametrize("connected", [True, False])
def test_client_truncates_its_memory(program: Lifecycle, memif: Memif, connected: bool) -> None:
    """While packets are kept: what is gone reads as zeros. With the connection, and after it."""
    with holding(program, memif, sealed=False) as client:
        file = memory_of(client)
        if not connected:
            client.disconnect("bye")
            program.wait_link(False)
        assert held(program).sum != 0
        os.ftruncate(file, 0)
        assert held(program).sum == 0, "bytes of memory that is gone"
        if connected:
            wait_until(lambda: not program.link_up(), 5, "the connection ends")
            program.wait_log("a region was cut short, or has holes")
    os.close(file)
    check_end(program, memif)


def test_client_truncates_after_the_last_port(program: Lifecycle, memif: Memif) -> None:
    """There is no control thread any more that could be woken, and its file is closed."""
    with holding(program, memif, sealed=False) as client:
        file = memory_of(client)
        program.cmd("detach 0")
        wait_until(lambda: threads(program.pid, "memif-ctrl") == 0, 5, "its thread ends")
        # What may get the number of the control thread's file.
        program.attach(Memif("client", Socket("@" + unique("zc"), True)).vdev())
        os.ftruncate(file, 0)
        assert held(program).sum == 0
    os.close(file)
    program.cmd("free 0")
    program.quit()


def test_client_changes_descriptors(program: Lifecycle, memif: Memif) -> None:
    """They were read once: where a packet is, and how long, does not change."""
    with holding(program, memif) as client:
        before = held(program)
        ring = client.tx[0].ring
        for slot in range(SLOTS):
            ring.set_desc(slot, ring.desc(slot).but(flags=1, region=7, length=1 << 31, offset=1))
        assert held(program) == before
    check_end(program, memif)


def test_client_changes_bytes(program: Lifecycle, memif: Memif) -> None:
    """Which it can, says the guide: it is the same memory. The number of bytes stays."""
    with holding(program, memif) as client:
        before = held(program)
        first = client.place(0, 0)
        client.regions[0].mem[first.offset] ^= 0xff
        after = held(program)
        assert after.sum != before.sum and after.bytes == before.bytes
    check_end(program, memif)


@pytest.mark.parametrize("beyond", [1, SLOTS // 2])
def test_client_hands_over_what_it_has_not_got_back(program: Lifecycle, memif: Memif,
                                                    beyond: int) -> None:
    """
    A slot whose packet is kept cannot be filled again: its mbuf would be there twice. The connection
    ends; the packets stay.
    """
    with holding(program, memif, SLOTS // 2) as client:
        before = held(program)
        tx = client.tx[0]
        for ahead in range(SLOTS // 2 + beyond):
            tx.ring.set_desc(tx.index + ahead, tx.place(tx.index + ahead).but(length=LENGTH))
        tx.publish(SLOTS // 2 + beyond)
        assert client.observe().reason == "impossible ring index"
    program.wait_link(False)
    assert held(program) == before
    check_end(program, memif)


def test_bad_descriptor_in_a_chain(program: Lifecycle, memif: Memif) -> None:
    """What was lent of the chain before it is free at once, and its slots go back."""
    with holding(program, memif, 1) as client:
        tx = client.tx[0]
        for _ in range(10):
            for ahead in range(3):
                tx.put(tx.index + ahead, b"y" * 1000, more=ahead < 2)
            bad = tx.ring.desc(tx.index + 2).but(region=9)
            tx.ring.set_desc(tx.index + 2, bad)
            tx.publish(3)
        wait_until(lambda: program.xstats()["rx_bad_descriptors"] == 10, 5, "all are counted")
        assert held(program).packets == 1
        program.cmd("free 0")
        wait_until(lambda: tx.free() == SLOTS, 5, "all slots are given back")
    check_end(program, memif)
