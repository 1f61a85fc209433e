# SPDX-License-Identifier: BSD-3-Clause
"""A client with zero-copy=yes: mbufs are shared with the server instead of being copied."""

import os
import subprocess
from pathlib import Path
from typing import Iterator, List

import pytest

from memif import OURS, STOCK, Socket
from pairs import (End, StartTraffic, assert_delivered, assert_no_errors, check_pair, run_pair)
from zerocopy import SHARING, ZERO_COPY, copied

pytestmark = pytest.mark.own_ends("zero-copy is what it is about")

COUNT = 60000

# EAL keeps a file per page, one per list of pages, or one for everything.
MOUNTED = "--huge-dir"
MEMORIES = {
    "in-memory": ["--in-memory", "-m", "256"],
    "single-file": ["--in-memory", "--single-file-segments", "-m", "256"],
    "no-huge": ["--no-huge", "-m", "256"],
    "mounted": [MOUNTED, "-m", "256"],
    "mounted-single-file": [MOUNTED, "--single-file-segments", "-m", "256"],
    "legacy": [MOUNTED, "--legacy-mem", "-m", "256"],
}

drivers = pytest.mark.parametrize("server", [OURS, STOCK], ids=["ours", "stock"])


def client(mode: str, count: int = COUNT, **options: object) -> End:
    return End(OURS, mode, count, memif=dict(SHARING), options=dict(options))


def free_huge_pages() -> int:
    path = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")
    return int(path.read_text()) if path.exists() else 0


@pytest.fixture(name="hugetlbfs")
def _hugetlbfs(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "huge"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", str(folder)],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no hugetlbfs can be mounted: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


@drivers
@pytest.mark.parametrize("memory", MEMORIES.values(), ids=MEMORIES.keys())
def test_exposes_receive_pools(start_traffic: StartTraffic, socket: Socket, server: str,
                               memory: List[str], hugetlbfs: Path) -> None:
    """mif-traffic sends mbufs of a pool that no queue receives into. Those are in the same file as
    the receive pool where EAL has one file; else they are copied, and counted as that."""
    one_file = "--single-file-segments" in memory or "--no-huge" in memory
    if memory != MEMORIES["no-huge"] and free_huge_pages() < 300:
        pytest.skip("fewer than 300 free huge pages")
    memory = [word for given in memory
              for word in ([MOUNTED, str(hugetlbfs)] if given == MOUNTED else [given])]
    sender = client("send", size="60-1514", memory=memory)
    _, sent = check_pair(start_traffic, socket, End(server, "receive"), sender)
    assert copied(sent.stats["xstats"]) == (
        {} if one_file else {"tx_copied_unexposed_segments": COUNT})


@pytest.fixture(name="gigabyte_page")
def _gigabyte_page(tmp_path: Path) -> Iterator[Path]:
    """A hugetlbfs with a page of 1 GB, which is given back afterwards."""
    pages = Path("/sys/kernel/mm/hugepages/hugepages-1048576kB")
    if not pages.exists() or os.geteuid() != 0:
        pytest.skip("needs a CPU and a kernel with pages of 1 GB, and root")
    number = pages / "nr_hugepages"
    before = int(number.read_text())
    folder = tmp_path / "gigabyte"
    folder.mkdir()
    number.write_text(str(before + 1))
    try:
        if int((pages / "free_hugepages").read_text()) == 0:
            pytest.skip("no 1 GB of memory in one piece")
        done = subprocess.run(["mount", "-t", "hugetlbfs", "-o", "pagesize=1G", "none", str(folder)],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"no hugetlbfs can be mounted: {done.stderr.strip()}")
        yield folder
        subprocess.run(["umount", "-l", str(folder)], check=False)
    finally:
        number.write_text(str(before))


# Nothing beside it: whoever starts with --in-memory now would take the page.
@pytest.mark.alone
@pytest.mark.parametrize("words", [[], ["--single-file-segments"], ["--legacy-mem"]],
                         ids=["file-per-page", "single-file", "legacy"])
def test_pages_of_1_gb(start_traffic: StartTraffic, socket: Socket, gigabyte_page: Path,
                       words: List[str]) -> None:
    """All pools of the process are in one page, so in one region: nothing is copied, either way."""
    peer = End(OURS, "both", COUNT, options={"size": "60-1514", "memory": ["--no-huge", "-m", "256"]})
    memory = [MOUNTED, str(gigabyte_page), "-m", "512", *words]
    _, result = check_pair(start_traffic, socket, peer,
                           client("both", size="60-1514", memory=memory), client_first=True)
    assert copied(result.stats["xstats"]) == {}


@drivers
@pytest.mark.parametrize("size", ["64", "60-1514", "1514"])
def test_receives_into_mbufs(start_traffic: StartTraffic, socket: Socket, server: str,
                             size: str) -> None:
    sender = End(server, "send", COUNT, options={"size": size})
    _, got = check_pair(start_traffic, socket, sender, client("receive"))
    assert copied(got.stats["xstats"]) == {}


@pytest.mark.parametrize("rsize", [1, 3, 14])
def test_rings(start_traffic: StartTraffic, socket: Socket, rsize: int) -> None:
    """Both ways at once, numbered and checked, with both ends sharing and lending."""
    server = End(OURS, "both", 8000, memif=dict(ZERO_COPY), options={"size": "60-1514"})
    # Each slot of the ring holds an mbuf.
    sender = client("both", 8000, size="60-1514", pool_size=40000)
    sender.memif["rsize"] = rsize
    check_pair(start_traffic, socket, server, sender)


@pytest.mark.parametrize("queues", [4])
def test_queues(start_traffic: StartTraffic, socket: Socket, queues: int) -> None:
    server = End(OURS, "receive", rxq=queues)
    sender = client("send", COUNT // queues, size="64,1514")
    sender.txq = queues
    check_pair(start_traffic, socket, server, sender)


@pytest.mark.parametrize("kind", ["mixed"])
def test_mbufs_of_any_kind(start_traffic: StartTraffic, socket: Socket, kind: str) -> None:
    """External, indirect and shared segments are copied, and say why; the others are not."""
    sender = client("send", 20000, size="60-1514", segs=3, seg_kind=kind)
    _, sent = check_pair(start_traffic, socket, End(OURS, "receive"), sender)
    assert copied(sent.stats["xstats"]).get("tx_copied_shared_segments", 0) > 0


def test_jumbo(start_traffic: StartTraffic, socket: Socket) -> None:
    sender = client("send", 20000, size="60-9000", segs=5)
    got, _ = check_pair(start_traffic, socket, End(OURS, "receive"), sender)
    assert got.data["max_segs"] > 1


def test_forwards_without_copying(start_traffic: StartTraffic, socket: Socket) -> None:
    """Packets that a client has received go out again as they are: an echo copies nothing."""
    peer = End(OURS, "both", COUNT, options={"size": "64-1514"})
    result, echo = run_pair(start_traffic, socket, peer, client("echo", 1))
    assert_no_errors(result, echo)
    assert_delivered(peer, result, peer, result)
    assert echo.stats["ipackets"] == echo.stats["opackets"] == peer.total
    assert copied(echo.stats["xstats"]) == {}
