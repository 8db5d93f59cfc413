"""Simulates the search for crossovers whose truth is known, and counts how often the answer holds.

Run by hand from the repository's root: `python benchmarks/crossover_simulation.py`. Writes `results.csv` into
`reports/crossover-simulation/` and prints the same table.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import curve_pairs  # noqa: E402 -- found through the line above
from curve_pairs import CurvePair  # noqa: E402
from simulator import round_noise  # noqa: E402

from hyenaprof.model import Crossover, CrossoverState, Flip  # noqa: E402

Draw = Callable[[np.random.Generator], CurvePair]


@dataclass(frozen=True, slots=True)
class Setting:
    """What is simulated: a family of curves, the noise of a round's log ratio, and whether the grid is refined."""

    name: str
    draw: Draw
    noise: float
    refined: bool = True


def smooth(random: np.random.Generator) -> CurvePair:
    """A smooth pair."""
    return curve_pairs.draw_pair(random, wiggly=False)


def wiggly(random: np.random.Generator) -> CurvePair:
    """A wiggly pair."""
    return curve_pairs.draw_pair(random, wiggly=True)


SETTINGS = (
    *(Setting(draw.__name__, draw, noise) for draw in (smooth, wiggly) for noise in (0.01, 0.03)),
    *(Setting("doubling grid, wiggly", wiggly, noise, refined=False) for noise in (0.01, 0.03)),
    *(Setting(draw.__name__, draw, 0.10) for draw in (smooth, wiggly)),
    *(Setting("grainy", curve_pairs.draw_grainy, noise) for noise in (0.01, 0.03)),
    *(Setting("step", curve_pairs.draw_step, noise) for noise in (0.01, 0.03)),
    *(Setting("stairs", curve_pairs.draw_stairs, noise) for noise in (0.01, 0.03)),
    *(Setting("none", curve_pairs.draw_never, noise) for noise in (0.01, 0.03)),
    *(Setting("two", curve_pairs.draw_twice, noise) for noise in (0.01, 0.03)),
    *(Setting("equal", curve_pairs.draw_equal, noise) for noise in (0.01, 0.03)),
)
NAMED = {"none": CrossoverState.NONE_IN_RANGE, "two": CrossoverState.SEVERAL, "equal": CrossoverState.EQUAL}


@dataclass(frozen=True, slots=True)
class Row:
    """Shares over a setting's trials; empty where they have no meaning for it."""

    curves: str
    noise: float
    refined: bool
    trials: int
    covered: float | None
    """Every crossing lies in the 95 % interval of the flip nearest to it."""
    bracketed: float | None
    """Every crossing lies between the lengths of significant lead."""
    within_2_percent: float | None
    named: float
    """The state and the number of flips are the true ones."""
    median_width: float | None
    """Median of ln(high / low) of the intervals."""
    mean_measurements: float
    most_measurements: int
    states: str


def simulate(setting: Setting, trials: int) -> Row:
    """Runs a setting's trials from a seed of its own."""
    random = np.random.default_rng([trials, *setting.name.encode(), round(setting.noise * 1000)])
    runs = []
    for _ in range(trials):
        pair = setting.draw(random)
        runs.append((pair, *curve_pairs.search(pair, round_noise(setting.noise), random, refine=setting.refined)))
    crossing = [(pair, found) for pair, found, _ in runs if pair.crossings]
    widths = [math.log(f.high / f.low) for _, x, _ in runs for f in x.flips if f.low is not None and f.high is not None]
    counts = [count for *_, count in runs]
    return Row(
        curves=setting.name,
        noise=setting.noise,
        refined=setting.refined,
        trials=trials,
        covered=_share(crossing, _covers),
        bracketed=_share(crossing, _brackets),
        within_2_percent=_share(crossing, _near),
        named=float(np.mean([_named(setting, pair, found) for pair, found, _ in runs])),
        median_width=float(np.median(widths)) if crossing and widths else None,
        mean_measurements=float(np.mean(counts)),
        most_measurements=max(counts),
        states=", ".join(f"{state} {n}" for state, n in Counter(str(x.state) for _, x, _ in runs).most_common()),
    )


def _share(runs: list[tuple[CurvePair, Crossover]], holds: Callable[[float, Flip], bool]) -> float | None:
    """Share of trials in which something holds for every crossing and the flip nearest to it."""
    if not runs:
        return None
    return float(np.mean([all(_holds(truth, found, holds) for truth in pair.crossings) for pair, found in runs]))


def _holds(truth: float, found: Crossover, holds: Callable[[float, Flip], bool]) -> bool:
    nearest = min(found.flips, key=lambda flip: abs(math.log(flip.length / truth)), default=None)
    return nearest is not None and holds(truth, nearest)


def _covers(truth: float, flip: Flip) -> bool:
    return flip.low is not None and flip.high is not None and flip.low <= truth <= flip.high


def _brackets(truth: float, flip: Flip) -> bool:
    low, high = flip.significant
    return (low or 0) <= truth <= (high or math.inf)


def _near(truth: float, flip: Flip) -> bool:
    return abs(flip.length / truth - 1) < 0.02


def _named(setting: Setting, pair: CurvePair, found: Crossover) -> bool:
    several = CrossoverState.SEVERAL if len(pair.crossings) > 1 else CrossoverState.RESOLVED
    counted = len(found.flips) == len(pair.crossings)
    return found.state is NAMED.get(setting.name, several) and (counted or not pair.crossings)


def _text(value: object) -> str:
    return "" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def main() -> None:
    """Simulates every setting, prints a line each, writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "crossover-simulation" / "results.csv")
    asked = parser.parse_args()
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    names = [field.name for field in fields(Row)]
    with asked.out.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(names)
        print(*names, sep=" | ")
        for setting in SETTINGS:
            row = simulate(setting, asked.trials)
            cells = [_text(getattr(row, name)) for name in names]
            table.writerow(cells)
            print(*cells, sep=" | ", flush=True)


if __name__ == "__main__":
    main()
