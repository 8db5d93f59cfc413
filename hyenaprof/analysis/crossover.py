"""The crossover as a measured result: where one curve overtakes another, how sure that is, or why it cannot be said."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from typing import Literal

from hyenaprof.analysis.crossing import curvelet, find_zero
from hyenaprof.analysis.sentence import OUTCOME_WORDS, sentence, shared_names
from hyenaprof.analysis.stats import Location, LogRatio, comparison_of, energy_of, log_ratio, median_of
from hyenaprof.model import Comparison, Crossover, CrossoverState, Curve, Flip, Outcome, Record, Visit
from hyenaprof.operators import OPERATORS

__all__ = ["challenger_first", "find", "find_all", "next_lengths", "sentence", "shared_names"]

Metric = Literal["latency", "peak_memory", "energy"]
EQUAL_WITHIN = 0.02
"""Ratios closer to 1 than this are practically equal."""
FINEST_OCTAVES = 1 / 16
"""Four bisections of an octave."""
_TAKEN: dict[Metric, Callable[[Visit], float | None]] = {"latency": median_of, "energy": energy_of}


def challenger_first(first: Curve, second: Curve, exponents: Mapping[str, float] | None = None) -> tuple[Curve, Curve]:
    """Orders two curves into challenger and incumbent, the same way whichever comes first.

    The challenger is the side whose time grows with the lower power of L. Of two with the same power the one that
    stands earlier in the table of operators challenges (flash challenges attention), and of two implementations of one
    operator the later, the first being the plain one.

    Args:
        first: A curve.
        second: A curve of another operator, implementation or set of options.
        exponents: Growth exponents of operators outside the table; one that is nowhere counts as quadratic.
    """
    known = exponents or {}

    def rank(curve: Curve) -> tuple[float, int, str, int, Curve]:
        entry = OPERATORS.get(curve.operator)
        place = list(OPERATORS).index(curve.operator) if entry else len(OPERATORS)
        names = entry.implementations if entry else ()
        implementation = names.index(curve.implementation) if curve.implementation in names else len(names)
        exponent = known.get(curve.operator, entry.exponent if entry else 2.0)
        return (exponent, place, curve.operator, -implementation, curve)

    challenger, incumbent = sorted((first, second), key=rank)
    return challenger, incumbent


def find_all(
    records: Iterable[Record], *, metric: Metric = "latency", exponents: Mapping[str, float] | None = None
) -> list[Crossover]:
    """Crossovers of every pair of curves that can be compared: same scope, phase, sizes, dtype and device.

    Args:
        records: A run's records, in any order.
        metric: What the sides are compared in.
        exponents: Growth exponents of operators outside the table.

    Returns:
        One for each pair, in the table's order of the challenger, then of the incumbent. Curves of several fingerprints
        are paired within each; two that share none (sides run in two environments) across.
    """
    curves: dict[Curve, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        curves[record.point.curve][record.fingerprint_id].append(record)
    found = []
    for first, second in combinations(sorted(curves, key=_shown_order), 2):
        if first.setting == second.setting:
            challenger, incumbent = challenger_first(first, second, exponents)
            for ours, theirs in _meetings(curves[challenger], curves[incumbent]):
                found.append(find(ours, theirs, metric=metric))
    return found


def _shown_order(curve: Curve) -> tuple[object, ...]:
    place = list(OPERATORS).index(curve.operator) if curve.operator in OPERATORS else len(OPERATORS)
    return (place, curve)


def _meetings(
    ours: Mapping[str, list[Record]], theirs: Mapping[str, list[Record]]
) -> Iterator[tuple[list[Record], list[Record]]]:
    shared = [fingerprint for fingerprint in ours if fingerprint in theirs]
    for fingerprint in shared:
        yield ours[fingerprint], theirs[fingerprint]
    if not shared:
        yield [r for group in ours.values() for r in group], [r for group in theirs.values() for r in group]


def find(challenger: Sequence[Record], incumbent: Sequence[Record], *, metric: Metric = "latency") -> Crossover:
    """Finds where the challenger overtakes the incumbent.

    Args:
        challenger: Records of one curve, lengths in any order; repeated ones are joined.
        incumbent: Records of one other curve in the same setting.
        metric: What they are compared in.

    Raises:
        ValueError: A side without any record: there is no curve to name.
    """
    if not challenger or not incumbent:
        raise ValueError("a crossover needs records of two sides")
    ours, theirs = _by_length(challenger), _by_length(incumbent)
    pairs = [(ours[length], theirs[length]) for length in sorted(ours.keys() & theirs.keys())]
    ratios = [ratio for pair in pairs if (ratio := _ratio(pair[0], pair[1], metric)) is not None]
    return _judge(ratios, ours, theirs, metric)


def _by_length(records: Iterable[Record]) -> dict[int, Record]:
    grouped: dict[int, list[Record]] = defaultdict(list)
    for record in records:
        grouped[record.point.shape.length].append(record)
    return {length: _joined(group) for length, group in grouped.items()}


def _joined(records: list[Record]) -> Record:
    """One record of several at one length: the ok ones together, each visit once."""
    best = next((record for record in records if record.outcome is Outcome.OK), records[0])
    if len(records) == 1:
        return best
    visits = {visit.key: visit for record in records if record.outcome is Outcome.OK for visit in record.visits}
    memory = next((record.memory for record in records if record.memory is not None), None)
    return Record(
        fingerprint_id=best.fingerprint_id,
        point=best.point,
        outcome=best.outcome,
        reason=best.reason,
        visits=tuple(visits.values()),
        memory=memory,
    )


def _ratio(ours: Record, theirs: Record, metric: Metric) -> LogRatio | None:
    if ours.outcome is not Outcome.OK or theirs.outcome is not Outcome.OK:
        return None
    if metric != "peak_memory":
        return log_ratio(ours, theirs, _TAKEN[metric])
    if ours.memory is None or theirs.memory is None or not ours.memory.peak_bytes or not theirs.memory.peak_bytes:
        return None
    value = math.log(theirs.memory.peak_bytes / ours.memory.peak_bytes)
    return LogRatio(ours.point.shape.length, (value,), Location(value, 0.0, math.inf, 1), paired=True)


def _judge(
    ratios: list[LogRatio], ours: Mapping[int, Record], theirs: Mapping[int, Record], metric: Metric
) -> Crossover:
    one, other = next(iter(ours.values())).point.curve, next(iter(theirs.values())).point.curve
    names = (one.label, other.label)
    comparisons = tuple(comparison_of(ratio) for ratio in ratios)
    if not comparisons:
        return Crossover(one, other, metric, CrossoverState.NO_DATA, reason=_why_nothing(ours, theirs))
    covered = (comparisons[0].length, comparisons[-1].length)
    flips = _flips(ratios, comparisons, names)
    stops = _stops(ours, theirs, covered[1])
    state, winner = _state(comparisons, flips, names, stops)
    return Crossover(
        challenger=one,
        incumbent=other,
        metric=metric,
        state=state,
        flips=flips,
        comparisons=comparisons,
        range=covered,
        winner=winner,
        reason="; ".join(stops) or None,
        equal_zone=_equal_zone(comparisons),
    )


def _why_nothing(ours: Mapping[int, Record], theirs: Mapping[int, Record]) -> str:
    for side in (ours, theirs):
        if all(record.outcome is not Outcome.OK for record in side.values()):
            first = side[min(side)]
            return f"{first.point.label} was measured nowhere: {first.reason or OUTCOME_WORDS[first.outcome]}"
    return "the two sides were measured at no common length"


def _stops(ours: Mapping[int, Record], theirs: Mapping[int, Record], end: int) -> list[str]:
    stops = []
    for side in (ours, theirs):
        failed = [n for n in sorted(side) if n > end and side[n].outcome is not Outcome.OK]
        if failed:
            record = side[failed[0]]
            stops.append(f"{record.point.label} stopped at {failed[0]}: {OUTCOME_WORDS[record.outcome]}")
    return stops


def _flips(ratios: list[LogRatio], comparisons: tuple[Comparison, ...], names: tuple[str, str]) -> tuple[Flip, ...]:
    flips = []
    signed = [index for index, ratio in enumerate(ratios) if ratio.location.value != 0]
    curve = curvelet(ratios)
    for left, right in pairwise(signed):
        if (ratios[left].location.value > 0) != (ratios[right].location.value > 0):
            rising = ratios[right].location.value > 0
            zero = find_zero(curve, left, right)
            flips.append(
                Flip(
                    length=zero.length,
                    low=zero.low,
                    high=zero.high,
                    bracket=(ratios[left].length, ratios[right].length),
                    significant=_significant(comparisons, left, right, rising=rising),
                    leader_after=names[0] if rising else names[1],
                )
            )
    return tuple(flips)


def _significant(
    comparisons: tuple[Comparison, ...], left: int, right: int, *, rising: bool
) -> tuple[int | None, int | None]:
    before, after = ("incumbent", "challenger") if rising else ("challenger", "incumbent")
    low = next((c.length for c in reversed(comparisons[: left + 1]) if c.leader == before), None)
    high = next((c.length for c in comparisons[right:] if c.leader == after), None)
    return low, high


def _state(
    comparisons: tuple[Comparison, ...], flips: tuple[Flip, ...], names: tuple[str, str], stops: list[str]
) -> tuple[CrossoverState, str | None]:
    if _equal_zone(comparisons) == (comparisons[0].length, comparisons[-1].length) and len(comparisons) > 1:
        return CrossoverState.EQUAL, None
    if not flips:
        winner = names[0] if comparisons[-1].ratio > 1 else names[1]
        censored = bool(stops) and winner == names[1]
        return (CrossoverState.CENSORED if censored else CrossoverState.NONE_IN_RANGE), winner
    known = any(comparison.low is not None for comparison in comparisons)
    sure = [flip for flip in flips if None not in flip.significant] if known else list(flips)
    if not sure:
        return CrossoverState.UNRESOLVED, None
    return (CrossoverState.RESOLVED if len(sure) == 1 else CrossoverState.SEVERAL), None


def _equal_zone(comparisons: tuple[Comparison, ...]) -> tuple[int, int] | None:
    runs: list[list[int]] = [[]]
    for comparison in comparisons:
        if abs(comparison.ratio - 1) < EQUAL_WITHIN:
            runs[-1].append(comparison.length)
        else:
            runs.append([])
    longest = max(runs, key=lambda run: run[-1] / run[0] if run else 0)
    return (longest[0], longest[-1]) if len(longest) > 1 else None


def next_lengths(crossover: Crossover, *, multiple: int = 64) -> tuple[int, ...]:
    """Lengths at which bisection should measure next, five rounds each; empty when every sign change is bracketed.

    Args:
        crossover: What is known so far.
        multiple: Lengths are multiples of this; where a bracket is too short for one, powers of two below it.
    """
    wanted = []
    for flip in crossover.flips:
        low, high = flip.bracket
        middle = _middle(low, high, multiple)
        if math.log2(high / low) > FINEST_OCTAVES * 1.5 and low < middle < high:
            wanted.append(middle)
    return tuple(wanted)


def _middle(low: int, high: int, multiple: int) -> int:
    step = multiple
    while step > 1 and high - low < 2 * step:
        step //= 2
    return round(math.sqrt(low * high) / step) * step
