# SPDX-License-Identifier: BSD-3-Clause
"""Rings and buffers of a client come from the NUMA node of its port, for both ends."""

from pathlib import Path
from typing import Callable, List

import pytest

from memif import Memif
from process import memory_args
from testpmd import Testpmd


def policies(pid: int) -> List[str]:
    """Of each mapping of memory that our client has made."""
    lines = Path(f"/proc/{pid}/numa_maps").read_text().splitlines()
    return [line.split()[1] for line in lines if "file=/memfd:memif" in line]


def test_memory_is_of_the_ports_node(start_testpmd: Callable[..., Testpmd],
                                     server: Callable[..., Memif],
                                     client: Callable[..., Memif]) -> None:
    if not Path("/proc/self/numa_maps").exists():
        pytest.skip("a kernel without NUMA")
    memory = [*memory_args(), "--log-level=pmd.net.memif:info"]
    ends = [start_testpmd([end().vdev()], cpu_number=number, memory=memory)
            for number, end in enumerate((server, client))]
    for end in ends:
        end.wait_link()
    if "another NUMA node" in ends[1].stderr:
        pytest.skip("this container does not allow NUMA policies")
    node = ends[1].info(0, "Connect to socket")
    for end in ends:
        assert set(policies(end.pid)) == {f"prefer:{node}"}
