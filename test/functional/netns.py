# SPDX-License-Identifier: BSD-3-Clause
"""Network namespaces, and what the kernel counts in them."""

import os
import subprocess
from pathlib import Path
from typing import Dict, Sequence

from process import unique


def run(*command: str, timeout: float = 60) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


def missing(programs: Sequence[str]) -> str:
    """What this machine lacks for kernel interfaces in namespaces, and these programs; empty when
    it has everything."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if not Path("/dev/net/tun").exists():
        return "no /dev/net/tun: net_tap cannot make an interface"
    for program in ("ip", *programs):
        if subprocess.run(["which", program], capture_output=True, check=False).returncode != 0:
            return f"{program} is not installed"
    name = unique("mifprobe")
    probe = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True,
                           check=False)
    if probe.returncode != 0:
        return f"no network namespace: {probe.stderr.strip()}"
    delete(name)
    return ""


def add(name: str) -> str:
    run("ip", "netns", "add", name)
    return name


def delete(name: str) -> None:
    run("ip", "netns", "del", name)


def inside(name: str, *command: str, timeout: float = 60) -> str:
    """Runs a command in a namespace."""
    return run("ip", "netns", "exec", name, *command, timeout=timeout)


def snmp(name: str, protocol: str) -> Dict[str, int]:
    """The kernel's counters of a protocol in a namespace."""
    names, values = [line.split()[1:] for line in
                     inside(name, "cat", "/proc/net/snmp").splitlines()
                     if line.startswith(f"{protocol}:")]
    return dict(zip(names, map(int, values)))
