# SPDX-License-Identifier: BSD-3-Clause
"""
Where the time goes: of the nanoseconds of a packet at each end, how many the application, the driver
and others have, and what this driver does with its own. By samples of perf's cpu-clock, which needs
no hardware counters.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable

from . import testpmd
from .child import BenchError, Child
from .distance import Distance
from .document import table
from .ends import CLIENT, OURS, PAIRS, SERVER, Tools, cpus
from .stats import Spread, size_text, spreads
from .svg import Series, bars
from .tools import ROOT, build_everything, plugin_of

SIZES = (64, 512)
PAIR_NAMES = ("ours", "stock", "ours-zc", "stock-zc", "ours-stock", "stock-ours")
ROUNDS = 3
SECONDS = 1.0
FREQUENCY = 999  # samples of each end in a second
PERF_SECONDS = 60
PLOT = "profile-{way}.svg"
BUILD = ROOT / "build-profile"

APPLICATION, OUR_DRIVER, STOCK_DRIVER, EAL, KERNEL = (
    "application", "our driver", "stock driver", "EAL", "kernel")
STOCK_FILE = r"/librte_net_memif\.so[^/]*$"

# What a function is for, found from the innermost one outwards; the first that is here counts.
BYTES, DESCRIPTORS, MBUFS, INDICES, REST = (
    "bytes of packets", "descriptors", "mbufs", "indices, gate, events", "the rest")
PARTS = {
    BYTES: r"mif_copy|mif_prefetch_rest|mif_zc_prefetch_data",
    DESCRIPTORS: r"mif_desc_|mif_own_|mif_pack_|mif_rx_read_piece|mif_rx_release$"
                 r"|mif_tx_prefetch_slots|mif_tx_find_place$|mif_zc_find|describe$|mif_zc_offer",
    MBUFS: r"rte_mempool_|get_mbufs|mif_rx_init_mbuf|mif_tx_free$|mif_zc_reclaim|mif_zc_post$"
           r"|keep$|keeper_of$|keep_none$|rte_mbuf_|rte_pktmbuf_",
    INDICES: r"mif_ring_|mif_gate_|mif_lag_|mif_rest_|client_slots|server_slots|free_slots|rests$"
             r"|mif_rx_ready|mif_zc_done|mif_tx_publish|mif_process_|refill$",
}
HEAD = f"""<!-- SPDX-License-Identifier: BSD-3-Clause; written by devtools/bench.py, not by hand -->
# Where the time goes

`devtools/bench.py --profile` has written this page and measures all of it again: dpdk-testpmd at
both ends, each polling on a CPU of its own, sampled {FREQUENCY} times a second by `perf record -e
cpu-clock`; medians of {ROUNDS} rounds in turns. A program that polls uses all of its time, so the
nanoseconds of a packet at one end are those between two packets, and each sample is a share of them.
The end that has little to wait for decides the rate: *empty* says how many of an end's polls found
no packet, or how many of its bursts could send none. The time of those is in these
numbers too. Sampling itself costs some per cent, so rates are for the shares only.
"""


@dataclass(frozen=True)
class Mapping:
    """An executable part of a file in a program's memory."""

    begin: int
    end: int
    offset: int
    path: str

    def place(self, address: int) -> int:
        """In the file; linkers of today give code the same address there."""
        return address - self.begin + self.offset


def mappings(maps: str) -> list[Mapping]:
    """Those of /proc/PID/maps."""
    pattern = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) ..x. ([0-9a-f]+) \S+ \d+ *(.*)$", re.M)
    return [Mapping(int(begin, 16), int(end, 16), int(offset, 16), path)
            for begin, end, offset, path in pattern.findall(maps)]


def room_of(path: str, plugin: str) -> str:
    """Who owns that code; what is in no mapping is the kernel."""
    if path == plugin:
        return OUR_DRIVER
    if re.search(STOCK_FILE, path):
        return STOCK_DRIVER
    if re.search(r"/dpdk-testpmd$", path):
        return APPLICATION
    return EAL if path else KERNEL


def part_of(functions: Iterable[str]) -> str:
    """What a place in our driver is for; its functions, the innermost first."""
    for function in functions:
        for part, pattern in PARTS.items():
            if re.match(pattern, function):
                return part
    return REST


class Parts:
    """What each place in the plugin is for; a place is looked up once."""

    def __init__(self, plugin: Path) -> None:
        self._plugin = plugin
        self._known: dict[int, str] = {}

    def look_up(self, places: Iterable[int]) -> None:
        missing = sorted(set(places) - set(self._known))
        if not missing:
            return
        said = run(["addr2line", "-a", "-f", "-i", "-e", str(self._plugin)],
                   "\n".join(map(hex, missing)))
        # An address, then for each function around it a line with its name and one with its source.
        for block in re.split(r"^(?=0x)", said, flags=re.M)[1:]:
            address, *rest = block.splitlines()
            self._known[int(address, 16)] = part_of(rest[::2])

    def __getitem__(self, place: int) -> str:
        return self._known[place]


def run(command: list[str], text: str = "") -> str:
    try:
        return subprocess.run(command, input=text, capture_output=True, text=True, check=True,
                              timeout=PERF_SECONDS).stdout
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", "") or ""
        raise BenchError(f"{command[0]} did not work: {error} {said}") from None


def sample(children: dict[str, Child], scratch: Path) -> dict[str, list[int]]:
    """Addresses at which each end was, over some time."""
    data = scratch / "perf.data"
    roles = {child.pid: role for role, child in children.items()}
    run(["perf", "record", "-q", "-e", "cpu-clock", "-F", str(FREQUENCY), "-o", str(data),
         "-p", ",".join(map(str, roles)), "--", "sleep", str(SECONDS)])
    found: dict[str, list[int]] = defaultdict(list)
    for line in run(["perf", "script", "-i", str(data), "-F", "pid,ip"]).splitlines():
        pid, address = line.split()
        found[roles[int(pid)]].append(int(address, 16))
    return found


def shares(addresses: list[int], maps: list[Mapping], plugin: str, parts: Parts
           ) -> dict[str, float]:
    """Of all samples, by room, and by part of our driver."""
    counts: Counter[str] = Counter()
    ours = []
    for address in addresses:
        mapping = next((m for m in maps if m.begin <= address < m.end), None)
        room = room_of(mapping.path if mapping else "", plugin)
        counts[room] += 1
        if mapping and room == OUR_DRIVER:
            ours.append(mapping.place(address))
    parts.look_up(ours)
    counts.update(parts[place] for place in ours)
    return {name: count / len(addresses) for name, count in counts.items()}


def idle_of(said: str) -> float | None:
    """Of an end's bursts, how many moved nothing; by what testpmd says when it stops."""
    found = re.search(r"[RT]X-bursts : \d+ \[(\d+)% of 0 pkts", said)
    return int(found[1]) / 100 if found else None


@dataclass
class Profiler:
    """Takes the samples of pairs, one after another."""

    tools: Tools
    parts: Parts
    distance: Distance
    records: list[dict] = dataclasses.field(default_factory=list)

    def pair(self, name: str, turn: int) -> None:
        with testpmd.session(self.tools, PAIRS[name]) as children:
            for role in children:
                children[role].command("set record-burst-stats on")
            maps = {role: mappings(child.maps()) for role, child in children.items()}
            for way in testpmd.WAYS:
                for size in SIZES:
                    self.one(children, maps, name, way, size, turn)

    def one(self, children: dict[str, testpmd.Testpmd], maps: dict[str, list[Mapping]], name: str,
            way: str, size: int, turn: int) -> None:
        (mpps, found, idle), apart = self.distance.measure(
            lambda: self.look(children, way, size))
        if self.distance.is_far(apart):
            print(f"{name}, {way}, {size} B: left out, the CPUs were far apart", flush=True)
            return
        print(f"round {turn + 1} of {ROUNDS}, {name}, {way}, {size} B: {mpps:.1f} Mpps", flush=True)
        for role in SERVER, CLIENT:
            part = shares(found[role], maps[role], str(self.tools.plugin.resolve()), self.parts)
            self.records.append({"pair": name, "way": way, "size": size, "role": role,
                                 "mpps": mpps, "idle": idle[role], "apart": apart,
                                 "samples": len(found[role]), "shares": part})

    def look(self, children: dict[str, testpmd.Testpmd], way: str, size: int) -> tuple:
        """Rate, addresses and idle bursts of both ends."""
        counter = testpmd.start_stream(children, way, size)
        before = counter.received()
        found = sample(children, self.tools.scratch)
        after = counter.received()
        idle = {role: idle_of(child.command("stop")) for role, child in children.items()}
        testpmd.stop_stream(children, way, size)
        return (after.packets - before.packets) / (after.when - before.when) / 1e6, found, idle


def measure(tools: Tools) -> list[dict]:
    """Of a build with line tables, which does not differ otherwise."""
    if shutil.which("perf") is None:
        raise BenchError("perf is not installed; on Debian it is in the package linux-perf")
    build_everything(BUILD, "-Ddebug=true")
    plugin = plugin_of(BUILD)
    profiler = Profiler(dataclasses.replace(tools, plugin=plugin), Parts(plugin),
                        Distance(tools.distance, cpus()))
    for turn in range(ROUNDS):
        for name in PAIR_NAMES if turn % 2 == 0 else PAIR_NAMES[::-1]:
            profiler.pair(name, turn)
    return profiler.records


ROOMS = (APPLICATION, OUR_DRIVER, STOCK_DRIVER, EAL, KERNEL)
Key = tuple[str, str, int, str]  # pair, way, size, role


def key_of(record: dict) -> Key:
    return record["pair"], record["way"], record["size"], record["role"]


def nanoseconds(records: list[dict], name: str) -> dict[Key, Spread]:
    """Of a packet, in a room or a part."""
    values = [{**record, "ns": 1000 / record["mpps"] * record["shares"].get(name, 0)}
              for record in records]
    return spreads(values, "ns", key_of)


def rows_of(records: list[dict], keys: list[Key], columns: tuple[str, ...]) -> list[list[str]]:
    found = {name: nanoseconds(records, name) for name in columns}
    rates, idle = spreads(records, "mpps", key_of), spreads(
        [record for record in records if record["idle"] is not None], "idle", key_of)
    return [[pair, end(pair, way, role), f"{rates[key].median:.1f}",
             f"{idle[key].median:.0%}" if key in idle else "",
             *(f"{found[name][key].median:.1f}" for name in columns)]
            for key in keys for pair, way, _, role in [key]]


def end(pair: str, way: str, role: str) -> str:
    """What an end does."""
    if way == testpmd.IO:
        return f"{role} forwards"
    return f"{role} {'sends' if (role == CLIENT) == (way == testpmd.C2S) else 'receives'}"


def is_ours(key: Key) -> bool:
    return PAIRS[key[0]].sides[key[3]].driver == OURS


def section(records: list[dict], way: str, size: int) -> list[str]:
    keys = sorted({key_of(record) for record in records
                   if (record["way"], record["size"]) == (way, size)},
                  key=lambda key: (PAIR_NAMES.index(key[0]), key[3]))
    head = ["pair", "end", "Mpps", "empty"]
    return [f"### {testpmd.WAYS[way]}, {size_text(size)}", "", "Nanoseconds of a packet:", "",
            *table([*head, *ROOMS], rows_of(records, keys, ROOMS)),
            "Those of our driver:", "",
            *table([*head, *PARTS, REST],
                   rows_of(records, list(filter(is_ours, keys)), (*PARTS, REST)))]


def plot(records: list[dict], way: str) -> str:
    """The rooms of each end at the smallest size."""
    size = SIZES[0]
    keys = [(pair, way, size, role) for pair in PAIR_NAMES for role in (CLIENT, SERVER)]
    series = [Series(name, [found.get(key) for key in keys])
              for name in ROOMS for found in [nanoseconds(records, name)]]
    return bars(f"{size} B, {testpmd.WAYS[way]}: nanoseconds of a packet",
                [f"{pair} {role[0]}" for pair, _, _, role in keys], series, "ns",
                "c: client, s: server")


def page(records: list[dict], about: dict[str, str], warning: str | None) -> str:
    lines = [HEAD, *([f"**{warning}.**", ""] if warning else [])]
    for way in testpmd.WAYS:
        for size in SIZES:
            lines += section(records, way, size)
        lines += [f"![nanoseconds of a packet, {testpmd.WAYS[way]}]({PLOT.format(way=way)})", ""]
    lines += table(["machine", ""], [[name, value] for name, value in about.items()])
    return "\n".join(lines).rstrip() + "\n"


def write(records: list[dict], about: dict[str, str], warning: str | None, folder: Path) -> Path:
    """Page, pictures and numbers; returns the page."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "profile.json").write_text(json.dumps(
        {"machine": about, "warning": warning, "records": records}, indent=1) + "\n")
    for way in testpmd.WAYS:
        (folder / PLOT.format(way=way)).write_text(plot(records, way))
    path = folder / "profile.md"
    path.write_text(page(records, about, warning))
    return path
