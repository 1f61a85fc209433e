#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""
Runs pytest in three rounds: several lanes beside each other for most tests; then, with the machine to
themselves, those marked `alone`; then once more, one by one, what failed in either. All arguments but
the options below go to pytest. One JUnit file tells the end: of a test that had two tries, the second.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Optional

# Exit statuses of pytest; others mean that it was interrupted, or used wrongly.
PASSED, FAILED, NO_TESTS = 0, 1, 5


Key = tuple[Optional[str], Optional[str]]
Cases = dict[Key, ElementTree.Element]


def has_failed(case: ElementTree.Element) -> bool:
    return case.find("failure") is not None or case.find("error") is not None


def cases_of(xml: Path) -> Cases:
    """Those of one round. One that took its lane down may be there twice: it has failed."""
    cases: Cases = {}
    for case in ElementTree.parse(xml).iter("testcase"):
        key = case.get("classname"), case.get("name")
        if key not in cases or has_failed(case):
            cases[key] = case
    return cases


class Rounds:
    """The rounds, and what they found."""

    def __init__(self, arguments: list[str], work: Path) -> None:
        self.arguments = arguments
        self.work = work
        self.cases: Cases = {}

    def run(self, name: str, *options: str) -> int:
        """One round; its exit status."""
        xml = self.work / f"{name}.xml"
        command = [sys.executable, "-m", "pytest", "-rs", f"--junitxml={xml}",
                   "-o", f"cache_dir={self.work / 'cache'}", *options, *self.arguments]
        print(f"--- {name}", flush=True)
        with subprocess.Popen(command) as child:
            try:
                status = child.wait()
            except KeyboardInterrupt:
                # The child has got the signal too, and writes down what it knows.
                status = child.wait() or FAILED
        if xml.exists():
            self.cases.update(cases_of(xml))
        return status

    def failed(self) -> list[Key]:
        return sorted(key for key, case in self.cases.items() if has_failed(case))

    def second_try(self) -> int:
        """Of all that failed, says which; the exit status of that round."""
        for classname, name in self.failed():
            print(f"SECOND TRY {classname}::{name}", flush=True)
        status = self.run("second try", "--last-failed", "--last-failed-no-failures=none")
        return FAILED if self.failed() else status

    def write(self, path: Path) -> None:
        suites = ElementTree.Element("testsuites")
        ElementTree.SubElement(suites, "testsuite", name="pytest").extend(self.cases.values())
        ElementTree.ElementTree(suites).write(path, encoding="utf-8", xml_declaration=True)


def play(rounds: Rounds, lanes: int) -> int:
    """All rounds; 0 if in the end nothing has failed."""
    statuses = [rounds.run("lanes", f"--numprocesses={lanes}", "--dist=loadfile", "-m", "not alone"),
                rounds.run("alone", "-m", "alone")]
    if any(status not in (PASSED, FAILED, NO_TESTS) for status in statuses):
        return max(statuses)
    if FAILED in statuses:
        return rounds.second_try()
    return PASSED if PASSED in statuses else NO_TESTS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--lanes", type=int, default=2, help="so many tests at a time (2)")
    parser.add_argument("--junitxml", type=Path, help="where the results go")
    options, arguments = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        rounds = Rounds(arguments, Path(folder))
        status = FAILED
        try:
            status = play(rounds, options.lanes)
        finally:
            if options.junitxml:
                rounds.write(options.junitxml)
    sys.exit(status)


if __name__ == "__main__":
    main()
