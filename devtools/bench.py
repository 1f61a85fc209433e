#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""
Measures how fast this driver is, against DPDK's own net_memif, against vhost-user, and against what
two cores can do. Without options: everything, into doc/performance/.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
import tempfile
import time
from pathlib import Path

from bench import machine, smoke
from bench.child import BenchError
from bench.document import Document
from bench.ends import PAIRS, Tools
from bench.lean import refuses_zero_copy
from bench.plan import GROUPS, Plan, Run
from bench.testpmd import WAYS
from bench.tools import ROOT, build_everything, dpdk_version, find_tools

PUBLISHED = ROOT / "doc" / "performance"
COPY_PAIRS = ["ours", "stock", "ours-stock", "stock-ours", "vhost"]
QUICK_PAIRS = ["ours", "stock", "vhost"]
ZERO_COPY_OURS = ["ours-zc", "ours-zc-both"]
ZERO_COPY_STOCK = ["stock-zc"]
SIZES = [64, 128, 256, 512, 1518]
QUICK_SIZES = [64, 1518]


def several(allowed: list[str]):
    def split(text: str) -> list[str]:
        words = text.split(",")
        for word in words:
            if word not in allowed:
                raise argparse.ArgumentTypeError(f"'{word}' is none of {', '.join(allowed)}")
        return words
    return split


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="devtools/bench.py", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="a short form, some ten minutes, into build/bench/")
    add("--smoke", action="store_true",
        help="only 64 B, one way, ours against stock; the exit status is 1 when ours is slower, "
             "77 when the machine is too busy to tell")
    add("--only", type=several(list(GROUPS)), metavar="GROUP,...",
        help=f"some of {','.join(GROUPS)}; into build/bench/")
    add("--pairs", type=several(list(PAIRS)), metavar="PAIR,...", help=f"some of {','.join(PAIRS)}")
    add("--ways", type=several(list(WAYS)), metavar="WAY,...", help=f"some of {','.join(WAYS)}")
    add("--sizes", type=numbers, metavar="BYTES,...", help="sizes of packets")
    add("--rounds", type=int, help="measurements of which the median counts")
    add("--seconds", type=float, help="of one measurement (1.5)")
    add("--zero-copy", choices=["auto", "yes", "no"], default="auto",
        help="zero-copy pairs: auto, when ours has it; yes, at least those of stock")
    add("--eal", default="", metavar="OPTIONS", help="more EAL options for every program")
    add("--out", type=Path, help="folder for results.md, results.json and plots")
    add("--json", type=Path, help="with --smoke: file for the outcome")
    add("--no-build", action="store_true", help="measure the build folder as it is")
    add("--render", type=Path, metavar="RESULTS.JSON",
        help="measure nothing, write page and plots of an earlier run anew")
    return parser.parse_args()


def zero_copy_pairs(options: argparse.Namespace, tools: Tools, notes: list[str]) -> list[str]:
    if options.zero_copy == "no":
        return []
    refused = refuses_zero_copy(tools)
    if not refused:
        return ZERO_COPY_OURS + ZERO_COPY_STOCK
    notes.append(f"zero-copy pairs of ours are left out: {refused}")
    return ZERO_COPY_STOCK if options.zero_copy == "yes" else []


def make_plan(options: argparse.Namespace, tools: Tools, notes: list[str]) -> Plan:
    quick = options.quick
    pairs = options.pairs
    if not pairs:
        pairs = (QUICK_PAIRS if quick else COPY_PAIRS) + zero_copy_pairs(options, tools, notes)
    return Plan(
        groups=[group for group in GROUPS if not options.only or group in options.only],
        pairs=pairs,
        ways=options.ways or list(WAYS),
        sizes=options.sizes or (QUICK_SIZES if quick else SIZES),
        rounds=options.rounds or (3 if quick else 5),
        seconds=options.seconds or 1.5,
        queues=[1, 16] if quick else [1, 2, 4, 8, 16],
        ports=[1, 16] if quick else [1, 2, 4, 8, 16, 32])


def is_whole(options: argparse.Namespace) -> bool:
    """Partial results do not take the place of the published ones."""
    return not (options.quick or options.only or options.pairs or options.ways or options.sizes
                or options.rounds or options.seconds or options.eal)


def out_folder(options: argparse.Namespace, build: Path) -> Path:
    return options.out or (PUBLISHED if is_whole(options) else build / "bench")


def command_line() -> str:
    return " ".join(["devtools/bench.py", *map(shlex.quote, sys.argv[1:])])


def measure(options: argparse.Namespace, build: Path) -> int:
    folder = out_folder(options, build)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mif-bench-") as scratch:
        tools = find_tools(build, Path(scratch), tuple(shlex.split(options.eal)))
        about = machine.describe(ROOT, f"{dpdk_version()}, {tools.testpmd}")
        load_before = machine.load()
        warning = machine.noise(load_before)
        print("\n".join(f"{name + ':':10} {value}" for name, value in about.items()))
        print(f"{'load:':10} {load_before:.2f}")
        if warning:
            print(f"WARNING: {warning}", flush=True)
        notes: list[str] = []
        run = Run(tools, make_plan(options, tools, notes))
        run.run()
    data = {"command": command_line(), "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "machine": about, "load_before": load_before, "load_after": machine.load(),
            "warnings": [warning] if warning else [], "rounds": run.plan.rounds,
            "seconds": run.plan.seconds, "notes": notes + run.notes, "errors": run.errors,
            "records": run.records}
    (folder / "results.json").write_text(json.dumps(data, indent=1) + "\n")
    print(f"load average before {load_before:.2f}, after {data['load_after']:.2f}")
    page = Document(data, folder).write()
    print(f"\n{page.read_text()}\nwritten: {page}, results.json and plots beside it")
    if warning:
        print(f"WARNING: {warning}")
    return 1 if run.errors else 0


def run_smoke(options: argparse.Namespace, build: Path) -> int:
    with tempfile.TemporaryDirectory(prefix="mif-bench-") as scratch:
        tools = find_tools(build, Path(scratch), ())
        outcome = smoke.judge(smoke.compare(tools))
    print(f"{outcome['result']}: ours is {outcome['ratio']:.2f} x stock, wanted is at least "
          f"{outcome['wanted']:g} x; {outcome['disturbed']} of {outcome['measurements']} "
          "measurements were disturbed by other programs")
    if options.json:
        options.json.write_text(json.dumps(outcome, indent=1) + "\n")
    return {"passed": 0, "failed": 1, "undecided": 77}[outcome["result"]]


def main() -> int:
    options = parse_arguments()
    # As an exception, so that no program is left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if options.render:
            data = json.loads(options.render.read_text())
            print(Document(data, options.render.parent).write())
            return 0
        given = os.environ.get("MIF_BUILD")
        build = Path(given).resolve() if given else ROOT / "build"
        if not given and not options.no_build:
            build_everything(build)
        return run_smoke(options, build) if options.smoke else measure(options, build)
    except (BenchError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted, nothing is written", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
