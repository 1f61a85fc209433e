# SPDX-License-Identifier: BSD-3-Clause
"""What the checks of descriptors cost: this driver against a build of it without them, in turns."""

from __future__ import annotations

import dataclasses
import json
from contextlib import ExitStack
from pathlib import Path

from . import testpmd
from .ends import PAIRS, Tools
from .plan import DISTURBED
from .stats import Spread, ratio
from .tools import find_plugin, in_library

SIZE = 64
SECONDS = 0.3
SESSIONS = 5
ROUNDS = 4  # of each session
WANTED = 0.97  # of the rate without checks; what the project promises
CHECKED, UNCHECKED = "with", "without"
BUILD_SECONDS = 900


def build_unchecked(folder: Path) -> Path:
    """A build of the driver without the checks; returns its plugin."""
    print(f"building without checks in {folder}", flush=True)
    in_library(f'use_dpdk; build_dir {folder} gcc 0 "${{BUILD_OPTIONS[@]}}" '
               "-Dtest_without_checks=true", BUILD_SECONDS)
    return find_plugin(folder)


def compare(tools: Tools, unchecked: Path) -> list[dict]:
    """
    In several sessions, as where a program's memory lies makes a difference for as long as it runs.
    In each, all programs are there from the start: those whose turn it is not do not poll.
    """
    records = []
    for number in range(SESSIONS):
        with ExitStack() as stack:
            sessions = {
                name: stack.enter_context(testpmd.session(
                    dataclasses.replace(tools, plugin=plugin), PAIRS["ours"]))
                for name, plugin in ((CHECKED, tools.plugin), (UNCHECKED, unchecked))}
            for way in testpmd.WAYS:
                records += compare_way(sessions, way, number)
    return records


def compare_way(sessions: dict[str, dict], way: str, session: int) -> list[dict]:
    records = []
    for turn in range(ROUNDS):
        # Who comes first changes, so that neither has an advantage by it.
        for name in sorted(sessions, reverse=turn % 2 == 1):
            rate = testpmd.measure_once(sessions[name], way, SIZE, SECONDS)
            records.append({"way": way, "build": name, "session": session, "mpps": rate.mpps,
                            "disturbed": min(rate.shares) < DISTURBED})
            print(f"session {session + 1} of {SESSIONS}, {way}: {name:7} checks "
                  f"{rate.mpps:7.2f} Mpps", flush=True)
    return records


def spread(records: list[dict], way: str, build: str) -> Spread:
    """Of the measurements that nobody disturbed, where there are enough of them."""
    mine = [record for record in records if (record["way"], record["build"]) == (way, build)]
    clean = [record["mpps"] for record in mine if not record["disturbed"]]
    return Spread.of(clean if len(clean) >= 3 else [record["mpps"] for record in mine])


def page(records: list[dict], about: dict[str, str]) -> str:
    lines = ["# What the checks cost", "",
             "Written by `devtools/bench.py --checks`: testpmd, 64-byte packets, this driver at both",
             "ends, against a build of it in which the checks of descriptors are left out",
             "(`-Dtest_without_checks=true`), in turns. Rates in Mpps: median (lowest to highest).",
             f"The checks of indices stay in both; they are made once per burst. {SESSIONS} starts of all",
             f"programs, {ROUNDS} measurements in each.", "",
             "| way | with checks | without | ratio of medians | wanted |", "|---|---|---|---|---|"]
    for way, text in testpmd.WAYS.items():
        checked, unchecked = (spread(records, way, build) for build in (CHECKED, UNCHECKED))
        lines.append(f"| {text} | {checked.text(2)} | {unchecked.text(2)} | "
                     f"{ratio(checked, unchecked):.3f} | {WANTED} |")
    disturbed = sum(record["disturbed"] for record in records)
    lines += ["", f"Disturbed by other programs: {disturbed} of {len(records)} measurements.", "",
              *(f"- {name}: {value}" for name, value in about.items())]
    return "\n".join(lines) + "\n"


def worst(records: list[dict]) -> float:
    """The lowest ratio of all ways."""
    return min(ratio(spread(records, way, CHECKED), spread(records, way, UNCHECKED)) or 0
               for way in testpmd.WAYS)


def write(records: list[dict], about: dict[str, str], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "checks.json").write_text(
        json.dumps({"about": about, "records": records}, indent=1) + "\n")
    path = folder / "checks.md"
    path.write_text(page(records, about))
    return path
