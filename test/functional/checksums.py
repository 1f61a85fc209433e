# SPDX-License-Identifier: BSD-3-Clause
"""Checksums of packets, by scapy."""

from scapy.layers.inet import IP, TCP, UDP
from scapy.packet import Packet

WRONG = 0x1234


def with_checksums(packet: Packet) -> Packet:
    """The same packet with those that scapy writes."""
    again = packet.copy()
    for layer in (IP, TCP, UDP):
        if layer in again:
            del again[layer].chksum
    return again


def assert_checksums(packet: Packet) -> None:
    assert bytes(with_checksums(packet)) == bytes(packet), packet.summary()
