# SPDX-License-Identifier: BSD-3-Clause
"""Finds, or first builds, what is to be measured."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

from .child import BenchError
from .ends import Tools

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "devtools" / "lib.sh"
PERF = "app/perf/dpdk-memif-perf"
DISTANCE = "app/perf/memif-distance"
BUILD_SECONDS = 900


def in_library(script: str, seconds: float = 60) -> str:
    """Runs shell lines with the functions of lib.sh; returns what they print."""
    try:
        done = subprocess.run(["bash", "-c", f'set -euo pipefail; source "$0"; {script}',
                               str(LIBRARY)], capture_output=True, text=True, timeout=seconds,
                              stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise BenchError(f"'{script}' took longer than {seconds:.0f} s") from None
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines()[-30:]
        raise BenchError("\n".join([f"'{script}' failed:", *said]))
    return done.stdout


def build_everything(folder: Path, *options: str) -> None:
    print(f"building in {folder}", flush=True)
    where, more = shlex.quote(str(folder)), shlex.join(options)
    in_library(f'use_dpdk; build_dir {where} gcc 0 "${{BUILD_OPTIONS[@]}}" {more}', BUILD_SECONDS)


def plugin_of(build: Path) -> Path:
    """The plugin that a build folder has, whatever the environment names."""
    found = [path for path in build.glob("drivers/net/memif/librte_net_memif.so.[0-9]*")
             if path.is_file() and re.search(r"\.so\.[0-9.]+$", path.name)]
    if not found:
        raise BenchError(f"no plugin in {build}; run: meson setup build && meson compile -C build")
    return loadable(found[0])


def find_plugin(build: Path) -> Path:
    given = os.environ.get("MIF_PLUGIN")
    if not given:
        return plugin_of(build)
    path = Path(given).absolute()
    if not path.exists():
        raise BenchError(f"MIF_PLUGIN={given}: there is no such file")
    return loadable(path)


def loadable(path: Path) -> Path:
    for folder in [path.resolve(), *path.resolve().parents]:
        if folder.stat().st_mode & 0o002:
            raise BenchError(f"DPDK loads no plugin from below {folder}, to which everybody may "
                             "write: put the checkout elsewhere, or MIF_PLUGIN to a copy")
    return path


def dpdk_version() -> str:
    return in_library("dpdk_version").strip()


def most_ports() -> int:
    """Ports that a program of the DPDK in use can have."""
    said = in_library("dpdk_include_dirs | while read -r dir; do "
                      "sed -n 's/^#define RTE_MAX_ETHPORTS //p' $dir/rte_build_config.h "
                      "2>/dev/null || true; done")
    return int(said.split()[0]) if said.split() else 32


def find_tools(build: Path, scratch: Path, eal_options: tuple[str, ...]) -> Tools:
    """The programs in a build folder, and the testpmd of the DPDK in use."""
    programs = [build / name for name in (PERF, DISTANCE)]
    for path in programs:
        if not path.exists():
            raise BenchError(f"no {path}; run: meson setup build && meson compile -C build")
    said = in_library('use_dpdk; dpdk_program dpdk-testpmd; say "${LD_LIBRARY_PATH-}"').split("\n")
    environment = {"LD_LIBRARY_PATH": said[1]} if said[1] else {}
    perf, distance = programs
    return Tools(os.environ.get("MIF_TESTPMD") or said[0], perf, find_plugin(build), distance,
                 scratch, environment, eal_options)
