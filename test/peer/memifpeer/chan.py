# SPDX-License-Identifier: BSD-3-Clause
"""The control channel: SOCK_SEQPACKET, with file descriptors by SCM_RIGHTS.

A received descriptor belongs to who called recv(); a sent one stays with the sender.
An address is a path, or '@name' for the abstract name (a NUL byte, then exactly these bytes).
"""

import array
import os
import socket
import time
from dataclasses import dataclass, field
from typing import List, Optional, Sequence, Tuple, Union

DEFAULT_TIMEOUT = 3.0
MAX_FDS = 253  # what Linux takes in one message (SCM_MAX_FD)


class Closed(Exception):
    """The other end closed its socket, with or without a word."""


class TimedOut(Exception):
    """Nothing came, or nothing could be sent, in the time given."""


def sockaddr(address: str) -> Union[str, bytes]:
    """What bind() and connect() take for a path or an '@name'."""
    return b"\0" + address[1:].encode() if address.startswith("@") else address


def close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)


@dataclass
class Received:
    """One message as it came in, not decoded."""

    raw: bytes
    fds: List[int] = field(default_factory=list)
    flags: int = 0

    @property
    def cut(self) -> bool:
        """The kernel dropped something: data or descriptors did not fit."""
        return bool(self.flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC))


class Channel:
    """One end of a control connection; owns its socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    @classmethod
    def connect(cls, address: str, timeout: float = DEFAULT_TIMEOUT) -> "Channel":
        """Connects, and tries again while nobody listens yet."""
        deadline = time.monotonic() + timeout
        while True:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                sock.connect(sockaddr(address))
                return cls(sock)
            except (ConnectionRefusedError, FileNotFoundError):
                sock.close()
                if time.monotonic() > deadline:
                    raise TimedOut(f"nobody listens on {address}") from None
                time.sleep(0.01)

    @classmethod
    def pair(cls) -> Tuple["Channel", "Channel"]:
        one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(one), cls(two)

    def send(self, raw: bytes, fds: Sequence[int] = (),
             timeout: Optional[float] = DEFAULT_TIMEOUT) -> None:
        self.sock.settimeout(timeout)
        control = []
        if fds:
            control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
        try:
            self.sock.sendmsg([raw], control, socket.MSG_NOSIGNAL)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed(str(error)) from None
        except (TimeoutError, BlockingIOError):
            raise TimedOut("the peer does not read its socket") from None

    def recv(self, timeout: Optional[float] = DEFAULT_TIMEOUT, size: int = 4096,
             room: int = MAX_FDS) -> Received:
        self.sock.settimeout(timeout)
        space = socket.CMSG_SPACE(room * array.array("i").itemsize) if room else 0
        try:
            raw, control, flags, _ = self._recvmsg(size, space)
        except (TimeoutError, BlockingIOError):
            raise TimedOut(f"no message within {timeout} s") from None
        fds = array.array("i")
        for level, kind, data in control:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(data[:len(data) - len(data) % fds.itemsize])
        if not raw:
            close_all(fds)
            raise Closed("end of file")
        return Received(raw, list(fds), flags)

    def alive(self) -> bool:
        """Whether the other end still has its socket open, or has left a message to read."""
        try:
            return bool(self.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False

    def _recvmsg(self, size: int, space: int) -> tuple:
        # A peer that closes with unread messages resets us, and the kernel reports that before
        # the DISCONNECT it had sent: the report comes once, the messages after it.
        try:
            return self.sock.recvmsg(size, space, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            return self.sock.recvmsg(size, space, socket.MSG_CMSG_CLOEXEC)

    def close(self) -> None:
        self.sock.close()


class Listener:
    """A listening control socket; a file is removed with it, a stale one is replaced."""

    def __init__(self, address: str, backlog: int = 64) -> None:
        self.address = address
        self._file = None if address.startswith("@") else address
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._unlink()
        self.sock.bind(sockaddr(address))
        self.sock.listen(backlog)

    def _unlink(self) -> None:
        if self._file is not None:
            try:
                os.unlink(self._file)
            except FileNotFoundError:
                pass

    def accept(self, timeout: Optional[float] = DEFAULT_TIMEOUT) -> Channel:
        self.sock.settimeout(timeout)
        try:
            sock, _ = self.sock.accept()
        except (TimeoutError, BlockingIOError):
            raise TimedOut(f"nobody connected to {self.address} within {timeout} s") from None
        return Channel(sock)

    def close(self) -> None:
        self.sock.close()
        self._unlink()

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
