# SPDX-License-Identifier: BSD-3-Clause
"""The report of what the checks of descriptors cost."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "devtools"))

from bench import checks  # noqa: E402
from bench.testpmd import C2S, IO, S2C  # noqa: E402
from bench.tools import plugin_of  # noqa: E402

MACHINE = {"CPU": "some"}


def measured(way: str, build: str, *mpps: float, disturbed: bool = False) -> list[dict]:
    return [{"way": way, "build": build, "session": 0, "mpps": value, "disturbed": disturbed}
            for value in mpps]


def all_ways(checked: float) -> list[dict]:
    return [record for way in (C2S, S2C, IO)
            for record in (measured(way, checks.CHECKED, checked, checked, checked) +
                           measured(way, checks.UNCHECKED, 40.0, 40.0, 40.0))]


def test_disturbed_measurements_do_not_count_where_there_are_enough() -> None:
    records = measured(IO, checks.CHECKED, 1.0, 1.0, 1.0, 1.0, disturbed=True)
    assert checks.spread(records, IO, checks.CHECKED).median == 1.0
    records += measured(IO, checks.CHECKED, 30.0, 31.0, 32.0)
    found = checks.spread(records, IO, checks.CHECKED)
    assert (found.median, found.rounds) == (31.0, 3)


@pytest.mark.parametrize("checked, verdict", [(39.0, "met"), (38.0, "**not met**")])
def test_page_says_whether_it_is_met(tmp_path: Path, checked: float, verdict: str) -> None:
    records = all_ways(checked)
    text = checks.write(records, MACHINE, "the machine is not quiet", tmp_path).read_text()
    assert text.count(f"| {checked / 40:.3f} | at least 0.97 | {verdict} |") == 3
    assert "**the machine is not quiet.**" in text
    assert checks.passed(records) == (verdict == "met")
    assert (tmp_path / checks.PLOT).read_text().startswith("<svg")
    assert json.loads((tmp_path / "checks.json").read_text())["records"] == records


def test_the_build_without_checks_is_taken_whatever_the_environment_names(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a plugin would be compared with itself."""
    folder = tmp_path / "drivers" / "net" / "memif"
    folder.mkdir(parents=True)
    plugin = folder / "librte_net_memif.so.23.0"
    plugin.touch()
    monkeypatch.setattr("bench.tools.loadable", lambda path: path)
    monkeypatch.setenv("MIF_PLUGIN", "/another/file.so.23")
    assert plugin_of(tmp_path) == plugin
