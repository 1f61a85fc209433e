#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Collects the results of devtools/test.sh, one JSON object a line, and sums them up."""

from __future__ import annotations

import argparse
import json
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
NO_REASON = "no reason given"


@dataclass
class Result:
    """One test."""

    stage: str
    name: str
    result: str
    reason: str = ""


@dataclass
class Stage:
    """One line of the table."""

    stage: str
    seconds: int
    status: str


def last_line(text: str | None) -> str:
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
    return lines[-1] if lines else ""


def of_verdicts(stage: str, path: Path) -> list[Result]:
    """The 'ok NAME' and 'FAIL NAME' lines of devtools/check.sh and devtools/fuzz.sh."""
    words = {"ok": PASSED, "FAIL": FAILED}
    lines = [line.split(" ", 1) for line in path.read_text().splitlines()]
    return [Result(stage, line[1], words[line[0]]) for line in lines
            if len(line) == 2 and line[0] in words]


def of_case(stage: str, name: str, case: ElementTree.Element) -> Result:
    """One <testcase> of a JUnit file."""
    if case.find("failure") is not None or case.find("error") is not None:
        return Result(stage, name, FAILED)
    skipped = case.find("skipped")
    if skipped is None:
        return Result(stage, name, PASSED)
    reason = skipped.get("message") or last_line(case.findtext("system-out")) or NO_REASON
    return Result(stage, name, SKIPPED, reason)


def of_pytest(stage: str, path: Path) -> list[Result]:
    cases = ElementTree.parse(path).iter("testcase")
    return [of_case(stage, "::".join(filter(None, (case.get("classname"), case.get("name")))), case)
            for case in cases]


def of_program(stage: str, run: dict, cases: list[ElementTree.Element]) -> list[Result]:
    """One test program: its cases, and itself where its end says more than they do."""
    name, outcome = run["name"], run["result"]
    results = [of_case(stage, f"{name}: {case.get('name')}", case) for case in cases]
    if outcome in ("OK", "EXPECTEDFAIL"):
        return results or [Result(stage, name, PASSED)]
    if outcome == "SKIP":
        return results or [Result(stage, name, SKIPPED, last_line(run["stdout"]) or NO_REASON)]
    if not any(result.result == FAILED for result in results):
        # It crashed, hung, or did not run all that it had announced.
        results.append(Result(stage, f"{name} (program: {outcome.lower()}, "
                                     f"status {run['returncode']})", FAILED))
    return results


def of_meson(stage: str, folder: Path) -> list[Result]:
    """meson's logs: the JSON one knows every program, the JUnit one the cases in those with TAP."""
    cases: dict[str, list[ElementTree.Element]] = {}
    for suite in ElementTree.parse(folder / "testlog.junit.xml").iter("testsuite"):
        # PROJECT.TEST for a program with cases, PROJECT for all those without.
        _project, _dot, test = (suite.get("name") or "").partition(".")
        if test:
            cases[test] = list(suite.iter("testcase"))
    results = []
    for line in (folder / "testlog.json").read_text().splitlines():
        run = json.loads(line)
        results += of_program(stage, run, cases.get(run["name"], []))
    return results


READERS = {"meson": of_meson, "pytest": of_pytest, "verdicts": of_verdicts}


def append(path: Path, items: list) -> None:
    with path.open("a", encoding="utf-8") as file:
        for item in items:
            file.write(json.dumps(asdict(item)) + "\n")


def read(path: Path) -> tuple[list[Result], list[Stage]]:
    results, stages = [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        if "result" in item:
            results.append(Result(**item))
        else:
            stages.append(Stage(**item))
    return results, stages


def collect(options: argparse.Namespace) -> None:
    """Adds the tests of a stage, and makes a failure of what went wrong around them."""
    results: list[Result] = []
    if options.reader:
        try:
            results = READERS[options.reader](options.stage, options.source)
        except (OSError, ValueError, KeyError, ElementTree.ParseError) as error:
            if options.status == 0:
                results = [Result(options.stage, f"{options.stage}: no results: {error}", FAILED)]
        if not results and options.status == 0:
            results = [Result(options.stage, f"{options.stage}: ran no test", FAILED)]
    elif options.status == 0 and options.counts:
        results = [Result(options.stage, options.stage, PASSED)]
    if options.status != 0 and not any(result.result == FAILED for result in results):
        # 124 is timeout's own status.
        why = "not finished in time" if options.status == 124 else f"status {options.status}"
        results.append(Result(options.stage, f"{options.stage}: {why}", FAILED))
    failed = any(result.result == FAILED for result in results)
    append(options.file, [*results, Stage(options.stage, options.seconds,
                                          "FAILED" if failed else "ok")])
    sys.exit(failed)


def leave_out(options: argparse.Namespace) -> None:
    """Notes a stage that did not run, with the reason."""
    append(options.file, [Stage(options.stage, 0, options.reason)])


def summary(options: argparse.Namespace) -> None:
    results, stages = read(options.file)
    print(f"\n{'stage':<18} {'time':>6} {'passed':>7} {'failed':>7} {'skipped':>8}")
    for stage in stages:
        counts = Counter(result.result for result in results if result.stage == stage.stage)
        print(f"{stage.stage:<18} {stage.seconds:>4} s {counts[PASSED]:>7} {counts[FAILED]:>7} "
              f"{counts[SKIPPED]:>8}  {stage.status}")
    for kind in SKIPPED, FAILED:
        chosen = [result for result in results if result.result == kind]
        if chosen:
            print(f"\n{kind}:")
        for result in chosen:
            print(f"  [{result.stage}] {result.name}"
                  + (f" ({result.reason})" if result.reason else ""))
    counts = Counter(result.result for result in results)
    print(f"\n{counts[PASSED]} passed, {counts[FAILED]} failed, {counts[SKIPPED]} skipped")
    sys.exit(counts[FAILED] > 0 or counts[PASSED] == 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="where the results are kept")
    commands = parser.add_subparsers(required=True)
    add = commands.add_parser("collect", help="add the tests of a stage")
    add.add_argument("stage")
    add.add_argument("--seconds", type=int, required=True, help="how long it took")
    add.add_argument("--status", type=int, required=True, help="exit status of the stage")
    add.add_argument("--counts", action="store_true", help="the stage itself is a test")
    add.add_argument("--reader", choices=sorted(READERS), help="what wrote SOURCE")
    add.add_argument("--source", type=Path, help="a log, a JUnit file, or meson's folder of logs")
    add.set_defaults(function=collect)
    left = commands.add_parser("leave-out", help="note a stage that is not run")
    left.add_argument("stage")
    left.add_argument("reason")
    left.set_defaults(function=leave_out)
    commands.add_parser("summary", help="print everything").set_defaults(function=summary)
    options = parser.parse_args()
    options.function(options)


if __name__ == "__main__":
    main()
