# SPDX-License-Identifier: BSD-3-Clause
"""Why every burst wakes a receiver that does not mask interrupts.

Tempting: an event only when the receiver had caught up, as who has packets left is awake. The receivers
that there are do not look again before they sleep, so that loses wake-ups, even where memory has no store
buffers, as here. Nor can it be told from the ring which kind of receiver the peer is.
"""

from typing import Iterator, List, NamedTuple, Tuple

import pytest

from checker import explore

PACKETS = 3


class State(NamedTuple):
    head: int = 0           # in shared memory
    tail: int = 0
    event: bool = False     # the eventfd counts something
    sender: str = "put"
    sent_before: int = 0
    receiver: Tuple[str, int] = ("asleep", 0)   # what it does next, and up to where it has seen


# What a receiver does when it is woken, in order.
RECEIVERS = {
    # memif_rx_burst() of libmemif, and memif_refill_queue() afterwards; the same in stock net_memif
    "libmemif and stock": ["clear", "look", "give back"],
    # Rx_burst() of gomemif, and Refill()
    "gomemif": ["look", "clear", "give back"],
    # this driver, see mif_rx_intr_enable(): as often as there is something
    "ours": ["clear", "look", "give back", "look again"],
}


def sender_steps(state: State, always: bool) -> Iterator[State]:
    if state.sender == "put" and state.head < PACKETS:
        yield state._replace(head=state.head + 1, sent_before=state.head, sender="look")
    elif state.sender == "look":
        wake = always or state.tail == state.sent_before
        yield state._replace(sender="wake" if wake else "put")
    elif state.sender == "wake":
        yield state._replace(event=True, sender="put")


def receiver_steps(state: State, program: List[str]) -> Iterator[State]:
    doing, seen = state.receiver
    if doing == "asleep":
        if state.event:
            yield state._replace(receiver=(program[0], seen))
        return
    at = program.index(doing)
    after = program[at + 1] if at + 1 < len(program) else "asleep"
    if doing == "clear":
        yield state._replace(event=False, receiver=(after, seen))
    elif doing == "look":
        yield state._replace(receiver=(after, state.head))
    elif doing == "give back":
        yield state._replace(tail=seen, receiver=(after, seen))
    elif doing == "look again":
        yield state._replace(receiver=("look" if state.head != seen else "asleep", seen))


def forgotten(receiver: str, always: bool) -> List[State]:
    """States in which nobody will do anything any more, and packets lie in the ring."""
    def steps(state: State) -> Iterator[Tuple[str, State]]:
        yield from (("sender", after) for after in sender_steps(state, always))
        yield from (("receiver", after) for after in receiver_steps(state, RECEIVERS[receiver]))

    space = explore(State(), steps, lambda state: None)
    return [state for state in space.states
            if state.head == PACKETS and state.sender == "put" and not state.event
            and state.receiver[0] == "asleep" and state.tail != state.head]


@pytest.mark.parametrize("receiver", ["libmemif and stock", "ours"])
def test_an_event_per_burst_is_enough(receiver: str) -> None:
    assert not forgotten(receiver, always=True)


@pytest.mark.parametrize("receiver", ["libmemif and stock", "gomemif"])
def test_an_event_when_it_had_caught_up_is_not(receiver: str) -> None:
    """Packets that came between its look and the end of its work; others behind them are no help."""
    assert any(state.tail == 1 for state in forgotten(receiver, always=False))


def test_gomemif_needs_the_next_burst() -> None:
    """It clears the event after its look, and so may forget packets as it is, until the next burst wakes
    it; that would not, if it went by the tail."""
    assert forgotten("gomemif", always=True)


def test_who_looks_again_could_do_with_fewer() -> None:
    """As this driver does; but a sender cannot know that."""
    assert not forgotten("ours", always=False)
