# SPDX-License-Identifier: BSD-3-Clause
"""One server port, one or two clients that want it, and everything that may happen to them.

Each end is what memif_port.c, memif_session.c, memif_listener.c and base/memif_conn.c make of it;
each transition names its function. A transition is what happens under one hold of the control lock.
Between the ends there are sockets: messages stay in order, and are lost when their reader goes.

What is left out: the number of regions and rings (one message stands for all), contents, secrets.
A timer may fire at any time; that it fires at last is all that is asked of it. dev_stop and
set_link_down, dev_start and set_link_up do the same to a port, so they are one event here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, NamedTuple, Optional, Tuple

# Of either end of a connection. BACKLOG: the server has not accepted it. GONE: closed.
GONE, BACKLOG, WAIT_INIT, SETUP, UP = "gone", "backlog", "wait INIT", "setup", "up"
WAIT_HELLO, WAIT_ACK, WAIT_CONNECTED = "wait HELLO", "wait ACK", "wait CONNECTED"

# Of a process.
DEAD, FROZEN, RUNS = "dead", "frozen", "runs"

SERVER = -1
QUEUE_MAX = 3  # messages under way in one direction; more would be an error of the model


@dataclass(frozen=True)
class Config:
    """How large the model is, and what is taken away from it to see it fail."""

    clients: int = 1
    connections: int = 2          # at a time, those that one end has not noticed the end of too
    freezes: bool = False         # processes may be stopped, for ever
    retry_after_end: bool = True  # mif_port_disconnected() arms the timer
    retry_after_failure: bool = True  # try_connect() does
    deadlines: bool = True        # on_deadline() of a client, of a server
    server_deadlines: bool = True
    looks_for_ghosts: bool = True   # refusal() asks mif_session_hung_up()
    keeps_first: bool = True      # refusal() says no when a live client is connected


class Conn(NamedTuple):
    """A socket, with a session at each end."""

    client: int = 0          # whose it is
    near: str = GONE         # the client's session
    far: str = GONE          # the server's
    to_client: Tuple[str, ...] = ()
    to_server: Tuple[str, ...] = ()


class Port(NamedTuple):
    """A process with a port. The server's session is the connection in SETUP or UP."""

    process: str = DEAD
    ready: bool = False   # mif_port_ready(): started and not set down
    retry: bool = False   # client: the timer is armed


class State(NamedTuple):
    """Everything."""

    server: Port
    clients: Tuple[Port, ...]
    conns: Tuple[Conn, ...]
    broken: str = ""


EMPTY = Conn()


class Model:
    """The transitions."""

    def __init__(self, config: Config):
        self.config = config

    def first(self) -> State:
        return State(Port(), (Port(),) * self.config.clients, (EMPTY,) * self.config.connections)

    # --- what has to hold always ---

    def wrong(self, state: State) -> Optional[str]:
        if state.broken:
            return state.broken
        bound = [conn for conn in state.conns if conn.far in (SETUP, UP)]
        if len(bound) > 1:
            return "two clients at one port"
        if bound and not state.server.ready:
            return "a client at a port that is not started"
        for who, port in enumerate(state.clients):
            mine = [conn for conn in state.conns if conn.client == who and conn.near != GONE]
            if len(mine) > 1:
                return f"client {who} has two sessions"
            if port.retry and mine:
                return f"client {who} retries although it has a session"
            if port.ready and not port.retry and not mine:
                return f"client {who} is ready, has no session, and will not retry"
            if not port.ready and (port.retry or mine):
                return f"client {who} is stopped, and goes on"
        if any(len(queue) > QUEUE_MAX for conn in state.conns
               for queue in (conn.to_client, conn.to_server)):
            return "more messages than expected"
        return None

    # --- small changes ---

    @staticmethod
    def with_conn(state: State, index: int, conn: Conn) -> State:
        if conn.near == GONE and conn.far == GONE:
            conn = EMPTY
        return state._replace(conns=state.conns[:index] + (conn,) + state.conns[index + 1:])

    @staticmethod
    def with_client(state: State, who: int, **change: object) -> State:
        clients = list(state.clients)
        clients[who] = clients[who]._replace(**change)
        return state._replace(clients=tuple(clients))

    def end_near(self, state: State, index: int, say: bool) -> State:
        """Client: close_session(), with a DISCONNECT before it (mif_session_end) or without."""
        conn = state.conns[index]
        to_server = conn.to_server + ("DISCONNECT",) if say and conn.far != GONE else conn.to_server
        state = self.with_conn(state, index, conn._replace(near=GONE, to_client=(),
                                                           to_server=to_server))
        # mif_port_disconnected()
        if state.clients[conn.client].ready and self.config.retry_after_end:
            state = self.with_client(state, conn.client, retry=True)
        return state

    def end_far(self, state: State, index: int, say: bool) -> State:
        """Server: close_session() likewise."""
        conn = state.conns[index]
        to_client = conn.to_client
        if say and conn.near != GONE:
            to_client += ("DISCONNECT",)
        return self.with_conn(state, index, conn._replace(far=GONE, to_server=(),
                                                          to_client=to_client))

    def try_connect(self, state: State, who: int) -> State:
        """try_connect(): the kernel takes the connection if there is a listener with room."""
        state = self.with_client(state, who, retry=False)
        for index, conn in enumerate(state.conns):
            if conn == EMPTY and state.server.process != DEAD:
                return self.with_conn(state, index, Conn(who, near=WAIT_HELLO, far=BACKLOG))
        return self.with_client(state, who, retry=self.config.retry_after_failure)

    # --- everything that can happen ---

    def steps(self, state: State) -> Iterator[Tuple[str, State]]:
        """Connections have no order: states that differ in nothing else are one."""
        for label, after in self.all_steps(state):
            yield label, after._replace(conns=tuple(sorted(after.conns)))

    def all_steps(self, state: State) -> Iterator[Tuple[str, State]]:
        yield from self.events(state)
        for who, port in enumerate(state.clients):
            if port.process == RUNS and port.retry:
                yield f"retry of client {who}", self.try_connect(state, who)
        for index, conn in enumerate(state.conns):
            if conn == EMPTY:
                continue
            if conn.near != GONE and state.clients[conn.client].process == RUNS:
                yield from self.client_steps(state, index, conn)
            if conn.far != GONE and state.server.process == RUNS:
                yield from self.server_steps(state, index, conn)

    # --- what users and operating systems do ---

    def events(self, state: State) -> Iterator[Tuple[str, State]]:
        server = state.server
        if server.process == DEAD:
            # mif_port_open(): it listens from now on
            yield "event: server begins", state._replace(server=Port(RUNS))
        else:
            yield from self.kill(state, SERVER)
            if server.process == RUNS:
                yield from self.start_or_stop_server(state)
            yield from self.freeze(state, SERVER)
        for who, port in enumerate(state.clients):
            if port.process == DEAD:
                yield f"event: client {who} begins", self.with_client(state, who, process=RUNS)
                continue
            yield from self.kill(state, who)
            if port.process == RUNS:
                yield from self.start_or_stop_client(state, who)
            yield from self.freeze(state, who)

    def start_or_stop_server(self, state: State) -> Iterator[Tuple[str, State]]:
        if not state.server.ready:  # mif_port_start()
            yield "event: server starts", state._replace(server=Port(RUNS, True))
            return
        after = state._replace(server=Port(RUNS, False))
        for index, conn in enumerate(state.conns):  # mif_port_stop()
            if conn.far in (SETUP, UP):
                after = self.end_far(after, index, say=True)
        yield "event: server stops", after

    def start_or_stop_client(self, state: State, who: int) -> Iterator[Tuple[str, State]]:
        if not state.clients[who].ready:  # mif_port_start()
            after = self.try_connect(self.with_client(state, who, ready=True), who)
            yield f"event: client {who} starts", after
            return
        after = self.with_client(state, who, ready=False, retry=False)  # mif_port_stop()
        for index, conn in enumerate(state.conns):
            if conn.client == who and conn.near != GONE:
                after = self.end_near(after, index, say=True)
        yield f"event: client {who} stops", after

    def kill(self, state: State, who: int) -> Iterator[Tuple[str, State]]:
        """The kernel closes the sockets. What the victim had not read is lost, and what it had sent
        may be, as its peer can get a reset in front of it."""
        name = "server" if who == SERVER else f"client {who}"
        for lost in (False, True):
            conns = []
            for conn in state.conns:
                if who == SERVER and conn.far != GONE:
                    conn = conn._replace(far=GONE, to_server=(),
                                         to_client=() if lost else conn.to_client)
                elif conn.client == who and conn.near != GONE:
                    conn = conn._replace(near=GONE, to_client=(),
                                         to_server=() if lost else conn.to_server)
                conns.append(EMPTY if conn.near == GONE and conn.far == GONE else conn)
            after = state._replace(conns=tuple(conns))
            if who == SERVER:
                after = after._replace(server=Port())
            else:
                after = self.with_client(after, who, process=DEAD, ready=False, retry=False)
            yield f"event: {name} is killed{', with its messages' if lost else ''}", after

    def freeze(self, state: State, who: int) -> Iterator[Tuple[str, State]]:
        """SIGSTOP and SIGCONT."""
        if not self.config.freezes:
            return
        port = state.server if who == SERVER else state.clients[who]
        process = RUNS if port.process == FROZEN else FROZEN
        if who == SERVER:
            yield f"event: server {process}", state._replace(server=port._replace(process=process))
        else:
            yield f"event: client {who} {process}", self.with_client(state, who, process=process)

    # --- the client's session ---

    def client_steps(self, state: State, index: int, conn: Conn) -> Iterator[Tuple[str, State]]:
        who = conn.client
        if conn.near != UP and self.config.deadlines:  # on_deadline()
            yield f"deadline of client {who}", self.end_near(state, index, say=True)
        if conn.near == UP:  # mif_port_check_links(): a burst has found a fault
            yield f"event: fault at client {who}", self.end_near(state, index, say=True)
        if conn.to_client:  # on_ready()
            message, rest = conn.to_client[0], conn.to_client[1:]
            conn = conn._replace(to_client=rest)
            state = self.with_conn(state, index, conn)
            yield f"client {who} gets {message}", self.client_gets(state, index, conn, message)
        elif conn.far == GONE:  # on_ready(): hang_up()
            yield f"client {who} sees the hang-up", self.end_near(state, index, say=False)

    def client_gets(self, state: State, index: int, conn: Conn, message: str) -> State:
        """mif_conn_message() of a client: state and message, next state and answer. mif_chan_send()
        fails when the server is gone, and send_message() then hangs up."""
        answers = {
            (WAIT_HELLO, "HELLO"): (WAIT_ACK, "INIT"),           # BUILD in between
            (WAIT_ACK, "ACK of INIT"): (SETUP, "ADD"),
            (SETUP, "ACK"): (WAIT_CONNECTED, "CONNECT"),
            (WAIT_CONNECTED, "CONNECTED"): (UP, None),           # mif_port_connected()
        }
        if message == "DISCONNECT":
            return self.end_near(state, index, say=False)
        if (conn.near, message) not in answers:
            return state._replace(broken=f"a client that is {conn.near} gets {message}")
        near, answer = answers[conn.near, message]
        if answer and conn.far == GONE:
            return self.end_near(state, index, say=False)
        to_server = conn.to_server + (answer,) if answer else conn.to_server
        return self.with_conn(state, index, conn._replace(near=near, to_server=to_server))

    # --- the server's sessions ---

    def server_steps(self, state: State, index: int, conn: Conn) -> Iterator[Tuple[str, State]]:
        if conn.far == BACKLOG:  # mif_session_accept()
            after = conn._replace(far=WAIT_INIT, to_client=conn.to_client + ("HELLO",))
            if conn.near == GONE:  # HELLO cannot be sent
                after = conn._replace(far=GONE, to_server=())
            yield f"server accepts client {conn.client}", self.with_conn(state, index, after)
            return
        if conn.far != UP and self.config.deadlines and self.config.server_deadlines:
            yield (f"deadline of server for client {conn.client}",
                   self.end_far(state, index, say=True))
        if conn.far == UP:  # mif_port_check_links()
            yield (f"event: fault at server, client {conn.client}",
                   self.end_far(state, index, say=True))
        if conn.to_server:  # on_ready()
            message, rest = conn.to_server[0], conn.to_server[1:]
            conn = conn._replace(to_server=rest)
            state = self.with_conn(state, index, conn)
            yield (f"server gets {message} of client {conn.client}",
                   self.server_gets(state, index, conn, message))
        elif conn.near == GONE:
            yield (f"server sees the hang-up of client {conn.client}",
                   self.end_far(state, index, say=False))

    def server_gets(self, state: State, index: int, conn: Conn, message: str) -> State:
        """mif_conn_message() of a server."""
        answers = {
            (SETUP, "ADD"): (SETUP, "ACK"),
            (SETUP, "CONNECT"): (UP, "CONNECTED"),  # mif_port_connected(), then the message
        }
        if message == "DISCONNECT":
            return self.end_far(state, index, say=False)
        if (conn.far, message) == (WAIT_INIT, "INIT"):
            return self.bind(state, index)
        if (conn.far, message) not in answers:
            return state._replace(broken=f"a server that is {conn.far} gets {message}")
        return self.answer(state, index, *answers[conn.far, message])

    def answer(self, state: State, index: int, far: str, message: str) -> State:
        conn = state.conns[index]
        if conn.near == GONE:  # mif_chan_send() fails: it hangs up
            return self.end_far(state, index, say=False)
        return self.with_conn(state, index,
                              conn._replace(far=far, to_client=conn.to_client + (message,)))

    def bind(self, state: State, index: int) -> State:
        """bind_to_port(), refusal()."""
        if not state.server.ready:
            return self.end_far(state, index, say=True)
        for other, bound in enumerate(state.conns):
            if bound.far not in (SETUP, UP):
                continue
            ghost = bound.near == GONE
            if ghost and self.config.looks_for_ghosts:  # mif_session_hung_up()
                state = self.end_far(state, other, say=False)
            elif self.config.keeps_first:
                state = self.end_far(state, index, say=True)
                if ghost:
                    state = state._replace(broken="a client is kept out by one that is gone")
                return state
            else:
                state = self.end_far(state, other, say=True)
                state = state._replace(broken="a client was thrown out for another one")
        return self.answer(state, index, SETUP, "ACK of INIT")
