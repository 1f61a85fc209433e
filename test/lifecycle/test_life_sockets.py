# SPDX-License-Identifier: BSD-3-Clause
"""The control socket: stale, live and foreign files, access, names, and what is left behind."""

import os
import socket
import stat
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest

from memif import Memif, Socket
from process import unique
from programs import CommandError, Lifecycle, wait_until
from steps import client_steps, new_client

NAME_MAX = 107
NOBODY = 65534
LISTENING = "00010000"      # flags in /proc/net/unix

StartLifecycle = Callable[..., Lifecycle]


def server_at(path: Path, number: int = 0, **options: Any) -> str:
    return Memif("server", Socket(str(path), False), {"id": number, **options},
                 f"net_memif{number}").vdev()


def handshake(address: str, number: int = 0) -> None:
    """An honest client of this port."""
    with new_client(id=number) as client:
        for _, step in client_steps(client, address):
            step()


def listeners(path: str) -> int:
    """Sockets of this name that listen, '@name' for abstract ones."""
    rows = (line.split(maxsplit=7) for line in Path("/proc/net/unix").read_text().splitlines())
    return sum(len(row) == 8 and row[7] == path and row[3] == LISTENING for row in rows)


def check_refused(program: Lifecycle, vdev: str, *words: str) -> None:
    """Attaching fails, and the log says why."""
    name = vdev.split(",")[0]
    lines = len(program.log(name))
    with pytest.raises(CommandError):
        program.cmd(f"attach {vdev}")
    said = wait_until(lambda: program.log(name)[lines:], 2, "a reason in the log")
    assert any(all(word in line for word in words) for line in said), said


@pytest.fixture
def program(start_lifecycle: StartLifecycle) -> Lifecycle:
    return start_lifecycle()


@pytest.fixture
def path(scratch: Path) -> Path:
    return scratch / "memif.sock"


# -- what is there already ------------------------------------------------------------------------

def test_stale_file_is_replaced(program: Lifecycle, path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stale:
        stale.bind(str(path))
    program.up(server_at(path))
    handshake(str(path))
    program.quit()
    assert not path.exists()


def test_file_of_a_killed_server_is_replaced(program: Lifecycle, path: Path,
                                             start_lifecycle: StartLifecycle) -> None:
    killed = start_lifecycle()
    killed.up(server_at(path))
    killed.kill9()
    assert stat.S_ISSOCK(path.stat().st_mode)
    program.up(server_at(path))
    handshake(str(path))
    program.quit()


@pytest.mark.parametrize("kind", [socket.SOCK_SEQPACKET, socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_live_socket_is_an_error(program: Lifecycle, path: Path, kind: int) -> None:
    """Also one of another kind: somebody uses it."""
    with socket.socket(socket.AF_UNIX, kind) as live:
        live.bind(str(path))
        if kind != socket.SOCK_DGRAM:
            live.listen()
        before = path.stat()
        check_refused(program, server_at(path), "another process listens", str(path))
        assert path.stat().st_ino == before.st_ino


def test_live_server_is_an_error(program: Lifecycle, path: Path,
                                 start_lifecycle: StartLifecycle) -> None:
    owner = start_lifecycle()
    owner.up(server_at(path))
    check_refused(program, server_at(path), "another process listens", str(path))
    handshake(str(path))
    owner.quit()
    program.up(server_at(path))
    handshake(str(path))


def test_live_server_with_a_full_backlog_is_an_error(program: Lifecycle, path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as live:
        live.bind(str(path))
        live.listen(0)
        waiting = []
        for _ in range(3):
            waiting.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            waiting[-1].setblocking(False)
            try:
                waiting[-1].connect(str(path))
            except BlockingIOError:
                break
        check_refused(program, server_at(path), "another process listens")
        for one in waiting:
            one.close()
    assert path.exists()


def make_file(path: Path) -> None:
    path.write_text("precious")


def make_folder(path: Path) -> None:
    path.mkdir()
    (path / "precious").touch()


def make_link_to_file(path: Path) -> None:
    make_file(path.with_suffix(".target"))
    path.symlink_to(path.with_suffix(".target"))


def make_dangling_link(path: Path) -> None:
    path.symlink_to("/nonexistent/target")


@pytest.mark.parametrize("make", [make_file, make_folder, os.mkfifo, make_link_to_file,
                                  make_dangling_link])
def test_other_files_are_never_removed(program: Lifecycle, path: Path,
                                       make: Callable[[Path], None]) -> None:
    make(path)

    def contents() -> Dict[str, Tuple[int, int]]:
        return {str(file): (file.lstat().st_ino, file.lstat().st_size)
                for file in path.parent.rglob("*")}

    before = contents()
    check_refused(program, server_at(path), "not a socket", str(path))
    assert contents() == before


def test_folder_that_is_not_there(program: Lifecycle, path: Path) -> None:
    check_refused(program, server_at(path / "deeper"), str(path / "deeper"),
                  "No such file or directory")


# -- access ---------------------------------------------------------------------------------------

def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_mode_by_umask(program: Lifecycle, path: Path) -> None:
    umask = os.umask(0)
    os.umask(umask)
    program.up(server_at(path))
    assert mode_of(path) == 0o777 & ~umask


def can_connect(path: Path, uid: int) -> bool:
    """Tries as another user."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
                peer.connect(str(path))
            os._exit(0)
        except PermissionError:
            os._exit(1)
        except BaseException:
            os._exit(2)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 1), "connecting failed for another reason"
    return status == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be other users")
def test_owner_and_mode_decide_who_connects(program: Lifecycle, path: Path) -> None:
    path.parent.chmod(0o711)
    for options, allowed in (
            ({"socket-mode": "600"}, False),
            ({"socket-mode": "666"}, True),
            ({"socket-mode": "600", "owner-uid": NOBODY}, True),
            ({"socket-mode": "660", "owner-gid": NOBODY}, True),
            ({"socket-mode": "606", "owner-gid": NOBODY}, False)):
        port = program.up(server_at(path, **options))
        assert mode_of(path) == int(options["socket-mode"], 8)
        assert path.stat().st_uid == options.get("owner-uid", 0)
        assert path.stat().st_gid == options.get("owner-gid", 0)
        assert can_connect(path, NOBODY) == allowed, options
        program.cmd(f"detach {port}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change owners")
def test_access_holds_before_anybody_can_connect(program: Lifecycle, path: Path) -> None:
    """Whenever a connect() succeeds, owner and mode are those that were asked for."""
    wrong: List[Tuple[int, int, int]] = []
    connected = 0
    end = threading.Event()

    def intrude() -> None:
        nonlocal connected
        while not end.is_set():
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
                peer.setblocking(False)
                try:
                    peer.connect(str(path))
                    status = path.stat()
                except OSError:
                    continue
            connected += 1
            found = (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode))
            if found != (NOBODY, NOBODY, 0o640):
                wrong.append(found)

    threads = [threading.Thread(target=intrude) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        port = program.attach(server_at(path, **{
            "owner-uid": NOBODY, "owner-gid": NOBODY, "socket-mode": "640"}))
        program.cmd(f"detach {port}")
    end.set()
    for thread in threads:
        thread.join()
    assert connected > 20, "the intruder was too slow to see anything"
    assert not wrong, wrong


def test_ports_on_one_socket_share_it(program: Lifecycle, path: Path) -> None:
    """One listener; other access or the same id is refused; it goes with the last of them."""
    for number in range(3):
        program.up(server_at(path, number, **{"socket-mode": "600"}))
    assert listeners(str(path)) == 1
    check_refused(program, server_at(path, 3, **{"socket-mode": "666"}), "socket-mode")
    for number in (1, 0):
        program.cmd(f"detach {number}")
        handshake(str(path), 2)
    assert mode_of(path) == 0o600
    program.cmd("detach 2")
    assert not path.exists()


def test_same_id_twice_is_an_error(program: Lifecycle, path: Path) -> None:
    program.up(server_at(path))
    check_refused(program, server_at(path).replace("net_memif0", "net_memif1"), "already")
    handshake(str(path))


# -- names ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("options,address", [
    ("socket=@{}", "@{}"),
    ("socket=@{},socket-abstract=yes", "@{}"),
    ("socket={},socket-abstract=yes", "@{}"),
    ("socket={}", "@{}"),
])
def test_abstract_names(program: Lifecycle, scratch: Path, options: str, address: str) -> None:
    """No file, whatever the name looks like. The default is that of the stock driver: abstract."""
    name = str(scratch / "name")
    program.up(f"net_memif0,role=server,{options.format(name)}")
    assert listeners(address.format(name)) == 1
    assert not os.path.exists(name)
    handshake(address.format(name))
    program.cmd("detach 0")
    assert listeners(address.format(name)) == 0


def test_abstract_name_in_use_is_an_error(program: Lifecycle) -> None:
    name = unique("taken")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as live:
        live.bind(b"\0" + name.encode())
        live.listen()
        check_refused(program, f"net_memif0,role=server,socket=@{name}", "another process listens",
                      name)


@pytest.mark.parametrize("abstract", [False, True])
def test_names_of_107_and_108_bytes(program: Lifecycle, start_lifecycle: StartLifecycle,
                                    scratch: Path, abstract: bool) -> None:
    """The longest that the kernel takes, and one byte more; for both roles."""
    name = f"{scratch}/".ljust(NAME_MAX, "n")
    longest = Socket(name, abstract)
    server, client = program, start_lifecycle()
    server.up(Memif("server", longest).vdev())
    assert os.path.exists(name) == (not abstract)
    client.up(Memif("client", longest).vdev())
    client.wait_link()
    for role, end in (("server", server), ("client", client)):
        check_refused(end, Memif(role, Socket(name + "n", abstract), {}, "net_memif1").vdev(),
                      str(NAME_MAX), str(NAME_MAX + 1))
    assert not os.path.exists(name + "n")
    server.quit()
    assert not os.path.exists(name)


# -- what is left behind --------------------------------------------------------------------------

@pytest.mark.parametrize("end", ["close 0", "detach 0", "quit"])
def test_file_is_gone_after_close(program: Lifecycle, path: Path, end: str) -> None:
    program.up(server_at(path))
    assert stat.S_ISSOCK(path.stat().st_mode)
    if end == "quit":
        program.quit()
    else:
        program.cmd(end)
    assert not path.exists() and not list(path.parent.iterdir())


def test_stopped_port_keeps_its_file(program: Lifecycle, path: Path) -> None:
    program.up(server_at(path))
    before = path.stat().st_ino
    program.cmd("stop 0")
    assert path.stat().st_ino == before
    program.start()
    handshake(str(path))
    assert path.stat().st_ino == before


def test_file_of_somebody_else_is_left(program: Lifecycle, path: Path,
                                       start_lifecycle: StartLifecycle) -> None:
    """Ours was removed and another server has bound the same path since."""
    program.up(server_at(path))
    path.unlink()
    other = start_lifecycle()
    other.up(server_at(path))
    before = path.stat().st_ino
    program.cmd("detach 0")
    assert path.stat().st_ino == before
    handshake(str(path))


def test_no_socket_in_our_place_is_left(program: Lifecycle, path: Path) -> None:
    program.up(server_at(path))
    path.unlink()
    make_file(path)
    program.cmd("detach 0")
    assert path.read_text() == "precious"


def test_file_that_is_gone_already(program: Lifecycle, path: Path) -> None:
    program.up(server_at(path))
    path.unlink()
    program.cmd("detach 0")
    program.up(server_at(path))
    handshake(str(path))
    program.quit()


def test_refused_port_leaves_nothing(program: Lifecycle, path: Path) -> None:
    """A port that could not be made does not keep the control thread, a file, or its name."""
    make_file(path)
    for _ in range(20):
        with pytest.raises(CommandError):
            program.cmd(f"attach {server_at(path)}")
    time.sleep(0.1)
    count = len(program.fds())
    with pytest.raises(CommandError):
        program.cmd(f"attach {server_at(path)}")
    assert len(program.fds()) <= count
    path.unlink()
    program.up(server_at(path))
    handshake(str(path))
    program.quit()


def test_two_servers_race_for_a_stale_file(start_lifecycle: StartLifecycle, path: Path) -> None:
    """Exactly one of them gets it, every time, and clients reach that one."""
    ends = [start_lifecycle(), start_lifecycle()]
    for _ in range(10):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stale:
            stale.bind(str(path))
        for end in ends:
            end.send_line(f"attach {server_at(path)}")
        won = []
        for end in ends:
            try:
                end.answer("attach")
                won.append(end)
            except CommandError:
                pass
        assert len(won) == 1, "both, or none, got the socket"
        won[0].cmd("setup 0 1")
        won[0].start()
        handshake(str(path))
        won[0].cmd("detach 0")
        assert not path.exists()
