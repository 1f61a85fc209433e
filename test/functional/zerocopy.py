# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of zero-copy ports have in common."""

import re
from typing import Dict

from testpmd import Testpmd

ZERO_COPY = {"zero-copy": "yes"}
# A client that shares the mbufs of short packets too.
SHARING = {**ZERO_COPY, "tx-copybreak": "0"}
# By role: the options of an end of ours that copies as little as it can.
BY_ROLE = {"client": SHARING, "server": ZERO_COPY}

# Counters of a zero-copy client: what was copied all the same.
COPIED = ("tx_copied_unexposed_segments", "tx_copied_shared_segments", "tx_copied_unfit_segments",
          "tx_copied_short_segments", "rx_copied_buffers")


def copied(xstats: Dict[str, int]) -> Dict[str, int]:
    return {name: xstats[name] for name in COPIED if xstats[name] != 0}


def xstats(testpmd: Testpmd, port: int) -> Dict[str, int]:
    """'show port xstats' as numbers."""
    text = testpmd.cmd(f"show port xstats {port}")
    return {name: int(value) for name, value in re.findall(r"^(\w+): (\d+)", text, re.MULTILINE)}
