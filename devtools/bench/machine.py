# SPDX-License-Identifier: BSD-3-Clause
"""What we measure on, and whether it is quiet."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

QUIET_LOAD = 0.5


def first_match(pattern: str, path: str, otherwise: str = "unknown") -> str:
    try:
        found = re.search(pattern, Path(path).read_text(), re.M)
    except OSError:
        return otherwise
    return found[1].strip() if found else otherwise


def run(*command: str) -> str:
    """What a command prints; empty when it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20,
                              check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def load() -> float:
    """Average number of running processes in the last minute."""
    return os.getloadavg()[0]


def revision(root: Path) -> str:
    """The last commit that changed what is measured."""
    git = ["git", "-c", f"safe.directory={root}", "-C", str(root)]
    commit = run(*git, "log", "-1", "--format=%h", "--", "drivers", "app")
    if not commit:
        return "unknown"
    changed = run(*git, "status", "--porcelain", "--", "drivers", "app")
    return commit + (" with uncommitted changes" if changed else "")


def slug() -> str:
    """Names the kind of CPU, as a folder: results of different ones stand beside each other."""
    vendor = first_match(r"^vendor_id\s*:\s*(?:Genuine|Authentic)?(\w+)$", "/proc/cpuinfo", "cpu")
    words = [first_match(rf"^{name}\s*:\s*(\d+)$", "/proc/cpuinfo", "0")
             for name in ("cpu family", "model")]
    return "-".join([vendor.lower(), *words])


def vectors() -> str:
    flags = first_match(r"^flags\s*:\s*(.*)$", "/proc/cpuinfo", "").split()
    found = [name for name in ("avx2", "avx512f") if name in flags]
    return ", ".join(found) or "neither AVX2 nor AVX-512"


def describe(root: Path, dpdk: str) -> dict[str, str]:
    """The lines of the table, in order."""
    huge = first_match(r"^(\d+)$", "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0")
    hypervisor = "hypervisor" in first_match(r"^flags\s*:\s*(.*)$", "/proc/cpuinfo", "").split()
    memory = int(first_match(r"^MemTotal:\s*(\d+)", "/proc/meminfo", "0")) / 1024 / 1024
    return {
        "CPU": f"{first_match(r'^model name.*: (.*)$', '/proc/cpuinfo')}, family "
               f"{first_match(r'^cpu family.*: (.*)$', '/proc/cpuinfo')} model "
               f"{first_match(r'^model[^ ]*: (.*)$', '/proc/cpuinfo')}",
        "vectors": vectors(),
        "CPUs": f"{os.cpu_count()}{', virtual machine' if hypervisor else ''}",
        "memory": f"{memory:.0f} GB, {huge} huge pages of 2 MB",
        "kernel": platform.release(),
        "system": first_match(r'^PRETTY_NAME="?([^"\n]*)', "/etc/os-release"),
        "DPDK": dpdk,
        "driver": revision(root),
    }


def noise(before: float) -> str | None:
    """A warning when others are running."""
    if before < QUIET_LOAD:
        return None
    return (f"the machine is not quiet: load average {before:.2f} before the first measurement. "
            "Rates and ratios are not to be trusted")
