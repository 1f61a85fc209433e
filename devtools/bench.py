#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""
Measures how fast this driver is, against DPDK's own net_memif, against vhost-user, and against what
two cores can do. Without options: everything, into a folder of doc/performance/ for this kind of
CPU, in less than 20 minutes where nobody disturbs it. Groups (--only) can be measured one by one,
and a run that was broken off goes on with --resume.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from bench import checks, machine, profile, smoke
from bench.archive import Archive
from bench.child import BenchError
from bench.document import Document
from bench.ends import PAIRS, Tools
from bench.lean import refuses_zero_copy
from bench.plan import GROUPS, Plan, Run
from bench.testpmd import WAYS
from bench.tools import ROOT, build_everything, dpdk_version, find_tools, most_ports

PUBLISHED = ROOT / "doc" / "performance" / machine.slug()
COPY_PAIRS = ["ours", "stock", "ours-stock", "stock-ours", "vhost"]
QUICK_PAIRS = ["ours", "stock", "vhost"]
ZERO_COPY_OURS = ["ours-zc", "ours-zc-server", "ours-zc-both"]
ZERO_COPY_STOCK = ["stock-zc"]
NOT_LEAN = ["ours-stock", "stock-ours", "vhost"]  # testpmd suffices
SIZES = [64, 256, 512, 1518]
QUICK_SIZES = [64, 1518]
LEAN_SIZES = [64, 512, 1518, "imix"]
ROUNDS, SECONDS = 7, 0.4
QUICK_ROUNDS = 3
QUEUES = [1, 2, 4, 8, 16]
PORTS = [1, 2, 4, 8, 16, 32, 64]


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
    add("--quick", action="store_true", help="a short form, five minutes, into build/bench/")
    add("--smoke", action="store_true",
        help="only 64 B, one way, ours against stock; the exit status is 1 when ours is slower, "
             "77 when the machine is too busy to tell")
    add("--checks", action="store_true",
        help="only what the checks of descriptors cost at 64 B, against a build without them; two "
             "minutes; the exit status is 1 when it is more than 3 %%")
    add("--profile", action="store_true",
        help="only where the time of a packet goes, by samples of perf; seven minutes")
    add("--only", type=several(list(GROUPS)), metavar="GROUP,...",
        help=f"some of {','.join(GROUPS)}; the others stay in the results as they are")
    add("--resume", action="store_true",
        help="leave out the groups that are complete in the results")
    add("--pairs", type=several(list(PAIRS)), metavar="PAIR,...", help=f"some of {','.join(PAIRS)}")
    add("--ways", type=several(list(WAYS)), metavar="WAY,...", help=f"some of {','.join(WAYS)}")
    add("--sizes", type=numbers, metavar="BYTES,...", help="sizes of packets")
    add("--rounds", type=int, help="measurements of which the median counts")
    add("--seconds", type=float, help=f"of one measurement ({SECONDS})")
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
    most = most_ports()
    if most < max(PORTS):
        notes.append(f"this DPDK is built for at most {most} ports in a program")
    return Plan(
        groups=[group for group in GROUPS if not options.only or group in options.only],
        pairs=pairs,
        lean_pairs=options.pairs or [pair for pair in pairs if pair not in NOT_LEAN],
        ways=options.ways or list(WAYS),
        sizes=options.sizes or (QUICK_SIZES if quick else SIZES),
        lean_sizes=options.sizes or (QUICK_SIZES if quick else LEAN_SIZES),
        rounds=options.rounds or (QUICK_ROUNDS if quick else ROUNDS),
        seconds=options.seconds or SECONDS,
        queues=[1, 16] if quick else QUEUES,
        ports=[1, 16] if quick else [count for count in PORTS if count <= most])


def is_published(options: argparse.Namespace) -> bool:
    """Groups measured in another form do not take the place of the published ones."""
    return not (options.quick or options.pairs or options.ways or options.sizes
                or options.rounds or options.seconds or options.eal)


def out_folder(options: argparse.Namespace, build: Path) -> Path:
    return options.out or (PUBLISHED if is_published(options) else build / "bench")


def command_line() -> str:
    return " ".join(["devtools/bench.py", *map(shlex.quote, sys.argv[1:])])


def open_archive(options: argparse.Namespace, folder: Path, about: dict[str, str]) -> Archive:
    """A run of everything begins anew, any other one adds to what there is."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = Archive(folder, about)
    if (options.only or options.resume) and not archive.load():
        print(f"{archive.path} is of another machine, driver or form of this program: begun anew")
    return archive


def measure(options: argparse.Namespace, build: Path) -> int:
    folder = out_folder(options, build)
    with tempfile.TemporaryDirectory(prefix="mif-bench-") as scratch:
        tools = find_tools(build, Path(scratch), tuple(shlex.split(options.eal)))
        about = machine.describe(ROOT, f"{dpdk_version()}, {tools.testpmd}")
        archive = open_archive(options, folder, about)
        warning = machine.noise(machine.load())
        print("\n".join(f"{name + ':':10} {value}" for name, value in about.items()))
        if warning:
            print(f"WARNING: {warning}", flush=True)
        notes: list[str] = []
        plan = make_plan(options, tools, notes)
        if options.resume:
            plan.groups = [group for group in plan.groups if group not in archive.complete()]
        run = Run(tools, plan, archive)
        try:
            run.run(command=command_line(), warning=warning, more_notes=notes)
        finally:
            page = Document(archive.data, folder).write()
            print(f"written: {page}, results.json and plots beside it", flush=True)
    print(f"\n{page.read_text()}")
    if warning:
        print(f"WARNING: {warning}")
    return 1 if run.failures else 0


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


def run_page(options: argparse.Namespace, build: Path, group: ModuleType) -> list[dict]:
    """Measures a group that has a page of its own, and writes that; returns what was measured."""
    with tempfile.TemporaryDirectory(prefix="mif-bench-") as scratch:
        tools = find_tools(build, Path(scratch), ())
        about = machine.describe(ROOT, f"{dpdk_version()}, {tools.testpmd}")
        warning = machine.noise(machine.load())  # before a compiler is what it sees
        records = group.measure(tools)
    page = group.write(records, about, warning, options.out or PUBLISHED)
    print(f"\n{page.read_text()}")
    return records


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
        if options.checks:
            return 0 if checks.passed(run_page(options, build, checks)) else 1
        if options.profile:
            run_page(options, build, profile)
            return 0
        return run_smoke(options, build) if options.smoke else measure(options, build)
    except (BenchError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted; --resume goes on with the group that it was in",
              file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
