# SPDX-License-Identifier: BSD-3-Clause
"""dpdk-dumpcap on a memif port. Release 22.11's takes no -d: it gets the plugin by LD_PRELOAD, or has
the stock driver, which must do no harm."""

import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Callable, List

import pytest
from scapy.utils import rdpcap

from hugefs import shared_memory
from memif import OURS, STOCK, Memif, Socket, plugin
from process import Process, preload, unique
from testpmd import Testpmd, program

BURST = 32      # of "start tx_first"
LENGTH = 100


def pool_drivers() -> List[str]:
    """Of mempools, which testpmd is linked to. A process numbers them as it loads them, and a pool
    that dumpcap makes is used by testpmd: both need the same numbers."""
    linked = subprocess.run(["ldd", shutil.which(program()) or program()], capture_output=True,
                            text=True, check=True).stdout
    return re.findall(r"=> (\S*librte_mempool_\w+\.so\S*)", linked)


@pytest.mark.parametrize("driver", [OURS, STOCK])
def test_packets_are_captured(start_testpmd: Callable[..., Testpmd], processes: List[Process],
                              scratch: Path, driver: str) -> None:
    """
    What one port sends and receives; it goes on afterwards. Nothing polls the port while dumpcap leaves:
    until DPDK 25.11 it frees its pool and its ring also beneath a burst that still copies into them.
    """
    dumpcap = shutil.which("dpdk-dumpcap")
    if dumpcap is None:
        pytest.skip("no dpdk-dumpcap")
    place = Socket("/" + unique("cap"), True)
    vdevs = [Memif("server", place, {}, "net_memif0").vdev(),
             Memif("client", place, {}, "net_memif1").vdev()]
    capture = scratch / "capture.pcapng"
    with shared_memory(128) as memory:
        testpmd = start_testpmd(vdevs, memory=[*memory[:-1], "--log-level=pmd.net.memif:info"])
        testpmd.wait_link()
        testpmd.cmd(f"set txpkts {LENGTH}")
        testpmd.cmd("set fwd rxonly")
        prefix = testpmd.command[testpmd.command.index("--file-prefix") + 1]
        libraries = [*preload().values(), *pool_drivers(),
                     *([str(plugin())] if driver == OURS else [])]
        capturing = Process([dumpcap, f"--file-prefix={prefix}", "-i", "net_memif0",
                             "-w", str(capture)], {"LD_PRELOAD": ":".join(libraries)})
        processes.append(capturing)
        begun = capturing.wait_for("Packets captured: ", pipe="stderr")
        testpmd.cmd("start tx_first")
        testpmd.wait_packets("RX-packets", BURST)
        capturing.wait_for(str(2 * BURST), start=begun, pipe="stderr")
        testpmd.stop()
        capturing.signal(signal.SIGINT)
        assert capturing.wait() == 0, capturing.describe()
        assert [len(packet) for packet in rdpcap(str(capture))] == [LENGTH] * 2 * BURST
        assert ("secondary process" in testpmd.stderr) == (driver == OURS), testpmd.stderr
        testpmd.cmd("start tx_first")
        testpmd.wait_packets("RX-packets", 2 * BURST)
        testpmd.stop()
        testpmd.quit()
