# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the tests with programs of others. Helpers are those of the functional tests."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent / "functional"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

pytest.register_assert_rewrite("gopeer", "forwarder")

from fixtures import processes, start_testpmd, start_traffic  # noqa: E402
from gopeer import GoPeer, build_go  # noqa: E402
from memif import Memif, Socket  # noqa: E402
from process import Process  # noqa: E402

assert processes and start_testpmd and start_traffic, "fixtures"


@pytest.fixture
def socket() -> Iterator[Socket]:
    """A socket file: Go has no abstract ones."""
    folder = Path(tempfile.mkdtemp(prefix="mif"))
    yield Socket(str(folder / "memif.sock"), abstract=False)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def go_program() -> Path:
    return build_go()


@pytest.fixture
def start_go(go_program: Path, socket: Socket, processes: List[Process]) -> Callable[..., GoPeer]:
    """Starts a memif-go on the test's socket; the options are those of its command line."""
    def start(**options: Any) -> GoPeer:
        process = GoPeer(go_program, socket, **options)
        processes.append(process)
        return process.wait_started()
    return start


@pytest.fixture
def client(socket: Socket) -> Callable[..., Memif]:
    return lambda **options: Memif("client", socket, options)


@pytest.fixture
def server(socket: Socket) -> Callable[..., Memif]:
    return lambda **options: Memif("server", socket, options)
