"""How time grows with length, and what may be said beyond the lengths that were measured."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hyenaprof.analysis.cost_model import CostModel, fit_models, interval_at
from hyenaprof.analysis.location import CONFIDENCE, Location, Vector, t_quantile
from hyenaprof.analysis.planning import nearest_length, predict_for_planning
from hyenaprof.analysis.stats import median_of
from hyenaprof.model import Curve, Outcome, Phase, Record
from hyenaprof.operators import OPERATORS, operator_table

__all__ = [
    "Growth",
    "Prediction",
    "Scaling",
    "measured_exponents",
    "nearest_length",
    "predict_for_planning",
    "scaling_of",
    "stretch_words",
]

POINT_REACH = 2.0
"""A point estimate is given up to this many times the longest measured length."""
INTERVAL_REACH = 4.0
"""An interval, labelled extrapolated, up to this many times; nothing beyond."""
LOCAL_OCTAVES = 2.0
"""The local exponent is that of the longest lengths, within this many octaves of the last."""
DISAGREES = 0.5
"""Difference of exponents that is called another growth than the stated one."""
SINGLE_VALUE_ERROR = 0.05
"""Relative error taken for a time of which only one value is known, to judge a growth by; it makes no interval."""
LEAST_LENGTHS = 3
"""Lengths, over two octaves or more, below which no growth is called another than the stated one."""
_NEARLY = 0.99
"""Of two octaves, for lengths off the powers of two."""


@dataclass(frozen=True, slots=True)
class Growth:
    """Exponent p of time ~ L^p between two lengths, with its 95 % interval; None where a time is a single value."""

    exponent: float
    low: float | None
    high: float | None
    lengths: tuple[int, int]

    @property
    def octaves(self) -> float:
        """How far apart the two lengths lie."""
        return math.log2(self.lengths[1] / self.lengths[0])


@dataclass(frozen=True, slots=True)
class Prediction:
    """Time at a length that was not measured, in seconds: from the cost model, never a measurement.

    Attributes:
        length: Tokens.
        latency_s: Point estimate; None where only an interval may be given.
        low_s: Lower end of the 95 % interval.
        high_s: Upper end.
        extrapolated: True past the longest measured length.
    """

    length: int
    latency_s: float | None
    low_s: float
    high_s: float
    extrapolated: bool


@dataclass(frozen=True, slots=True)
class Scaling:
    """One curve's growth.

    Attributes:
        curve: Whose.
        observed: Median seconds by measured length.
        models: Cost models that fit about equally well, best first; empty below four lengths.
        local: Growth over the last two octaves, or over as much as there is; None below two lengths.
        overall: Growth over all lengths.
        memory_limit: Shortest length that ran out of memory.
        warning: That the time does not grow as its stated cost, if so.
    """

    curve: Curve
    observed: Mapping[int, float]
    models: tuple[CostModel, ...]
    local: Growth | None
    overall: Growth | None
    memory_limit: int | None
    warning: str | None

    @property
    def residual(self) -> float | None:
        """Root mean square relative residual of the best cost model."""
        return self.models[0].residual if self.models else None

    def predict(self, length: int) -> Prediction | None:
        """Time at a length, as far as the measured ones allow.

        Returns:
            None below the shortest length, past four times the longest, at or past a memory limit, or without a model.
        """
        first, last = min(self.observed), max(self.observed)
        limited = self.memory_limit is not None and length >= self.memory_limit
        if not self.models or limited or not first <= length <= INTERVAL_REACH * last:
            return None
        low_s, high_s = interval_at(self.observed, self.models, length)
        point_s = self.models[0].at(length) if length <= POINT_REACH * last else None
        if point_s is not None:
            low_s, high_s = min(low_s, point_s), max(high_s, point_s)
        return Prediction(length, point_s, low_s, high_s, extrapolated=length > last)


def scaling_of(records: Sequence[Record], *, exponent: float | None = None) -> Scaling | None:
    """Growth of one curve.

    Args:
        records: Records of one curve, in any order.
        exponent: Stated growth in the limit of long sequences; the operator's table entry unless given.

    Returns:
        None where nothing was measured.
    """
    measured = {r.point.shape.length: r for r in records if r.outcome is Outcome.OK and _medians(r)}
    if not measured:
        return None
    curve = next(iter(measured.values())).point.curve
    times = {length: _log_time(measured[length]) for length in sorted(measured)}
    observed = {length: math.exp(time.value) for length, time in times.items()}
    limits = [r.point.shape.length for r in records if r.outcome is Outcome.OOM]
    last = _last_octaves(times)
    return Scaling(
        curve=curve,
        observed=observed,
        models=fit_models(observed),
        local=_growth(last),
        overall=_growth(times),
        memory_limit=min(limits, default=None),
        warning=_disagreement(times, last, measured, exponent),
    )


def stretch_words(growths: Iterable[Growth | None]) -> str:
    """Names what local growths are over: "the last two octaves" where all of them reach over as many."""
    reaches = [2**growth.octaves >= _NEARLY * 2**LOCAL_OCTAVES for growth in growths if growth is not None]
    if all(reaches):
        return "the last two octaves"
    return "the measured lengths, the last two octaves at most" if any(reaches) else "the measured lengths"


def measured_exponents(records: Iterable[Record]) -> dict[str, float]:
    """Overall growth exponent of each operator that stands in no table, to tell challenger from incumbent.

    An operator with several curves gets the exponent of the one measured at the most lengths.
    """
    grouped: dict[Curve, list[Record]] = defaultdict(list)
    table = operator_table()
    for record in records:
        if record.point.operator not in table:
            grouped[record.point.curve].append(record)
    found: dict[str, tuple[int, float]] = {}
    for curve, held in grouped.items():
        scaling = scaling_of(held)
        if scaling and scaling.overall:
            candidate = (len(scaling.observed), scaling.overall.exponent)
            found[curve.operator] = max(found.get(curve.operator, (0, 0.0)), candidate)
    return {operator: exponent for operator, (_, exponent) in found.items()}


def _medians(record: Record) -> list[float]:
    return [median for visit in record.visits if (median := median_of(visit)) is not None]


def _log_time(record: Record) -> Location:
    logarithms = np.log(_medians(record))
    count = len(logarithms)
    error = float(logarithms.std(ddof=1)) / math.sqrt(count) if count > 1 else SINGLE_VALUE_ERROR
    return Location(float(np.median(logarithms)), error, count - 1, count)


def _last_octaves(times: Mapping[int, Location]) -> dict[int, Location]:
    longest = max(times)
    near = {length: time for length, time in times.items() if length * 2**LOCAL_OCTAVES >= _NEARLY * longest}
    return near if len(near) > 1 else {length: times[length] for length in sorted(times)[-2:]}


def _growth(times: Mapping[int, Location]) -> Growth | None:
    """Slope of ln time over ln length, with an interval where every time has an error of its own."""
    if len(times) < 2:
        return None
    slope, half = _slope(times)
    known = all(time.count > 1 for time in times.values())
    low, high = (slope - half, slope + half) if known else (None, None)
    return Growth(slope, low, high, (min(times), max(times)))


def _slope(times: Mapping[int, Location]) -> tuple[float, float]:
    """Slope and half its 95 % interval, from the lengths' own errors or their scatter, whichever is larger."""
    x = np.log(np.array(list(times), dtype=np.float64))
    y = np.array([time.value for time in times.values()])
    errors = np.array([time.error or 0.0 for time in times.values()])
    offset = x - x.mean()
    slope = float(offset @ y / (offset @ offset))
    error, freedom = _slope_error(offset, y - y.mean() - slope * offset, errors)
    return slope, t_quantile((1 + CONFIDENCE) / 2, freedom) * error


def _slope_error(offset: Vector, rest: Vector, errors: Vector) -> tuple[float, float]:
    power = float(offset @ offset)
    measured = math.sqrt(float(np.sum((offset * errors) ** 2))) / power
    freedom = len(offset) - 2
    scatter = math.sqrt(float(rest @ rest) / freedom / power) if freedom else 0.0
    return (scatter, freedom) if scatter > measured else (measured, math.inf)


def _disagreement(
    times: Mapping[int, Location],
    last: Mapping[int, Location],
    measured: Mapping[int, Record],
    exponent: float | None,
) -> str | None:
    """States that time grows otherwise than its cost, where it does so beyond half a power of L.

    Short sequences are bound by what a call costs at any length, and two points tell a slope but not a law.
    """
    if len(times) < LEAST_LENGTHS or max(times) < _NEARLY * 2**LOCAL_OCTAVES * min(times):
        return None
    curve = measured[max(last)].point.curve
    lengths = (min(last), max(last))
    slope, half = _slope(last)
    stated = _stated_growth(curve, lengths, measured, exponent)
    if stated is None or (slope + half >= stated.low - DISAGREES and slope - half <= stated.high + DISAGREES):
        return None
    return (
        f"{curve.label} does not scale like its stated cost: from {lengths[0]} to {lengths[1]} its time"
        f" grows as L^{round(slope, 2) + 0.0:.2f}, {stated.words}"
    )


@dataclass(frozen=True, slots=True)
class _Stated:
    low: float
    high: float
    words: str


def _stated_growth(
    curve: Curve, lengths: tuple[int, int], measured: Mapping[int, Record], exponent: float | None
) -> _Stated | None:
    """Exponent of the analytic FLOPs between two lengths; without them, from linear to the limit of long sequences."""
    first, last = (measured[length].cost for length in lengths)
    if exponent is None and first is not None and last is not None and first.flops > 0 and last.flops > 0:
        grown = math.log(last.flops / first.flops) / math.log(lengths[1] / lengths[0])
        return _Stated(grown, grown, f"its analytic FLOPs as L^{grown:.2f}")
    entry = OPERATORS.get(curve.operator)
    limit = exponent if exponent is not None else entry.exponent if entry else None
    if limit is None or curve.phase is Phase.DECODE:
        return None
    return _Stated(min(limit, 1.0), limit, f"its cost as L^{limit:g} in the limit of long sequences")
