# SPDX-License-Identifier: BSD-3-Clause
"""The control thread ends with its last port: never twice, never under somebody who still uses it,
and nobody waits for it who would have to be waited for.
"""

import pytest

from checker import Space, Violation, explore
from control_model import LEAKED, Config, Model, State


def explored(config: Config) -> Space:
    model = Model(config)
    space = explore(model.first(), model.steps, model.wrong)
    print(f"{len(space.states)} states, {space.count_steps()} steps")
    return space


def goes_on(label: str) -> bool:
    """Steps that come sooner or later: all but those that begin something new."""
    return not label.startswith("begin: ")


def test_lives_end_and_nothing_hangs() -> None:
    config = Config()
    space = explored(config)
    assert space.stuck(Model(config).resting, goes_on) is None
    assert_it_reaches_what_it_is_about(space)


def assert_it_reaches_what_it_is_about(space: Space) -> None:
    def two_removers(state: State) -> bool:
        return any(life.removers == 2 for life in state.lives)

    def old_life_in_callback(state: State) -> bool:
        """Its last port is gone, a new life has begun."""
        return any(life.stop and life.callback for life in state.lives) and state.current != 0

    def closed_by_both(state: State) -> bool:
        """A callback closes one port, a thread that holds the application's lock the other."""
        closing = [job for job in state.jobs if job.doing == "sleep"]
        return len(closing) == 2 and any(life.thread == "close" for life in state.lives)

    for reached in (two_removers, old_life_in_callback, closed_by_both):
        assert any(reached(state) for state in space.states), reached.__name__
    assert any(state.burst == LEAKED for state in space.states)


def test_model_finds_that_removers_are_to_be_counted() -> None:
    """A port that comes and goes while the remover of the last one waits for a burst."""
    with pytest.raises(Violation) as found:
        explored(Config(counts_removers=False))
    print(found.value)
    assert "ended twice" in found.value.problem or "uses a freed life" in found.value.problem


def test_model_finds_that_late_bursts_need_the_notifier() -> None:
    with pytest.raises(Violation) as found:
        explored(Config(leaks_for_bursts=False))
    print(found.value)
    assert "a burst uses the notifier" in found.value.problem


STUCK = {
    "joined during a callback": Config(threads=1, knows_callbacks=False),
    "joins itself": Config(threads=1, knows_callbacks=False, knows_itself=False),
    "orphans not freed": Config(threads=1, frees_orphans=False),
}


@pytest.mark.parametrize("config", STUCK.values(), ids=STUCK.keys())
def test_model_finds_what_hangs_or_stays(config: Config) -> None:
    trace = explored(config).stuck(Model(config).resting, goes_on)
    assert trace is not None
    print("\n".join(trace))


def test_known_gap_between_event_and_callback() -> None:
    """A port can be released by another thread after the control thread has let go of its lock, and
    before ethdev has looked at the device to call back. What a driver could do about it, and what
    an application should: doc/memory-model.md. When this fails, the page is to be changed."""
    with pytest.raises(Violation) as found:
        explored(Config(device_is_looked_at=True))
    assert "which was released" in found.value.problem
