# SPDX-License-Identifier: BSD-3-Clause
"""The results of a folder, group by group: a run may be interrupted, and go on later."""

from __future__ import annotations

import json
import time
from pathlib import Path

from . import machine

NAME = "results.json"


class Archive:
    """
    What has been measured so far, written after every group. Groups of another machine, or of
    another driver, are not kept: only what can be compared stands in one page.
    """

    def __init__(self, folder: Path, about: dict[str, str]) -> None:
        self.path = folder / NAME
        self.data: dict = {"machine": about, "groups": {}, "records": []}

    def load(self) -> bool:
        """Takes over what is there; False if that is of another machine or driver."""
        try:
            old = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return True
        if "groups" not in old or old["machine"] != self.data["machine"]:
            return False
        self.data = old
        return True

    def complete(self) -> set[str]:
        return {name for name, about in self.data["groups"].items() if about["complete"]}

    def begin(self, group: str, **about: object) -> None:
        """What was measured of this group before is gone; so the new one counts from now on."""
        self.data["records"] = [record for record in self.data["records"]
                                if record["part"] != group]
        # Behind the other groups, as its records are.
        self.data["groups"].pop(group, None)
        self.data["groups"][group] = {
            **about, "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "load_before": machine.load(), "notes": [], "errors": [], "complete": False}

    def add(self, group: str, record: dict) -> None:
        self.data["records"].append({"part": group, **record})

    def note(self, group: str, text: str) -> None:
        self.data["groups"][group]["notes"].append(text)

    def error(self, group: str, text: str) -> None:
        self.data["groups"][group]["errors"].append(text)

    def end(self, group: str, minutes: float, complete: bool) -> None:
        self.data["groups"][group].update(complete=complete, minutes=round(minutes, 1))
        self.save()

    def save(self) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(self.data, indent=1) + "\n")
        new.replace(self.path)
