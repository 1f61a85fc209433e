# SPDX-License-Identifier: BSD-3-Clause
"""The client: creates regions and rings, offers them, and asks to be connected.

handshake() does it all; a test that wants to stop or misbehave calls the steps itself:

    client.connect(address)
    client.recv_hello()
    client.send_init(); client.expect_ack()
    client.create_memory()
    client.send_region(0); client.expect_ack()      ... every region
    client.send_ring(0); client.expect_ack()        ... every C2S ring, then every S2C ring
    client.send_connect(); client.recv_connected()  posts all S2C buffers, too

Every send_ step takes the fields it shall send otherwise, and fds to send instead of the right one.
"""

import os
from dataclasses import dataclass
from typing import Any, List, Optional, Sequence

from . import wire
from .chan import Channel
from .ring import ClientRx, ClientTx
from .session import ProtocolError, Session
from .shm import Desc, Region, Ring, align, ring_bytes

PAGE = 4096


@dataclass
class RingPlan:
    """Where one ring lies; flags says its direction."""

    flags: int
    index: int
    region: int
    offset: int


class Client(Session):
    FROM_PEER = wire.FROM_SERVER

    def __init__(self, config: Any = None, chan: Optional[Channel] = None) -> None:
        super().__init__(config, chan)
        self.plans: List[RingPlan] = []
        self.hello: Optional[wire.Hello] = None

    # -- memory -----------------------------------------------------------------------------------

    def create_memory(self) -> None:
        """Regions, rings and eventfds as the configuration says."""
        cfg = self.config
        self.plans = []
        end = 0
        for flags, count in ((wire.RING_C2S, cfg.c2s), (wire.RING_S2C, cfg.s2c)):
            for index in range(count):
                self.plans.append(RingPlan(flags, index, 0, end))
                end += align(ring_bytes(cfg.log2))
        self._stride = cfg.stride or align(cfg.lead + cfg.bsize)
        self._base = end if cfg.regions == 1 else 0
        self.regions = [Region.create(size, cfg.sealed, cfg.hugetlb)
                        for size in self._region_sizes(end)]
        self._create_ends()

    def _region_sizes(self, rings_end: int) -> List[int]:
        buffers = len(self.plans) << self.config.log2
        if self.config.regions == 1:
            return [max(PAGE, align(rings_end + buffers * self._stride, PAGE))]
        parts = self.config.regions - 1
        each = max(PAGE, align(-(-buffers // parts) * self._stride, PAGE))
        return [max(PAGE, align(rings_end, PAGE))] + [each] * parts

    def place(self, number: int, index: int) -> Desc:
        """The buffer of a slot of the number-th ring, counted over both directions."""
        slot = index & ((1 << self.config.log2) - 1)
        buffer = (number << self.config.log2) + slot
        if self.config.regions == 1:
            return Desc(region=0, offset=self._base + buffer * self._stride + self.config.lead)
        parts = self.config.regions - 1
        return Desc(region=1 + buffer % parts, offset=buffer // parts * self._stride + self.config.lead)

    def _create_ends(self) -> None:
        for number, plan in enumerate(self.plans):
            ring = Ring(self.regions[plan.region], plan.offset, self.config.log2)
            ring.format()
            eventfd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

            def place(index: int, number: int = number) -> Desc:
                return self.place(number, index)

            if plan.flags == wire.RING_C2S:
                self.tx.append(ClientTx(ring, eventfd, self.regions, place, self.config.bsize))
            else:
                rx = ClientRx(ring, eventfd, self.regions, place, self.config.bsize)
                rx.mask()
                if self.config.post_early:
                    rx.post()
                self.rx.append(rx)

    def _end_of(self, number: int) -> Any:
        return (self.tx + self.rx)[number]

    # -- steps ------------------------------------------------------------------------------------

    def connect(self, address: str) -> None:
        self._chan = Channel.connect(address, self.config.timeout)

    def recv_hello(self) -> wire.Hello:
        hello = self.expect(wire.Hello)
        if not hello.min_version <= wire.VERSION <= hello.max_version:
            raise self.refuse(f"version {hello.min_version:#x} to {hello.max_version:#x}, "
                              f"need {wire.VERSION:#x}")
        self.hello = hello
        self.peer_name = hello.name
        return hello

    def send_init(self, **override: Any) -> None:
        cfg = self.config
        self.say(wire.Init(id=cfg.id, mode=cfg.mode, secret=cfg.secret, name=cfg.name),
                 override.pop("fds", ()), **override)

    def send_region(self, number: int, fds: Optional[Sequence[int]] = None,
                    **override: Any) -> None:
        region = self.regions[number]
        assert region is not None, "a client has all its regions"
        self.say(wire.AddRegion(index=number, size=region.size),
                 (region.fd,) if fds is None else fds, **override)

    def send_ring(self, number: int, fds: Optional[Sequence[int]] = None,
                  **override: Any) -> None:
        """The number-th ring, counted over C2S, then S2C."""
        plan = self.plans[number]
        self.say(wire.AddRing(flags=plan.flags, index=plan.index, region=plan.region,
                              offset=plan.offset, log2_ring_size=self.config.log2,
                              private_hdr_size=self.config.private_hdr_size),
                 (self._end_of(number).eventfd,) if fds is None else fds, **override)

    def send_connect(self, **override: Any) -> None:
        self.say(wire.Connect(if_name=self.config.if_name), override.pop("fds", ()), **override)

    def recv_connected(self) -> wire.Connected:
        connected = self.expect(wire.Connected)
        self.peer_if_name = connected.if_name
        for rx in self.rx:
            rx.post()
        return connected

    STEPS = ("hello", "init", "regions", "rings", "connect")

    def handshake(self, address: Optional[str] = None, until: Optional[str] = None) -> "Client":
        """All steps, or those up to and with `until` (one of STEPS)."""
        if address is not None:
            self.connect(address)
        try:
            for step in self.STEPS:
                getattr(self, "_do_" + step)()
                if step == until:
                    break
        except ProtocolError:
            self.close()
            raise
        return self

    def _do_hello(self) -> None:
        self.recv_hello()

    def _do_init(self) -> None:
        self.send_init()
        self.expect_ack()

    def _do_regions(self) -> None:
        self.create_memory()
        for number in range(len(self.regions)):
            self.send_region(number)
            self.expect_ack()

    def _do_rings(self) -> None:
        for number in range(len(self.plans)):
            self.send_ring(number)
            self.expect_ack()

    def _do_connect(self) -> None:
        self.send_connect()
        self.recv_connected()
