# SPDX-License-Identifier: BSD-3-Clause
"""No wake-up is lost: the pairs of "store, fence, load" that the two sides of a ring have, and
those of lent slots (memif_loan.h).

Memory has store buffers, as in gate_model.py. Every interleaving of the two is tried. A "barrier" is
membarrier(2): a fence in all threads.
"""

from typing import Dict, Iterator, List, Tuple

import pytest

from checker import explore

Op = Tuple[str, ...]  # ("store", variable, value), ("fence",), ("barrier",), ("load", variable)
Thread = Tuple[int, Tuple[Tuple[str, str], ...], str]  # next op, buffered stores, what it loaded
State = Tuple[Tuple[Tuple[str, str], ...], Tuple[Thread, ...]]


def outcomes(programs: List[List[Op]], memory: Dict[str, str]) -> List[Tuple[str, ...]]:
    """What the threads may have loaded in the end; each loads once."""
    def steps(state: State) -> Iterator[Tuple[str, State]]:
        for number, program in enumerate(programs):
            for label, after in thread_steps(state, number, program):
                yield f"{number}: {label}", after

    def thread_steps(state: State, number: int, program: List[Op]) -> Iterator[Tuple[str, State]]:
        contents, threads = state
        at, stores, loaded = threads[number]

        def to(contents: Tuple[Tuple[str, str], ...], thread: Thread) -> State:
            return contents, threads[:number] + (thread,) + threads[number + 1:]

        if stores:
            written = tuple(sorted({**dict(contents), **dict(stores[:1])}.items()))
            yield "drain", to(written, (at, stores[1:], loaded))
        op = program[at] if at < len(program) else ("end",)
        if op[0] == "store":
            yield "store", to(contents, (at + 1, stores + ((op[1], op[2]),), loaded))
        elif op[0] == "fence" and not stores:
            yield "fence", to(contents, (at + 1, stores, loaded))
        elif op[0] == "barrier":
            everything = dict(contents)
            for _, buffered, _ in threads:
                everything.update(buffered)
            drained = tuple((place, (), seen) for place, _, seen in threads)
            yield "barrier", (tuple(sorted(everything.items())),
                              drained[:number] + ((at + 1, (), loaded),) + drained[number + 1:])
        elif op[0] == "load":
            seen = {**dict(contents), **dict(stores)}[op[1]]
            yield "load", to(contents, (at + 1, stores, seen))

    first: State = (tuple(sorted(memory.items())), ((0, (), ""),) * len(programs))
    space = explore(first, steps, lambda state: None)
    return sorted({tuple(thread[2] for thread in threads) for _, threads in space.states
                   if all(thread[0] == len(programs[i]) for i, thread in enumerate(threads))})


# Name, memory before, the two sides, and what they must not both have seen.
PAIRS = {
    # mif_ring_publish(), mif_ring_wants_event(); mif_ring_unmask(), and a look at the ring
    "sender and sleeper": (
        {"index": "old", "mask": "set"},
        [("store", "index", "new"), ("fence",), ("load", "mask")],
        [("store", "mask", "clear"), ("fence",), ("load", "index")],
        ("set", "old")),
    # mif_queue_open(), mif_wait_attach(); mif_rx_intr_enable()
    "new connection and sleeper": (
        {"behind": "nothing", "enabled": "no"},
        [("store", "behind", "rings"), ("fence",), ("load", "enabled")],
        [("store", "enabled", "yes"), ("fence",), ("load", "behind")],
        ("no", "nothing")),
    # mif_loan_end(); mif_lend_sleep(), or mif_link_detach() with mif_loans_end()
    "freed packet and attention": (
        {"lender": "lent", "attention": "none"},
        [("store", "lender", "back"), ("load", "attention")],
        [("store", "attention", "asleep"), ("barrier",), ("load", "lender")],
        ("none", "lent")),
    # mif_loans_give_back(): who does not get the lock; who has just given it up
    "freed packet and holder of the lock": (
        {"lender": "lent", "lock": "taken"},
        [("store", "lender", "back"), ("fence",), ("load", "lock")],
        [("store", "lock", "free"), ("fence",), ("load", "lender")],
        ("taken", "lent")),
    # mif_loans_enter(); mif_loans_end(), mif_loans_idle()
    "visitor and end": (
        {"visitors": "none", "attention": "asleep"},
        [("store", "visitors", "one"), ("fence",), ("load", "attention")],
        [("store", "attention", "ended"), ("barrier",), ("load", "visitors")],
        ("asleep", "none")),
    # replace_page_seen(); mif_guard_silence(), mif_guard_idle()
    "handler and silence": (
        {"inside": "none", "file": "open"},
        [("store", "inside", "one"), ("fence",), ("load", "file")],
        [("store", "file", "none"), ("fence",), ("load", "inside")],
        ("open", "none")),
}
FENCES = ("fence", "barrier")


@pytest.mark.parametrize("memory,one,other,lost", PAIRS.values(), ids=PAIRS.keys())
def test_one_sees_the_other(memory: Dict[str, str], one: List[Op], other: List[Op],
                            lost: Tuple[str, ...]) -> None:
    found = outcomes([one, other], memory)
    assert len(found) == 3 and lost not in found


@pytest.mark.parametrize("name,without", [
    (name, side) for name, (_, one, other, _) in PAIRS.items()
    for side, program in enumerate((one, other)) if any(op[0] in FENCES for op in program)])
def test_each_fence_is_needed(name: str, without: int) -> None:
    memory, one, other, lost = PAIRS[name]
    programs = [one, other]
    # A barrier does for the other side's fence too.
    if ("barrier",) in other:
        programs = [[op for op in one if op[0] != "fence"], other]
        without = 1
    programs[without] = [op for op in programs[without] if op[0] not in FENCES]
    assert lost in outcomes(programs, memory)
