# SPDX-License-Identifier: BSD-3-Clause
"""A memif 2.0 peer in plain Python, for tests.

Written from the protocol description alone and sharing nothing with the driver, so that an error
in the driver's idea of the wire cannot hide in the test that checks it.

    wire.py     the messages, byte by byte
    chan.py     the control socket: messages with file descriptors
    shm.py      regions of shared memory, and the view of one ring in them
    ring.py     the ring verbs of both ends: send, post, receive
    session.py  what both roles share: steps, packets, how a connection ended
    client.py   the role that creates the memory
    server.py   the role that listens and maps it
    hostile/    misbehaviour, one function each
"""

from .chan import Channel, Closed, TimedOut, Listener
from .client import Client
from .server import Server
from .session import Config, Outcome, ProtocolError

__all__ = ["Channel", "Client", "Closed", "Config", "Listener", "Outcome", "ProtocolError",
           "Server", "TimedOut"]
