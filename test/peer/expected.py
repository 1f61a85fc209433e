# SPDX-License-Identifier: BSD-3-Clause
"""What the driver has to do about a misbehaviour, beside living on: what it says and counts, and that
no byte leaves it that the peer has not given."""

import re
import time
from typing import Any, Callable, Dict, Optional

from memifpeer import hostile
from memifpeer.hostile import memory, rings
from memifpeer.session import Outcome, Session

SOON = 8.0      # seconds; on a loaded machine
BAD_INDEX = "impossible ring index"
ENDLESS = "chain longer than its ring"

# The words of its DISCONNECT.
REASONS: Dict[Callable[..., Outcome], str] = {
    rings.c2s_only_bad_descriptors: "too many bad descriptors",
    rings.c2s_next_loop: ENDLESS,
    rings.s2c_next_loop: ENDLESS,
    rings.c2s_head_jumps_forward: BAD_INDEX,
    rings.c2s_head_runs_backwards: BAD_INDEX,
    rings.s2c_head_jumps: BAD_INDEX,
    rings.s2c_tail_jumps_forward: BAD_INDEX,
    rings.s2c_tail_runs_backwards: BAD_INDEX,
    rings.c2s_tail_jumps: BAD_INDEX,
}

# The counter of what it does not use.
COUNTERS: Dict[Callable[..., Outcome], str] = {
    rings.c2s_bad_descriptor: "rx_bad_descriptors",
    rings.c2s_bad_descriptor_in_chain: "rx_bad_descriptors",
    rings.s2c_bad_descriptor_filled: "rx_bad_descriptors",
    rings.s2c_bad_buffers_posted: "tx_bad_descriptors",
}

# Two honest packets with a bad one between them.
BETWEEN = (rings.c2s_bad_descriptor, rings.c2s_bad_descriptor_in_chain,
           rings.s2c_bad_descriptor_filled)


def is_bad(case: hostile.Case) -> bool:
    """A client knows itself where its buffers are: a server can only lie about the length."""
    if case.function is not rings.s2c_bad_descriptor_filled:
        return True
    return not 0 < case.args["change"].get("length", 100) <= 2048


def counter_of(case: hostile.Case) -> Optional[str]:
    """The name of the counter that has to rise, if one has."""
    return COUNTERS.get(case.function) if is_bad(case) else None


def count(dut: Any, port: int, name: str) -> int:
    """A counter of a port, of all its queues."""
    match = re.search(rf"^{name}: (\d+)", dut.command(f"show port xstats {port}"), re.MULTILINE)
    assert match, f"testpmd shows no {name}"
    return int(match.group(1))


def check_counted(dut: Any, port: int, name: str, before: int) -> None:
    deadline = time.monotonic() + SOON
    while count(dut, port, name) <= before:
        assert time.monotonic() < deadline, f"{name} is still {before}"
        time.sleep(0.01)


def check_ended(case: hostile.Case, peer: Session, outcome: Outcome) -> None:
    """The connection is broken where it must be, and for the right reason."""
    wanted = REASONS.get(case.function)
    if wanted is not None and not outcome.ended:
        outcome.messages += peer.observe(SOON).messages
    if case.ends or wanted is not None:
        assert outcome.ended, "the driver kept the connection"
    if wanted is not None:
        assert outcome.reason == wanted
    assert not (outcome.reason or "").startswith("timed out"), "accepted, and waited for more"


def check_returned(case: hostile.Case, outcome: Outcome) -> None:
    """Honest packets are forwarded, unless the connection was broken; and nothing else is."""
    notes = outcome.notes
    if case.function in BETWEEN and not outcome.ended:
        missing = [packet for packet in (rings.BEFORE, rings.AFTER)
                   if packet not in notes["returned"]]
        assert not missing, "an honest packet was lost beside a bad one"
    if case.function in BETWEEN and is_bad(case):
        strange = [packet for packet in notes["returned"]
                   if packet not in (rings.BEFORE, rings.AFTER)]
        assert not strange, "bytes came back that are in no packet"
    if case.function is rings.eventfds_blocking_and_full:
        assert len(notes["returned"]) == 40
    if case.function is rings.c2s_tail_overwritten:
        assert not outcome.ended and notes["returned"] == [rings.BEFORE], "its index is private"
    if case.function is rings.s2c_tiny_buffers_posted:
        assert notes["filled"] > 0 and notes["overfilled"] == 0
    if case.function is memory.server_tries_to_truncate:
        assert not notes["cut"], "the client's memory is not sealed"
