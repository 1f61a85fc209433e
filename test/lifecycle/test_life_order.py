# SPDX-License-Identifier: BSD-3-Clause
"""Client first or server first; either end restarts any number of times, and the other is back by
itself, soon and without a flood in the log."""

import statistics
import time
from typing import Callable, List

import pytest

from memif import Memif, Socket
from memifpeer import Listener
from programs import Lifecycle, check_resources, resources

pytestmark = pytest.mark.alone

RESTARTS = 20
MEDIAN_MS = 250     # what the work item promises
RETRY_MAX_MS = 200
AWAY_SECONDS = 0.4  # the other end is away for so long: a client's pauses have grown to their end

Start = Callable[..., Lifecycle]


@pytest.mark.parametrize("first", ["server", "client"])
def test_either_first(start_lifecycle: Start, file_socket: Socket, first: str) -> None:
    second = "client" if first == "server" else "server"
    ends = {}
    for role in (first, second):
        ends[role] = start_lifecycle()
        ends[role].up(Memif(role, file_socket).vdev())
        if role == first:
            time.sleep(0.3)
            assert not ends[role].link_up()
    for end in ends.values():
        end.wait_link()
        end.wait_traffic()
    for end in ends.values():
        end.quit()


def restart_often(start: Start, survivor: Lifecycle, vdev: str, times: int,
                  killed: bool) -> List[float]:
    """Restarts the other end; returns after how many milliseconds packets arrived on both ends,
    counted from the moment that its port was started."""
    delays = []
    died = time.monotonic()
    for _ in range(times):
        other = start()
        time.sleep(max(0.0, died + AWAY_SECONDS - time.monotonic()))
        begin = other.start(other.attach(vdev))
        arrived = max(survivor.first_packet(), other.first_packet())
        delays.append((arrived - begin) / 1e6)
        if killed:
            other.kill9()
        else:
            other.quit()
        died = time.monotonic()
        survivor.wait_link(False)
        survivor.cmd("first 0 forget")
    return delays


def check_back_soon(delays: List[float]) -> None:
    print("traffic after ms:", " ".join(f"{delay:.0f}" for delay in delays))
    assert statistics.median(delays) <= MEDIAN_MS, delays
    assert max(delays) < 2000, delays


def test_server_is_back(start_lifecycle: Start, file_socket: Socket) -> None:
    """Killed under full load 20 times, its socket file left behind."""
    client = start_lifecycle()
    client.up(Memif("client", file_socket).vdev())
    server = Memif("server", file_socket).vdev()
    restart_often(start_lifecycle, client, server, 1, killed=True)
    before = resources(client.pid)
    lines = len(client.log())
    check_back_soon(restart_often(start_lifecycle, client, server, RESTARTS, killed=True))
    check_resources(client.pid, before)
    # Connected, disconnected, waiting: one line each.
    assert len(client.log()) - lines <= 3 * RESTARTS, client.log()
    client.check_mbufs(0)
    client.quit()


def test_client_is_back(start_lifecycle: Start, file_socket: Socket) -> None:
    server = start_lifecycle()
    server.up(Memif("server", file_socket).vdev())
    client = Memif("client", file_socket).vdev()
    restart_often(start_lifecycle, server, client, 1, killed=True)
    before = resources(server.pid)
    lines = len(server.log())
    delays = restart_often(start_lifecycle, server, client, 5, killed=True)
    delays += restart_often(start_lifecycle, server, client, 3, killed=False)
    check_back_soon(delays)
    check_resources(server.pid, before)
    assert len(server.log()) - lines <= 2 * len(delays), server.log()
    server.check_mbufs(0)
    server.quit()


def test_retry_pauses_grow(start_lifecycle: Start, file_socket: Socket) -> None:
    """A server that throws the client out at once sees it come back at growing intervals."""
    client = start_lifecycle()
    with Listener(file_socket.path) as listener:
        client.up(Memif("client", file_socket).vdev())
        came = []
        for _ in range(15):
            listener.accept(timeout=5.0).close()
            came.append(time.monotonic())
    pauses = [(after - before) * 1000 for before, after in zip(came, came[1:])]
    print("pauses in ms:", " ".join(f"{pause:.0f}" for pause in pauses))
    assert sum(pauses[:4]) < 100, "the first attempts come quickly"
    assert statistics.median(pauses[-4:]) >= 0.9 * RETRY_MAX_MS, "pauses do not grow"
    assert statistics.median(pauses[-4:]) <= 1.5 * RETRY_MAX_MS, "pauses grow too long"
    said = [line for line in client.log() if line.startswith("not connected")]
    assert len(said) <= 3, f"a flood: {said}"


def test_one_line_while_nobody_listens(start_lifecycle: Start, file_socket: Socket) -> None:
    client = start_lifecycle()
    client.up(Memif("client", file_socket).vdev())
    time.sleep(1.5)
    assert len(client.log()) == 1, client.log()
    assert "waiting for the server" in client.log()[0] and file_socket.path in client.log()[0]
    client.cmd("stop 0")
    time.sleep(0.3)
    assert len(client.log()) == 1, "a stopped port says nothing"
    with Listener(file_socket.path) as listener:
        time.sleep(0.4)
        with pytest.raises(Exception, match="nobody connected"):
            listener.accept(timeout=0.3)


def test_stopped_server_lets_nobody_in(start_lifecycle: Start, file_socket: Socket) -> None:
    """A client waits outside, and is let in when the port starts again."""
    server, client = start_lifecycle(), start_lifecycle()
    server.up(Memif("server", file_socket).vdev())
    client.up(Memif("client", file_socket).vdev())
    client.wait_link()
    server.cmd("stop 0")
    client.wait_link(False)
    client.wait_log("interface is down")
    time.sleep(0.6)
    assert not client.link_up()
    said = client.log()
    assert any("interface stopped" in line for line in said), said
    assert sum("interface is down" in line for line in said) == 1, "one line, not one per attempt"
    assert len(server.log()) <= 3, server.log()
    client.cmd("first 0 forget")
    begin = server.start()
    assert (client.first_packet() - begin) / 1e6 < 1000
    for end in (server, client):
        end.wait_traffic()
    for end in (server, client):
        end.quit()
