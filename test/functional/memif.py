# SPDX-License-Identifier: BSD-3-Clause
"""The net_memif port of a test: which driver, which devargs."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Union

from process import ROOT, Process

OURS = "ours"
STOCK = "stock"


def build_dir() -> Path:
    return Path(os.environ.get("MIF_BUILD", ROOT / "build")).resolve()


def plugin() -> Path:
    """Our driver. EAL wants a path: a bare name finds the distribution's file."""
    given = os.environ.get("MIF_PLUGIN")
    if given:
        return Path(given).absolute()
    return build_dir() / "drivers/net/memif/librte_net_memif.so.23"


def driver_args(driver: str) -> List[str]:
    return ["-d", str(plugin())] if driver == OURS else []


def assert_driver_loaded(process: Process, driver: str) -> None:
    """Ours is loaded beside the stock driver (EAL loads its own folder as well), stock alone."""
    ours = os.path.realpath(plugin()) in process.maps()
    assert ours == (driver == OURS), f"{driver} wanted, mapped: {process.maps()}"


@dataclass(frozen=True)
class Socket:
    """Where the two ends meet."""

    path: str
    abstract: bool

    def options(self) -> Dict[str, str]:
        return {"socket": self.path, "socket-abstract": "yes" if self.abstract else "no"}


def other(role: str) -> str:
    """That of the far end."""
    return "server" if role == "client" else "client"


@dataclass(frozen=True)
class Memif:
    """One vdev: Memif("server", socket, rsize=10) is net_memif0,role=server,..."""

    role: str
    socket: Socket
    options: Dict[str, Union[str, int]] = field(default_factory=dict)
    name: str = "net_memif0"

    def vdev(self) -> str:
        values = {"role": self.role, **self.socket.options(), **self.options}
        return ",".join([self.name, *(f"{key}={value}" for key, value in values.items())])
