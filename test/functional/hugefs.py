# SPDX-License-Identifier: BSD-3-Clause
"""Memory that several DPDK processes share: huge pages in a hugetlbfs of the test's own."""

import contextlib
import os
import subprocess
import tempfile
from typing import Iterator, List

import pytest

from process import common_heap, huge_pages_free
from sanitized import is_sanitized

PAGES_NEEDED = 320
# EAL's own choice lies in what the sanitizers keep for themselves; then each process gets other
# addresses, of which some are taken in the next one.
FREE_ADDRESS = "0x200000000000"


@contextlib.contextmanager
def shared_memory(megabytes: int = 64) -> Iterator[List[str]]:
    """EAL arguments for a primary process and its secondaries; skips where that cannot be had.

    The programs are to be started inside the block.

    lf_stack: a process that is killed inside a pool of the usual kind leaves it locked for all.
    """
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a hugetlbfs")
    if huge_pages_free() < PAGES_NEEDED:
        pytest.skip(f"needs {PAGES_NEEDED} free huge pages of 2 MB")
    folder = tempfile.mkdtemp(prefix="mifhuge")
    mounted = subprocess.run(["mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "mif", folder],
                             capture_output=True, text=True, check=False)
    try:
        if mounted.returncode != 0:
            pytest.skip(f"cannot mount a hugetlbfs: {mounted.stderr.strip()}")
        place = [f"--base-virtaddr={FREE_ADDRESS}"] if is_sanitized() else []
        with common_heap():
            yield ["-m", str(megabytes), "--huge-dir", folder, *place,
                   "--mbuf-pool-ops-name=lf_stack"]
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "--lazy", folder], check=False)
        os.rmdir(folder)
