# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the Open vSwitch tests: one switch and its hosts for all of them, since starting them takes
longer than a test; what a test has changed is put right before the next one."""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent / "functional", HERE.parent / "lifecycle", HERE.parent / "peer"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

pytest.register_assert_rewrite("hosts", "lab", "netns", "programs", "switch")

import netns  # noqa: E402
import switch  # noqa: E402
from lab import Lab  # noqa: E402
from memif import build_dir, plugin  # noqa: E402
from process import Process  # noqa: E402
from traffic import PROGRAM, Traffic  # noqa: E402


@pytest.fixture(scope="module")
def running_lab() -> Iterator[Lab]:
    reason = netns.missing(("ping", "iperf3", "sysctl")) or switch.missing()
    if reason:
        pytest.skip(reason)
    for path in (plugin(), build_dir() / PROGRAM):
        assert path.exists(), (
            f"{path} is missing: run devtools/test.sh, or set MIF_PLUGIN and MIF_BUILD")
    # Sockets are in it, and their paths have at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="mifo"))
    os.chmod(folder, 0o755)
    lab = Lab(folder)
    yield lab
    lab.close()
    shutil.rmtree(folder)


@pytest.fixture
def lab(running_lab: Lab) -> Iterator[Lab]:
    """Two memif ports, both links up, a host behind each, plain switching."""
    running_lab.prepare()
    yield running_lab
    running_lab.show()


@pytest.fixture
def start_traffic() -> Iterator[Callable[..., Traffic]]:
    """Starts a mif-traffic; the arguments are those of Traffic."""
    started: List[Process] = []

    def start(*args: Any, **kwargs: Any) -> Traffic:
        started.append(Traffic(*args, **kwargs))
        return started[-1]
    yield start
    for process in reversed(started):
        process.close()
