"""All that records say of crossovers and growth, worked out once: what `hyenaprof crossover TABLE` tells."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hyenaprof.analysis.crossover import Metric, find_all, told, why_no_pair
from hyenaprof.analysis.scaling import Prediction, Scaling, measured_exponents, scaling_of
from hyenaprof.analysis.sentence import shared_names
from hyenaprof.analysis.stats import energy_of
from hyenaprof.model import Crossover, CrossoverState, Curve, Phase, Record
from hyenaprof.operators import operator_table

REACHES = (2, 4)
"""Times the longest measured length at which growth is predicted: a point and an interval, then an interval alone."""


@dataclass(frozen=True, slots=True)
class CrossoverSentence:
    """A crossover and the sentence that states it."""

    crossover: Crossover
    sentence: str


@dataclass(frozen=True, slots=True)
class Overview:
    """What records say.

    Attributes:
        told: Crossovers in time, then in peak memory and energy where those were measured.
        nothing: Why no two curves could be compared; None where some could.
        scalings: Growth of every curve that was measured, in the order of the records.
        names: Shortest unambiguous name of each curve's label.
    """

    told: tuple[CrossoverSentence, ...]
    nothing: str | None
    scalings: tuple[Scaling, ...]
    names: Mapping[str, str]

    @property
    def compared(self) -> bool:
        """Whether any pair was measured at a common length."""
        return any(entry.crossover.comparisons for entry in self.told)


def overview(records: Iterable[Record], *, phases: bool = True) -> Overview:
    """Works out crossovers and growth.

    Args:
        records: A run's or a table's, in any order.
        phases: False where the records' phases were not stated.
    """
    held = tuple(records)
    stated = operator_table()
    exponents = {name: exponent for name, exponent in measured_exponents(held).items() if name not in stated}
    entries = tuple(
        CrossoverSentence(crossover, text)
        for metric in _metrics(held)
        for found in (_found(held, metric, exponents),)
        for crossover, text in zip(found, told(found, held, phases=phases), strict=True)
    )
    return Overview(
        told=entries,
        nothing=None if entries else why_no_pair(held),
        scalings=scalings_of(held),
        names=shared_names(record.point.curve for record in held),
    )


def _metrics(records: Sequence[Record]) -> tuple[Metric, ...]:
    memory = any(record.memory is not None for record in records)
    energy = any(energy_of(visit) is not None for record in records for visit in record.visits)
    return ("latency", *(("peak_memory",) if memory else ()), *(("energy",) if energy else ()))


def _found(records: Sequence[Record], metric: Metric, exponents: Mapping[str, float]) -> list[Crossover]:
    """Crossovers in a metric, a pair's phases together; of memory and energy only those that could be compared in it."""
    found = find_all(records, metric=metric, exponents=exponents)
    pairs = list(dict.fromkeys((x.challenger.label, x.incumbent.label) for x in found))

    def rank(x: Crossover) -> tuple[int, int]:
        return (pairs.index((x.challenger.label, x.incumbent.label)), list(Phase).index(x.challenger.phase))

    kept = (x for x in found if metric == "latency" or x.state is not CrossoverState.NO_DATA)
    return sorted(kept, key=rank)


def scalings_of(records: Iterable[Record]) -> tuple[Scaling, ...]:
    """Growth of every curve, in order of appearance; curves that were measured nowhere are left out."""
    grouped: dict[Curve, list[Record]] = defaultdict(list)
    for record in records:
        grouped[record.point.curve].append(record)
    return tuple(scaling for held in grouped.values() if (scaling := scaling_of(held)) is not None)


def predictions(scaling: Scaling) -> tuple[Prediction, ...]:
    """Times past the longest measured length, as far as the measured ones allow: predictions, never measurements."""
    made = (scaling.predict(reach * max(scaling.observed)) for reach in REACHES)
    return tuple(prediction for prediction in made if prediction is not None)


@dataclass(frozen=True, slots=True)
class Outlook:
    """Where a challenger that does not lead yet is predicted to: by the fitted costs, never a measurement.

    Attributes:
        challenger: Label of the side that is behind at the longest length measured on both.
        incumbent: Label of the other.
        reach: Longest length that the fits speak of.
        by: Shortest length looked at where the intervals of the two predictions lie apart, the challenger ahead; None
            where there is none up to the reach.
    """

    challenger: str
    incumbent: str
    reach: int
    by: int | None


def outlook(crossover: Crossover, scalings: Iterable[Scaling]) -> Outlook | None:
    """What the fitted costs say beyond the range, where the incumbent leads to its end.

    Args:
        crossover: In time.
        scalings: Of its two curves, among others.

    Returns:
        None where the incumbent does not lead throughout, or the fits do not reach past the range.
    """
    if crossover.metric != "latency" or crossover.winner != crossover.incumbent.label or crossover.range is None:
        return None
    by_curve = {scaling.curve: scaling for scaling in scalings}
    sides = [by_curve.get(curve) for curve in (crossover.challenger, crossover.incumbent)]
    pairs: list[tuple[Prediction, Prediction]] = []
    for reach in REACHES:
        ours, theirs = (side.predict(reach * crossover.range[1]) if side else None for side in sides)
        if ours is not None and theirs is not None:
            pairs.append((ours, theirs))
    if not pairs:
        return None
    by = next((ours.length for ours, theirs in pairs if ours.high_s < theirs.low_s), None)
    return Outlook(crossover.challenger.label, crossover.incumbent.label, pairs[-1][0].length, by)
