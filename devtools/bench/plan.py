# SPDX-License-Identifier: BSD-3-Clause
"""What is measured, in which order: always in turns, so that a slow minute hits all pairs alike."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Callable

from . import lean, testpmd
from .archive import Archive
from .child import BenchError, is_disturbed
from .distance import Distance
from .ends import CLIENT, PAIRS, SERVER, Pair, Tools, cpus
from .stats import size_text
from .testpmd import C2S

TESTPMD, LEAN, LIMIT, LATENCY, IDLE, CONNECT, SCALE = GROUPS = (
    "testpmd", "lean", "limit", "latency", "idle", "connect", "scale")
CHECK = "check"  # the records of the sequence checks in group lean
MEMORY = "memory"  # those of the ports in group idle

CHECK_SECONDS = 0.3
SCALE_SIZE = 64
SOME_ROUNDS, FEW_ROUNDS = 5, 3
LATENCY_SECONDS = 1.0  # at least
LIMIT_SECONDS = 0.2
IDLE_SECONDS = 0.05  # for each number of ports

# A measurement takes so many seconds longer than what it measures: starts and warm-ups.
EXTRA = {TESTPMD: 0.8, LEAN: 0.8, LIMIT: 2, LATENCY: 0.8, IDLE: 3.5, CONNECT: 0.8, SCALE: 1.5}


@dataclass
class Plan:
    """The choices of one run of bench.py."""

    groups: list[str]
    pairs: list[str]
    lean_pairs: list[str]
    ways: list[str]
    sizes: list[int]
    lean_sizes: list[int | str]
    rounds: int
    seconds: float
    queues: list[int]
    ports: list[int]

    def chosen(self, *names: str) -> list[Pair]:
        return [PAIRS[name] for name in names if name in self.pairs]

    def rounds_of(self, group: str) -> int:
        """Those of testpmd differ most, from one start to the next; what takes long has few."""
        if group == TESTPMD:
            return self.rounds
        return min(self.rounds, FEW_ROUNDS if group in (LEAN, LIMIT) else SOME_ROUNDS)

    def steps(self, group: str) -> int:
        """Number of measurements of a group, for the progress."""
        two = len(self.chosen("ours", "stock"))
        each = {
            TESTPMD: len(self.pairs) * len(self.ways) * len(self.sizes),
            LEAN: len(self.lean_pairs) * len(self.ways) * len(self.lean_sizes),
            LATENCY: len(self.chosen("ours", "stock", "vhost")) + len(self.chosen("ours")),
            IDLE: two * 2,
            CONNECT: two,
            SCALE: two * (len(self.queues) + len(self.ports)),
            LIMIT: len(self.sizes) * len(lean.DIRECTIONS),
        }
        return each[group] * self.rounds_of(group)

    def expected(self, group: str) -> float:
        """Seconds that a group is expected to take."""
        seconds = 0 if group == LIMIT else self.seconds
        return self.steps(group) * (seconds + EXTRA[group])


class Run:
    """Measures group by group; what comes out, and what went wrong, goes into the archive."""

    def __init__(self, tools: Tools, plan: Plan, archive: Archive) -> None:
        self.tools = tools
        self.plan = plan
        self.archive = archive
        self.distance = Distance(tools.distance, cpus())
        self.failures = 0
        self._group = ""
        self._begin = time.monotonic()
        self._done = 0  # of the group

    def progress(self, text: str) -> None:
        spent = int(time.monotonic() - self._begin)
        steps, expected = self.plan.steps(self._group), self.plan.expected(self._group)
        later = self.plan.groups[self.plan.groups.index(self._group) + 1:]
        left = (expected * max(0, 1 - self._done / steps) +
                sum(self.plan.expected(group) for group in later))
        print(f"[{self._group} {self._done}/{steps}, {spent // 60}:{spent % 60:02}, "
              f"{left / 60:.0f} min left] {text}", flush=True)

    def record(self, **record: object) -> None:
        self.archive.add(self._group, record)

    def add(self, text: str, **record: object) -> None:
        self._done += 1
        shares = record.get("shares", [1])
        disturbed = is_disturbed(shares)
        self.record(**record, disturbed=disturbed)
        if disturbed:
            text += f"   (disturbed: the programs had {shares} of their CPUs)"
        if self.distance.is_far(record.get("apart", 0)):
            text += f"   (the CPUs were far apart: {record['apart']:.0f} ns)"
        self.progress(text)

    def note(self, text: str) -> None:
        self.archive.note(self._group, text)

    def attempt(self, what: str, measure: Callable[[], None]) -> None:
        """One failure does not end the run; it is in the report."""
        try:
            measure()
        except BenchError as error:
            self.failures += 1
            self.archive.error(self._group, f"{what}: {error}")
            self.progress(f"FAILED {what}: {error}")

    def run(self, command: str, warning: str | None, more_notes: list[str]) -> None:
        functions = {TESTPMD: run_testpmd, LEAN: run_lean, LIMIT: run_limit,
                     LATENCY: run_latency, IDLE: run_idle, CONNECT: run_connect,
                     SCALE: run_scale}
        for group in self.plan.groups:
            begin = time.monotonic()
            complete = False
            self._group, self._done = group, 0
            self.archive.begin(group, command=command, warning=warning,
                               rounds=self.plan.rounds_of(group), seconds=self.plan.seconds)
            for text in more_notes:
                self.note(text)
            try:
                functions[group](self)
                complete = True
            finally:
                self.archive.end(group, (time.monotonic() - begin) / 60, complete)


def run_testpmd(run: Run) -> None:
    plan = run.plan

    def one(pair: Pair, turn: int) -> None:
        with testpmd.session(run.tools, pair) as children:
            for way in plan.ways:
                for size in plan.sizes:
                    rate, apart = run.distance.measure(
                        lambda: testpmd.measure_once(children, way, size, plan.seconds))
                    run.add(f"round {turn}: {pair.name}, {way}, {size} bytes: "
                            f"{rate.mpps:.2f} Mpps", group=TESTPMD, pair=pair.name, way=way,
                            size=size, round=turn, mpps=rate.mpps, shares=rate.shares,
                            apart=apart)

    for turn in range(1, plan.rounds_of(TESTPMD) + 1):
        for pair in plan.chosen(*plan.pairs):
            run.attempt(f"testpmd, {pair.name}", lambda: one(pair, turn))


def check_numbers(run: Run, pair: Pair, way: str) -> None:
    """A faster path that drops, reorders or duplicates is no path: so that is looked at first."""
    outcome = lean.throughput(run.tools, pair, way, "imix", CHECK_SECONDS, check=True)
    result = outcome.result
    packets = sum(port["rx"] for port in outcome.report["per_port"])
    wrong = {name: result[name] for name in ("lost", "repeated", "broken")}
    run.record(group=CHECK, pair=pair.name, way=way, packets=packets, **wrong)
    run.progress(f"sequence numbers: {pair.name}, {way}: {packets} packets, {wrong}")


def run_lean(run: Run) -> None:
    plan = run.plan

    def one(pair: Pair, way: str, size: int | str, turn: int) -> None:
        outcome, apart = run.distance.measure(
            lambda: lean.throughput(run.tools, pair, way, str(size), plan.seconds))
        mpps = outcome.result["rx_mpps"]
        run.add(f"round {turn}: {pair.name}, {way}, {size_text(size)}: {mpps:.2f} Mpps",
                group=LEAN, pair=pair.name, way=way, size=size, round=turn, mpps=mpps,
                shares=outcome.shares, apart=apart)

    for way in plan.ways:
        for pair in plan.chosen(*plan.lean_pairs):
            if way != testpmd.IO:
                run.attempt(f"sequence numbers, {pair.name}, {way}",
                            lambda: check_numbers(run, pair, way))
    for turn in range(1, plan.rounds_of(LEAN) + 1):
        for way in plan.ways:
            for size in plan.lean_sizes:
                for pair in plan.chosen(*plan.lean_pairs):
                    run.attempt(f"lean, {pair.name}, {way}, {size_text(size)}",
                                lambda: one(pair, way, size, turn))


def run_limit(run: Run) -> None:
    plan = run.plan

    def one(direction: str, size: int, turn: int) -> None:
        report, apart = run.distance.measure(
            lambda: lean.limit(run.tools, direction, size, LIMIT_SECONDS))
        rows = report["result"]
        for row in rows:
            run.record(group=LIMIT, round=turn, apart=apart, **row)
        best = max(row["mpps"] for row in rows if row["layout"] != lean.NO_PAYLOAD)
        run.add(f"round {turn}: {direction}, {size} bytes: up to {best:.1f} Mpps", group="done",
                of=LIMIT, apart=apart)

    for turn in range(1, plan.rounds_of(LIMIT) + 1):
        for direction in lean.DIRECTIONS:
            for size in plan.sizes:
                run.attempt(f"limit, {direction}, {size} bytes",
                            lambda: one(direction, size, turn))


def run_latency(run: Run) -> None:
    plan = run.plan

    def one(pair: Pair, interrupt: bool, turn: int) -> None:
        outcome, apart = run.distance.measure(lambda: lean.latency(
            run.tools, pair, interrupt, max(plan.seconds, LATENCY_SECONDS)))
        result = outcome.result
        mode = "interrupt" if interrupt else "polling"
        # A program that sleeps does not have its CPU all the time.
        shares = {} if interrupt else {"shares": outcome.shares}
        run.add(f"round {turn}: {pair.name}, {mode}: median {result['p50']:.2f} us, "
                f"p99 {result['p99']:.2f} us", group=LATENCY, pair=pair.name, mode=mode,
                round=turn, apart=apart, **{name: result[name] for name in
                               ("min", "p50", "p99", "p99.9", "lost", "overslept")}, **shares)

    if plan.chosen("stock"):
        run.note("latency with interrupts: stock net_memif gives no receive interrupts")
    for turn in range(1, plan.rounds_of(LATENCY) + 1):
        for pair in plan.chosen("ours", "stock", "vhost"):
            run.attempt(f"latency, {pair.name}", lambda: one(pair, False, turn))
        for pair in plan.chosen("ours"):
            run.attempt(f"latency with interrupts, {pair.name}", lambda: one(pair, True, turn))


def run_idle(run: Run) -> None:
    plan = run.plan
    ports = max(plan.ports)

    def one(pair: Pair, role: str, turn: int) -> None:
        outcome = lean.idle(run.tools, pair, role, ports, IDLE_SECONDS)
        rows = outcome.report["result"]
        for row in rows:
            run.record(group=IDLE, pair=pair.name, role=role, round=turn, ports=row["ports"],
                       cycles=row["cycles_per_poll"])
        run.add(f"round {turn}: {pair.name}, {role}: {rows[0]['cycles_per_poll']:.1f} cycles "
                f"per poll with 1 port, {rows[-1]['cycles_per_poll']:.1f} with {ports}",
                group=MEMORY, pair=pair.name, role=role,
                bytes_per_port=outcome.shared_bytes / ports)

    for turn in range(1, plan.rounds_of(IDLE) + 1):
        for role in SERVER, CLIENT:
            for pair in plan.chosen("ours", "stock"):
                run.attempt(f"idle, {pair.name}, {role}", lambda: one(pair, role, turn))


def run_connect(run: Run) -> None:
    def one(pair: Pair, turn: int) -> None:
        outcome, apart = run.distance.measure(
            lambda: lean.connect(run.tools, pair, run.plan.seconds))
        result = outcome.result
        run.add(f"round {turn}: {pair.name}: median {result['p50']:.0f} us, "
                f"{result['per_second']:.0f} connections per second", group=CONNECT,
                pair=pair.name, round=turn, p50=result["p50"], p99=result["p99"],
                per_second=result["per_second"], apart=apart)

    for turn in range(1, run.plan.rounds_of(CONNECT) + 1):
        for pair in run.plan.chosen("ours", "stock"):
            run.attempt(f"connect, {pair.name}", lambda: one(pair, turn))


def run_scale(run: Run) -> None:
    plan = run.plan
    points = [("queues", n) for n in plan.queues] + [("ports", n) for n in plan.ports]

    def one(pair: Pair, of: str, count: int, turn: int) -> None:
        outcome, apart = run.distance.measure(lambda: lean.throughput(
            run.tools, pair, C2S, str(SCALE_SIZE), plan.seconds, **{of: count}))
        mpps = outcome.result["rx_mpps"]
        run.add(f"round {turn}: {pair.name}, {count} {of}: {mpps:.2f} Mpps", group=SCALE,
                pair=pair.name, of=of, count=count, round=turn, mpps=mpps, shares=outcome.shares,
                apart=apart)

    for turn in range(1, plan.rounds_of(SCALE) + 1):
        for of, count in points:
            for pair in plan.chosen("ours", "stock"):
                run.attempt(f"scale, {pair.name}, {count} {of}",
                            lambda: one(pair, of, count, turn))
