# SPDX-License-Identifier: BSD-3-Clause
"""Misbehaviour, one function each, named after what it does.

Every function takes a peer of ours (a Client against a server under test, or a Server against a
client under test) and returns an Outcome: the messages that came back, a DISCONNECT's reason,
whether the socket was closed, and notes. Behaviours of stage 'handshake' take a peer that is
connected and has said nothing; those of stage 'linked' one whose handshake is done.

    for case in hostile.cases("client"):        # the role that misbehaves
        client = Client(case.config(base)); client.connect(address)
        outcome = hostile.run(case, client)

    kit.py      the registry, and ways to get to a point of the handshake
    talk.py     messages: order, role, type, length, values
    fds.py      descriptors that do not belong, or are not what they should be
    memory.py   regions and rings offered wrongly; memory pulled away
    rings.py    descriptors and indices
    stall.py    silence, death, floods
"""

from . import fds, memory, rings, stall, talk
from .kit import Case, POINTS, cases, reach, run

__all__ = ["Case", "POINTS", "cases", "fds", "memory", "reach", "rings", "run", "stall", "talk"]
