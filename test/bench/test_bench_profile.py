# SPDX-License-Identifier: BSD-3-Clause
"""The report of where the time of a packet goes."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "devtools"))

from bench import profile  # noqa: E402
from bench.testpmd import C2S  # noqa: E402

PLUGIN = "/build/librte_net_memif.so.23.0"
MAPS = f"""\
5500-5600 r-xp 00000000 fe:00 1                    /usr/bin/dpdk-testpmd
7000-7100 r--p 00000000 fe:00 2                    {PLUGIN}
7100-7300 r-xp 00000100 fe:00 2                    {PLUGIN}
8000-8100 r-xp 00001000 fe:00 3                    /usr/lib/dpdk/pmds-23.0/librte_net_memif.so.23.0
9000-9100 r-xp 00000000 fe:00 4                    /usr/lib/librte_ring.so.23.0
a000-a100 rw-p 00000000 00:00 0
"""


def test_samples_are_given_to_those_who_own_the_code() -> None:
    parts = profile.Parts(Path(PLUGIN))
    parts._known = {0x110: profile.BYTES, 0x120: profile.MBUFS}
    addresses = [0x5510, 0x5520, 0x7110, 0x7120, 0x8000, 0x9000, 0xffff0000, 0x7110]
    found = profile.shares(addresses, profile.mappings(MAPS), PLUGIN, parts)
    assert found == {profile.APPLICATION: 2 / 8, profile.OUR_DRIVER: 3 / 8, profile.BYTES: 2 / 8,
                     profile.MBUFS: 1 / 8, profile.STOCK_DRIVER: 1 / 8, profile.EAL: 1 / 8,
                     profile.KERNEL: 1 / 8}


@pytest.mark.parametrize("functions, part", [
    (["memcpy", "mif_copy_ends", "mif_copy", "put_plain", "tx_client"], profile.BYTES),
    (["mif_desc_read", "mif_rx_read_piece", "take_plain"], profile.DESCRIPTORS),
    (["rte_mempool_do_generic_get", "get_mbufs", "take_plain"], profile.MBUFS),
    (["mif_ring_peek", "client_slots", "transmit"], profile.INDICES),
    (["take_plain", "rx_burst"], profile.REST), ([], profile.REST),
])
def test_the_innermost_known_function_says_what_a_place_is_for(functions: list[str], part: str
                                                               ) -> None:
    assert profile.part_of(functions) == part


def test_names_of_functions_are_those_of_the_driver() -> None:
    """Else what was renamed would silently become a part of the rest."""
    folder = Path(__file__).resolve().parents[2] / "drivers" / "net" / "memif"
    source = "".join(path.read_text() for path in folder.rglob("*.[ch]"))
    for pattern in profile.PARTS.values():
        for name in pattern.replace("$", "").split("|"):
            assert name.startswith("rte_") or f"\n{name}" in source, name


@pytest.mark.parametrize("said, idle", [
    ("  RX-bursts : 76 [23% of 0 pkts + 77% of 32 pkts]\n", 0.23),
    ("  TX-bursts : 76 [0% of 0 pkts + 100% of 32 pkts]\n", 0), ("Done.\n", None),
])
def test_idle_bursts_are_read_from_what_testpmd_says(said: str, idle: float) -> None:
    assert profile.idle_of(said) == idle


def test_page_gives_nanoseconds_of_a_packet(tmp_path: Path) -> None:
    records = [{"pair": "ours", "way": C2S, "size": size, "role": role, "mpps": 40.0, "idle": 0.5,
                "apart": 50.0, "samples": 100,
                "shares": {profile.APPLICATION: 0.4, profile.OUR_DRIVER: 0.6, profile.BYTES: 0.2}}
               for size in profile.SIZES for role in ("client", "server")]
    text = profile.write(records, {"CPU": "some"}, "the machine is not quiet", tmp_path).read_text()
    assert "**the machine is not quiet.**" in text
    assert "| ours | client sends | 40.0 | 50% | 10.0 | 15.0 | 0.0 | 0.0 | 0.0 |" in text
    assert "| ours | server receives | 40.0 | 50% | 5.0 | 0.0 | 0.0 | 0.0 | 0.0 |" in text
    assert (tmp_path / "profile-c2s.svg").read_text().startswith("<svg")
    assert json.loads((tmp_path / "profile.json").read_text())["records"] == records
