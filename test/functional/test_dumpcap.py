# SPDX-License-Identifier: BSD-3-Clause
"""dpdk-dumpcap on a memif port. Release 22.11's takes no -d: it gets the plugin by LD_PRELOAD, or has
the stock driver, which must do no harm."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Callable, List

import pytest
from scapy.utils import rdpcap

from hugefs import shared_memory
from memif import OURS, STOCK, Memif, Socket, plugin
from process import PATIENCE, unique
from testpmd import Testpmd, program

PACKETS = 20
LENGTH = 100


def pool_drivers() -> List[str]:
    """Of mempools, which testpmd is linked to. A process numbers them as it loads them, and a pool
    that dumpcap makes is used by testpmd: both need the same numbers."""
    linked = subprocess.run(["ldd", shutil.which(program()) or program()], capture_output=True,
                            text=True, check=True).stdout
    return re.findall(r"=> (\S*librte_mempool_\w+\.so\S*)", linked)


@pytest.mark.parametrize("driver", [OURS, STOCK])
def test_packets_are_captured(start_testpmd: Callable[..., Testpmd], scratch: Path,
                              driver: str) -> None:
    """From a port that forwards; it goes on afterwards."""
    dumpcap = shutil.which("dpdk-dumpcap")
    if dumpcap is None:
        pytest.skip("no dpdk-dumpcap")
    place = Socket("/" + unique("cap"), True)
    vdevs = [Memif("server", place, {}, "net_memif0").vdev(),
             Memif("client", place, {}, "net_memif1").vdev()]
    capture = scratch / "capture.pcapng"
    with shared_memory(128) as memory:
        testpmd = start_testpmd(vdevs, memory=[*memory[:4], "--log-level=pmd.net.memif:info"])
        testpmd.wait_link()
        testpmd.cmd(f"set txpkts {LENGTH}")
        testpmd.cmd("start tx_first")
        prefix = testpmd.command[testpmd.command.index("--file-prefix") + 1]
        preload = pool_drivers() + ([str(plugin())] if driver == OURS else [])
        done = subprocess.run(
            [dumpcap, f"--file-prefix={prefix}", "-i", "net_memif0", "-c", str(PACKETS),
             "-w", str(capture)], capture_output=True, text=True, timeout=PATIENCE, check=False,
            env={**os.environ, "LD_PRELOAD": ":".join(preload)})
        assert done.returncode == 0, done.stdout + done.stderr
        assert [len(packet) for packet in rdpcap(str(capture))][:PACKETS] == [LENGTH] * PACKETS
        assert ("secondary process" in testpmd.stderr) == (driver == OURS), \
            testpmd.stderr
        before = testpmd.stats()["RX-packets"]
        testpmd.wait_packets("RX-packets", before + 1000)
        testpmd.cmd("stop")
        testpmd.quit()
