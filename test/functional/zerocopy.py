# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of zero-copy ports have in common."""

from typing import Dict

ZERO_COPY = {"zero-copy": "yes"}

# Counters of a zero-copy client: what was copied all the same.
COPIED = ("tx_copied_unexposed_segments", "tx_copied_shared_segments", "tx_copied_unfit_segments",
          "rx_copied_buffers")


def copied(xstats: Dict[str, int]) -> Dict[str, int]:
    return {name: xstats[name] for name in COPIED if xstats[name] != 0}
