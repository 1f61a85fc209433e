# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures that start programs, for each folder whose conftest.py takes them; all end with their test."""

from typing import Any, Callable, Iterator, List

import pytest

from process import Process
from testpmd import Testpmd
from traffic import Traffic


@pytest.fixture
def processes() -> Iterator[List[Process]]:
    """Processes of the test; all are gone after it."""
    started: List[Process] = []
    yield started
    for process in reversed(started):
        process.close()


def starter(processes: List[Process], kind: type) -> Callable[..., Any]:
    """Starts a program of this kind, which ends with the test; the arguments are those of the kind."""
    def start(*args: Any, **kwargs: Any) -> Any:
        process = kind(*args, **kwargs)
        processes.append(process)
        return process
    return start


@pytest.fixture
def start_traffic(processes: List[Process]) -> Callable[..., Traffic]:
    """Starts a mif-traffic; the arguments are those of Traffic."""
    return starter(processes, Traffic)


@pytest.fixture
def start_testpmd(processes: List[Process]) -> Callable[..., Testpmd]:
    """Starts a testpmd and waits for its prompt; the arguments are those of Testpmd."""
    return lambda *args, **kwargs: starter(processes, Testpmd)(*args, **kwargs).wait_ready()
