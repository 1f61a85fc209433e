# SPDX-License-Identifier: BSD-3-Clause
"""A client finds its server again, whatever has happened to the two, and to a rival.

Then the same with a part taken away: the checker has to find what that part is for.
"""

from typing import Callable, Dict

import pytest

from checker import Space, Violation, explore
from reconnect_model import DEAD, FROZEN, GONE, RUNS, UP, Config, Model, State

SOUND: Dict[str, Config] = {
    "one client": Config(connections=3),
    "one client, freezes": Config(connections=3, freezes=True),
    "rival": Config(clients=2, connections=3),
    "rival, freezes": Config(clients=2, connections=2, freezes=True),
}
_spaces: Dict[Config, Space] = {}


def explored(config: Config) -> Space:
    """Several tests look at the same states."""
    if config not in _spaces:
        model = Model(config)
        _spaces[config] = explore(model.first(), model.steps, model.wrong)
    space = _spaces[config]
    print(f"{len(space.states)} states, {space.count_steps()} steps")
    return space


def served(state: State, who: int) -> bool:
    return any(conn.client == who and conn.near == UP and conn.far == UP for conn in state.conns)


def place_taken(state: State, who: int) -> bool:
    """Somebody else is connected, and has not gone."""
    return any(conn.client != who and conn.near != GONE and conn.far == UP for conn in state.conns)


def wants(who: int) -> Callable[[State], bool]:
    def concerns(state: State) -> bool:
        client, server = state.clients[who], state.server
        return (server.process == RUNS and server.ready and
                client.process == RUNS and client.ready)
    return concerns


def has(who: int) -> Callable[[State], bool]:
    return lambda state: served(state, who) or place_taken(state, who)


def by_itself(label: str) -> bool:
    """What comes without anybody's doing."""
    return not label.startswith("event: ")


def at_once(label: str) -> bool:
    """... and without a peer's patience coming to its end."""
    return by_itself(label) and not label.startswith("deadline")


@pytest.mark.parametrize("config", SOUND.values(), ids=SOUND.keys())
def test_nothing_bad_happens_and_clients_get_in(config: Config) -> None:
    """Bad is what Model.wrong() lists: two clients at a port, no retry armed, a client kept out by
    its own remains or thrown out for another one."""
    space = explored(config)
    for who in range(config.clients):
        assert space.stuck(has(who), by_itself, wants(who)) is None


@pytest.mark.parametrize("config", SOUND.values(), ids=SOUND.keys())
def test_connection_lasts(config: Config) -> None:
    """Until an event ends it: no timer, and no other client, does."""
    assert explored(config).leaves(lambda state: served(state, 0), by_itself) is None


@pytest.mark.parametrize("name", ["one client", "rival"])
def test_clients_get_in_without_waiting_for_a_deadline(name: str) -> None:
    """If all processes are alive or dead, nobody has to run out of patience first."""
    config = SOUND[name]
    for who in range(config.clients):
        assert explored(config).stuck(has(who), at_once, wants(who)) is None


def test_model_reaches_what_it_is_about() -> None:
    space = explored(SOUND["rival"])

    def returns_to_ghost(state: State) -> bool:
        """A client was killed, is back, and the server has not noticed yet."""
        mine = [conn for conn in state.conns if conn.client == 0]
        return (any(conn.near == GONE and conn.far == UP for conn in mine) and
                any("INIT" in conn.to_server for conn in mine))

    assert any(returns_to_ghost(state) for state in space.states)
    assert any(served(state, 0) and state.clients[1].retry for state in space.states)
    assert any(served(state, 1) for state in space.states)
    assert any(state.server.process == DEAD and state.clients[0].ready for state in space.states)
    assert any(state.clients[1].process == FROZEN and served(state, 1)
               for state in explored(SOUND["rival, freezes"]).states)


NO_RETRY = "is ready, has no session, and will not retry"
BROKEN = {
    "no retry after a session": (Config(retry_after_end=False), NO_RETRY),
    "no retry after a failure": (Config(retry_after_failure=False), NO_RETRY),
    "hang-up of the old client not looked for":
        (Config(connections=3, looks_for_ghosts=False), "kept out by one that is gone"),
    "newest client wins": (Config(clients=2, keeps_first=False), "thrown out for another one"),
}


@pytest.mark.parametrize("config,problem", BROKEN.values(), ids=BROKEN.keys())
def test_model_finds_what_is_missing(config: Config, problem: str) -> None:
    with pytest.raises(Violation) as found:
        explored(config)
    print(found.value)
    assert problem in found.value.problem


def test_model_finds_that_silent_clients_need_a_deadline() -> None:
    """One that stops in the midst of its handshake would keep the port for ever."""
    space = explored(Config(clients=2, connections=2, freezes=True, server_deadlines=False))
    trace = space.stuck(has(0), by_itself, wants(0))
    assert trace is not None
    print("\n".join(trace))
    assert "event: client 1 frozen" in trace
