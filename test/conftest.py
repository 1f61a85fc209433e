# SPDX-License-Identifier: BSD-3-Clause
"""Plays tests with zero-copy at one end, or both: all of them, or by default a few (MIF_ENDS)."""

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any, FrozenSet, Iterator, List

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import ends  # noqa: E402

# Folders whose tests start memif ports by the helpers that ask ends.py.
FOLDERS = ("functional", "lifecycle", "peer")
WANTED = os.environ.get("MIF_ENDS", "some")
LEFT_OUT = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "own_ends(reason): says itself which ends copy; it is not played with others")
    config.addinivalue_line(
        "markers", "alone: measures time, or wants all CPUs; devtools/lanes.py runs nothing beside it")
    names = set(WANTED.split(","))
    if not names <= {"some", "all", "copy", *ends.VARIANTS}:
        raise pytest.UsageError(f"MIF_ENDS={WANTED}: some, all, copy, or of {list(ends.VARIANTS)}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.path.parent.name not in FOLDERS:
        return
    if metafunc.definition.get_closest_marker("own_ends") is not None:
        return
    metafunc.parametrize("_ends", [ends.COPY, *ends.VARIANTS.values()], indirect=True,
                         ids=["copy", *(f"zc-{name}" for name in ends.VARIANTS)], scope="module")


@pytest.fixture(autouse=True, scope="module", name="_ends")
def _ends(request: pytest.FixtureRequest) -> Iterator[FrozenSet[str]]:
    """What the test is played with."""
    zero_copy = getattr(request, "param", ends.COPY)
    ends.play(zero_copy)
    yield zero_copy
    ends.play(ends.COPY)


def variant_of(item: pytest.Item) -> str:
    played = getattr(item, "callspec", None) and item.callspec.params.get("_ends", ends.COPY)
    return next((name for name, roles in ends.VARIANTS.items() if roles == played), "copy")


def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    counts = Counter((function_of(item), variant_of(item)) for item in items)
    numbers: Counter = Counter()
    kept, left_out = [], []
    for item in items:
        key = (function_of(item), variant_of(item))
        wanted = is_wanted(*key, numbers[key], counts[key])
        numbers[key] += 1
        (kept if wanted else left_out).append(item)
    config.hook.pytest_deselected(items=left_out)
    config.stash[LEFT_OUT] = len(left_out)
    items[:] = kept


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """devtools/test.sh passes it on."""
    count = config.stash.get(LEFT_OUT, 0)
    if count:
        terminalreporter.write_line(
            f"LEFT OUT {count} not played, by MIF_ENDS={WANTED} (all: everything)")


def function_of(item: pytest.Item) -> str:
    """The same from whatever folder pytest is started."""
    return f"{item.path.relative_to(HERE).as_posix()}::{getattr(item, 'originalname', item.name)}"


def is_wanted(function: str, variant: str, number: int, count: int) -> bool:
    if WANTED == "some":
        return variant == "copy" or ends.chosen(function, variant, number, count)
    return WANTED == "all" or variant in WANTED.split(",")
