# SPDX-License-Identifier: BSD-3-Clause
"""What both roles share: messages out and in, packets out and in, and how a connection ended."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any, List, Optional, Sequence, Tuple, Type, Union

from . import wire
from .chan import Channel, Closed, DEFAULT_TIMEOUT, TimedOut, close_all
from .ring import ClientRx, ClientTx, ServerRx, ServerTx
from .shm import Region


class ProtocolError(Exception):
    """The other end did what the protocol does not allow, or refused us."""


class Disconnected(ProtocolError):
    """The other end sent DISCONNECT."""

    def __init__(self, message: wire.Disconnect) -> None:
        self.message = message
        reason = bytes(message.string).decode(errors="replace")
        super().__init__(f"peer disconnected: code {message.code}, '{reason}'")


@dataclass
class Config:
    """What a peer offers and asks for. The memory rows are the client's: it decides them."""

    id: int = 0
    mode: int = wire.MODE_ETHERNET
    secret: wire.Text = b""
    name: wire.Text = b"memifpeer"
    if_name: wire.Text = b"memifpeer"
    c2s: int = 1                # rings client -> server
    s2c: int = 1
    log2: int = 10
    bsize: int = 2048
    stride: int = 0             # distance of buffers; 0: bsize, rounded up to a line
    lead: int = 0               # bytes from a buffer's start to what is offered of it
    regions: int = 1            # 1: rings and buffers together; n: rings in 0, buffers in the rest
    sealed: bool = True
    hugetlb: bool = False
    private_hdr_size: int = 0
    post_early: bool = False    # S2C buffers before CONNECT; stock servers then forget them
    timeout: float = DEFAULT_TIMEOUT


@dataclass
class Outcome:
    """What the other end did until the connection ended, or until we stopped looking."""

    messages: List[wire.Message] = field(default_factory=list)
    closed: bool = False
    notes: dict = field(default_factory=dict)

    @property
    def disconnect(self) -> Optional[wire.Disconnect]:
        for message in self.messages:
            if isinstance(message, wire.Disconnect):
                return message
        return None

    @property
    def reason(self) -> Optional[str]:
        """The text of its DISCONNECT, None when it sent none."""
        message = self.disconnect
        return None if message is None else bytes(message.string).decode(errors="replace")

    @property
    def ended(self) -> bool:
        return self.closed or self.disconnect is not None


Tx = Union[ClientTx, ServerTx]
Rx = Union[ClientRx, ServerRx]


class Session:
    """One connection. Use it as a context manager: leaving closes without a DISCONNECT."""

    NEEDS_FD: Tuple[Type[wire.Message], ...] = ()
    FROM_PEER: Tuple[Type[wire.Message], ...] = ()

    def __init__(self, config: Optional[Config] = None, chan: Optional[Channel] = None) -> None:
        self.config = config or Config()
        self._chan = chan
        self.tx: List[Tx] = []
        self.rx: List[Rx] = []
        self.regions: List[Optional[Region]] = []
        self.seen: List[Tuple[wire.Message, bytes]] = []  # every message received, with its bytes
        self.peer_name: Optional[bytes] = None            # HELLO or INIT
        self.peer_if_name: Optional[bytes] = None         # CONNECT or CONNECTED

    @property
    def chan(self) -> Channel:
        if self._chan is None:
            raise Closed("not connected")
        return self._chan

    # -- messages ---------------------------------------------------------------------------------

    def say(self, message: wire.Message, fds: Sequence[int] = (), **override: Any) -> None:
        """Sends a message, any field of it changed, with any number of descriptors."""
        self.chan.send(message.replaced(**override).pack(), fds, self.config.timeout)

    def say_raw(self, raw: bytes, fds: Sequence[int] = ()) -> None:
        self.chan.send(raw, fds, self.config.timeout)

    def hear(self, timeout: Optional[float] = None) -> Tuple[wire.Message, List[int]]:
        """The next message and its descriptors, which are then the caller's to close."""
        got = self.chan.recv(self.config.timeout if timeout is None else timeout)
        try:
            message = wire.decode(got.raw)
            if got.cut:
                raise ProtocolError("message or control data cut short")
            if type(message) not in self.FROM_PEER:
                raise ProtocolError(f"{type(message).__name__} is not the other end's to send")
            needed = int(type(message) in self.NEEDS_FD)
            if len(got.fds) != needed:
                raise ProtocolError(f"{type(message).__name__} with {len(got.fds)} descriptors, "
                                    f"must be {needed}")
        except (ValueError, ProtocolError) as error:
            close_all(got.fds)
            raise ProtocolError(str(error)) from None
        self.seen.append((message, got.raw))
        return message, got.fds

    def expect(self, kind: Type[wire.Message], timeout: Optional[float] = None) -> Any:
        """The next message, which must be of this kind and carry no descriptor."""
        message, fds = self.hear(timeout)
        close_all(fds)
        if isinstance(message, wire.Disconnect) and kind is not wire.Disconnect:
            raise Disconnected(message)
        if not isinstance(message, kind):
            raise ProtocolError(f"{type(message).__name__} where {kind.__name__} was due")
        return message

    def expect_ack(self) -> None:
        self.expect(wire.Ack)

    def raw_of(self, kind: Type[wire.Message]) -> List[bytes]:
        """The bytes of every message of this kind that came in."""
        return [raw for message, raw in self.seen if isinstance(message, kind)]

    def observe(self, timeout: float = 2.0) -> Outcome:
        """Listens until the other end closes, or for so long; after a DISCONNECT only briefly."""
        outcome = Outcome()
        deadline = time.monotonic() + timeout
        while True:
            try:
                got = self.chan.recv(max(0.0, deadline - time.monotonic()))
            except TimedOut:
                return outcome
            except Closed:
                outcome.closed = True
                return outcome
            close_all(got.fds)
            outcome.messages.append(wire.decode(got.raw))
            if outcome.disconnect is not None:
                deadline = min(deadline, time.monotonic() + 0.5)

    # -- packets ----------------------------------------------------------------------------------

    def send(self, qid: int, packet: bytes, sizes: Sequence[int] = ()) -> bool:
        """Sends one packet; False when the ring is full. sizes cuts it into a chain."""
        return self.tx[qid].send(packet, sizes)

    def recv(self, qid: int) -> List[bytes]:
        """The packets that are there, possibly none."""
        return self.rx[qid].recv()

    def recv_wait(self, qid: int, count: int, timeout: float = 5.0) -> List[bytes]:
        """Polls until so many packets came, or for so long; what came."""
        packets: List[bytes] = []
        deadline = time.monotonic() + timeout
        while len(packets) < count and time.monotonic() < deadline:
            more = self.recv(qid)
            packets += more
            if not more:
                time.sleep(0.0005)
        return packets

    def exchange(self, qid: int, packets: Sequence[bytes], timeout: float = 5.0,
                 window: int = 64, rx_qid: Optional[int] = None) -> List[bytes]:
        """Sends packets to an end that echoes and gathers what returns. At most `window` packets
        are out at a time, so that an honest end has no reason to drop one."""
        returned: List[bytes] = []
        sent = 0
        deadline = time.monotonic() + timeout
        while len(returned) < len(packets) and time.monotonic() < deadline:
            while (sent < len(packets) and sent - len(returned) < window
                   and self.send(qid, packets[sent])):
                sent += 1
            more = self.recv(qid if rx_qid is None else rx_qid)
            returned += more
            if not more:
                time.sleep(0.0002)
        return returned

    def echo(self, qid: int, count: int, timeout: float = 5.0) -> int:
        """Returns packets to where they came from; how many, when count is reached or time out."""
        done = 0
        deadline = time.monotonic() + timeout
        while done < count and time.monotonic() < deadline:
            for packet in self.recv(qid):
                while not self.send(qid, packet) and time.monotonic() < deadline:
                    time.sleep(0.0002)
                done += 1
            time.sleep(0.0002)
        return done

    def serve(self, stop: threading.Event) -> None:
        """Echoes on every queue until the other end disconnects, breaks a rule, or stop is set."""
        while not stop.is_set():
            for rx, tx in zip(self.rx, self.tx):
                for packet in rx.recv():
                    tx.send(packet)
            try:
                message, fds = self.hear(0.001)
            except TimedOut:
                continue
            except ProtocolError as error:
                raise self.refuse(str(error)) from None
            close_all(fds)
            if isinstance(message, wire.Disconnect):
                raise Disconnected(message)
            raise self.refuse(f"{type(message).__name__} after the handshake")

    # -- the end ----------------------------------------------------------------------------------

    def disconnect(self, reason: wire.Text = b"bye", code: int = 0) -> None:
        """Says why, and closes."""
        try:
            self.say(wire.Disconnect(code=code, string=reason))
        except (Closed, TimedOut):
            pass
        self.close()

    def refuse(self, reason: str) -> ProtocolError:
        """Disconnects over what the other end did; returns the exception to raise."""
        self.disconnect(reason[:wire.REASON_LEN], code=1)
        return ProtocolError(reason)

    def hang_up(self) -> None:
        """Closes the socket only: what a process that died looks like to the other end."""
        if self._chan is not None:
            self._chan.close()
            self._chan = None

    def close(self) -> None:
        """Closes everything, without a word to the other end."""
        self.hang_up()
        for end in self.tx + self.rx:
            end.close()
        self.tx, self.rx = [], []
        for region in self.regions:
            if region is not None:
                region.close()
        self.regions = []

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
