# SPDX-License-Identifier: BSD-3-Clause
"""The gate between bursts and the control thread (drivers/net/memif/base/memif_gate.h), and what
memif_attach.c does with it.

Memory is that of a machine with store buffers. A store goes into the buffer of its thread and gets
to memory some time later, in order; a load sees the thread's own buffer, else memory. That is all
that x86 does, and all that is left of weaker machines once acquire and release are obeyed: the one
pair of accesses that they do not keep in order is a store and a later load. The control thread's
exchange is relaxed, so here it is buffered too, although x86 would not.

Each transition names the function that it stands for. A queue has one gate for its bursts, and may
have a second one, its side gate, for whoever else looks at its rings. Every gate has one thread.

That thread may be in a secondary process (memif_mp.c, memif_secondary.c), which maps what is behind the
gate some time after it was opened, and unmaps it when it is told. It may be killed anywhere, and be
followed by another process at the same queue, before or after the primary knows of its death. What it
had stored is in memory then: its CPU does something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, NamedTuple, Optional, Tuple

NO_LINK = 0
NOBODY, PRIMARY = 0, 1   # who is at a gate; secondaries have numbers above, each a new one
OUT, ENTERED = -1, -2    # of a burst; else the link that it is inside, or NO_LINK
FREE, LIVE = -1, -2      # of a link; else the set of queues that it waits for, as bits, and
UNFENCED = 1 << 8        # ... this one as long as no barrier has succeeded
BUFFER_MAX = 2           # a burst's store waits while the buffer is full


@dataclass(frozen=True)
class Config:
    """How large the model is, and what is taken away from it to see it fail."""

    gates: Tuple[int, ...] = (0, 1)  # the queue of each gate
    links: int = 2
    fence: bool = False        # no membarrier(2) in this kernel: bursts have a fence each
    barrier: bool = True       # mif_gate_barrier() is called
    membarrier: bool = True    # ... and there it is more than a fence of our own
    barrier_last: bool = True  # ... after the gates were closed, not before
    fails: bool = False        # ... and may fail
    tried_again: bool = True   # ... and then is called again before anything is reclaimed
    idle: bool = True          # what stood behind a gate is reclaimed only if that is idle
    idle_of_side: bool = True  # ... and the side gate too
    hold: bool = True          # a link that waits for a queue has a share in it
    secondaries: Tuple[int, ...] = ()  # gates whose thread is in a secondary process
    lives: int = 1             # processes that are at such a gate, one after the other
    reaches: bool = True       # mif_gate_barrier() reaches the threads of secondaries
    heal: bool = True          # what a process has left in gates is taken out when it has died
    heal_own: bool = True      # ... only what is its own, by the number in the gate
    generation: bool = True    # a secondary uses what is behind a gate only if it has mapped that
    keep: bool = True          # ... and unmaps it only when the primary has reclaimed it

    @property
    def queues(self) -> int:
        return max(self.gates) + 1


class Burst(NamedTuple):
    """A thread that does bursts at one gate."""

    where: int = OUT
    stores: Tuple[int, ...] = ()  # to busy, not in memory yet


class Control(NamedTuple):
    """Whoever has the control lock."""

    doing: str = "nothing"
    link: int = NO_LINK
    at: int = 0                   # gate, or queue
    todo: int = 0                 # threads that the barrier has not been at, as bits
    stores: Tuple[Tuple[int, int], ...] = ()  # (gate, link), not in memory yet


class Views(NamedTuple):
    """What a secondary process has mapped, links as bits."""

    mapped: int = 0
    stale: int = 0       # of links that have been reclaimed, until it is told
    newest: int = NO_LINK


class State(NamedTuple):
    """Memory, threads, and what has been allocated."""

    behind: Tuple[int, ...]  # in memory, of each gate
    busy: Tuple[int, ...]    # in memory, of each gate
    bursts: Tuple[Burst, ...]
    control: Control
    links: Tuple[int, ...]   # from 1 on
    attached: int            # the port's link
    owned: int               # queues that the port has, as bits
    who: Tuple[int, ...]     # the process at each gate
    views: Tuple[Views, ...]  # of that process, if it is a secondary
    dead: Tuple[int, ...] = ()  # processes of whose death the primary does not know
    last: int = PRIMARY      # number of a process
    broken: str = ""


def put(items: tuple, index: int, item: object) -> tuple:
    return items[:index] + (item,) + items[index + 1:]


class Model:
    """The transitions."""

    def __init__(self, config: Config):
        self.config = config
        self.all_threads = (1 << len(config.gates)) - 1

    def first(self) -> State:
        gates = len(self.config.gates)
        return State((NO_LINK,) * gates, (0,) * gates, (Burst(),) * gates, Control(),
                     (FREE,) * self.config.links, NO_LINK, (1 << self.config.queues) - 1,
                     tuple(NOBODY if gate in self.config.secondaries else PRIMARY
                           for gate in range(gates)), (Views(),) * gates)

    def wrong(self, state: State) -> Optional[str]:
        if state.broken:
            return state.broken
        for gate, burst in enumerate(state.bursts):
            if burst.where > NO_LINK and state.links[burst.where - 1] == FREE:
                return f"burst {gate} is inside link {burst.where}, which has been reclaimed"
            if burst.where > NO_LINK and state.who[gate] != PRIMARY \
                    and not state.views[gate].mapped & 1 << burst.where:
                return f"burst {gate} is inside link {burst.where}, which is not mapped there"
        return None

    def steps(self, state: State) -> Iterator[Tuple[str, State]]:
        for gate in range(len(self.config.gates)):
            if state.who[gate] != NOBODY:
                yield from self.burst_steps(state, gate)
        for gate in self.config.secondaries:
            yield from self.process_steps(state, gate)
        yield from self.control_steps(state)

    def held(self, state: State, queue: int) -> bool:
        """Does the queue's memory exist? (mif_queue_hold, mif_queue_drop)"""
        bit = 1 << queue
        return bool(state.owned & bit) or self.config.hold and any(
            link > 0 and link & bit for link in state.links)

    # --- bursts: rx_burst() and tx_burst(), and mif_rx_intr_enable() at a side gate ---

    def burst_steps(self, state: State, gate: int) -> Iterator[Tuple[str, State]]:
        burst = state.bursts[gate]

        def burst_is(where: int, stores: Tuple[int, ...], **more: object) -> State:
            return state._replace(bursts=put(state.bursts, gate, Burst(where, stores)), **more)

        if burst.stores:  # the store buffer drains by itself
            yield (f"drain {gate}: busy = {burst.stores[0]}",
                   burst_is(burst.where, burst.stores[1:],
                            busy=put(state.busy, gate, burst.stores[0])))
        room = len(burst.stores) < BUFFER_MAX
        if burst.where == OUT:
            # mif_gate_enter(): the store. An application polls no queue that it has released.
            if room and state.owned & 1 << self.config.gates[gate]:
                yield f"enter {gate}", burst_is(ENTERED, burst.stores + (state.who[gate],))
        elif burst.where == ENTERED:
            # mif_gate_enter(): the load. With a fence in front, the buffer has to be empty.
            if not self.config.fence or not burst.stores:
                yield f"look behind {gate}", burst_is(self.usable(state, gate), burst.stores)
        elif room:
            # mif_gate_leave(), after the last access to the link: release.
            yield f"leave {gate}", burst_is(OUT, burst.stores + (0,))

    def usable(self, state: State, gate: int) -> int:
        """mif_process_maps(): in a secondary, the one that it has mapped last, or none. That is looked at
        later than the gate, but no burst minds: what is mapped meanwhile was mapped when it is used."""
        link = state.behind[gate]
        if state.who[gate] == PRIMARY or not self.config.generation:
            return link
        return link if link == state.views[gate].newest else NO_LINK

    # --- secondary processes: their control threads, their deaths, and what the primary makes of them ---

    def process_steps(self, state: State, gate: int) -> Iterator[Tuple[str, State]]:
        burst, views, who = state.bursts[gate], state.views[gate], state.who[gate]

        def sees(after: Views) -> State:
            return state._replace(views=put(state.views, gate, after))

        if who == NOBODY:
            if state.last < PRIMARY + self.config.lives:
                yield (f"begin of process {state.last + 1} at {gate}",
                       state._replace(who=put(state.who, gate, state.last + 1),
                                      last=state.last + 1))
            return
        for link, status in enumerate(state.links, 1):
            bit = 1 << link
            if status != FREE and not (views.mapped | views.stale) & bit:  # take_link()
                yield (f"map {link} at {gate}",
                       sees(Views(views.mapped | bit, views.stale, link)))
            if views.stale & bit:  # keep_views()
                yield f"unmap {link} at {gate}", sees(views._replace(stale=views.stale & ~bit))
            if not self.config.keep and status > 0 and views.mapped & bit:
                newest = NO_LINK if views.newest == link else views.newest
                yield (f"unmap {link} at {gate} too early",
                       sees(Views(views.mapped & ~bit, views.stale, newest)))
        busy = burst.stores[-1] if burst.stores else state.busy[gate]
        yield (f"end of process {who}",
               state._replace(bursts=put(state.bursts, gate, Burst()),
                              busy=put(state.busy, gate, busy), who=put(state.who, gate, NOBODY),
                              views=put(state.views, gate, Views()), dead=state.dead + (who,)))

    def healed(self, state: State, number: int) -> State:
        """heal(), mif_gate_heal(): of a process that the primary knows to be dead."""
        busy = tuple(0 if self.config.heal and (inside == number or not self.config.heal_own)
                     else inside for inside in state.busy)
        return state._replace(busy=busy, dead=tuple(n for n in state.dead if n != number))

    def reclaimed(self, state: State, link: int) -> State:
        """mif_link_free(); mif_mp_withdraw() tells secondaries, some time."""
        bit = 1 << link
        views = tuple(Views(view.mapped & ~bit, view.stale | view.mapped & bit,
                            NO_LINK if view.newest == link else view.newest)
                      for view in state.views)
        return state._replace(links=put(state.links, link - 1, FREE), views=views)

    # --- the control thread ---

    def control_steps(self, state: State) -> Iterator[Tuple[str, State]]:
        control = state.control
        if control.stores:  # the store buffer drains by itself
            gate, link = control.stores[0]
            yield (f"drain control: behind {gate} = {link}",
                   state._replace(behind=put(state.behind, gate, link),
                                  control=control._replace(stores=control.stores[1:])))
        yield from getattr(self, f"do_{control.doing}")(state, control)

    def go(self, state: State, doing: str, at: int = 0, todo: int = 0, **more: object) -> State:
        return state._replace(control=state.control._replace(doing=doing, at=at, todo=todo), **more)

    def do_nothing(self, state: State, control: Control) -> Iterator[Tuple[str, State]]:
        if state.attached == NO_LINK and state.owned:
            for link, status in enumerate(state.links, 1):
                if status == FREE:
                    # mif_link_attach(): a new connection, even if old ones are not reclaimed yet
                    after = self.go(state, "open", attached=link,
                                    links=put(state.links, link - 1, LIVE))
                    yield f"attach {link}", self.name_link(after, link)
                    break
        if state.attached != NO_LINK:  # mif_link_detach()
            doing = "close" if self.config.barrier_last else "barrier"
            after = self.go(state, doing, todo=self.all_threads, attached=NO_LINK,
                            links=put(state.links, state.attached - 1, UNFENCED))
            yield f"detach {state.attached}", self.name_link(after, state.attached)
        # mif_link_reap(): looks at what is detached, again and again
        for link, status in enumerate(state.links, 1):
            if status > 0 and status & UNFENCED:
                after = self.name_link(self.go(state, "barrier", todo=self.all_threads), link)
                yield f"barrier for link {link} again", after
            elif status > 0:
                for queue in range(self.config.queues):
                    if status & 1 << queue:
                        yield from self.check(state, link, queue)
        for queue in range(self.config.queues):
            yield from self.release(state, queue)
        for number in state.dead:
            if not control.stores:  # a locked instruction
                yield f"heal what process {number} has left", self.healed(state, number)

    def name_link(self, state: State, link: int) -> State:
        return state._replace(control=state.control._replace(link=link))

    def release(self, state: State, queue: int) -> Iterator[Tuple[str, State]]:
        """rx_queue_release(): of a stopped port, whose bursts have ended, says the application."""
        quiet = all(burst == Burst() and not state.busy[gate]
                    for gate, burst in enumerate(state.bursts)
                    if self.config.gates[gate] == queue)
        if state.attached == NO_LINK and state.owned & 1 << queue and quiet:
            yield f"release queue {queue}", state._replace(owned=state.owned & ~(1 << queue))

    def do_open(self, state: State, control: Control) -> Iterator[Tuple[str, State]]:
        """mif_gate_open() of all queues, one after the other."""
        gate = control.at
        if gate == len(self.config.gates):
            yield "attached", self.go(state, "nothing")
            return
        after = self.go(state, "open", gate + 1)
        if state.owned & 1 << self.config.gates[gate]:
            after = self.store(after, gate, control.link)
        yield f"open {gate}", after

    def store(self, state: State, gate: int, link: int) -> State:
        stores = state.control.stores + ((gate, link),)
        return state._replace(control=state.control._replace(stores=stores))

    def do_close(self, state: State, control: Control) -> Iterator[Tuple[str, State]]:
        """mif_queue_shut() of all queues; wait_for() takes a share in each."""
        gate, link = control.at, control.link
        if gate == len(self.config.gates):
            doing = "barrier" if self.config.barrier_last else "shut"
            yield "closed", self.go(state, doing, todo=self.all_threads)
            return
        queue, after = self.config.gates[gate], self.go(state, "close", gate + 1)
        if state.owned & 1 << queue:
            waits = state.links[link - 1] | 1 << queue
            after = self.store(after, gate, NO_LINK)
            after = after._replace(links=put(after.links, link - 1, waits))
        yield f"close {gate}", after

    def do_barrier(self, state: State, control: Control) -> Iterator[Tuple[str, State]]:
        """mif_gate_barrier(): a fence of our own, then one on every thread, in any order."""
        doing = "shut" if self.config.barrier_last else "close"
        status = state.links[control.link - 1] & ~UNFENCED
        after = self.go(state, doing, links=put(state.links, control.link - 1, status))
        if not self.config.barrier:
            yield "no barrier", after
            return
        if control.stores:  # waits until the buffer is empty
            return
        if self.config.fails:
            yield "barrier fails", self.go(state, "nothing") if self.config.tried_again else after
        if not control.todo or self.config.fence or not self.config.membarrier:
            yield "barrier done", after
            return
        for gate, burst in enumerate(state.bursts):
            if control.todo & 1 << gate and (not burst.stores or not self.reaches(gate)):
                # Its buffer is empty at this moment: so it has been drained if it was not.
                yield (f"barrier was at {gate}",
                       self.go(state, "barrier", todo=control.todo & ~(1 << gate)))

    def reaches(self, gate: int) -> bool:
        return self.config.reaches or gate not in self.config.secondaries

    def do_shut(self, state: State, control: Control) -> Iterator[Tuple[str, State]]:
        """From here on bursts_ended() looks, at once and later from mif_link_reap()."""
        status = state.links[control.link - 1]
        if status == 0 or not self.config.idle:
            yield "reclaim", self.go(self.reclaimed(state, control.link), "nothing")
        else:
            yield "wait", self.go(state, "nothing")

    def gates_of(self, queue: int) -> Tuple[int, ...]:
        gates = tuple(g for g, of in enumerate(self.config.gates) if of == queue)
        return gates if self.config.idle_of_side else gates[:1]

    def check(self, state: State, link: int, queue: int) -> Iterator[Tuple[str, State]]:
        """mif_queue_idle(): one load after the other; the first is taken here."""
        after = self.name_link(self.go(state, "check", queue), link)
        if not self.held(state, queue):
            after = after._replace(broken=f"link {link} looks at queue {queue}, which was freed")
        yield f"is queue {queue} of link {link} idle", after

    def do_check(self, state: State, control: Control) -> Iterator[Tuple[str, State]]:
        """todo: gates of the queue that were seen idle so far."""
        link, queue = control.link, control.at
        for gate in self.gates_of(queue):
            if control.todo & 1 << gate:
                continue
            if state.busy[gate]:
                yield "busy", self.go(state, "nothing")
            else:
                yield "idle", self.go(state, "check", queue, control.todo | 1 << gate)
            return
        # bursts_ended(): one queue less; mif_link_free() after the last one
        waits = state.links[link - 1] & ~(1 << queue)
        after = state._replace(links=put(state.links, link - 1, waits)) if waits \
            else self.reclaimed(state, link)
        yield f"link {link} has done with queue {queue}", self.go(after, "nothing")
