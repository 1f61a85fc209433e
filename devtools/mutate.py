#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Takes the driver's defences against a hostile peer away, one at a time, and looks whether the test
that is named for each notices. The table is test/mutations.toml.

    devtools/mutate.py                  all of it, in a copy of this checkout in build-mutate/
    devtools/mutate.py --only NAME...   these entries only
    devtools/mutate.py --build          only makes the mutants, for a run later
    devtools/mutate.py --list
    devtools/mutate.py --check          the table fits the source and the tests; takes seconds
    devtools/mutate.py --markdown       doc/defences.md: the table with the results of the last runs

First each test has to pass with the driver as it is. Then a test that fails without the defence has
'caught' the mutant; one that passes has 'MISSED' it, and the exit status is 1. Results of all runs are
kept in doc/defences.json, each with the driver that it is of.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.machine import revision
from mutation_table import (DOCUMENT_HEAD, DRIVER, FUZZ, Entry, Problem, ROOT, check, environment,
                            line_of, mutated, nodes_of, pytest_command, read_table, read_untested)

WORK = ROOT / "build-mutate"
SOURCE = WORK / "source"
BUILD = WORK / "build"
FUZZ_BUILD = WORK / "build-fuzz"
MUTANTS = WORK / "mutants"
RESULTS = ROOT / "doc/defences.json"

CAUGHT, MISSED, PASSED, FAILED = "caught", "MISSED", "passed", "FAILED"
TEST_SECONDS = 90
BUILD_SECONDS = 600
ORIGINAL = "original"
NINJA_OPTIONS: list[str] = []


# -- the copy and its build ---------------------------------------------------------------------------

def source_files() -> list[str]:
    """Of this checkout as it is, committed or not."""
    command = ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "ls-files", "-co",
               "--exclude-standard", "-z"]
    names = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [name for name in names.split("\0") if name and (ROOT / name).is_file()]


def write_if_changed(path: Path, data: bytes) -> None:
    """So that the build only makes again what has to be."""
    if path.is_file() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def copy_source() -> None:
    names = source_files()
    for name in names:
        write_if_changed(SOURCE / name, (ROOT / name).read_bytes())
        shutil.copymode(ROOT / name, SOURCE / name)
    for path in SOURCE.rglob("*.[ch]"):
        if str(path.relative_to(SOURCE)) not in names:
            path.unlink()
    if not (SOURCE / "deps").exists():
        (SOURCE / "deps").symlink_to(ROOT / "deps")


def run_build(targets: list[str], build: Path = BUILD) -> None:
    """A build like any other, or one for the fuzzer, as devtools/fuzz.sh has it."""
    options = ["-Dbuildtype=release"]
    if build == FUZZ_BUILD:
        options = ["-Dbuildtype=debugoptimized", "-Db_sanitize=address,undefined", "-Db_lundef=false",
                   "-Dc_args=-fsanitize=fuzzer-no-link"]
    if not (build / "build.ninja").is_file():
        command = ["meson", "setup", *options, str(build), str(SOURCE)]
        compiler = {"CC": "clang"} if build == FUZZ_BUILD else {}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **compiler})
    result = subprocess.run(["ninja", *NINJA_OPTIONS, "-C", str(build), *targets], text=True,
                            timeout=BUILD_SECONDS,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode != 0:
        raise Problem(f"does not build:\n{result.stdout[-2000:]}")


def stamp_of(entry: Entry | None) -> str:
    """Changes with all that a mutant is made of."""
    digest = hashlib.sha256(repr((entry.path, entry.old, entry.new) if entry else "").encode())
    of_forwarder = entry is not None and entry.of_forwarder
    folders = [SOURCE / ("app" if of_forwarder else DRIVER)]
    if entry and entry.unit:
        folders.append(SOURCE / ("test/fwd" if of_forwarder else "test/unit"))
    if entry and entry.seed:
        folders.append(SOURCE / FUZZ)
    for path in sorted(path for folder in folders for path in folder.rglob("*")):
        if path.is_file():
            digest.update(str(path).encode() + path.read_bytes())
    return digest.hexdigest()


def build_of(entry: Entry) -> Path:
    return BUILD if entry.seed is None else FUZZ_BUILD


def make_mutant(entry: Entry) -> Path:
    """What is built without the defence; from an earlier run if nothing has changed since."""
    folder, stamp = MUTANTS / entry.name, stamp_of(entry)
    artefact, stamp_file = folder / Path(entry.artefact).name, folder / "stamp"
    if artefact.is_file() and stamp_file.is_file() and stamp_file.read_text() == stamp:
        return artefact
    path = SOURCE / entry.path
    original = path.read_text(encoding="utf-8")
    try:
        path.write_text(mutated(entry, original), encoding="utf-8")
        run_build([entry.artefact], build_of(entry))
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy2(build_of(entry) / entry.artefact, artefact)
        stamp_file.write_text(stamp)
    finally:
        path.write_text(original, encoding="utf-8")
    return artefact


def lock_work() -> Any:
    """For one run at a time; until the process ends."""
    WORK.mkdir(exist_ok=True)
    file = (WORK / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(f"{WORK} is in use by another run")
    return file


def make_original(entries: list[Entry]) -> None:
    """The driver as it is, and all programs that tests need."""
    copy_source()
    run_build([])
    targets = sorted({entry.artefact for entry in entries if entry.seed is not None})
    if targets:
        run_build(targets, FUZZ_BUILD)
    for build, artefact in {(build_of(entry), entry.artefact) for entry in entries}:
        path = MUTANTS / ORIGINAL / Path(artefact).name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(build / artefact, path)


# -- the tests ----------------------------------------------------------------------------------------

@dataclass
class Verdict:
    """Did the test pass, and what did it say?"""

    passed: bool
    said: str = ""


def run_limited(command: list[str], more: dict[str, str]) -> tuple[int | None, str]:
    """Exit status and output; no status when it took too long, and was killed with all it started."""
    with subprocess.Popen(command, cwd=SOURCE, env=environment({"MIF_BUILD": str(BUILD), **more}), text=True, errors="replace",
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, start_new_session=True) as process:
        try:
            output, _ = process.communicate(timeout=TEST_SECONDS)
            return process.returncode, output
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return None, process.communicate()[0]


def first_match(pattern: str, text: str, otherwise: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    return " ".join(match.group(1).split())[:100] if match else otherwise


def run_unit(case: str, program: Path) -> Verdict:
    status, output = run_limited([str(program)], {"CMOCKA_MESSAGE_OUTPUT": "TAP"})
    result = re.search(rf"^(not ok|ok) \d+ - {case}( # SKIP.*)?$", output, re.MULTILINE)
    if result is None:
        return Verdict(False, "hangs" if status is None else f"ends with status {status}")
    if result.group(2):
        raise Problem(f"{case} was skipped:{result.group(2)}")
    if result.group(1) == "ok":
        return Verdict(True)
    return Verdict(False, first_match(r"^# (.* [!=<>]=? .*|.*assert.*)$", output, "not ok"))


def run_pytest(entry: Entry, artefact: Path) -> Verdict:
    command = [*pytest_command(), "-q", "-x", "--tb=short", "-rs", *nodes_of(entry)]
    variable = "MIF_FWD" if entry.of_forwarder else "MIF_PLUGIN"
    status, output = run_limited(command, {variable: str(artefact)})
    if status is None:
        return Verdict(False, f"not finished after {TEST_SECONDS} s")
    if status == 1:
        return Verdict(False, first_match(r"^E[ \t]+(\S.*)$", output, "failed"))
    if status != 0 or re.search(r"\d+ (skipped|deselected)", output):
        raise Problem(f"{entry.test} cannot be run:\n{output[-1500:]}")
    return Verdict(True)


def run_seed(seed: str, target: Path) -> Verdict:
    """Ends with a report, which is what is wanted without the defence, or in good order."""
    status, output = run_limited([str(target), str(SOURCE / seed)], {
        "UBSAN_OPTIONS": "halt_on_error=1", "ASAN_OPTIONS": "symbolize=0"})
    if status == 0:
        return Verdict(True)
    return Verdict(False, first_match(r"(not so: .*|runtime error: .*|^SUMMARY: .*)", output,
                                      "hangs" if status is None else f"ends with status {status}"))


def run_test(entry: Entry, artefact: Path) -> Verdict:
    if entry.seed is not None:
        return run_seed(entry.seed[1], artefact)
    if entry.unit is not None:
        return run_unit(entry.unit[1], artefact)
    return run_pytest(entry, artefact)


# -- all of it ----------------------------------------------------------------------------------------

class Report:
    """Prints how it goes, and keeps the results of all runs."""

    def __init__(self) -> None:
        self.wrong = 0

    def line(self, result: str, what: str, begin: float, said: str = "") -> None:
        if result in (MISSED, FAILED):
            self.wrong += 1
        print(f"{result:<7} {time.monotonic() - begin:>4.0f} s  {what}{said and ': '}{said}",
              flush=True)

    @staticmethod
    def keep(entry: Entry, result: str) -> None:
        results = read_results()
        results[entry.name] = {"result": result, "driver": revision(ROOT), "entry": print_of(entry)}
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def print_of(entry: Entry) -> str:
    """Changes with what is taken away, and with what has to notice."""
    what = repr((entry.path, entry.old, entry.new, entry.test))
    return hashlib.sha256(what.encode()).hexdigest()[:16]


def read_results() -> dict[str, dict[str, str]]:
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}


def test_originals(entries: list[Entry], report: Report) -> set[str]:
    """The tests that pass while nothing is taken away."""
    good = set()
    for test, entry in {entry.test: entry for entry in entries}.items():
        begin = time.monotonic()
        try:
            verdict = run_test(entry, MUTANTS / ORIGINAL / Path(entry.artefact).name)
        except Problem as problem:
            verdict = Verdict(False, str(problem))
        if verdict.passed:
            good.add(test)
        report.line(PASSED if verdict.passed else FAILED, test, begin, verdict.said)
    return good


def test_mutant(entry: Entry, report: Report) -> None:
    begin = time.monotonic()
    try:
        verdict = run_test(entry, make_mutant(entry))
        result = MISSED if verdict.passed else CAUGHT
    except Problem as problem:
        verdict, result = Verdict(False, str(problem)), FAILED
    report.line(result, entry.name, begin, verdict.said)
    report.keep(entry, result)


def run(entries: list[Entry]) -> int:
    report = Report()
    make_original(entries)
    good = test_originals(entries, report)
    for entry in entries:
        if entry.test in good:
            test_mutant(entry, report)
    results = read_results()
    counts = [results.get(entry.name, {}).get("result") for entry in entries]
    print(f"{counts.count(CAUGHT)} of {len(entries)} caught, {report.wrong} wrong")
    return int(report.wrong > 0)


def build(entries: list[Entry]) -> int:
    make_original(entries)
    for entry in entries:
        begin = time.monotonic()
        try:
            make_mutant(entry)
            print(f"built {time.monotonic() - begin:>4.0f} s  {entry.name}", flush=True)
        except Problem as problem:
            print(f"{entry.name}: {problem}", flush=True)
    return 0


def seen(entry: Entry, results: dict[str, dict[str, str]]) -> str:
    """What came out, and with which driver; nothing if the entry is another one since."""
    result = results.get(entry.name, {})
    if result.get("entry") != print_of(entry):
        return "not run | "
    return f"{result['result']} | {result['driver']}"


def markdown(entries: list[Entry]) -> int:
    """The document."""
    results = read_results()
    print(DOCUMENT_HEAD)
    for row in dict.fromkeys(entry.row for entry in entries):
        print(f"\n## It {row}\n\n| our role | defence taken away | test | result | driver |")
        print("|---|---|---|---|---|")
        for entry in entries:
            if entry.row == row:
                print(f"{line_of(entry)} {seen(entry, results)} |")
    print("\n## Not tested like that\n")
    for what, why in read_untested().items():
        print(f"- It {what}: {why}.")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="entries, or beginnings of names")
    parser.add_argument("--jobs", type=int, help="compilers at a time")
    for option in ("list", "check", "build", "markdown"):
        parser.add_argument(f"--{option}", action="store_true", help="see above")
    options = parser.parse_args()
    NINJA_OPTIONS.extend(["-j", str(options.jobs)] if options.jobs else [])
    entries = read_table()
    if options.only:
        entries = [entry for entry in entries if entry.name.startswith(tuple(options.only))]
    if not entries:
        parser.error("no such entry; see --list")
    if options.list:
        for entry in entries:
            print(f"{entry.name:<28} {entry.role:<7} {entry.defence} -> {entry.test}")
        return 0
    lock = None if options.check else lock_work()
    chosen = next((function for function in (check, build, markdown)
                   if getattr(options, function.__name__)), run)
    try:
        return chosen(entries)
    finally:
        if lock is not None:
            lock.close()


if __name__ == "__main__":
    sys.exit(main())
