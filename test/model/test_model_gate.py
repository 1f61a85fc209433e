# SPDX-License-Identifier: BSD-3-Clause
"""No burst uses what has been reclaimed, and all is reclaimed: in every order of steps there is.

Then the same with a part of the defence taken away: the checker has to find what that part is for.
"""

import functools

import pytest

from checker import Space, Violation, explore
from gate_model import FREE, LIVE, NO_LINK, OUT, Config, Model, State

TWO_QUEUES = dict(gates=(0, 1), links=2)
WITH_SIDE_GATE = dict(gates=(0, 0), links=2)
THREE_LINKS = dict(gates=(0, 0), links=3)
SUCCESSORS = dict(gates=(0,), links=2, secondaries=(0,), lives=2)
TWO_PROCESSES = dict(gates=(0, 1), links=1, secondaries=(1,))

SOUND = {
    "two queues": Config(**TWO_QUEUES),
    "side gate": Config(**WITH_SIDE_GATE),
    "three links": Config(**THREE_LINKS),
    "barrier that fails": Config(**TWO_QUEUES, fails=True),
    "fence per burst": Config(**TWO_QUEUES, fence=True),
    "side gate, fence per burst": Config(**WITH_SIDE_GATE, fence=True),
    "two secondaries, one after the other": Config(**SUCCESSORS),
    "primary and secondary": Config(**TWO_PROCESSES),
    "two secondaries, fence per burst": Config(**SUCCESSORS, fence=True),
}


@functools.lru_cache(maxsize=1)
def explored(config: Config) -> Space:
    model = Model(config)
    space = explore(model.first(), model.steps, model.wrong)
    print(f"{len(space.states)} states, {space.count_steps()} steps")
    return space


def reclaimed(state: State) -> bool:
    return state.control.doing == "nothing" and all(link in (FREE, LIVE) for link in state.links)


def must_happen(label: str) -> bool:
    """Steps that come sooner or later: all but those that begin something new."""
    return not label.startswith(("enter ", "attach ", "detach ", "release ", "begin ", "end ", "map "))


@pytest.mark.parametrize("config", SOUND.values(), ids=SOUND.keys())
def test_gate_is_sound(config: Config) -> None:
    space = explored(config)
    # Whatever has happened: once bursts end, all that is detached is reclaimed.
    assert space.stuck(reclaimed, must_happen) is None


def test_model_reaches_what_it_is_about() -> None:
    space = explored(Config(**TWO_QUEUES))

    def late(state: State) -> bool:
        """A burst is inside an old link, while the next connection is attached and in use."""
        inside = {burst.where for burst in state.bursts} - {OUT}
        old = {link for link, status in enumerate(state.links, 1) if status > 0}
        return bool(inside & old) and state.attached in inside and state.attached != NO_LINK

    def held_by_link_alone(state: State) -> bool:
        return not state.owned & 1 and any(link > 0 and link & 1 for link in state.links)

    assert any(late(state) for state in space.states)
    assert any(held_by_link_alone(state) for state in space.states)
    assert any(all(state.busy) for state in space.states)


def test_model_reaches_what_processes_are_about() -> None:
    space = explored(Config(**SUCCESSORS))

    def successor_inside(state: State) -> bool:
        """... an old link, while nobody knows yet of the one that died in it."""
        where = state.bursts[0].where
        return bool(state.dead) and where > NO_LINK and state.links[where - 1] > 0

    assert any(successor_inside(state) for state in space.states)
    assert any(state.busy[0] in state.dead for state in space.states)
    assert any(state.views[0].stale and state.views[0].mapped for state in space.states)


def test_without_healing_a_link_waits_for_the_dead() -> None:
    space = explored(Config(**SUCCESSORS, heal=False))
    trace = space.stuck(reclaimed, must_happen)
    assert trace is not None and any(label.startswith("end of process") for label in trace)


BURST = "has been reclaimed"
MAPPED = "which is not mapped there"
BROKEN = {
    "without membarrier": (Config(**TWO_QUEUES, membarrier=False), BURST),
    "barrier before the gates are closed": (Config(**TWO_QUEUES, barrier_last=False), BURST),
    "barrier that fails, and is not tried again":
        (Config(**TWO_QUEUES, fails=True, tried_again=False), BURST),
    "without the idle check": (Config(**TWO_QUEUES, idle=False), BURST),
    "idle check of the burst's gate alone": (Config(**WITH_SIDE_GATE, idle_of_side=False), BURST),
    "fence in bursts, none in the control thread":
        (Config(**TWO_QUEUES, fence=True, barrier=False), BURST),
    "queue not held by its link": (Config(**TWO_QUEUES, hold=False), "which was freed"),
    "barrier of one process alone": (Config(**SUCCESSORS, reaches=False), BURST),
    "healing that does not look whose it is": (Config(**SUCCESSORS, heal_own=False), BURST),
    "... with the primary inside": (Config(**TWO_PROCESSES, heal_own=False), BURST),
    "secondary without a look at the generation": (Config(**SUCCESSORS, generation=False), MAPPED),
    "secondary that unmaps before it is told": (Config(**SUCCESSORS, keep=False), MAPPED),
}


@pytest.mark.parametrize("config,problem", BROKEN.values(), ids=BROKEN.keys())
def test_model_finds_what_is_missing(config: Config, problem: str) -> None:
    with pytest.raises(Violation) as found:
        explored(config)
    print(found.value)
    assert problem in found.value.problem


def test_without_membarrier_a_store_was_late() -> None:
    """It is the burst's store of busy, still in the buffer, that the barrier is for."""
    with pytest.raises(Violation) as found:
        explored(Config(**TWO_QUEUES, membarrier=False))
    trace = found.value.trace
    gate = next(label[-1] for label in trace if label.startswith("look behind"))
    assert f"drain {gate}: busy = 1" not in trace
