"""What visits say: one point's time, one ratio of two sides, the effect of order, drift.

The unit is the visit (its median), never the sample: samples of one process are no replicates. Times and ratios are
treated as logarithms, because noise on a time is relative. The rules are tried by the simulations in tests/analysis.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hyenaprof.analysis.location import Location, Vector, locate, locate_difference, serial_inflation
from hyenaprof.model import Comparison, Record, Summary, Visit

STABLE_FROM = 5
"""Visits below which a point is called unstable whatever its interval."""


@dataclass(frozen=True, slots=True)
class Effect:
    """A relative effect (0.01 is one per cent) with its 95 % interval, and the number of units behind it."""

    value: float
    low: float | None
    high: float | None
    count: int

    @property
    def significant(self) -> bool:
        """Whether the interval is known and leaves no effect out."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def median_of(visit: Visit) -> float | None:
    """Median of a visit's clean samples in seconds; None where it has none."""
    clean = visit.clean_s
    return statistics.median(clean) if clean else None


def energy_of(visit: Visit) -> float | None:
    """Joules per call of a visit; None where it was not measurable."""
    return visit.energy_j


def summarise(visits: Sequence[Visit], *, precision: float) -> Summary:
    """One point's time: median over visits, its 95 % interval, and the spread inside and between processes.

    The interval is the (from eight visits trimmed) t interval of the logarithms of the visit medians, widened where
    they drift, and stretched to hold the printed median where skewness would leave it out.

    Args:
        visits: Visits of one point; those without samples are passed over.
        precision: Relative half-width of the interval that counts as reached.

    Raises:
        ValueError: No visit holds a sample.
    """
    in_order = sorted(visits, key=lambda visit: visit.started_at)
    held = [(visit, median) for visit in in_order if (median := median_of(visit)) is not None]
    if not held:
        raise ValueError("no visit holds a sample")
    medians_s = np.array([median for _, median in held])
    median_s = float(np.median(medians_s))
    interval = _widened(locate(np.log(medians_s)), serial_inflation(np.log(medians_s)))
    low_s = min(median_s, math.exp(interval[0])) if interval else None
    high_s = max(median_s, math.exp(interval[1])) if interval else None
    achieved = (high_s - low_s) / 2 / median_s if low_s is not None and high_s is not None else None
    return Summary(
        median_s=median_s,
        low_s=low_s,
        high_s=high_s,
        visits=len(held),
        samples=sum(len(visit.clean_s) for visit, _ in held),
        precision=achieved,
        within_spread=_within_spread([visit for visit, _ in held]),
        between_spread=float(np.log(medians_s).std(ddof=1)) if len(held) > 1 else None,
        unstable=len(held) < STABLE_FROM or achieved is None or achieved > precision,
    )


def _widened(located: Location, factor: float) -> tuple[float, float] | None:
    error = located.error
    return None if error is None else replace(located, error=error * factor).interval()


def _within_spread(visits: Iterable[Visit]) -> float | None:
    spreads = [float(np.log(visit.clean_s).std(ddof=1)) for visit in visits if len(visit.clean_s) > 1]
    return float(np.median(spreads)) if spreads else None


@dataclass(frozen=True, slots=True)
class LogRatio:
    """Logarithm of incumbent over challenger at one length: above 0 the challenger needs less.

    Attributes:
        length: Tokens.
        rounds: One value a round where the rounds of the two sides meet; empty where they do not.
        location: Where they lie.
        paired: False where the sides shared fewer than two rounds and were set against each other unpaired.
    """

    length: int
    rounds: tuple[float, ...]
    location: Location
    paired: bool


def log_ratio(
    challenger: Record, incumbent: Record, value: Callable[[Visit], float | None] = median_of
) -> LogRatio | None:
    """Log ratio of two sides at one length, paired by round.

    Args:
        challenger: One side.
        incumbent: The other side, at the same length.
        value: What is taken from a visit; the median of its clean samples unless said otherwise.

    Returns:
        None where a side has nothing to compare. Where fewer than two rounds meet and both sides have at least two
        visits, the unpaired difference: two separate intervals are worth more than one pair.
    """
    ours, theirs = _by_round(challenger.visits, value), _by_round(incumbent.visits, value)
    if not ours or not theirs:
        return None
    length = challenger.point.shape.length
    shared = sorted(ours.keys() & theirs.keys())
    if len(shared) >= 2 or (shared and min(len(ours), len(theirs)) < 2):
        rounds = tuple(theirs[key] - ours[key] for key in shared)
        return LogRatio(length, rounds, locate(rounds), paired=True)
    location = locate_difference(list(theirs.values()), list(ours.values()))
    return LogRatio(length, (), location, paired=False)


def _by_round(visits: Iterable[Visit], value: Callable[[Visit], float | None]) -> dict[tuple[int, int], float]:
    taken = (((visit.point.seed, visit.round), value(visit)) for visit in visits)
    return {key: math.log(number) for key, number in taken if number is not None and number > 0}


def comparison_of(ratio: LogRatio) -> Comparison:
    """The ratio itself with its 95 % interval, from its logarithm."""
    interval = ratio.location.interval()
    return Comparison(
        length=ratio.length,
        ratio=math.exp(ratio.location.value),
        low=math.exp(interval[0]) if interval else None,
        high=math.exp(interval[1]) if interval else None,
        rounds=ratio.location.count,
        paired=ratio.paired,
    )


def compare(challenger: Record, incumbent: Record) -> Comparison | None:
    """Incumbent time over challenger time at one length, with its 95 % interval.

    Returns:
        None where a side holds no clean sample.
    """
    ratio = log_ratio(challenger, incumbent)
    return comparison_of(ratio) if ratio else None


def order_bias(records: Iterable[Record]) -> Effect | None:
    """How much longer a visit takes when it comes first in its round than when it comes later.

    The unit is the point: the difference of its mean log medians in first and in later place.

    Returns:
        None where no point was visited in both places.
    """
    differences = []
    for record in records:
        places: dict[bool, list[float]] = defaultdict(list)
        for visit in record.visits:
            median = median_of(visit)
            if median is not None:
                places[visit.order == 0].append(math.log(median))
        if len(places) == 2:
            differences.append(float(np.mean(places[True]) - np.mean(places[False])))
    return _effect(locate(differences)) if differences else None


def drift(records: Iterable[Record]) -> Effect | None:
    """Relative change of all times from the first round to the last.

    The unit is the round: the mean over points of the log median less the point's own mean, regressed on the round's
    mean start. Points of one round share the state of the machine and are no replicates.

    Returns:
        None below three rounds of points that were visited more than once.
    """
    deviations: dict[int, list[float]] = defaultdict(list)
    starts: dict[int, list[float]] = defaultdict(list)
    for record in records:
        held = [(visit, math.log(median)) for visit in record.visits if (median := median_of(visit)) is not None]
        centre = float(np.mean([value for _, value in held])) if held else 0.0
        for visit, value in held if len(held) > 1 else ():
            deviations[visit.round].append(value - centre)
            starts[visit.round].append(visit.started_at)
    rounds = sorted(deviations)
    if len(rounds) < 3:
        return None
    at = np.array([np.mean(starts[number]) for number in rounds])
    return _trend(at, np.array([np.mean(deviations[number]) for number in rounds]))


def _trend(at: Vector, values: Vector) -> Effect | None:
    offset = at - at.mean()
    power = float(offset @ offset)
    if power == 0:
        return None
    slope = float(offset @ values) / power
    rest = values - values.mean() - slope * offset
    freedom = len(at) - 2
    span = float(at.max() - at.min())
    error = math.sqrt(float(rest @ rest) / freedom / power)
    return _effect(Location(slope * span, error * span, freedom, len(at)))


def _effect(location: Location) -> Effect:
    interval = location.interval()
    return Effect(
        value=math.expm1(location.value),
        low=math.expm1(interval[0]) if interval else None,
        high=math.expm1(interval[1]) if interval else None,
        count=location.count,
    )
