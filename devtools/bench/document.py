# SPDX-License-Identifier: BSD-3-Clause
"""The results as Markdown, with plots beside it."""

from __future__ import annotations

from pathlib import Path

from .child import DISTURBED
from .distance import FAR
from .ends import PAIRS
from .lean import NO_PAYLOAD
from .plan import CHECK, IDLE, LATENCY, LEAN, LIMIT, SCALE, TESTPMD
from .stats import Spread, ratio, size_text
from .svg import Series, bars, lines
from .targets import Results, compare
from .testpmd import WAYS

HEAD = """<!-- SPDX-License-Identifier: BSD-3-Clause; written by devtools/bench.py, not by hand -->
# Measured performance

`devtools/bench.py` has written this page and measures all of it again. Pairs of processes, each
pinned to a CPU of its own, run in turns; a number is the median over the rounds, with the smallest
and the largest in brackets. Compare numbers of one group only.
"""
APPS = {
    TESTPMD: ("dpdk-testpmd, the neutral application",
              "txonly to rxonly, or io at both ends; bursts of 32, rings of 1024. Mpps as the "
              "receiving side counts them."),
    LEAN: ("dpdk-memif-perf, the lean application",
           "The same with our own tool, which reuses the same few mbufs and does nothing else: "
           "nearer to what the driver alone costs. IMIX is 64, 594 and 1518 bytes, 7 : 4 : 1."),
}


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    return [line(head), line(["---"] * len(head)), *map(line, rows), ""]


class Document:
    def __init__(self, data: dict, folder: Path) -> None:
        self.data = data
        self.folder = folder
        self.results = Results(data["records"])
        self.lines: list[str] = []

    def plot(self, name: str, text: str, about: str) -> None:
        (self.folder / name).write_text(text)
        self.lines += [f"![{about}]({name})", ""]

    def write(self) -> Path:
        self.lines = [HEAD]
        self.machine()
        self.targets()
        for app in APPS:
            self.rates(app)
        for part in (self.limit, self.checks, self.latency, self.idle, self.connect, self.scale,
                     self.remarks):
            part()
        path = self.folder / "results.md"
        path.write_text("\n".join(self.lines).rstrip() + "\n")
        return path

    def machine(self) -> None:
        data = self.data
        rows = [[name, value] for name, value in data["machine"].items()]
        self.lines += table(["machine", ""], rows)
        self.groups()
        for warning in dict.fromkeys(about["warning"] for about in data["groups"].values()):
            if warning:
                self.lines += [f"**{warning[0].upper()}{warning[1:]}.**", ""]
        used = dict.fromkeys(record["pair"] for record in data["records"] if "pair" in record)
        if used:
            self.lines += ["The pairs, by their clients and servers:", ""]
            self.lines += [f"- {name}: {PAIRS[name].about}" for name in used] + [""]

    def groups(self) -> None:
        """How each group was measured, and how quiet it was."""
        rows = []
        for name, about in self.data["groups"].items():
            measured = [record for record in self.data["records"]
                        if record["part"] == name and "shares" in record]
            disturbed = sum(record["disturbed"] for record in measured)
            placed = [record for record in self.data["records"]
                      if record["part"] == name and "apart" in record]
            far = sum(map(self.results.is_far, placed))
            minutes = f"{about['minutes']:g}" if about["complete"] else "**broken off**"
            rows.append([name, f"`{about['command']}`", about["date"], minutes,
                         f"{about['rounds']} of {about['seconds']:g} s",
                         f"{disturbed} of {len(measured)}" if measured else "",
                         f"{far} of {len(placed)}" if placed else ""])
        self.lines += table(["group", "measured by", "date", "minutes", "rounds", "disturbed",
                             "far apart"], rows)
        self.lines += [f"Disturbed is a measurement in which a polling program had less than "
                       f"{DISTURBED:.0%} of its CPU. Far apart: a cache line took more than {FAR:g} "
                       f"times as long from one CPU to the other and back as at the best times "
                       f"({self.results.nearest:.0f} ns), before or after the measurement; these do "
                       "not count, as the host of a virtual machine places its CPUs, not the "
                       "driver.", ""]

    def targets(self) -> None:
        words = {True: "met", False: "**not met**", None: "not measured"}
        rows = [[target.name, target.wanted, target.measured, words[target.met]]
                for target in compare(self.results)]
        self.lines += ["## Targets", "", *table(["", "wanted", "measured", ""], rows)]

    def rates(self, app: str) -> None:
        results = self.results
        rate, sizes, pairs = results.rate[app], results.sizes(app), results.pairs(app)
        if not rate:
            return
        title, about = APPS[app]
        self.lines += [f"## {title}", "", about, ""]
        for way in results.ways(app):
            rows = []
            for pair in pairs:
                rows.append([pair] + [self.cell(rate.get((pair, way, size)),
                                                rate.get(("stock", way, size)), pair)
                                      for size in sizes])
            if results.limits:
                rows.append(["ours / bare ring"] + [
                    factor_text(ratio(rate.get(("ours", way, size)), results.limit(way, size)))
                    for size in sizes])
            labels = [size_text(size) for size in sizes]
            self.lines += [f"### {WAYS[way]}", "", *table(["Mpps", *labels], rows)]
            series = [Series(pair, [rate.get((pair, way, size)) for size in sizes])
                      for pair in pairs]
            self.plot(f"{app}-{way}.svg",
                      bars(f"{app}: {WAYS[way]}", labels, series, "Mpps"),
                      f"{app}, {WAYS[way]}: Mpps by packet size")

    @staticmethod
    def cell(value: Spread | None, stock: Spread | None, pair: str) -> str:
        if value is None:
            return ""
        factor = ratio(value, stock)
        end = "" if factor is None or pair == "stock" else f", {factor:.2f} x stock"
        return value.text() + end

    def limit(self) -> None:
        limits = self.results.limits
        if not limits:
            return
        sizes = sorted({size for _, size, _ in limits})
        self.lines += ["## The bare ring", "",
                       "What two cores do with memif's ring and descriptors, copying in and out, "
                       "without mbufs or a driver. Both ways: each core takes from one ring and "
                       "sends the same into the other; the rate is that of one direction.", ""]
        for direction, title in (("one", "one way"), ("both", "both ways")):
            layouts = list(dict.fromkeys(name for d, _, name in limits if d == direction))
            rows = [[layout] + [text_of(limits.get((direction, size, layout))) for size in sizes]
                    for layout in layouts]
            if rows:
                self.lines += table([f"Mpps, {title}"] + [f"{size} B" for size in sizes], rows)
                series = [Series(name, [limits.get((direction, size, name)) for size in sizes])
                          for name in layouts if name != NO_PAYLOAD]
                self.plot(f"{LIMIT}-{direction}.svg",
                          bars(f"bare ring, {title}", [f"{size} B" for size in sizes], series,
                               "Mpps"), f"bare ring, {title}: Mpps by packet size and layout")

    def checks(self) -> None:
        rows = [[record["pair"], WAYS[record["way"]], f"{record['packets']:,}",
                 f"{record['lost']:g}", f"{record['repeated']:g}", f"{record['broken']:g}"]
                for record in self.data["records"] if record["group"] == CHECK]
        if rows:
            self.lines += ["## Sequence numbers", "",
                           "Every packet numbered and looked at, a mix of sizes.", "",
                           *table(["pair", "way", "packets", "lost", "repeated or out of order",
                                   "broken"], rows)]

    def latency(self) -> None:
        found = self.results.latency
        if not found["p50"]:
            return
        rows = [[pair, mode] + [text_of(found[value].get((pair, mode)), 2) for value in found]
                for pair, mode in found["p50"]]
        self.lines += ["## Round trip", "",
                       "One 64-byte packet at a time, there and back; microseconds.", "",
                       *table(["pair", "", "min", "median", "p99", "p99.9"], rows)]
        polling = [pair for pair, mode in found["p50"] if mode == "polling"]
        series = [Series(pair, [found[value].get((pair, "polling")) for value in ("p50", "p99")])
                  for pair in polling]
        if polling:
            self.plot(f"{LATENCY}.svg", bars("round trip, polling", ["median", "p99"], series,
                                             "us"), "round trip of one packet, polling")

    def idle(self) -> None:
        found = self.results.idle
        if not found:
            return
        ports = sorted({count for _, _, count in found})
        ends = list(dict.fromkeys((pair, role) for pair, role, _ in found))
        rows = [[pair, role] + [text_of(found.get((pair, role, count))) for count in ports] +
                [f"{self.results.memory[(pair, role)].median / 1e6:.2f} MB"]
                for pair, role in ends]
        self.lines += ["## Idle ports", "",
                       "Cycles (of the TSC) of one poll that finds nothing, by the number of ports "
                       "polled in turn; and shared memory mapped for each port.", "",
                       *table(["pair", "end"] + [count_text(count, "ports") for count in ports] +
                              ["memory"], rows)]
        series = [Series(f"{pair} {role}", [found.get((pair, role, count)) for count in ports])
                  for pair, role in ends]
        self.plot(f"{IDLE}.svg", lines("poll of an idle port", [f"{n:g}" for n in ports], series,
                                       "cycles", "ports"), "cycles of an empty poll by ports")

    def connect(self) -> None:
        found = self.results.connect
        rows = [[pair, *(text_of(found[value].get((pair,)), 0) for value in found)]
                for (pair,) in found["p50"]]
        if rows:
            self.lines += ["## Connecting", "",
                           "From the start of the client's port to its link, in microseconds, and "
                           "starts and stops per second. One CPU for each end.", "",
                           *table(["pair", "median", "p99", "per second"], rows)]

    def scale(self) -> None:
        found = self.results.scale
        if not found:
            return
        self.lines += ["## Queues and ports", "", "64 B, client -> server, one core at each end, "
                       "with the lean application. Mpps over all of them.", ""]
        pairs = list(dict.fromkeys(pair for pair, _, _ in found))
        for of in "queues", "ports":
            counts = sorted({count for _, what, count in found if what == of})
            if not counts:
                continue
            rows = [[pair] + [text_of(found.get((pair, of, count))) for count in counts]
                    for pair in pairs]
            self.lines += table(["Mpps"] + [count_text(count, of) for count in counts], rows)
            series = [Series(pair, [found.get((pair, of, count)) for count in counts])
                      for pair in pairs]
            self.plot(f"{SCALE}-{of}.svg", lines(f"64 B by number of {of}", list(map(str, counts)),
                                                 series, "Mpps", of), f"Mpps by number of {of}")

    def remarks(self) -> None:
        groups = self.data["groups"].values()
        for title, kind in (("Notes", "notes"), ("Failed", "errors")):
            found = [text for about in groups for text in about[kind]]
            if found:
                self.lines += [f"## {title}", ""]
                first = [text.splitlines()[0].removesuffix("; it said:") for text in found]
                self.lines += [f"- {text}" for text in dict.fromkeys(first)] + [""]


def text_of(value: Spread | None, digits: int = 1) -> str:
    return "" if value is None else value.text(digits)


def factor_text(factor: float | None) -> str:
    return "" if factor is None else f"{factor:.2f}"


def count_text(count: float, of: str) -> str:
    """1 port, 2 ports."""
    return f"{count:g} {of.removesuffix('s') if count == 1 else of}"
