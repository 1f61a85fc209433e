# SPDX-License-Identifier: BSD-3-Clause
"""
Open vSwitch, Debian's, with the driver as a plugin: hosts behind memif ports of a userspace bridge. OVS
is the server of one port and the client of the other.

    MIF_CYCLES=N  times that ports are deleted and added (default 20)
"""

import json
import os
import re
import signal
from typing import Callable, List

import pytest

from hosts import IFACE, Host
from lab import LOCAL_ADDRESS, ROLES, Lab
from memif import Memif
from pairs import assert_no_errors
from process import PATIENCE
from programs import check_resources, resources, wait_until
from traffic import Traffic

pytestmark = pytest.mark.alone

StartTraffic = Callable[..., Traffic]

CYCLES = int(os.environ.get("MIF_CYCLES", "20"))


def iperf3(server: Host, client: Host, *options: str, seconds: int = 2) -> int:
    """Bytes that arrived over TCP."""
    server.spawn("iperf3", "--server", "--one-off", "--forceflush").wait_for("Server listening")
    result = json.loads(client.inside("iperf3", "--client", server.address, "--time",
                                      str(seconds), "--json", *options))
    received = result["end"]["sum_received"]["bytes"]
    # Bytes that are in flight when the time is up are not received.
    assert received > 0.8 * result["end"]["sum_sent"]["bytes"]
    return received


def send(start: StartTraffic, memif: Memif, count: int, size: str) -> Traffic:
    """Sends packets; all are gone when it returns."""
    sender = start(memif, cpu_number=0, mode="send", count=count, size=size, mtu=9000,
                   wait_link=PATIENCE, timeout=PATIENCE)
    assert sender.wait_done(PATIENCE)
    return sender


def receive(start: StartTraffic, memif: Memif, count: int) -> Traffic:
    receiver = start(memif, cpu_number=1, mode="receive", expect=count, mtu=9000,
                     wait_link=PATIENCE, timeout=PATIENCE, idle_end=1000 * PATIENCE)
    receiver.wait_started()
    return receiver


def test_hosts_talk(lab: Lab) -> None:
    """Without loss, both ways; both ends of each port count the same."""
    for one, other in (lab.hosts, lab.hosts[::-1]):
        for size in (56, 1472):
            one.ping(other.address, size=size)
    lab.check_counters()
    for one, other in (lab.hosts, lab.hosts[::-1]):
        assert iperf3(one, other) > 5e6


def test_flows(lab: Lab) -> None:
    """Matches and actions: another address, a VLAN put on and taken off, a copy, a drop."""
    one, other = lab.hosts
    # A host that does not exist, for which the other one answers.
    one.inside("ip", "neigh", "replace", "10.98.0.99", "lladdr", "02:00:00:00:98:99", "dev", IFACE)
    lab.switch.flows(
        "priority=1,actions=NORMAL",
        "priority=9,cookie=1,in_port=memif0,ip,nw_dst=10.98.0.99,"
        f"actions=mod_nw_dst:{other.address},mod_dl_dst:{other.mac},mod_vlan_vid:100,"
        "resubmit(,1)",
        "table=1,cookie=2,dl_vlan=100,actions=strip_vlan,output:memif1,LOCAL",
        f"priority=9,cookie=3,in_port=memif1,ip,nw_dst={one.address},"
        "actions=mod_nw_src:10.98.0.99,mod_dl_src:02:00:00:00:98:99,output:memif0",
        "priority=10,cookie=4,in_port=memif0,icmp,nw_dst=10.98.0.98,actions=drop")
    one.ping("10.98.0.99", size=1400)
    for cookie in (1, 2, 3):
        lab.switch.wait_flow(f"cookie={cookie}/-1", 20)
    one.inside("ip", "neigh", "replace", "10.98.0.98", "lladdr", other.mac, "dev", IFACE)
    one.ping("10.98.0.98", answers=False)
    lab.switch.wait_flow("cookie=4/-1", 20)
    # Checksums that the switch has mended are right for TCP as well.
    other.spawn("iperf3", "--server", "--one-off", "--forceflush").wait_for("Server listening")
    one.inside("iperf3", "--client", "10.98.0.99", "--bytes", "2M")


def check_mtu(lab: Lab, start_traffic: StartTraffic) -> None:
    room = {"rsize": 13}    # for all packets at once, so that nobody has to drop one
    lab.switch.add_memif("big0", Memif("server", lab.socket("big0"), {}, "net_memif2"))
    lab.switch.add_memif("big1", Memif("client", lab.socket("big1"), room, "net_memif3"))
    lab.switch.flows("in_port=big0,actions=output:big1", "in_port=big1,actions=output:big0")
    ends = {"big0": Memif("client", lab.socket("big0"), room),
            "big1": Memif("server", lab.socket("big1"))}
    send(start_traffic, ends["big0"], 50, "9014").finish()
    wait_until(lambda: lab.switch.counters("big0")["rx errs"] == 50, PATIENCE, "50 counted")
    assert lab.switch.counters("big0")["rx pkts"] == 0
    for name in ends:
        lab.switch.set(name, "mtu_request=9000")
        assert lab.switch.get("Interface", name, "mtu") == "9000"
    for sender, receiver in (("big0", "big1"), ("big1", "big0")):
        waiting = receive(start_traffic, ends[receiver], 2000)
        lab.switch.wait_link(receiver)
        sending = send(start_traffic, ends[sender], 2000, "60,1514,9014")
        assert waiting.wait_done(PATIENCE)
        results = [sending.finish(), waiting.finish()]
        assert_no_errors(*results)
        assert results[1].arrived == results[0].sent == {0: 2000}
        assert results[1].stats["ibytes"] == results[0].stats["obytes"]


def test_mtu(lab: Lab, start_traffic: StartTraffic) -> None:
    """mtu_request=9000 over buffers of 2048 bytes: whole, in order, both ways. Before, such packets are
    dropped and counted, not cut."""
    with lab.resting_hosts():
        check_mtu(lab, start_traffic)


def test_two_queues(lab: Lab) -> None:
    """n_rxq=2: the hosts' flows come in on both."""
    for name in ROLES:
        lab.switch.set(name, "options:n_rxq=2")
        lab.switch.wait_link(name)
    shown = lab.switch.appctl("dpif-netdev/pmd-rxq-show")
    for name in ROLES:
        assert set(re.findall(rf"port: {name}\s+queue-id:\s+(\d)", shown)) == {"0", "1"}, shown
    one, other = lab.hosts
    for host in lab.hosts:
        host.wait_link()
    one.wait_answer(other.address)
    iperf3(one, other, "--parallel", "8")
    # Both rings of a direction carried packets, and the switch has taken all of them.
    for host in lab.hosts:
        assert min(host.sent_by_queue()) > 0, "a queue was not used"
    lab.check_received()


@pytest.mark.parametrize("number,killed", [(0, True), (1, False)],
                         ids=["server-killed", "client-quits"])
def test_host_restarts(lab: Lab, number: int, killed: bool) -> None:
    """The other one talks with the switch's own address meanwhile, and loses nothing."""
    name = list(ROLES)[number]
    host, other = lab.hosts[number], lab.hosts[1 - number]
    other.wait_answer(LOCAL_ADDRESS)
    sent_before = other.echo_requests()
    answered = other.echoes()
    talk = other.spawn("ping", "-q", "-i", "0.02", LOCAL_ADDRESS)
    if killed:
        host.testpmd.kill9()
    else:
        host.testpmd.quit()
    lab.switch.wait_link(name, up=False)
    host.start()
    host.wait_link()
    lab.switch.wait_link(name)
    host.wait_answer(other.address)
    talk.signal(signal.SIGINT)
    talk.wait()
    sent = other.echo_requests() - sent_before
    assert sent > 20
    other.wait_echoes(answered + sent)
    other.ping(host.address)


def test_ports_are_deleted_and_added(lab: Lab) -> None:
    """One of them while the other one's host talks; nothing is left of it."""
    one, other = lab.hosts
    vswitchd = lab.switch.vswitchd
    one.wait_answer(LOCAL_ADDRESS)
    answered, sent_before = one.echoes(), one.echo_requests()
    talk = one.spawn("ping", "-q", "-i", "0.02", LOCAL_ADDRESS)
    before = None
    for cycle in range(CYCLES + 2):
        lab.switch.remove("memif1")
        assert "memif1" not in lab.switch.ports()
        if cycle == 1:
            before = resources(vswitchd.pid)
        lab.add_port("memif1")
    lab.switch.remove("memif1")
    check_resources(vswitchd.pid, before, mappings=2)
    talk.signal(signal.SIGINT)
    talk.wait()
    one.wait_echoes(answered + one.echo_requests() - sent_before, lab.switch.dropped)
    # And the server's port: its socket goes with it, and its host comes back by itself.
    for _ in range(3):
        lab.switch.remove("memif0")
        assert not lab.socket_exists("memif0")
        lab.add_port("memif0")
    lab.add_port("memif1")
    for host in lab.hosts:
        host.wait_link()
    one.wait_answer(other.address)
    one.ping(other.address)


def virtio_vdev(path: str, kind: str) -> str:
    server = ",server=1" if kind == "dpdkvhostuserclient" else ""
    return f"net_virtio_user0,path={path},queues=1{server}"


@pytest.mark.parametrize("kind", ["dpdkvhostuserclient", "dpdkvhostuser"])
def test_vhost(lab: Lab, kind: str) -> None:
    """From memif to a port of vhost-user with a virtio-user host, and back."""
    # One listens where it is told to, the other one in the switch's folder, by the port's name.
    guest_path = lab.folder / ("guest0" if kind == "dpdkvhostuserclient" else "vhost0")
    columns: List[str] = [f"type={kind}"]
    if kind == "dpdkvhostuserclient":
        columns.append(f"options:vhost-server-path={guest_path}")
    lab.switch.add("vhost0", *columns)
    guest = Host(3, virtio_vdev(str(guest_path), kind), queues=1)
    try:
        guest.start()
        guest.wait_link()
        lab.switch.wait_link("vhost0")
        guest.wait_answer(lab.hosts[0].address)
        for host in lab.hosts:
            for one, other in ((host, guest), (guest, host)):
                one.ping(other.address, size=1472)
        assert iperf3(guest, lab.hosts[0], seconds=1) > 1e6
    finally:
        guest.close()
        lab.switch.remove("vhost0")
    lab.hosts[0].ping(lab.hosts[1].address)
