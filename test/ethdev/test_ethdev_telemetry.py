# SPDX-License-Identifier: BSD-3-Clause
"""Telemetry: what /memif/... answers, and that it may be asked at any moment."""

import shutil
import subprocess
import threading
import time
from typing import Any, Callable, Dict, List

import pytest

from memif import OURS, STOCK, Memif, Socket
from process import Process
from telemetry import Line, Talker, wait_state

COMMANDS = ["/memif/list", "/memif/port", "/memif/regions", "/memif/rings"]

StartTalker = Callable[..., Talker]


def vdevs(socket: Socket, **options: Any) -> List[str]:
    """Both ends in one process: port 0 is the server."""
    return [Memif("server", socket, options).vdev(),
            Memif("client", socket, options, "net_memif1").vdev()]


def test_without_a_port(start_talker: StartTalker) -> None:
    talker = start_talker()
    commands = talker.ask("/")[0]
    assert [name for name in commands if name.startswith("/memif")] == COMMANDS
    for command in COMMANDS:
        helps = talker.ask(f"/help,{command}")[0][command]
        assert len(helps) > 20
    assert talker.ask("/memif/list", "/memif/port,0", "/memif/rings,net_memif0", "/memif/port",
                      "/memif/regions,") == [{}, None, None, None, None]
    talker.quit()


def test_stock_has_none(start_talker: StartTalker, socket: Socket) -> None:
    """EAL loads the stock driver beside ours: the commands are ours alone."""
    talker = start_talker([Memif("server", socket).vdev()], STOCK)
    assert not [name for name in talker.ask("/")[0] if name.startswith("/memif")]


def test_ports(start_talker: StartTalker, socket: Socket) -> None:
    talker = start_talker(vdevs(socket, id=7, rsize=8))
    for port, role in enumerate(("server", "client")):
        said = wait_state(talker, port, "connected")
        assert said == talker.ask(f"/memif/port,net_memif{port}")[0] | {
            "connected_ms": said["connected_ms"]}
        assert said["port"] == port and said["name"] == f"net_memif{port}"
        assert (said["role"], said["id"], said["socket"]) == (role, 7, f"@{socket.path}")
        assert f"net_memif{1 - port}" in said["peer"]
        assert (said["rx_queues"], said["tx_queues"], said["rx_rings"], said["tx_rings"],
                said["regions"]) == (1, 1, 1, 1, 1)
        assert (said["connections"], said["disconnections"], said["rx_packets"]) == (1, 0, 0)
    listed = talker.ask("/memif/list")[0]
    assert listed == {str(port): {"name": f"net_memif{port}", "role": role, "id": 7,
                                  "mode": "ethernet", "state": "connected"}
                      for port, role in enumerate(("server", "client"))}
    assert talker.ask("/memif/port,2", "/memif/port,net_memif", "/memif/port,0x0") == [None] * 3


def test_counters(start_talker: StartTalker, socket: Socket) -> None:
    """They are those of testpmd's own menu."""
    talker = start_talker(vdevs(socket))
    wait_state(talker, 0, "connected")
    talker.cmd("set fwd io")
    talker.cmd("start tx_first 4")
    talker.wait_packets("RX-packets", 5000)
    talker.stop()
    for port in (0, 1):
        said = talker.ask(f"/memif/port,{port}")[0]
        stats = talker.stats(port)
        for name, key in (("RX-packets", "rx_packets"), ("RX-bytes", "rx_bytes"),
                          ("TX-packets", "tx_packets"), ("TX-bytes", "tx_bytes")):
            assert said[key] == stats[name] > 0
        xstats = xstats_of(talker, port)
        driver = {name: value for name, value in said.items() if name in xstats}
        assert driver == {name: xstats[name] for name in driver}
        assert {"tx_ring_full_bursts", "rx_interrupts_taken", "rx_lost_with_peer_packets",
                "connections"} <= driver.keys()


def xstats_of(talker: Talker, port: int) -> Dict[str, int]:
    lines = talker.cmd(f"show port xstats {port}").splitlines()
    return {name: int(value) for name, value in (
        line.rsplit(": ", 1) for line in lines if ": " in line and line[0] in "rtcd")}


def test_states(start_talker: StartTalker, socket: Socket) -> None:
    """Alone, connected, set down, stopped; and why it is so."""
    one = start_talker([Memif("client", socket).vdev()])
    said = wait_state(one, 0, "waiting")
    assert "waiting for the server" in said["trouble"] and said["peer"] == ""
    other = start_talker([Memif("server", socket, {"secret": "abc"}).vdev()], cpu_number=1)
    end = time.monotonic() + 5
    while "secret" not in one.ask("/memif/port,0")[0]["trouble"]:
        assert time.monotonic() < end
    other.quit()

    other = start_talker([Memif("server", socket).vdev()], cpu_number=1)
    said = wait_state(one, 0, "connected")
    assert said["trouble"] == "" and said["connections"] == 1
    one.cmd("set link-down port 0")
    wait_state(one, 0, "down")
    said = wait_state(other, 0, "waiting")
    assert "interface set down" in said["last_disconnect"]
    one.cmd("port stop 0")
    said = wait_state(one, 0, "stopped")
    assert said["rx_rings"] == said["regions"] == said["connected_ms"] == 0
    assert said["disconnections"] == 1
    assert one.ask("/memif/regions,0", "/memif/rings,0") == [{}, {}]


@pytest.mark.parametrize("queues", [3, 100])
def test_regions_and_rings(start_talker: StartTalker, socket: Socket, queues: int) -> None:
    """Of many rings a part at a time: an answer has 16 KB."""
    talker = start_talker()
    for vdev in vdevs(socket, rsize=4, bsize=256):
        talker.attach(vdev)
    talker.cmd("port stop all")
    talker.cmd(f"port config all rxq {queues}")
    talker.cmd(f"port config all txq {queues}")
    talker.cmd("port start all")
    said = wait_state(talker, 1, "connected")
    assert said["rx_rings"] == said["tx_rings"] == queues
    regions = talker.ask("/memif/regions,1")[0]
    assert list(regions) == ["0"] and regions["0"]["sealed"] == 1
    assert regions["0"]["size"] >= 2 * queues * 16 * 256
    rings: Dict[str, Any] = {}
    for first in range(0, queues, 32):
        rings.update(talker.ask(f"/memif/rings,1,{first}")[0])
    assert len(rings) == 2 * queues
    assert set(rings) == {f"{way}{number}" for way in ("rx", "tx") for number in range(queues)}
    for name, ring in rings.items():
        assert ring["slots"] == 16 and ring["filled"] == 0 and ring["interrupts"] == 0
        assert ("shared" in ring) == name.startswith("tx")
    assert talker.ask(f"/memif/rings,1,{queues}", "/memif/rings,1,99999") == [{}, {}]


def test_filled_rings(start_talker: StartTalker, socket: Socket) -> None:
    """What nobody takes lies in the rings."""
    talker = start_talker(vdevs(socket, rsize=5))
    wait_state(talker, 0, "connected")
    talker.cmd("set portlist 0")
    talker.cmd("set fwd txonly")
    talker.cmd("start")
    time.sleep(0.1)
    talker.stop()
    assert talker.ask("/memif/rings,0")[0]["tx0"]["filled"] == 32
    rings = talker.ask("/memif/rings,1")[0]
    assert rings["rx0"]["filled"] == 32 and rings["tx0"]["filled"] == 0
    talker.cmd("port stop 1")
    assert wait_state(talker, 0, "waiting")["tx_lost_with_peer_packets"] == 32


def test_odd_socket_name(start_talker: StartTalker) -> None:
    """Any byte may stand in a path; the answer is JSON all the same."""
    name = '/odd"\\é\x7fß' + str(time.monotonic_ns())
    talker = start_talker([Memif("client", Socket(name, True)).vdev()])
    assert talker.ask("/memif/port,0")[0]["socket"] == "@" + "".join(
        char if char.isascii() and char.isprintable() else "?" * len(char.encode())
        for char in name)


def test_script_of_dpdk(start_talker: StartTalker, socket: Socket) -> None:
    script = shutil.which("dpdk-telemetry.py")
    assert script, "dpdk-telemetry.py is part of DPDK: install the package dpdk"
    talker = start_talker([Memif("server", socket).vdev()])
    run = subprocess.run(["/usr/bin/python3", script, "--file-prefix", talker.prefix],
                         input="/memif/port,net_memif0\n/memif/list\nquit\n", timeout=20,
                         capture_output=True, text=True, check=True)
    assert '"role": "server"' in run.stdout and '"state": "waiting"' in run.stdout


def ask_all_the_time(talker: Talker, stop: threading.Event, seen: List[int]) -> None:
    with Line(talker.path) as line:
        while not stop.is_set():
            for port in line.ask("/memif/list"):
                for command in COMMANDS[1:]:
                    seen.append(line.ask(f"{command},{port}") is not None)
            time.sleep(0.001)


def test_asked_while_ports_come_and_go(start_talker: StartTalker, socket: Socket) -> None:
    """Three who ask, while ports are attached, connected, filled, stopped and detached."""
    talker = start_talker()
    stop, seen = threading.Event(), []
    threads = [threading.Thread(target=ask_all_the_time, args=(talker, stop, seen))
               for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            for vdev in vdevs(socket):
                talker.attach(vdev)
            talker.cmd("port start all")
            talker.cmd("set fwd io")
            talker.cmd("start tx_first 2")
            time.sleep(0.05)
            talker.stop()
            talker.cmd("port stop all")
            for port in (1, 0):
                talker.cmd(f"port detach {port}")
            assert talker.running
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert sum(seen) > 100
    assert talker.ask("/memif/list")[0] == {}
    talker.quit()


def test_killed_peer(start_talker: StartTalker, socket: Socket) -> None:
    """Asked about rings and regions while their peer is killed under load."""
    survivor = start_talker([Memif("server", socket).vdev()])
    stop, seen = threading.Event(), []
    thread = threading.Thread(target=ask_all_the_time, args=(survivor, stop, seen))
    thread.start()
    try:
        for _ in range(3):
            peer: Process = start_talker([Memif("client", socket).vdev()], cpu_number=1)
            wait_state(survivor, 0, "connected")
            survivor.forward("io")
            time.sleep(0.1)
            peer.kill9()
            said = wait_state(survivor, 0, "waiting")
            assert said["last_disconnect"] == "the peer closed the connection"
            survivor.stop()
    finally:
        stop.set()
        thread.join()
    assert sum(seen) > 100 and survivor.driver == OURS
    survivor.quit()
