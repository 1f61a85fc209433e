# SPDX-License-Identifier: BSD-3-Clause
"""devargs: every bad, unknown or duplicate option fails the probe, and the message names it."""

import json
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Callable, Dict

import pytest

from memif import OURS, Socket, build_dir, driver_args, plugin
from process import Process, cpu, eal_args, unique
from traffic import PROGRAM, Traffic

pytestmark = pytest.mark.own_ends("options are what it is about")

OPTIONS = ["id", "role", "socket", "socket-abstract", "owner-uid", "owner-gid", "socket-mode",
           "bsize", "rsize", "rx-lag", "tx-copybreak", "mac", "secret", "zero-copy", "peer-memory",
           "mode"]

# option=value, and what the message has to have beside the option
BAD = [
    "id=-1", "id=4294967296", "id=abc", "id=1x", "id=", "id",
    "role=foo", "role=Client", "role=serv", "role=",
    "socket=", "socket=@", "socket=" + "/" + "x" * 107, "socket=@" + "x" * 108,
    "socket-abstract=maybe", "socket-abstract=1", "socket-abstract=",
    "owner-uid=abc", "owner-uid=-1", "owner-uid=4294967296",
    "owner-gid=abc", "owner-gid=-1", "owner-gid=4294967296",
    "socket-mode=8", "socket-mode=rw", "socket-mode=10000", "socket-mode=-1",
    "bsize=0", "bsize=65536", "bsize=-1", "bsize=2k", "bsize=",
    "rx-lag=-1", "rx-lag=4097", "rx-lag=yes", "rx-lag=",
    "tx-copybreak=-1", "tx-copybreak=65536", "tx-copybreak=no", "tx-copybreak=",
    "rsize=0", "rsize=15", "rsize=-1", "rsize=abc", "rsize=255", "rsize=256",
    "mac=foo", "mac=02:00:00:00:00", "mac=02:00:00:00:00:00:00", "mac=02:00:00:00:00:0g",
    "mac=01:00:00:00:00:01",
    "secret=", "secret=" + "x" * 25,
    "zero-copy=maybe", "zero-copy=",
    "peer-memory=some", "peer-memory=",
    "mode=foo", "mode=", "mode=punt-inject",
]

GOOD = [
    "", "id=0", "id=4294967295", "role=server", "role=client", "role=master", "role=slave",
    "bsize=1", "bsize=65535", "rsize=1", "rsize=14", "rx-lag=0", "rx-lag=4096",
    "zero-copy=yes,tx-copybreak=0", "zero-copy=yes,tx-copybreak=65535",
    "mac=02:00:00:00:00:01",
    "secret=x", "secret=" + "x" * 24, "zero-copy=no", "peer-memory=any", "peer-memory=sealed",
    "role=server,zero-copy=yes", "zero-copy=yes", "mode=ethernet", "mode=ip",
    "role=server,mode=ip,zero-copy=yes", "zero-copy=yes,mode=ip",
    "role=server,peer-memory=sealed,rsize=11,bsize=1500,secret=abc",
]

Probe = Callable[..., Process]


@pytest.fixture
def probe(processes: list) -> Probe:
    """Starts a program with the given devargs and waits for its end: it starts the port, if any."""
    def start(*devargs: str) -> Process:
        vdevs = [f"--vdev=net_memif{number},{text}".rstrip(",")
                 for number, text in enumerate(devargs)]
        process = Process([str(build_dir() / PROGRAM), *eal_args(str(cpu(0))), *driver_args(OURS),
                           *vdevs, "--", "--mode", "receive", "--wait-stdin",
                           "--port-name", f"net_memif{len(devargs) - 1}"])
        processes.append(process)
        process.send_line()
        process.send_line()
        process.wait()
        return process
    return start


def socket_option() -> str:
    return f"socket=@{unique('mif')}"


def failed(process: Process) -> bool:
    """Whether the last of the ports was not there."""
    assert process.wait() in (0, 1), process.describe()
    return "mif-traffic: started" not in process.stdout


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:40])
def test_bad_value(probe: Probe, text: str) -> None:
    name, _, value = text.partition("=")
    others = "" if name == "socket" else "," + socket_option()
    process = probe(text + others)
    assert failed(process)
    # The message has the option as a word of its own: not 'id' as part of 'invalid'.
    assert any(f"{quote}{name}{after}" in process.stderr
               for quote, after in (("'", "'"), (" ", "="), ("'", "="), (" ", ":")))
    if len(value) in range(2, 30) and name != "secret":
        assert value in process.stderr


def test_secret_is_not_shown(probe: Probe) -> None:
    """Not even a bad one: logs are read by others."""
    secret = "do-not-tell-anybody-about-this"
    process = probe(f"secret={secret},{socket_option()}")
    assert failed(process)
    assert "secret" in process.stderr
    lines = [line for line in process.stderr.splitlines() if secret in line]
    # EAL itself prints the devargs of a device that failed.
    assert all("EAL" in line or "vdev_probe" in line for line in lines), lines


@pytest.mark.parametrize("name", ["ids", "Id", "i", "bufsize", "zerocopy", "socketabstract", "x"])
def test_unknown_option(probe: Probe, name: str) -> None:
    process = probe(f"{name}=1,{socket_option()}")
    assert failed(process)
    assert f"'{name}'" in process.stderr


@pytest.mark.parametrize("first,second", [
    ("id=1", "id=2"), ("id=1", "id=1"), ("role=client", "role=server"), ("rsize=10", "rsize=10"),
    ("socket=@a", "socket=@b"), ("secret=a", "secret=a"), ("bsize=64", "bsize=128")])
def test_duplicate_option(probe: Probe, first: str, second: str) -> None:
    process = probe(f"{first},mode=ethernet,{second}")
    assert failed(process)
    assert f"'{first.partition('=')[0]}'" in process.stderr
    assert "twice" in process.stderr


@pytest.mark.parametrize("text", GOOD, ids=lambda text: text[:40] or "none")
def test_good_value(probe: Probe, text: str) -> None:
    process = probe(",".join(filter(None, [text, socket_option()])))
    assert not failed(process)
    assert process.wait() == 0


@pytest.mark.parametrize("word,role", [("master", "server"), ("slave", "client")])
def test_deprecated_role(probe: Probe, word: str, role: str) -> None:
    """Accepted, and the message says the word of today."""
    process = probe(f"role={word},{socket_option()}")
    assert not failed(process)
    assert "deprecated" in process.stderr and f"role={role}" in process.stderr


def test_same_socket_id_and_role(probe: Probe) -> None:
    """The second of two ports that would be the same end of the same connection."""
    socket = socket_option()
    process = probe(f"role=server,id=3,{socket}", f"role=server,id=3,{socket}")
    assert failed(process)
    assert "net_memif0" in process.stderr, "the message says which port has it already"


@pytest.mark.parametrize("other", ["role=server,id=4", "role=client,id=3"])
def test_same_socket_other_id_or_role(probe: Probe, other: str) -> None:
    socket = socket_option()
    assert not failed(probe(f"role=server,id=3,{socket}", f"{other},{socket}"))


@pytest.mark.parametrize("length", [106, 107])
def test_longest_path(probe: Probe, scratch: Path, length: int) -> None:
    """107 bytes are the longest path there is."""
    path = f"{scratch}/" + "x" * (length - len(str(scratch)) - 1)
    process = probe(f"role=server,socket={path},socket-abstract=no")
    assert not failed(process)


@pytest.fixture
def serve(start_traffic: Callable[..., Traffic]) -> Callable[..., Traffic]:
    """A running server on a file socket."""
    def start(options: Dict[str, str]) -> Traffic:
        devargs = ",".join(f"{name}={value}" for name, value in options.items())
        traffic = start_traffic(None, more_vdevs=[f"net_memif0,role=server,{devargs}"],
                                mode="receive")
        traffic.wait_started()
        return traffic
    return start


@pytest.mark.parametrize("mode", ["600", "660", "0777", "000"])
def test_socket_mode(serve: Callable[..., Traffic], scratch: Path, mode: str) -> None:
    path = scratch / "memif.sock"
    traffic = serve({"socket": str(path), "socket-abstract": "no", "socket-mode": mode})
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert stat.S_IMODE(path.stat().st_mode) == int(mode, 8)
    traffic.finish()
    assert not path.exists(), "the server takes its socket file with it"


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file away needs root")
def test_socket_owner(serve: Callable[..., Traffic], scratch: Path) -> None:
    path = scratch / "memif.sock"
    serve({"socket": str(path), "socket-abstract": "no", "owner-uid": "1234",
           "owner-gid": "4321"})
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)


def test_stale_socket_file(start_traffic: Callable[..., Traffic], serve: Callable[..., Traffic],
                           file_socket: Socket) -> None:
    """A server that was killed leaves its file behind; the next one takes its place."""
    options = {"socket": file_socket.path, "socket-abstract": "no"}
    serve(options).kill9()
    assert Path(file_socket.path).exists()
    server = serve(options)
    client = start_traffic(None, more_vdevs=[
        f"net_memif0,role=client,socket={file_socket.path},socket-abstract=no"],
        mode="send", count=100)
    client.wait_link()
    server.wait_link()


def test_file_that_is_no_socket_stays(probe: Probe, scratch: Path) -> None:
    """Whatever else has that name is not ours to remove."""
    path = scratch / "precious"
    path.write_text("data")
    process = probe(f"role=server,socket={path},socket-abstract=no")
    assert failed(process)
    assert str(path) in process.stderr
    assert path.read_text() == "data"


def test_pmdinfo() -> None:
    """dpdk-pmdinfo.py finds the driver and every option in the file."""
    program = shutil.which("dpdk-pmdinfo.py")
    if program is None:
        pytest.skip("dpdk-pmdinfo.py (package dpdk-dev) is not installed")
    done = subprocess.run(["/usr/bin/python3", program, str(plugin())], capture_output=True,
                          text=True, check=True)
    drivers = json.loads(done.stdout)
    assert [driver["name"] for driver in drivers] == ["net_memif"]
    for option in OPTIONS:
        assert f"{option}=" in drivers[0]["params"]


@pytest.mark.parametrize("text, silent", [
    ("tx-copybreak=64", False), ("role=server,zero-copy=yes,tx-copybreak=64", False),
    ("zero-copy=yes,tx-copybreak=64", True)])
def test_copybreak_is_for_sharing_clients(probe: Probe, text: str, silent: bool) -> None:
    process = probe(f"{text},{socket_option()}")
    assert not failed(process)
    assert ("option 'tx-copybreak' has no effect" in process.stderr) == (not silent)
