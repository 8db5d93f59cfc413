"""Simulates gates whose truth is known: how often they flag what did not change, and find what got slower.

Run by hand from the repository's root: `python benchmarks/gate_simulation.py`. Writes `results.csv` (two sides in the
same rounds) and `stored.csv` (a session against stored ones) into `reports/gate-simulation/` and prints the same tables.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import gate_noise  # noqa: E402 -- found through the line above
import stored_noise  # noqa: E402
from builders import make_point  # noqa: E402

SLOWER = 4
"""Points of forty that got slower, where some did."""
STORED = [
    (name, stored, calibrated)
    for name in stored_noise.SETTINGS
    for stored, calibrated in ((1, False), (1, True), (3, True), (6, False), (6, True))
]


@dataclass(frozen=True, slots=True)
class Row:
    """One setting of two sides in the same rounds; shares over its gates."""

    noise: str
    tolerance: float
    slowdown: float
    """Of four points in forty, as a multiple of the tolerance; 0 is A/A."""
    gates: int
    false_alarms: float
    """Gates that flagged a point that did not get slower."""
    found: float | None
    """Of the points that got slower, how many were flagged."""
    inconclusive: float
    """Of all points, how many stayed open."""
    mean_visits: float
    most_visits: int


def simulate(name: str, multiple: float, gates: int) -> Row:
    """A setting's gates, from a seed of its own."""
    noise, tolerance = gate_noise.SETTINGS[name]
    random = np.random.default_rng([gates, *name.encode(), round(10 * multiple)])
    slower = SLOWER if multiple else 0
    held = [
        gate_noise.draw_gate(noise, tolerance, random, slowdown=multiple * tolerance, slower=slower)
        for _ in range(gates)
    ]
    found = [hit for outcome in held for hit in outcome.found]
    return Row(
        noise=name,
        tolerance=tolerance,
        slowdown=multiple,
        gates=gates,
        false_alarms=float(np.mean([outcome.false_alarm for outcome in held])),
        found=float(np.mean(found)) if found else None,
        inconclusive=float(np.mean([d.ruling == "inconclusive" for outcome in held for d in outcome.decisions])),
        mean_visits=float(np.mean([outcome.visits for outcome in held])),
        most_visits=max(outcome.visits for outcome in held),
    )


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One setting of a session against stored ones; shares over its comparisons."""

    sessions_are_of: str
    stored: int
    calibrated: bool
    comparisons: int
    false_alarms: float
    """Comparisons of forty equal points that flagged any."""
    found_10_percent: float
    """Of the points that got 10 % slower, how many were flagged."""


def simulate_stored(name: str, stored: int, comparisons: int, *, calibrated: bool) -> StoredRow:
    """A setting's comparisons, from a seed of its own."""
    random = np.random.default_rng([comparisons, *name.encode(), stored, calibrated])
    points = [make_point(length=length) for length in range(1, gate_noise.POINTS + 1)]
    noise = stored_noise.SETTINGS[name]

    def drawn(slowdown: float, slower: int) -> gate_noise.Array:
        kept = [
            stored_noise.draw_rulings(
                noise, random, points, sessions=stored, calibrated=calibrated, slowdown=slowdown, slower=slower
            )
            for _ in range(comparisons)
        ]
        return np.array(kept)

    equal, slower = drawn(0.0, 0), drawn(0.10, SLOWER)
    return StoredRow(
        name, stored, calibrated, comparisons, float(equal.any(axis=1).mean()), float(slower[:, :SLOWER].mean())
    )


def write(path: Path, rows: Sequence[Row] | Sequence[StoredRow]) -> None:
    """Writes a table and prints it."""
    cells = [[field.name for field in fields(rows[0])]]
    cells += [
        ["" if v is None else f"{v:.4g}" if isinstance(v, float) else str(v) for v in astuple(row)] for row in rows
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(cells)
    for line in cells:
        print(*line, sep="\t", flush=True)


def main() -> None:
    """Runs every setting and writes both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gates", type=int, default=300)
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "gate-simulation")
    parser.add_argument("--only", choices=("results", "stored"), help="one of the two tables")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.only != "stored":
        rows = [simulate(name, multiple, given.gates) for name in gate_noise.SETTINGS for multiple in (0, 1.5, 2)]
        write(given.out / "results.csv", rows)
    if given.only != "results":
        write(
            given.out / "stored.csv",
            [simulate_stored(name, stored, given.gates, calibrated=calibrated) for name, stored, calibrated in STORED],
        )


if __name__ == "__main__":
    main()
