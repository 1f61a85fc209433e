# SPDX-License-Identifier: BSD-3-Clause
"""What the checks of descriptors cost: this driver against a build of it without them, in turns."""

from __future__ import annotations

import dataclasses
import json
from contextlib import ExitStack
from pathlib import Path

from . import testpmd
from .document import table
from .distance import Distance
from .ends import PAIRS, Tools, cpus
from .stats import Spread, ratio
from .svg import Series, bars
from .tools import ROOT, build_everything, plugin_of

SIZE = 64
SECONDS = 0.3
SESSIONS = 12
ROUNDS = 2  # of each session
WANTED = 0.97  # of the rate without checks; what the project promises
CLEAN_LEAST = 3  # measurements that nobody disturbed, to go by them alone
CHECKED, UNCHECKED = "with", "without"
UNCHECKED_BUILD = ROOT / "build-unchecked"
PLOT = "checks.svg"
HEAD = f"""<!-- SPDX-License-Identifier: BSD-3-Clause; written by devtools/bench.py, not by hand -->
# What the checks cost

`devtools/bench.py --checks` has written this page and measures all of it again: dpdk-testpmd,
{SIZE}-byte packets, this driver at both ends, against a build of it in which the checks of
descriptors are left out (`-Dtest_without_checks=true`), in turns. {SESSIONS} starts of all programs,
{ROUNDS} measurements in each; the median, with the smallest and the largest in brackets. The checks
of indices, once per burst, stay in both.
"""


def measure(tools: Tools) -> list[dict]:
    """
    Of this driver, and of a build of it without the checks.

    In several sessions, as where a program's memory lies makes a difference for as long as it runs.
    In each, all programs are there from the start: those whose turn it is not do not poll.
    """
    records = []
    build_everything(UNCHECKED_BUILD, "-Dtest_without_checks=true")
    plugins = {CHECKED: tools.plugin, UNCHECKED: plugin_of(UNCHECKED_BUILD)}
    distance = Distance(tools.distance, cpus())
    for number in range(SESSIONS):
        with ExitStack() as stack:
            sessions = {
                name: stack.enter_context(testpmd.session(
                    dataclasses.replace(tools, plugin=plugin), PAIRS["ours"]))
                for name, plugin in plugins.items()}
            for way in testpmd.WAYS:
                records += compare_way(sessions, way, number, distance)
    return records


def compare_way(sessions: dict[str, dict], way: str, session: int, distance: Distance
                ) -> list[dict]:
    records = []
    for turn in range(ROUNDS):
        # Who comes first changes, so that neither has an advantage by it.
        for name in sorted(sessions, reverse=turn % 2 == 1):
            one = testpmd.measure(sessions[name], way, SIZE, SECONDS, distance)
            records.append({"way": way, "build": name, "session": session, "mpps": one.mpps,
                            "apart": one.apart, "disturbed": one.disturbed})
            print(f"session {session + 1} of {SESSIONS}, {way}: {name:7} checks "
                  f"{one.mpps:7.2f} Mpps", flush=True)
    return records


@dataclasses.dataclass(frozen=True)
class Cost:
    """Both rates of one way."""

    checked: Spread
    unchecked: Spread

    @property
    def ratio(self) -> float:
        return ratio(self.checked, self.unchecked) or 0


def spread(records: list[dict], way: str, build: str) -> Spread:
    """Of the measurements that nobody disturbed, where there are enough of them."""
    mine = [record for record in records if (record["way"], record["build"]) == (way, build)]
    clean = [record["mpps"] for record in mine if not record["disturbed"]]
    return Spread.of(clean if len(clean) >= CLEAN_LEAST else [record["mpps"] for record in mine])


def costs(records: list[dict]) -> dict[str, Cost]:
    """By way."""
    return {way: Cost(spread(records, way, CHECKED), spread(records, way, UNCHECKED))
            for way in testpmd.WAYS}


def passed(records: list[dict]) -> bool:
    return all(cost.ratio >= WANTED for cost in costs(records).values())


def plot(found: dict[str, Cost]) -> str:
    series = [Series("with checks", [cost.checked for cost in found.values()]),
              Series("without", [cost.unchecked for cost in found.values()])]
    return bars(f"{SIZE} B, with and without the checks of descriptors",
                [testpmd.WAYS[way] for way in found], series, "Mpps")


def page(records: list[dict], about: dict[str, str], warning: str | None) -> str:
    found = costs(records)
    rows = [[testpmd.WAYS[way], cost.checked.text(2), cost.unchecked.text(2), f"{cost.ratio:.3f}",
             f"at least {WANTED}", "met" if cost.ratio >= WANTED else "**not met**"]
            for way, cost in found.items()]
    disturbed = sum(record["disturbed"] for record in records)
    lines = [HEAD, *([f"**{warning}.**", ""] if warning else []),
             *table(["Mpps", "with checks", "without", "ratio of medians", "wanted", ""], rows),
             f"Disturbed by other programs: {disturbed} of {len(records)} measurements.", "",
             f"![rates with and without checks]({PLOT})", "",
             *table(["machine", ""], [[name, value] for name, value in about.items()])]
    return "\n".join(lines).rstrip() + "\n"


def write(records: list[dict], about: dict[str, str], warning: str | None, folder: Path) -> Path:
    """Page, picture and numbers; returns the page."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "checks.json").write_text(json.dumps(
        {"machine": about, "warning": warning, "records": records}, indent=1) + "\n")
    (folder / PLOT).write_text(plot(costs(records)))
    path = folder / "checks.md"
    path.write_text(page(records, about, warning))
    return path
