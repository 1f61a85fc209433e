# SPDX-License-Identifier: BSD-3-Clause
"""A small explicit-state checker.

A model is a first state, a function that lists the steps that can be taken in a state, and a
function that says what is wrong with a state. All states that can be reached are visited, in
breadth-first order, so the trace to what is wrong is a shortest one.

Two questions are asked:

- explore(): is any reachable state wrong? (nothing bad happens)
- Space.stuck(): are there states from which a goal cannot be reached any more? (something good can
  still happen, whatever went before). If the steps are limited to those that must be taken sooner
  or later, such as those of a thread that runs, then a fair schedule does reach the goal.
"""

from __future__ import annotations

from collections import deque
from typing import Callable, Dict, Hashable, Iterable, List, Optional, Tuple

State = Hashable
Step = Tuple[str, State]
Steps = Callable[[State], Iterable[Step]]

STATES_MAX = 1_000_000


class Violation(AssertionError):
    """A reachable state is wrong; the trace says how it is reached."""

    def __init__(self, problem: str, trace: List[str]):
        super().__init__("\n    ".join([problem, *trace]))
        self.problem = problem
        self.trace = trace


class Space:
    """All reachable states of a model."""

    def __init__(self, first: State):
        self.states: List[State] = [first]
        self.number: Dict[State, int] = {first: 0}
        self.reached_by: List[Tuple[int, str]] = [(-1, "")]
        self.steps: List[List[Tuple[str, int]]] = []

    def trace(self, index: int) -> List[str]:
        """The steps from the first state to this one."""
        labels = []
        while index > 0:
            index, label = self.reached_by[index]
            labels.append(label)
        return labels[::-1]

    def count_steps(self) -> int:
        return sum(len(steps) for steps in self.steps)

    def stuck(self, goal: Callable[[State], bool],
              allowed: Callable[[str], bool] = lambda label: True,
              concerns: Callable[[State], bool] = lambda state: True) -> Optional[List[str]]:
        """The trace to a state that concerns us and from which no goal can be reached by allowed
        steps, or None."""
        before: List[List[int]] = [[] for _ in self.states]
        for index, steps in enumerate(self.steps):
            for label, after in steps:
                if allowed(label):
                    before[after].append(index)
        todo = [index for index, state in enumerate(self.states) if goal(state)]
        good = bytearray(len(self.states))
        for index in todo:
            good[index] = 1
        while todo:
            for index in before[todo.pop()]:
                if not good[index]:
                    good[index] = 1
                    todo.append(index)
        for index, state in enumerate(self.states):
            if not good[index] and concerns(state):
                return self.trace(index) + [f"stuck in {state}"]
        return None

    def leaves(self, region: Callable[[State], bool],
               allowed: Callable[[str], bool]) -> Optional[List[str]]:
        """The trace of an allowed step that leaves the region, or None."""
        for index, steps in enumerate(self.steps):
            if not region(self.states[index]):
                continue
            for label, after in steps:
                if allowed(label) and not region(self.states[after]):
                    return self.trace(index) + [label, f"leaves for {self.states[after]}"]
        return None


def explore(first: State, steps: Steps,
            wrong: Callable[[State], Optional[str]]) -> Space:
    """Visits every reachable state. Raises Violation at the first one that is wrong."""
    space = Space(first)
    todo = deque([0])
    while todo:
        index = todo.popleft()
        state = space.states[index]
        problem = wrong(state)
        if problem:
            raise Violation(f"{problem}; in {state}", space.trace(index))
        taken = []
        for label, after in steps(state):
            known = space.number.get(after)
            if known is None:
                known = len(space.states)
                if known >= STATES_MAX:
                    raise RuntimeError(f"more than {STATES_MAX} states")
                space.number[after] = known
                space.states.append(after)
                space.reached_by.append((index, label))
                todo.append(known)
            taken.append((label, known))
        space.steps.append(taken)
    return space
