# SPDX-License-Identifier: BSD-3-Clause
"""The table of devtools/mutate.py: its entries, whether they fit the source, the tests and the
document."""

from __future__ import annotations

import os
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "test/mutations.toml"
DOCUMENT = ROOT / "doc/defences.md"
DRIVER = "drivers/net/memif"
FORWARDER = "app/fwd/dpdk-memif-fwd"
PLUGIN = f"{DRIVER}/librte_net_memif.so.23"
FUZZ = "test/fuzz"

DOCUMENT_HEAD = """<!-- SPDX-License-Identifier: BSD-3-Clause -->
<!-- Written by devtools/mutate.py --markdown. -->
# What a hostile peer does, and the tests that notice a missing defence

Each line is a defence of the driver, or something that `dpdk-memif-fwd` has to do, that `devtools/mutate.py` has taken away, by a change of the source
in `test/mutations.toml`, and the test that had to fail then. The same test passes with the driver as
it is. `unit:` is a program of `test/unit` and a case in it, `fuzz:` a target of `test/fuzz` and an input of its corpus; all else is
below `test/`. [threat-model.md](threat-model.md) explains the defences. The last column is the commit of the driver with which that was seen."""


class Problem(Exception):
    """The table, the build or a test is not as it should be."""


@dataclass(frozen=True)
class Entry:
    """One defence, how it is taken away, and what has to notice."""

    name: str
    row: str        # what the peer does
    role: str       # of our port: client, server, or both
    defence: str
    file: str       # below drivers/net/memif, or below this checkout if it begins with app/
    old: str
    new: str
    test: str       # unit:PROGRAM:CASE, fuzz:TARGET:SEED of its corpus, or pytest nodes below test/,
                    # with " && " between them

    @property
    def path(self) -> str:
        return self.file if self.of_forwarder else f"{DRIVER}/{self.file}"

    @property
    def of_forwarder(self) -> bool:
        return self.file.startswith("app/fwd/")

    @property
    def unit(self) -> tuple[str, str] | None:
        """Program and case, None if a pytest node has to notice."""
        if not self.test.startswith("unit:"):
            return None
        _, program, case = self.test.split(":")
        return program, case

    @property
    def seed(self) -> tuple[str, str] | None:
        """Fuzz target and the input that has to make it end, None if something else has to notice."""
        if not self.test.startswith("fuzz:"):
            return None
        _, target, name = self.test.split(":")
        return target, f"{FUZZ}/corpus/{target}/{name}"

    @property
    def artefact(self) -> str:
        if self.seed is not None:
            return f"{FUZZ}/{self.seed[0]}"
        if self.unit is None:
            return FORWARDER if self.of_forwarder else PLUGIN
        return f"test/{'fwd' if self.of_forwarder else 'unit'}/test_{self.unit[0]}"


def read_table() -> list[Entry]:
    with TABLE.open("rb") as file:
        table = tomllib.load(file)
    rows = table["rows"]
    entries = [Entry(**{**entry, "row": rows[entry["row"]]}) for entry in table["mutation"]]
    names = [entry.name for entry in entries]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise Problem(f"{TABLE}: twice: {sorted(twice)}")
    unused = set(rows.values()) - {entry.row for entry in entries}
    if unused:
        raise Problem(f"{TABLE}: rows without an entry: {sorted(unused)}")
    return entries


def read_untested() -> dict[str, str]:
    """Rows, or parts of rows, that nothing is taken away for, and why."""
    with TABLE.open("rb") as file:
        return tomllib.load(file)["without"]


# -- does the table fit? ------------------------------------------------------------------------------

def mutated(entry: Entry, text: str) -> str:
    count = text.count(entry.old)
    if count != 1:
        raise Problem(f"{entry.name}: the text to replace is {count} times in {entry.path}")
    if entry.old == entry.new:
        raise Problem(f"{entry.name}: replaces nothing")
    return text.replace(entry.old, entry.new)


def check_text(entry: Entry) -> str | None:
    try:
        mutated(entry, (ROOT / entry.path).read_text(encoding="utf-8"))
    except (Problem, OSError) as error:
        return str(error)
    return None


def check_unit(entry: Entry) -> str | None:
    if entry.unit is None:
        return None
    program, case = entry.unit
    path = ROOT / f"test/unit/test_{program}.c"
    if entry.of_forwarder:
        path = ROOT / f"test/fwd/test_{program.removeprefix('fwd_')}.c"
    if path.is_file() and f"({case})" in path.read_text(encoding="utf-8"):
        return None
    return f"{entry.name}: no test {case} in {path}"


def check_seed(entry: Entry) -> str | None:
    if entry.seed is None or (ROOT / entry.seed[1]).is_file():
        return None
    return f"{entry.name}: no file {entry.seed[1]}"


def check_nodes(entries: list[Entry]) -> list[str]:
    nodes = sorted({node for entry in entries if entry.unit is None and entry.seed is None
                    for node in nodes_of(entry)})
    command = [*pytest_command(), "--collect-only", "-q", *nodes]
    result = subprocess.run(command, cwd=ROOT, env=environment({}), text=True, timeout=120,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode == 0:
        return []
    lines = [line for line in result.stdout.splitlines() if line.startswith("ERROR")]
    return lines or result.stdout.splitlines()[-5:]


def check(entries: list[Entry]) -> int:
    problems = [problem for entry in entries
                for problem in (check_text(entry), check_unit(entry), check_seed(entry)) if problem]
    problems += check_nodes(entries)
    text = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.is_file() else ""
    problems += [f"{entry.name}: not in {DOCUMENT}; write it again, with --markdown"
                 for entry in entries if line_of(entry) not in text]
    for problem in problems:
        print(problem)
    return int(bool(problems))


def pytest_command() -> list[str]:
    return ["/usr/bin/python3", "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", "test"]


def nodes_of(entry: Entry) -> list[str]:
    return [f"test/{node}" for node in entry.test.split(" && ")]


def environment(more: dict[str, str]) -> dict[str, str]:
    """With all sets of ends, so that any of them can be named."""
    return {**os.environ, "MIF_ENDS": "all", **more}


def line_of(entry: Entry) -> str:
    """Its line of the document, without what was seen."""
    test = entry.test.split(" && ")[-1].replace("|", "\\|")
    return f"| {entry.role} | {entry.defence} (`{entry.file}`) | `{test}` |"
