# SPDX-License-Identifier: BSD-3-Clause
"""dpdk-testpmd pairs: forwarding modes, counters, link, stop and start, several ports."""

import time
from typing import Callable, Tuple

import pytest

from memif import OURS, Memif, Socket, assert_driver_loaded
from process import unique
from test_pairs import drivers
from testpmd import Testpmd

StartTestpmd = Callable[..., Testpmd]
MakeMemif = Callable[..., Memif]

SECONDS = 0.5


@pytest.fixture
def start_pair(start_testpmd: StartTestpmd, server: MakeMemif, client: MakeMemif,
               ) -> Callable[..., Tuple[Testpmd, Testpmd]]:
    """Starts server and client, waits for the link; options apply to both."""
    def start(server_driver: str = OURS, client_driver: str = OURS, options: Tuple[str, ...] = (),
              **devargs: object) -> Tuple[Testpmd, Testpmd]:
        pair = (start_testpmd([server(**devargs).vdev()], options, server_driver, cpu_number=0),
                start_testpmd([client(**devargs).vdev()], options, client_driver, cpu_number=1))
        for testpmd, driver in zip(pair, (server_driver, client_driver)):
            assert_driver_loaded(testpmd, driver)
            testpmd.wait_link()
            # Only ours says what it has connected to.
            assert ("net_memif0: connected as" in testpmd.stderr) == (driver == OURS)
        return pair
    return start


def quit_pair(server: Testpmd, client: Testpmd) -> None:
    """
    The client first: a closed stock server leaves its listener registered, and crashes when a
    client calls meanwhile.
    """
    client.quit()
    server.quit()


def settled(testpmd: Testpmd, counter: str, at_least: int, port: int = 0) -> int:
    """Waits for a counter's value, and whether it goes beyond; returns it."""
    last = testpmd.wait_packets(counter, at_least, port)
    while True:
        time.sleep(0.1)
        value = testpmd.stats(port)[counter]
        if value == last:
            return value
        last = value


def send(sender: Testpmd, receiver: Testpmd, seconds: float = SECONDS, port: int = 0) -> None:
    """txonly to rxonly for a while; ends with both stopped and all packets received."""
    sent, got = sender.stats(port)["TX-packets"], receiver.stats(port)["RX-packets"]
    receiver.forward("rxonly")
    sender.forward("txonly")
    time.sleep(seconds)
    sender.stop()
    settled(receiver, "RX-packets", got + sender.stats(port)["TX-packets"] - sent, port)
    receiver.stop()


@drivers
@pytest.mark.parametrize("sender_role", ["server", "client"])
@pytest.mark.parametrize("queues", [1, 2])
@pytest.mark.parametrize("socket", ["abstract", "file"], indirect=True)
def test_txonly_rxonly(start_pair: Callable[..., Tuple[Testpmd, Testpmd]], sender_role: str,
                       queues: int, server_driver: str, client_driver: str) -> None:
    """Both ends show the same numbers."""
    pair = start_pair(server_driver, client_driver, (f"--rxq={queues}", f"--txq={queues}"))
    sender, receiver = pair if sender_role == "server" else pair[::-1]
    send(sender, receiver)
    sent, got = sender.stats(), receiver.stats()
    assert sent["TX-packets"] == got["RX-packets"] > 10000
    assert got["RX-bytes"] == 64 * got["RX-packets"]
    if sender.driver == OURS:
        assert sent["TX-bytes"] == got["RX-bytes"]
    assert got["RX-errors"] == got["RX-missed"] == got["RX-nombuf"] == sent["TX-errors"] == 0
    quit_pair(*pair)


@pytest.mark.parametrize("sender_role", ["server", "client"])
@pytest.mark.parametrize("rsize,bsize", [(10, 2048), (3, 512)])
def test_txonly_in_segments(start_pair: Callable[..., Tuple[Testpmd, Testpmd]], sender_role: str,
                            rsize: int, bsize: int) -> None:
    """testpmd's own multi-segment packets: 1400 B in three mbufs."""
    pair = start_pair(options=("--tx-offloads=0x8000", "--txpkts=700,500,200"), rsize=rsize,
                      bsize=bsize)
    sender, receiver = pair if sender_role == "server" else pair[::-1]
    send(sender, receiver)
    sent, got = sender.stats(), receiver.stats()
    assert sent["TX-packets"] == got["RX-packets"] > 1000
    assert sent["TX-bytes"] == got["RX-bytes"] == 1400 * got["RX-packets"]


@drivers
def test_io(start_pair: Callable[..., Tuple[Testpmd, Testpmd]], server_driver: str,
            client_driver: str) -> None:
    """Both forward, packets bounce between them; afterwards nothing is unaccounted for."""
    server, client = start_pair(server_driver, client_driver)
    server.forward("io")
    client.cmd("set fwd io")
    client.cmd("start tx_first 8")
    server.wait_packets("TX-packets", 5000)
    # The server still takes what the client sent before it stopped; then the client takes the rest.
    client.stop()
    settled(server, "RX-packets", client.stats()["TX-packets"])
    server.stop()
    client.forward("rxonly")
    settled(client, "RX-packets", server.stats()["TX-packets"])
    client.stop()
    server_stats, client_stats = server.stats(), client.stats()
    assert client_stats["TX-packets"] == server_stats["RX-packets"]
    assert server_stats["TX-packets"] == client_stats["RX-packets"]
    assert client_stats["RX-bytes"] == 64 * client_stats["RX-packets"]


def test_both_ends_in_one_process(start_testpmd: StartTestpmd, server: MakeMemif,
                                  client: MakeMemif) -> None:
    """Server and client are two ports of one testpmd, and forward to each other."""
    testpmd = start_testpmd([server().vdev(), Memif("client", client().socket, {},
                                                    "net_memif1").vdev()],
                            ("--port-topology=loop",))
    testpmd.wait_link(port=0)
    testpmd.wait_link(port=1)
    testpmd.cmd("set fwd io")
    testpmd.cmd("start tx_first 4")
    testpmd.wait_packets("RX-packets", 5000, port=0)
    testpmd.wait_packets("RX-packets", 5000, port=1)
    testpmd.stop()
    testpmd.forward("rxonly")
    for port in (0, 1):
        settled(testpmd, "RX-packets", testpmd.stats(1 - port)["TX-packets"], port)
    testpmd.stop()
    first, second = testpmd.stats(0), testpmd.stats(1)
    assert first["TX-packets"] == second["RX-packets"]
    assert second["TX-packets"] == first["RX-packets"]
    testpmd.quit()


@pytest.mark.parametrize("socket", ["abstract", "file"], indirect=True)
def test_many_ports_on_one_socket(start_testpmd: StartTestpmd, socket: Socket) -> None:
    """Eight ids, one listener; each port has a peer of its own."""
    ids = range(8)

    def vdevs(role: str) -> list:
        return [Memif(role, socket, {"id": id, "rsize": 6}, f"net_memif{id}").vdev() for id in ids]

    server = start_testpmd(vdevs("server"), ("--port-topology=loop",), cpu_number=0)
    client = start_testpmd(vdevs("client"), ("--port-topology=loop",), cpu_number=1)
    for port in ids:
        server.wait_link(port=port)
        client.wait_link(port=port)
    assert len([fd for fd in server.fds() if "socket" in fd]) <= len(ids) + 4
    server.forward("io")
    for port in ids:
        # One port alone sends, so that it is seen where its packets go.
        client.cmd(f"set portlist {port}")
        client.cmd("set fwd txonly")
        client.cmd("start")
        time.sleep(0.05)
        client.stop()
        sent = client.stats(port)["TX-packets"]
        assert settled(server, "RX-packets", sent, port) == sent > 0
        assert sum(server.stats(other)["RX-packets"] for other in ids if other > port) == 0
    server.quit()
    client.quit()


@pytest.mark.parametrize("role", ["server", "client"])
def test_start_without_a_peer(start_testpmd: StartTestpmd, server: MakeMemif, client: MakeMemif,
                              role: str) -> None:
    """The port starts with link down, may be polled, and comes up when a peer appears."""
    mine, other = (server, client) if role == "server" else (client, server)
    alone = start_testpmd([mine().vdev()], cpu_number=0)
    assert not alone.link_up()
    alone.forward("txonly")
    time.sleep(0.2)
    alone.stop()
    assert alone.stats()["TX-packets"] == 0
    alone.forward("rxonly")
    peer = start_testpmd([other().vdev()], cpu_number=1)
    alone.wait_link()
    peer.wait_link()
    alone.stop()
    send(peer, alone)
    assert alone.stats()["RX-packets"] == peer.stats()["TX-packets"] > 0
    peer.quit()
    alone.wait_link(up=False)
    alone.quit()


@pytest.mark.parametrize("role", ["server", "client"])
@pytest.mark.parametrize("socket", ["abstract", "file"], indirect=True)
def test_stop_and_start(start_pair: Callable[..., Tuple[Testpmd, Testpmd]], role: str) -> None:
    """The other end sees the link go and come back; counters go on where they were."""
    pair = start_pair()
    one, other = pair if role == "server" else pair[::-1]
    for round_number in range(1, 6):
        send(one, other, 0.1)
        send(other, one, 0.1)
        counted = one.stats(), other.stats()
        assert counted[0]["TX-packets"] == counted[1]["RX-packets"] > 0
        assert counted[1]["TX-packets"] == counted[0]["RX-packets"] > 0
        one.cmd("port stop 0")
        other.wait_link(up=False)
        assert (one.stats(), other.stats()) == counted, f"round {round_number}"
        one.cmd("port start 0")
        other.wait_link()
        one.wait_link()
        assert (one.stats(), other.stats()) == counted, f"round {round_number}"
    one.quit()
    other.quit()


@pytest.mark.parametrize("role", ["server", "client"])
def test_link_down_and_up(start_pair: Callable[..., Tuple[Testpmd, Testpmd]], role: str) -> None:
    """Set down by the application it is down at both ends; set up again it carries packets."""
    pair = start_pair()
    one, other = pair if role == "server" else pair[::-1]
    for _ in range(3):
        one.cmd("set link-down port 0")
        one.wait_link(up=False)
        other.wait_link(up=False)
        one.cmd("set link-up port 0")
        one.wait_link()
        other.wait_link()
        before = other.stats()["RX-packets"]
        send(one, other, 0.1)
        assert other.stats()["RX-packets"] > before
    assert one.stats()["TX-packets"] == other.stats()["RX-packets"]


@pytest.mark.parametrize("killed", ["server", "client"])
@pytest.mark.parametrize("socket", ["abstract", "file"], indirect=True)
def test_peer_killed_while_both_forward(start_testpmd: StartTestpmd, server: MakeMemif,
                                        client: MakeMemif, killed: str) -> None:
    """The survivor polls on, shows the link down, keeps its counters, and meets the next peer."""
    def start(role: str) -> Testpmd:
        make = server if role == "server" else client
        return start_testpmd([make().vdev()], cpu_number=0 if role == "server" else 1)

    victim, survivor = start(killed), start("client" if killed == "server" else "server")
    for _ in range(2):
        survivor.wait_link()
        survivor.forward("io")
        victim.cmd("set fwd io")
        victim.cmd("start tx_first 8")
        before = survivor.stats()["RX-packets"]
        survivor.wait_packets("RX-packets", before + 2000)
        victim.kill9()
        survivor.wait_link(up=False)
        counted = survivor.stats()
        time.sleep(0.2)
        assert survivor.stats() == counted
        assert counted["RX-packets"] >= before + 2000
        survivor.stop()
        victim = start(killed)
    survivor.wait_link()
    survivor.quit()


def test_restart_after_kill_leaves_no_fds(start_testpmd: StartTestpmd, server: MakeMemif,
                                          client: MakeMemif) -> None:
    """After five peers a server has as many descriptors and mappings as after one."""
    survivor = start_testpmd([server().vdev()], cpu_number=0)
    survivor.forward("io")

    def meet_and_lose() -> Tuple[int, int]:
        peer = start_testpmd([client().vdev()], cpu_number=1)
        survivor.wait_link()
        peer.kill9()
        survivor.wait_link(up=False)
        time.sleep(0.3)  # what a burst may still be using is given back a moment later
        return len(survivor.fds()), len([name for name in survivor.maps() if "memfd" in name])

    first = meet_and_lose()
    for _ in range(4):
        assert meet_and_lose() == first
    survivor.quit()


def test_stats_reset(start_pair: Callable[..., Tuple[Testpmd, Testpmd]]) -> None:
    """clear port stats, and only that, brings the counters back to 0."""
    server, client = start_pair()
    send(client, server, 0.1)
    assert server.stats()["RX-packets"] > 0
    server.cmd("clear port stats 0")
    assert set(server.stats().values()) == {0}
    assert client.stats()["TX-packets"] > 0


def test_second_client_for_a_connected_id(start_testpmd: StartTestpmd, server: MakeMemif,
                                          client: MakeMemif) -> None:
    """It is refused, and the first one does not notice."""
    first_server = start_testpmd([server().vdev()], cpu_number=0)
    first_client = start_testpmd([client().vdev()], cpu_number=1)
    first_server.wait_link()
    intruder = start_testpmd([client().vdev()], cpu_number=1)
    send(first_client, first_server)
    assert not intruder.link_up()
    assert first_server.link_up() and first_client.link_up()
    assert first_client.stats()["TX-packets"] == first_server.stats()["RX-packets"] > 0
    first_client.quit()
    intruder.wait_link()
    intruder.quit()
    first_server.quit()


@pytest.mark.parametrize("secrets,meet", [(("abc", "abc"), True), (("abc", "abd"), False),
                                          (("abc", "ab"), False), (("", "abc"), True),
                                          (("abc", ""), False), (("x" * 24, "x" * 24), True),
                                          (("x" * 24, "x" * 23), False)])
def test_secret(start_testpmd: StartTestpmd, server: MakeMemif, client: MakeMemif,
                secrets: Tuple[str, str], meet: bool) -> None:
    """Only who knows the server's secret gets a link; a server without one takes everybody."""
    options = [{"secret": secret} if secret else {} for secret in secrets]
    first = start_testpmd([server(**options[0]).vdev()], cpu_number=0)
    second = start_testpmd([client(**options[1]).vdev()], cpu_number=1)
    if meet:
        first.wait_link()
        second.wait_link()
    else:
        time.sleep(1)
        assert not first.link_up() and not second.link_up()


def test_mac(start_testpmd: StartTestpmd, server: MakeMemif) -> None:
    """The given address is the port's; without one, two ports have different ones."""
    testpmd = start_testpmd([
        server(mac="02:11:22:33:44:55").vdev(),
        Memif("server", Socket(f"/{unique('mif')}", True), {}, "net_memif1").vdev(),
        Memif("server", Socket(f"/{unique('mif')}", True), {}, "net_memif2").vdev()])
    addresses = [testpmd.info(port, "MAC address") for port in range(3)]
    assert addresses[0] == "02:11:22:33:44:55"
    assert addresses[1] != addresses[2]
