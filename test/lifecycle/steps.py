# SPDX-License-Identifier: BSD-3-Clause
"""The handshake of the Python peer, one step at a time, so that it can die or sleep at each."""

from typing import Callable, List, Tuple

import ends
from memifpeer import Client, Config, Listener, Server

Step = Tuple[str, Callable[[], object]]


def client_steps(client: Client, address: str) -> List[Step]:
    """All steps of a client with one ring each way; the memory has to be created before."""
    steps: List[Step] = [
        ("connect", lambda: client.connect(address)),
        ("recv HELLO", client.recv_hello),
        ("send INIT", client.send_init),
        ("recv ACK of INIT", client.expect_ack),
    ]
    for number in range(len(client.regions)):
        steps += [(f"send ADD_REGION {number}", lambda number=number: client.send_region(number)),
                  (f"recv ACK of region {number}", client.expect_ack)]
    for number in range(len(client.plans)):
        steps += [(f"send ADD_RING {number}", lambda number=number: client.send_ring(number)),
                  (f"recv ACK of ring {number}", client.expect_ack)]
    steps += [("send CONNECT", client.send_connect),
              ("recv CONNECTED", client.recv_connected)]
    return steps


def server_steps(server: Server, listener: Listener, rings: int = 2) -> List[Step]:
    """All steps of a server whose client has so many rings: in one region, or in two as its mbufs are
    in another one, and mif-lifecycle has all memory in one file."""
    steps: List[Step] = [
        ("accept", lambda: server.accept(listener)),
        ("send HELLO", server.send_hello),
        ("recv INIT", server.recv_init),
        ("send ACK of INIT", server.send_ack),
    ]
    for number in range(2 if ends.zero_copy("client") else 1):
        steps += [(f"recv ADD_REGION {number}", server.recv_region),
                  (f"send ACK of region {number}", server.send_ack)]
    for number in range(rings):
        steps += [(f"recv ADD_RING {number}", server.recv_ring),
                  (f"send ACK of ring {number}", server.send_ack)]
    steps += [("recv CONNECT", server.recv_connect),
              ("send CONNECTED", server.send_connected)]
    return steps


def new_client(**options: object) -> Client:
    """With its memory, not connected."""
    client = Client(Config(**{"log2": 6, **options}))  # type: ignore[arg-type]
    client.create_memory()
    return client
