# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the peer tests: private addresses, pairs of peers, programs under test."""

import itertools
import os
import random
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Iterator, List, Tuple

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

pytest.register_assert_rewrite("sent")

from memifpeer import Client, Config, Listener, Server  # noqa: E402

_numbers = itertools.count()


@pytest.fixture
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An address nobody else uses: a path, or an abstract name by indirect parametrisation."""
    if getattr(request, "param", "path") == "abstract":
        return f"@memifpeer-{os.getpid()}-{next(_numbers)}"
    return str(tmp_path / "memif.sock")


@pytest.fixture
def packets() -> Callable[..., List[bytes]]:
    """Makes packets that differ in every byte that can differ; the same ones on every run."""
    def make(count: int, shortest: int = 60, longest: int = 1500, seed: int = 1) -> List[bytes]:
        rng = random.Random(seed)
        made = []
        for number in range(count):
            size = rng.randint(shortest, longest)
            made.append(number.to_bytes(4, "big") + rng.randbytes(size - 4))
        return made
    return make


@pytest.fixture
def connect_pair(address: str) -> Iterator[Callable[..., Tuple[Client, Server]]]:
    """Joins a client and a server of ours; both are closed with the test."""
    peers: List[Any] = []

    def join(config: Config = Config(), server_config: Config = Config(),
             hello: Any = None) -> Tuple[Client, Server]:
        client, server = Client(config), Server(server_config, hello=hello)
        peers.extend((client, server))
        problem: List[BaseException] = []

        def serve() -> None:
            try:
                server.accept(listener)
                server.handshake()
            except Exception as error:  # handed to the test below
                problem.append(error)

        with Listener(address) as listener:
            thread = threading.Thread(target=serve)
            thread.start()
            try:
                client.handshake(address)
            finally:
                thread.join()
        if problem:
            raise problem[0]
        return client, server

    yield join
    for peer in peers:
        peer.close()
