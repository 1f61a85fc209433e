# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the lifecycle tests. Helpers are those of the functional tests and of the peer."""

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

pytest.register_assert_rewrite("programs")

from fixtures import processes, start_testpmd, start_traffic, starter  # noqa: E402
from memif import Socket, build_dir, plugin  # noqa: E402
from process import Process, unique  # noqa: E402
from programs import LIFECYCLE, LOAD, Lifecycle, Load  # noqa: E402

assert processes and start_testpmd and start_traffic, "fixtures"


@pytest.fixture(scope="session", autouse=True)
def lifecycle_built() -> None:
    """Nothing is skipped for want of a build."""
    for path in (plugin(), build_dir() / LIFECYCLE, build_dir() / LOAD):
        assert path.exists(), (
            f"{path} is missing: run devtools/test.sh, or set MIF_PLUGIN / MIF_BUILD")


@pytest.fixture
def start_lifecycle(processes: List[Process]) -> Callable[..., Lifecycle]:
    """Starts a mif-lifecycle and waits until it takes commands."""
    return lambda *args, **kwargs: starter(processes, Lifecycle)(*args, **kwargs).wait_ready()


@pytest.fixture
def start_load(processes: List[Process]) -> Callable[..., Load]:
    """Starts a mif-load; the arguments are those of Load."""
    return starter(processes, Load)


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder with a short path (a socket path has at most 107 bytes)."""
    folder = Path(tempfile.mkdtemp(prefix="mifl"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def file_socket(scratch: Path) -> Socket:
    return Socket(str(scratch / "memif.sock"), abstract=False)


@pytest.fixture
def abstract_socket() -> Socket:
    return Socket("@" + unique("mifl"), abstract=True)
