# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the functional tests: programs that end with the test, sockets nobody else uses."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Callable, Iterator

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

pytest.register_assert_rewrite("memif", "pairs", "traffic")

from fixtures import processes, start_testpmd, start_traffic  # noqa: E402
from memif import Memif, Socket, build_dir, plugin  # noqa: E402
from process import unique  # noqa: E402
from traffic import PROGRAM  # noqa: E402

assert processes and start_testpmd and start_traffic, "fixtures"


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    """The driver and mif-traffic have to be there: nothing is skipped for want of a build."""
    for path in (plugin(), build_dir() / PROGRAM):
        assert path.exists(), (
            f"{path} is missing: run devtools/test.sh, or set MIF_PLUGIN and MIF_BUILD")


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder with a short path (a socket path has at most 107 bytes)."""
    folder = Path(tempfile.mkdtemp(prefix="mif"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def abstract_socket() -> Socket:
    return Socket(f"/{unique('mif')}", abstract=True)


@pytest.fixture
def file_socket(scratch: Path) -> Socket:
    return Socket(str(scratch / "memif.sock"), abstract=False)


@pytest.fixture
def socket(request: pytest.FixtureRequest) -> Socket:
    """Abstract, or what an indirect parameter says: abstract, file."""
    return request.getfixturevalue(f"{getattr(request, 'param', 'abstract')}_socket")


@pytest.fixture
def server(socket: Socket) -> Callable[..., Memif]:
    """Makes the server's vdev; the arguments are devargs."""
    return lambda **options: Memif("server", socket, options)


@pytest.fixture
def client(socket: Socket) -> Callable[..., Memif]:
    return lambda **options: Memif("client", socket, options)
