# SPDX-License-Identifier: BSD-3-Clause
"""The server: listens, says HELLO, maps what the client offers, and connects.

    listener = Listener(address); server = Server(config); server.accept(listener)
    server.send_hello()
    server.recv_init(); server.send_ack()
    server.recv_region(); server.send_ack()         ... or server.recv_ring(), as the client sends
    server.recv_connect()
    server.send_connected()

handshake() does it all. Every send_ step takes the fields it shall send otherwise.
"""

import os
from typing import Any, List, Optional

from . import checks, wire
from .chan import Channel, Listener, close_all
from .ring import ServerRx, ServerTx
from .session import Disconnected, ProtocolError, Session
from .shm import Region, Ring


class Server(Session):
    FROM_PEER = wire.FROM_CLIENT
    NEEDS_FD = wire.WITH_FD

    def __init__(self, config: Any = None, chan: Optional[Channel] = None,
                 hello: Optional[wire.Hello] = None) -> None:
        super().__init__(config, chan)
        self.hello = hello or wire.Hello(name=self.config.name)
        self.init: Optional[wire.Init] = None
        self.offered: List[checks.OfferedRing] = []

    # -- steps ------------------------------------------------------------------------------------

    def accept(self, listener: Listener, timeout: Optional[float] = None) -> None:
        """The next client that is still there: one may have waited in vain, and gone."""
        while True:
            self._chan = listener.accept(self.config.timeout if timeout is None else timeout)
            if self._chan.alive():
                return
            self.hang_up()

    def send_hello(self, **override: Any) -> None:
        self.say(self.hello, override.pop("fds", ()), **override)

    def send_ack(self, **override: Any) -> None:
        self.say(wire.Ack(), override.pop("fds", ()))

    def recv_init(self) -> wire.Init:
        init = self.expect(wire.Init)
        self._refuse_if(checks.check_init(init, self.config))
        self.init = init
        self.peer_name = init.name
        return init

    def recv_offer(self) -> wire.Message:
        """ADD_REGION, ADD_RING or CONNECT, whichever comes, checked and taken."""
        message, fds = self.hear()
        if isinstance(message, wire.Disconnect):
            raise Disconnected(message)
        if isinstance(message, wire.AddRegion):
            self._take_region(message, fds[0])
        elif isinstance(message, wire.AddRing):
            self._take_ring(message, fds[0])
        elif isinstance(message, wire.Connect):
            self._take_connect(message)
        else:
            close_all(fds)
            raise self.refuse(f"{type(message).__name__} out of order")
        return message

    def recv_region(self) -> wire.AddRegion:
        return self._offer_of(wire.AddRegion)

    def recv_ring(self) -> wire.AddRing:
        return self._offer_of(wire.AddRing)

    def recv_connect(self) -> wire.Connect:
        return self._offer_of(wire.Connect)

    def send_connected(self, **override: Any) -> None:
        self._create_ends()
        self.say(wire.Connected(if_name=self.config.if_name), override.pop("fds", ()), **override)

    STEPS = ("hello", "init", "regions", "rings", "connect", "connected")

    def handshake(self, until: Optional[str] = None) -> "Server":
        """All steps, or those up to and with `until`, one of STEPS. 'regions' ends before the first
        ADD_RING is answered, 'rings' before CONNECT is."""
        try:
            self._handshake(until)
        except Disconnected:
            self.close()
            raise
        except ProtocolError as error:
            if self._chan is not None:
                self.refuse(str(error))
            raise
        return self

    def _handshake(self, until: Optional[str]) -> None:
        self.send_hello()
        if until == "hello":
            return
        self.recv_init()
        self.send_ack()
        if until == "init":
            return
        while True:
            message = self.recv_offer()
            if isinstance(message, wire.Connect):
                break
            if until == "regions" and isinstance(message, wire.AddRing):
                return
            self.send_ack()
        if until not in ("rings", "connect"):
            self.send_connected()

    # -- what the client offers -------------------------------------------------------------------

    def _offer_of(self, kind: type) -> Any:
        message = self.recv_offer()
        if not isinstance(message, kind):
            raise self.refuse(f"{type(message).__name__} where {kind.__name__} was due")
        return message

    def _refuse_if(self, reason: Optional[str], fd: int = -1) -> None:
        if reason is not None:
            if fd >= 0:
                os.close(fd)
            raise self.refuse(reason)

    def _take_region(self, message: wire.AddRegion, fd: int) -> None:
        self._refuse_if(checks.check_region(message, fd, len(self.regions),
                                            self.hello.max_region), fd)
        try:
            self.regions.append(Region(fd, message.size))
        except OSError as error:
            self._refuse_if(f"cannot map region: {error.strerror}", fd)

    def _take_ring(self, message: wire.AddRing, fd: int) -> None:
        self._refuse_if(checks.check_ring(message, fd, self.regions, self.offered, self.hello), fd)
        region = self.regions[message.region]
        assert region is not None, "checked with the ring"
        ring = Ring(region, message.offset, message.log2_ring_size)
        self.offered.append(checks.OfferedRing(message, fd, ring))

    def _take_connect(self, message: wire.Connect) -> None:
        self._refuse_if(checks.check_connect(self.offered))
        self.peer_if_name = message.if_name

    def _create_ends(self) -> None:
        for offered in self.offered:
            args = (offered.ring, offered.eventfd, self.regions)
            if offered.message.flags & wire.RING_C2S:
                rx = ServerRx(*args)
                rx.mask()
                self.rx.append(rx)
            else:
                self.tx.append(ServerTx(*args))
        self.offered = []

    def close(self) -> None:
        for offered in self.offered:
            os.close(offered.eventfd)
        self.offered = []
        super().close()
