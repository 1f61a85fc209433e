# SPDX-License-Identifier: BSD-3-Clause
"""The registry of behaviours, and ways to get to a point of the handshake."""

import contextlib
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from ..chan import Closed, TimedOut
from ..client import Client
from ..session import Config, Outcome, Session

POINTS = ("start", "init", "regions", "rings", "linked")
CLIENT = ("client",)
SERVER = ("server",)
BOTH = ("client", "server")


@dataclass(frozen=True)
class Case:
    """A behaviour with its arguments."""

    name: str
    function: Callable[..., Outcome]
    roles: Tuple[str, ...]      # who can misbehave like this
    stage: str                  # 'handshake' or 'linked': what the peer must have done before
    ends: bool                  # the other end must break the connection; else it may or may not
    slow: bool = False          # waits for the other end's time-out
    needs: Dict[str, Any] = field(default_factory=dict)     # changes to the peer's Config
    args: Dict[str, Any] = field(default_factory=dict)

    def config(self, base: Config) -> Config:
        return replace(base, **self.needs)

    def __str__(self) -> str:
        return self.name


_registry: List[Case] = []


def behaviour(roles: Tuple[str, ...], stage: str = "handshake", ends: bool = True,
              slow: bool = False, needs: Optional[Dict[str, Any]] = None,
              variants: Optional[Dict[str, Dict[str, Any]]] = None) -> Callable:
    """Registers a function, once for each of its variants (a name and arguments)."""
    def register(function: Callable[..., Outcome]) -> Callable[..., Outcome]:
        for label, args in (variants or {"": {}}).items():
            name = f"{function.__name__}-{label}" if label else function.__name__
            _registry.append(Case(name, function, roles, stage, ends, slow, needs or {}, args))
        return function
    return register


def each(key: str, *values: Any) -> Dict[str, Dict[str, Any]]:
    """Variants that differ in one argument."""
    return {str(value): {key: value} for value in values}


def cases(role: str, slow: bool = False) -> List[Case]:
    """What this role can do; the slow ones only when asked for."""
    return [case for case in _registry if role in case.roles and (slow or not case.slow)]


def run(case: Case, peer: Session, **more: Any) -> Outcome:
    """Plays a case with a connected peer: does the handshake first where it needs one."""
    if case.stage == "linked":
        peer.handshake()
    return case.function(peer, **{**case.args, **more})


def reach(peer: Session, point: str) -> None:
    """Behaves up to a point. A client has then had its last message answered; a server has not
    answered the last one it got, except at 'linked'."""
    if point == "start":
        if isinstance(peer, Client):
            peer.recv_hello()
    elif point == "linked":
        peer.handshake()
    else:
        peer.handshake(until=point)


@contextlib.contextmanager
def until_refused() -> Iterator[None]:
    """Ends quietly when the other end has closed, or takes no more."""
    try:
        yield
    except (Closed, TimedOut):
        pass
