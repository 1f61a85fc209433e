# SPDX-License-Identifier: BSD-3-Clause
"""A pytest plugin: a test in which a sanitizer reported something has failed, whatever it says.

The sanitizers of all children write into the folder MIF_SANITIZER_REPORTS, a file for each process.
"""

import os
from pathlib import Path
from typing import Any, Iterator, List, Set

import pytest

SHOWN = 6000    # characters of a report

_seen: Set[Path] = set()


def folder() -> Path:
    return Path(os.environ["MIF_SANITIZER_REPORTS"])


def new_reports() -> List[Path]:
    found = sorted({path for path in folder().rglob("*") if path.is_file()} - _seen)
    _seen.update(found)
    return found


def pytest_configure() -> None:
    """Each lane has a folder of its own: a report is that of the test which runs there."""
    lane = os.environ.get("PYTEST_XDIST_WORKER")
    if lane is not None:
        shared, own = str(folder()), folder() / lane
        own.mkdir(exist_ok=True)
        for name in ("MIF_SANITIZER_REPORTS", "ASAN_OPTIONS", "UBSAN_OPTIONS"):
            os.environ[name] = os.environ[name].replace(shared, str(own))
    # Of an earlier round: no test of this one has made them.
    new_reports()


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """After all that the fixtures do: by now the children have ended, but for a module's."""
    outcome = yield
    reports = new_reports()
    if reports:
        texts = (report.read_text(errors="replace")[:SHOWN] for report in reports)
        pytest.fail("\n".join(["a sanitizer reported:", *texts]), pytrace=False)
    outcome.get_result()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A second try takes back no report; nor is one lost that came after the last test."""
    new_reports()
    if _seen and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for report in sorted(_seen):
        terminalreporter.write_line(f"sanitizer report: {report}")
