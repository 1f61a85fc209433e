# SPDX-License-Identifier: BSD-3-Clause
"""The control thread's life (drivers/net/memif/memif_ctrl.c): it begins with the first port, ends
with the last one, runs callbacks of the application, and is joined or goes by itself.

There are threads of the application, two ports, and a lock of the application's (such as EAL's of
the vdev bus) which a thread may hold while it closes a port, and which a callback may want. A
callback may close ports too.

Each transition is one hold of the control lock, or one stretch without it, and names the function
that it stands for. struct ctrl is called a life here. The number of a life that was freed is used
again, as malloc() would; who still has it has a stale pointer, and must not use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, NamedTuple, Optional, Tuple

NONE, LEAKED = 0, -1
PORTS = (0, 1)
ABSENT, PRESENT, CLOSING = "absent", "present", "closing"


@dataclass(frozen=True)
class Config:
    """How large the model is, and what is taken away from it to see it fail."""

    lives: int = 2
    threads: int = 2                 # of the application
    counts_removers: bool = True     # mif_ctrl_remove_port(): only the last one ends the life
    knows_itself: bool = True        # ... the control thread does not join itself
    knows_callbacks: bool = True     # ... nor is it joined while a callback runs
    frees_orphans: bool = True       # run()
    leaks_for_bursts: bool = True    # free_ctrl() keeps what a late burst may use
    device_is_looked_at: bool = False  # see Model.enter_callback()


class Life(NamedTuple):
    """struct ctrl, and its thread."""

    thread: str = "none"   # none, turn, enter, call, close, lock, exited
    ports: int = 0         # as bits
    stop: bool = False
    orphan: bool = False
    callback: bool = False
    stuck: bool = False
    removers: int = 0
    port: int = 0          # of the callback that is entered
    gone: bool = False     # ... whose device has been released since


class Job(NamedTuple):
    """A thread in mif_ctrl_remove_port(), or in none."""

    doing: str = "nothing"  # nothing, sleep, join
    port: int = 0
    life: int = NONE
    stale: bool = False     # the life has been freed
    locked: bool = False    # holds the application's lock


class State(NamedTuple):
    """Everything."""

    lives: Tuple[Life, ...]
    jobs: Tuple[Job, ...]       # of the application's threads, then of the control threads
    current: int = NONE
    ports: Tuple[str, ...] = (ABSENT,) * len(PORTS)
    events: int = 0             # ports with a link event, as bits
    app: bool = False           # the application's lock is held
    burst: int = NONE           # the life of a detached link that one is inside, or LEAKED
    broken: str = ""


Steps = Iterator[Tuple[str, State]]


def put(items: tuple, index: int, item: object) -> tuple:
    return items[:index] + (item,) + items[index + 1:]


class Model:
    """The transitions."""

    def __init__(self, config: Config):
        self.config = config

    def first(self) -> State:
        return State(lives=(Life(),) * self.config.lives,
                     jobs=(Job(),) * (self.config.threads + self.config.lives))

    def wrong(self, state: State) -> Optional[str]:
        return state.broken or None

    def resting(self, state: State) -> bool:
        """Nothing is under way, and what is there is needed."""
        if state.app or any(job != Job() for job in state.jobs):
            return False
        return all(life == Life() or number == state.current and life.ports and not life.callback
                   for number, life in enumerate(state.lives, 1))

    # --- helpers ---

    def name(self, job: int) -> str:
        life = self.own_life(job)
        return f"ctrl{life}" if life else f"T{job}"

    def own_life(self, job: int) -> int:
        return max(job - self.config.threads + 1, NONE)

    @staticmethod
    def with_life(state: State, number: int, **change: object) -> State:
        life = state.lives[number - 1]._replace(**change)
        return state._replace(lives=put(state.lives, number - 1, life))

    @staticmethod
    def with_job(state: State, number: int, job: Job) -> State:
        return state._replace(jobs=put(state.jobs, number, job))

    def free(self, state: State, number: int) -> State:
        """free_ctrl()"""
        life = state.lives[number - 1]
        if life.stuck and self.config.leaks_for_bursts:
            state = state._replace(burst=LEAKED if state.burst == number else state.burst)
        elif state.burst == number:
            return state._replace(broken=f"a burst uses the notifier of life {number}")
        for other, job in enumerate(state.jobs):
            if job.life == number:
                state = self.with_job(state, other, job._replace(stale=True))
        return state._replace(lives=put(state.lives, number - 1, Life()))

    # --- all that can happen ---

    def steps(self, state: State) -> Steps:
        """The application's threads are all alike: states that differ in their order are one."""
        threads = self.config.threads
        for label, after in self.all_steps(state):
            jobs = tuple(sorted(after.jobs[:threads])) + after.jobs[threads:]
            yield label, after._replace(jobs=jobs)

    def all_steps(self, state: State) -> Steps:
        if state.burst:
            yield "the burst ends", state._replace(burst=NONE)
        for port in PORTS:  # mif_port_connected(), take_down()
            bit = 1 << port
            if state.ports[port] == PRESENT and not state.events & bit:
                yield f"begin: link of port {port}", state._replace(events=state.events | bit)
            if state.ports[port] == ABSENT:
                yield from self.open(state, port)
        for number, job in enumerate(state.jobs):
            if job.doing != "nothing":
                yield from self.job_steps(state, number, job)
            elif number < self.config.threads:
                yield from self.close(state, number)
        for number, life in enumerate(state.lives, 1):
            if life.thread != "none":
                yield from self.thread_steps(state, number, life)

    def open(self, state: State, port: int) -> Steps:
        """mif_ctrl_add_port(), start(). Which thread does it makes no difference."""
        life = state.current
        if life == NONE:
            life = next((n for n, one in enumerate(state.lives, 1) if one == Life()), NONE)
            if life == NONE:
                return
            state = self.with_life(state._replace(current=life), life, thread="turn")
        ports = state.lives[life - 1].ports | 1 << port
        after = self.with_life(state, life, ports=ports)
        yield f"begin: port {port} is added", after._replace(ports=put(state.ports, port, PRESENT))

    # --- mif_ctrl_remove_port() ---

    def close(self, state: State, number: int) -> Steps:
        for port in PORTS:
            if state.ports[port] != PRESENT:
                continue
            for locked in (False, True):
                if locked and state.app:
                    continue
                after = self.remove(state, port)._replace(app=state.app or locked)
                job = Job("sleep", port, state.current, locked=locked)
                label = f"begin: {self.name(number)} removes port {port}"
                label += ", with its lock held" if locked else ""
                yield from self.wait(label, after, number, job)
                if not state.burst:
                    label += ", a burst is inside"
                    after = after._replace(burst=state.current)
                    yield from self.wait(label, after, number, job)

    def remove(self, state: State, port: int) -> State:
        life = state.lives[state.current - 1]
        state = self.with_life(state, state.current, ports=life.ports & ~(1 << port),
                               removers=life.removers + 1)
        return state._replace(events=state.events & ~(1 << port),
                              ports=put(state.ports, port, CLOSING))

    def wait(self, label: str, state: State, number: int, job: Job) -> Steps:
        """wait_for_bursts(), and what follows under the same hold of the lock."""
        if job.stale:
            yield label, state._replace(broken=f"{self.name(number)} uses a freed life")
        elif not state.lives[job.life - 1].ports and state.burst:
            yield f"{label}, sleeps", self.with_job(state, number, job)
            after = self.with_life(state, job.life, stuck=True)
            yield f"{label}, waits no longer", self.decide(after, number, job)
        else:
            yield label, self.decide(state, number, job)

    def decide(self, state: State, number: int, job: Job) -> State:
        life = state.lives[job.life - 1]
        left = life.removers - 1
        state = self.with_life(state, job.life, removers=left)
        if life.ports or left and self.config.counts_removers:
            return self.end(state, number, job)
        if life.stop:
            return state._replace(broken=f"life {job.life} is ended twice")
        join = not (self.config.knows_itself and self.own_life(number) == job.life or
                    self.config.knows_callbacks and life.callback)
        state = self.with_life(state._replace(current=NONE), job.life, stop=True, orphan=not join)
        if join:
            return self.with_job(state, number, job._replace(doing="join"))
        return self.end(state, number, job)

    def end(self, state: State, number: int, job: Job) -> State:
        """dev_close() returns, rte_eth_dev_release_port(): the device is nobody's from here on."""
        for other, life in enumerate(state.lives, 1):
            if life.thread == "enter" and life.port == job.port:
                state = self.with_life(state, other, gone=True)
        own = self.own_life(number)
        if own and state.lives[own - 1].thread == "close":  # its callback returns
            state = self.with_life(state, own, thread="turn")
        state = state._replace(ports=put(state.ports, job.port, ABSENT),
                               app=state.app and not job.locked)
        return self.with_job(state, number, Job())

    def job_steps(self, state: State, number: int, job: Job) -> Steps:
        name = self.name(number)
        if job.doing == "sleep":
            yield from self.wait(f"{name} looks again", state, number, job)
        elif state.lives[job.life - 1].thread == "exited":  # mif_thread_join()
            yield f"{name} has joined life {job.life}", self.end(
                self.free(state, job.life), number, job)

    # --- run(), turn(), report_links() ---

    def thread_steps(self, state: State, number: int, life: Life) -> Steps:
        name = f"ctrl{number}"
        if life.thread == "turn":
            yield from self.turn(state, number, life)
        elif life.thread == "enter":
            yield f"{name} calls", self.enter_callback(state, number, life)
        elif life.thread == "call":
            yield from self.callback(state, number)
        elif life.thread == "lock" and not state.app:  # takes it, and gives it back
            yield f"{name} had the lock", self.with_life(state, number, thread="turn")

    def turn(self, state: State, number: int, life: Life) -> Steps:
        """The lock is taken: after a callback, or in a new turn."""
        events = life.ports & state.events
        if events:  # mif_port_take_link_event()
            port = 0 if events & 1 else 1
            after = self.with_life(state, number, thread="enter", callback=True, port=port)
            yield (f"ctrl{number} takes the event of port {port}",
                   after._replace(events=state.events & ~(1 << port)))
        elif life.stop:
            after = self.with_life(state, number, thread="exited", callback=False)
            if life.orphan and self.config.frees_orphans:
                after = self.free(after, number)
            yield f"ctrl{number} ends", after
        elif life.callback:
            yield f"ctrl{number} has reported", self.with_life(state, number, callback=False)

    def enter_callback(self, state: State, number: int, life: Life) -> State:
        """rte_eth_dev_callback_process(): looks at dev->data before it calls.

        The lock is not held any more, so another thread may have closed and released the port since
        the event was taken: see doc/memory-model.md.
        """
        if life.gone and self.config.device_is_looked_at:
            state = state._replace(broken=f"callback for port {life.port}, which was released")
        return self.with_life(state, number, thread="call", gone=False, port=0)

    def callback(self, state: State, number: int) -> Steps:
        """The application's: returns, wants its lock, or closes a port and returns."""
        name = f"ctrl{number}"
        yield f"{name} returns", self.with_life(state, number, thread="turn")
        yield f"begin: {name} wants the lock", self.with_life(state, number, thread="lock")
        if state.current:
            after = self.with_life(state, number, thread="close")
            yield from self.close(after, self.config.threads + number - 1)
