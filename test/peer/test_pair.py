# SPDX-License-Identifier: BSD-3-Clause
"""Our client against our server: handshakes, packets, chains, wraps, refusals, the end."""

import os
import threading

import pytest

from memifpeer import (Channel, Client, Closed, Config, Listener, Outcome, ProtocolError, Server,
                       TimedOut, wire)
from memifpeer.session import Disconnected

pytestmark = pytest.mark.own_ends("peers of the same kind")


def exchange_both_ways(client, server, sent, qid=0) -> None:
    """Client to server and back, then server to client and back."""
    for origin, mirror in ((client, server), (server, client)):
        echo = threading.Thread(target=mirror.echo, args=(qid, len(sent)))
        echo.start()
        returned = origin.exchange(qid, sent)
        echo.join()
        assert returned == sent


@pytest.mark.parametrize("address", ["path", "abstract"], indirect=True)
def test_packets_echo_in_both_directions(connect_pair, packets) -> None:
    client, server = connect_pair()
    exchange_both_ways(client, server, packets(300))


@pytest.mark.parametrize("config", [
    Config(c2s=4, s2c=4, log2=5, bsize=512),
    Config(c2s=2, s2c=3, log2=6, regions=2),
    Config(c2s=1, s2c=1, log2=7, regions=5, bsize=100),
    Config(log2=10, sealed=False, stride=2112),
    Config(log2=4, post_early=True),
], ids=["4-queues", "2-regions", "5-regions", "unsealed-stride", "post-early"])
def test_shapes(connect_pair, packets, config: Config) -> None:
    client, server = connect_pair(config)
    assert (len(server.rx), len(server.tx)) == (config.c2s, config.s2c)
    assert len(server.regions) == config.regions
    for qid in range(min(config.c2s, config.s2c)):
        exchange_both_ways(client, server, packets(100, seed=qid), qid)


def test_unequal_chain_pieces(connect_pair) -> None:
    client, server = connect_pair(Config(log2=4, bsize=64))
    packet = bytes(range(200))
    assert client.send(0, packet, sizes=(1, 64, 2))
    assert server.recv(0) == [packet]
    assert [desc.length for desc in server.rx[0].taken[0]] == [1, 64, 2, 64, 64, 5]
    assert [desc.more for desc in server.rx[0].taken[0]] == [True] * 5 + [False]
    assert server.send(0, packet, sizes=(3, 60))
    assert client.recv(0) == [packet]
    assert [desc.length for desc in client.rx[0].taken[0]] == [3, 60, 64, 64, 9]


def test_server_keeps_region_and_offset_as_posted(connect_pair, packets) -> None:
    client, server = connect_pair(Config(log2=3, bsize=256, regions=3))
    ring = client.rx[0].ring
    posted = [(ring.desc(slot).region, ring.desc(slot).offset) for slot in range(8)]
    for packet in packets(20, 60, 700):
        assert server.send(0, packet)
        assert client.recv(0) == [packet]
        assert [(ring.desc(slot).region, ring.desc(slot).offset) for slot in range(8)] == posted


@pytest.mark.parametrize("start", [0xFFF0, 0xFFFF, 0xFFD1])
def test_indices_wrap(address, packets, start: int) -> None:
    one, two = Channel.pair()
    client, server = Client(Config(log2=3, bsize=128), one), Server(Config(), two)
    client.send_init()
    server.recv_init()
    client.create_memory()
    for end in (client.tx[0], client.rx[0]):
        end.start_at(start)
    for number, send in ((0, client.send_region), (0, client.send_ring), (1, client.send_ring)):
        send(number)
        server.recv_offer()
    client.send_connect()
    server.recv_connect()
    server.send_connected()
    client.recv_connected()
    exchange_both_ways(client, server, packets(40, 60, 400))
    assert client.tx[0].index < start and client.rx[0].index < start
    client.close()
    server.close()


@pytest.mark.parametrize("log2", range(1, 15))
def test_every_ring_size(connect_pair, log2: int) -> None:
    client, server = connect_pair(Config(log2=log2, bsize=64))
    count = 1 << log2
    for number in range(count):
        assert client.send(0, number.to_bytes(4, "big"))
        assert server.send(0, number.to_bytes(4, "big"))
    assert not client.send(0, b"one too many")
    assert not server.send(0, b"one too many")
    expected = [number.to_bytes(4, "big") for number in range(count)]
    assert server.recv(0) == expected
    assert client.recv(0) == expected


def test_eventfds_reach_the_other_end(connect_pair) -> None:
    client, server = connect_pair()
    server.rx[0].mask(False)
    client.rx[0].mask(False)
    client.send(0, b"x")
    server.send(0, b"y")
    assert server.rx[0].woken() == 1
    assert client.rx[0].woken() == 1


def test_names_and_raw_messages_are_kept(connect_pair) -> None:
    client, server = connect_pair(Config(name="c", if_name="ci", id=7, secret="s" * 24),
                                  Config(name="s", if_name="si", id=7, secret="s" * 24))
    assert (client.peer_name, client.peer_if_name) == (b"s", b"si")
    assert (server.peer_name, server.peer_if_name) == (b"c", b"ci")
    assert [type(message).__name__ for message, _ in server.seen] == [
        "Init", "AddRegion", "AddRing", "AddRing", "Connect"]
    assert all(len(raw) == 128 for _, raw in server.seen)


@pytest.mark.parametrize("config, server_config, reason", [
    (Config(id=1), Config(id=2), "no interface with id 1"),
    (Config(mode=1), Config(), "mode mismatch"),
    (Config(), Config(secret="x"), "secret required"),
    (Config(secret="y"), Config(secret="x"), "incorrect secret"),
], ids=["id", "mode", "no-secret", "wrong-secret"])
def test_server_refuses(connect_pair, config, server_config, reason: str) -> None:
    with pytest.raises(Disconnected, match=reason):
        connect_pair(config, server_config)


def test_limits_of_hello_are_enforced(connect_pair) -> None:
    with pytest.raises(Disconnected, match="ring index 1, expected 1, highest 0"):
        connect_pair(Config(c2s=2), hello=wire.Hello(max_c2s_ring=0))


def test_client_refuses_another_version(connect_pair) -> None:
    with pytest.raises(ProtocolError, match="version 0x300"):
        connect_pair(hello=wire.Hello(min_version=0x300, max_version=0x301))


def test_disconnect_carries_its_reason(connect_pair) -> None:
    client, server = connect_pair()
    server.disconnect("maintenance", code=9)
    outcome = client.observe()
    assert outcome.closed
    assert outcome.disconnect == wire.Disconnect(9, b"maintenance")
    assert outcome.reason == "maintenance"


def test_hang_up_is_seen_as_closed(connect_pair) -> None:
    client, server = connect_pair()
    client.hang_up()
    outcome = server.observe()
    assert outcome == Outcome(closed=True)


def test_disconnect_is_heard_although_messages_were_left_unread() -> None:
    one, two = Channel.pair()
    client, server = Client(chan=one), Server(chan=two)
    client.send_init()
    client.send_connect()
    server.disconnect("go away")
    assert client.observe().reason == "go away"
    client.close()


def test_timeout_and_full_socket() -> None:
    one, two = Channel.pair()
    with pytest.raises(TimedOut):
        one.recv(0.01)
    with pytest.raises(TimedOut):
        for _ in range(10_000):
            one.send(bytes(128), timeout=0.01)
    two.close()
    with pytest.raises(Closed):
        one.send(bytes(128))
    one.close()


def test_connect_without_a_listener_times_out(address) -> None:
    with pytest.raises(TimedOut, match="nobody listens"):
        Channel.connect(address, timeout=0.05)


def test_abstract_name_is_the_bytes_given() -> None:
    name = f"@memifpeer-name-{os.getpid()}"
    with Listener(name):
        with open("/proc/net/unix", encoding="ascii") as table:
            assert name in [line.split()[-1] for line in table if "memifpeer-name" in line]


def test_nothing_is_left_open(connect_pair, packets) -> None:
    connect_pair()[0].close()
    before = len(os.listdir("/proc/self/fd"))
    client, server = connect_pair(Config(c2s=3, regions=3))
    exchange_both_ways(client, server, packets(10))
    client.close()
    server.close()
    # the server of the first pair is still open in both counts
    assert len(os.listdir("/proc/self/fd")) == before
