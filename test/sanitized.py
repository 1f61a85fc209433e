# SPDX-License-Identifier: BSD-3-Clause
"""Is the driver under test one with the sanitizers? Then it is slow, and memory is freed late."""

import os


def is_sanitized() -> bool:
    return bool(os.environ.get("MIF_PRELOAD"))
