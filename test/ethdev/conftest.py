# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the ethdev tests. Helpers are those of the functional tests and of the peer."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent / "functional", HERE.parent / "peer"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

pytest.register_assert_rewrite("wakeups", "telemetry")

from fixtures import processes, start_testpmd, start_traffic, starter  # noqa: E402
from memif import Socket, build_dir, plugin  # noqa: E402
from process import Process, unique  # noqa: E402
from telemetry import Talker  # noqa: E402
from traffic import PROGRAM  # noqa: E402
from wakeups import Intr  # noqa: E402

assert processes and start_testpmd and start_traffic, "fixtures"

PROGRAMS = [PROGRAM, "test/ethdev/mif-ethdev", "test/ethdev/mif-intr"]


@pytest.fixture(scope="session", autouse=True)
def ethdev_built() -> None:
    """Nothing is skipped for want of a build."""
    for path in (plugin(), *(build_dir() / program for program in PROGRAMS)):
        assert path.exists(), f"{path} is missing: run devtools/test.sh, or set MIF_PLUGIN / MIF_BUILD"


@pytest.fixture
def start_intr(processes: List[Process]) -> Callable[..., Intr]:
    """Starts a mif-intr; the arguments are those of Intr."""
    return starter(processes, Intr)


@pytest.fixture
def start_talker(processes: List[Process]) -> Callable[..., Talker]:
    """Starts a testpmd with telemetry, and waits for its prompt."""
    return lambda *args, **kwargs: starter(processes, Talker)(*args, **kwargs).wait_ready()


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder with a short path (a socket path has at most 107 bytes)."""
    folder = Path(tempfile.mkdtemp(prefix="mife"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def socket() -> Socket:
    return Socket("/" + unique("mife"), abstract=True)
