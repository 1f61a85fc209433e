# SPDX-License-Identifier: BSD-3-Clause
"""What we want to reach, beside what was measured in the same run."""

from __future__ import annotations

from dataclasses import dataclass

from .distance import is_far
from .ends import PAIRS
from .lean import NO_PAYLOAD
from .plan import CONNECT, IDLE, LATENCY, LEAN, LIMIT, MEMORY, SCALE, TESTPMD
from .stats import Spread, ratio, size_order, size_text, spreads
from .testpmd import C2S, IO, S2C, WAYS

GROWTH = 1.10  # of the cost of a packet from 1 to 16 ports


@dataclass
class Target:
    name: str
    wanted: str
    measured: str
    met: bool | None  # None: not measured


class Results:
    """The records of a run, as spreads by what they are about."""

    def __init__(self, records: list[dict]) -> None:
        self.records = records
        self.nearest = min((record["apart"] for record in records if "apart" in record),
                           default=0.0)
        near = [record for record in records if not self.is_far(record)]

        def of(group: str, value: str, *names: str) -> dict:
            chosen = (record for record in near if record["group"] == group)
            return spreads(chosen, value, lambda record: tuple(record[name] for name in names))

        self.rate = {app: of(app, "mpps", "pair", "way", "size") for app in (TESTPMD, LEAN)}
        self.limits = of(LIMIT, "mpps", "direction", "size", "layout")
        self.latency = {value: of(LATENCY, value, "pair", "mode")
                        for value in ("min", "p50", "p99", "p99.9")}
        self.idle = of(IDLE, "cycles", "pair", "role", "ports")
        self.memory = of(MEMORY, "bytes_per_port", "pair", "role")
        self.connect = {value: of(CONNECT, value, "pair") for value in ("p50", "p99", "per_second")}
        self.scale = of(SCALE, "mpps", "pair", "of", "count")

    def is_far(self, record: dict) -> bool:
        """Measured while the CPUs were farther apart than at the best times."""
        return is_far(record.get("apart", self.nearest), self.nearest)

    def sizes(self, app: str) -> list[int | str]:
        return sorted({size for _, _, size in self.rate[app]}, key=size_order)

    def pairs(self, app: str) -> list[str]:
        return [name for name in PAIRS if any(name == pair for pair, _, _ in self.rate[app])]

    def ways(self, app: str) -> list[str]:
        return [way for way in WAYS if any(way == found for _, found, _ in self.rate[app])]

    def limit(self, way: str, size: int | str) -> Spread | None:
        """The best layout of the bare ring that moves packets."""
        direction = "both" if way == IO else "one"
        found = [spread for (d, s, layout), spread in self.limits.items()
                 if d == direction and s == size and layout != NO_PAYLOAD]
        return max(found, key=lambda spread: spread.median, default=None)


def at_least(name: str, wanted: float, value: float | None, unit: str = "x") -> Target:
    if value is None:
        return Target(name, f"at least {wanted:g} {unit}", "", None)
    return Target(name, f"at least {wanted:g} {unit}", f"{value:.2f} {unit}", value >= wanted)


def against_stock(results: Results) -> list[Target]:
    """The factors of rates in testpmd; pairs that were not measured leave their lines open."""
    rate = results.rate[TESTPMD]
    wanted = [("ours", "stock", 64, way, 1.7) for way in WAYS]
    wanted += [("ours", "stock", 512, way, 1.5) for way in WAYS]
    wanted += [("ours", "stock", 1518, way, 1.15) for way in (C2S, S2C)]
    wanted += [("ours-zc", "stock-zc", 64, C2S, 1.8), ("ours-zc", "stock-zc", 64, IO, 1.8),
               ("ours-zc", "stock-zc", 64, S2C, 1.4), ("ours-zc-both", "stock-zc", 1518, C2S, 2.5)]
    return [at_least(f"{size} B, {WAYS[way]}: {pair} against {base}", factor,
                     ratio(rate.get((pair, way, size)), rate.get((base, way, size))))
            for pair, base, size, way, factor in wanted]


def never_slower(results: Results) -> list[Target]:
    """The worst case over all sizes and ways, of each pair that has one of ours in it."""
    found = []
    for app in TESTPMD, LEAN:
        rate = results.rate[app]
        for pair, base, only in (("ours", "stock", None), ("ours-stock", "stock", None),
                                 ("stock-ours", "stock", None), ("ours", "vhost", 64)):
            factors = {key: ratio(spread, rate.get((base, *key[1:])))
                       for key, spread in rate.items()
                       if key[0] == pair and (only is None or key[2] == only)}
            factors = {key: factor for key, factor in factors.items() if factor is not None}
            worst = min(factors, key=factors.get, default=None)
            if worst is None and app == LEAN:
                continue  # these pairs are compared in testpmd
            where = f" (worst: {size_text(worst[2])}, {WAYS[worst[1]]})" if worst else ""
            sizes = f"{only} B" if only else "every size"
            found.append(at_least(f"{app}, {sizes}, each way: {pair} against {base}{where}", 1.0,
                                  factors.get(worst)))
    return found


def near_the_limit(results: Results) -> list[Target]:
    return [at_least(f"lean, 64 B, {WAYS[way]}: ours against the bare ring", 0.7,
                     ratio(results.rate[LEAN].get(("ours", way, 64)), results.limit(way, 64)),
                     "of it")
            for way in WAYS]


def not_above(name: str, ours: Spread | None, stock: Spread | None, unit: str) -> Target:
    if ours is None or stock is None:
        return Target(name, "not above stock", "", None)
    return Target(name, f"not above stock: {stock.median:.2f} {unit}", f"{ours.median:.2f} {unit}",
                  ours.median <= stock.median)


def others(results: Results) -> list[Target]:
    found = [not_above(f"poll of one idle port, {role}", results.idle.get(("ours", role, 1)),
                       results.idle.get(("stock", role, 1)), "cycles")
             for role in ("server", "client")]
    found += [not_above(f"round trip, polling, {value}",
                        results.latency[value].get(("ours", "polling")),
                        results.latency[value].get(("stock", "polling")), "us")
              for value in ("p50", "p99")]
    for of in "ports", "queues":
        one, many = (results.scale.get(("ours", of, count)) for count in (1, 16))
        growth = ratio(one, many)
        found.append(Target(f"cost of a packet, from 1 to 16 {of}", f"at most {GROWTH:g} x",
                            "" if growth is None else f"{growth:.2f} x",
                            None if growth is None else growth <= GROWTH))
    return found


def compare(results: Results) -> list[Target]:
    return [*against_stock(results), *never_slower(results), *near_the_limit(results),
            *others(results)]
