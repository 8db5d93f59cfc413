"""The crossover as a measured result: where one curve overtakes another, how sure that is, or why it cannot be said."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Literal

from hyenaprof.analysis.flips import Judged, judge
from hyenaprof.analysis.location import Location
from hyenaprof.analysis.refinement import more_rounds, next_lengths
from hyenaprof.analysis.scaling import measured_exponents
from hyenaprof.analysis.sentence import LEAST_ROUNDS, OUTCOME_WORDS, sentence, settings_apart, shared_names
from hyenaprof.analysis.stats import LogRatio, comparison_of, energy_of, log_ratio, median_of
from hyenaprof.model import Comparison, Crossover, CrossoverState, Curve, Outcome, Record, Visit
from hyenaprof.operators import OPERATORS, operator_table

__all__ = [
    "challenger_first",
    "find",
    "find_all",
    "more_rounds",
    "next_lengths",
    "sentence",
    "shared_names",
    "statements",
    "told",
    "why_no_pair",
]

Metric = Literal["latency", "peak_memory", "energy"]
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
    known, table = exponents or {}, operator_table()

    def rank(curve: Curve) -> tuple[float, int, str, int, Curve]:
        entry = table.get(curve.operator)
        place = list(OPERATORS).index(curve.operator) if curve.operator in OPERATORS else len(OPERATORS)
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
        exponents: Growth exponents of operators outside the table; as measured unless given.

    Returns:
        One for each pair, in the table's order of the challenger, then of the incumbent. Curves of several fingerprints
        are paired within each; two that share none (sides run in two environments) across, but only on one machine
        under one protocol.
    """
    curves: dict[Curve, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    held = list(records)
    known = measured_exponents(held) if exponents is None else exponents
    for record in held:
        curves[record.point.curve][record.fingerprint_id].append(record)
    found = []
    for first, second in combinations(sorted(curves, key=_shown_order), 2):
        if first.setting == second.setting:
            challenger, incumbent = challenger_first(first, second, known)
            for ours, theirs in _meetings(curves[challenger], curves[incumbent]):
                found.append(find(ours, theirs, metric=metric))
    return found


def _shown_order(curve: Curve) -> tuple[object, ...]:
    place = list(OPERATORS).index(curve.operator) if curve.operator in OPERATORS else len(OPERATORS)
    return (place, curve)


def _meetings(
    ours: Mapping[str, list[Record]], theirs: Mapping[str, list[Record]]
) -> Iterator[tuple[list[Record], list[Record]]]:
    """Records of one fingerprint on either side, under the same conditions: times of two machines say nothing together."""
    for conditions in dict.fromkeys(held[0].conditions for held in ours.values()):
        mine, others = (
            {identity: held for identity, held in side.items() if held[0].conditions == conditions}
            for side in (ours, theirs)
        )
        shared = [identity for identity in mine if identity in others]
        if shared:
            yield from ((mine[identity], others[identity]) for identity in shared)
        else:
            yield from product(mine.values(), others.values())


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
    return _judged(ratios, ours, theirs, metric)


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


def _judged(
    measured: list[LogRatio], ours: Mapping[int, Record], theirs: Mapping[int, Record], metric: Metric
) -> Crossover:
    one, other = next(iter(ours.values())).point.curve, next(iter(theirs.values())).point.curve
    names = (one.label, other.label)
    if not measured:
        return Crossover(one, other, metric, CrossoverState.NO_DATA, reason=_why_nothing(ours, theirs, metric))
    comparisons = tuple(comparison_of(ratio) for ratio in measured)
    covered = (comparisons[0].length, comparisons[-1].length)
    judged = judge(measured, comparisons, names)
    stops = [stop for side in (ours, theirs) if (stop := _stop(side, covered[1]))]
    state, winner = _state(judged, comparisons, names, censored=bool(stops))
    told = metric == "latency" and winner is not None and comparisons[-1].low is None  # the sentence says it
    return Crossover(
        challenger=one,
        incumbent=other,
        metric=metric,
        state=state,
        flips=judged.flips if judged.proven or state is CrossoverState.UNRESOLVED else (),
        comparisons=comparisons,
        range=covered,
        winner=winner,
        reason="; ".join(stops) or None,
        equal_zone=judged.equal_zone,
        warnings=_warnings(judged, measured, metric) + (() if told else _too_few(comparisons)),
    )


def _why_nothing(ours: Mapping[int, Record], theirs: Mapping[int, Record], metric: Metric) -> str:
    for side in (ours, theirs):
        if all(record.outcome is not Outcome.OK for record in side.values()):
            first = side[min(side)]
            return f"{first.point.label} was measured nowhere: {first.reason or OUTCOME_WORDS[first.outcome]}"
        if metric == "latency" and not any(record.visits for record in side.values()):
            return f"{next(iter(side.values())).point.label} has no time at any length"
    both = [n for n in ours if n in theirs and ours[n].outcome is theirs[n].outcome is Outcome.OK]
    if both:
        return f"no {metric.replace('_', ' ')} was measured"
    stops = [stop for side in (ours, theirs) if (stop := _stop(side, _last(side)))]
    return "; ".join(["the two sides were measured at no common length", *stops])


def _last(side: Mapping[int, Record]) -> int:
    return max((length for length, record in side.items() if record.outcome is Outcome.OK), default=0)


def _stop(side: Mapping[int, Record], end: int) -> str | None:
    """Where and why a side ended, past the last length that both reached."""
    failed = [length for length in sorted(side) if length > end and side[length].outcome is not Outcome.OK]
    if not failed:
        return None
    record = side[failed[0]]
    return f"{record.point.label} stopped at {failed[0]}: {OUTCOME_WORDS[record.outcome]}"


def _state(
    judged: Judged, comparisons: tuple[Comparison, ...], names: tuple[str, str], *, censored: bool
) -> tuple[CrossoverState, str | None]:
    covered = (comparisons[0].length, comparisons[-1].length)
    if len(comparisons) > 1 and judged.equal_zone == covered:
        return CrossoverState.EQUAL, None
    if judged.proven:
        return (CrossoverState.RESOLVED if len(judged.flips) == 1 else CrossoverState.SEVERAL), None
    if judged.flips or judged.overall == 0:
        return CrossoverState.UNRESOLVED, None
    winner = names[0] if judged.overall > 0 else names[1]
    # a challenger that leads already cannot be cut off from its crossover by a side that stops later, but from one
    # length nobody can tell on which side of it the crossover lies
    cut = censored and (winner == names[1] or len(comparisons) == 1)
    return (CrossoverState.CENSORED if cut else CrossoverState.NONE_IN_RANGE), winner


def _warnings(judged: Judged, measured: list[LogRatio], metric: Metric) -> tuple[str, ...]:
    said = []
    if metric != "peak_memory" and all(ratio.location.error is None for ratio in measured):
        said.append("single values: no interval can be had")
    said.extend(f"the times jump between {low} and {high}: the crossover is that step" for low, high in judged.steps)
    return tuple(said)


def _too_few(comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """Why there is no interval at lengths that were measured more than once."""
    few = [comparison for comparison in comparisons if comparison.low is None and comparison.rounds > 1]
    if not few:
        return ()
    where = "" if len(few) == len(comparisons) else f" at {len(few)} of {len(comparisons)} lengths"
    return (f"{few[0].rounds} rounds{where}: an interval needs {LEAST_ROUNDS}",)


def statements(
    records: Iterable[Record],
    *,
    metric: Metric = "latency",
    exponents: Mapping[str, float] | None = None,
    phases: bool = True,
) -> tuple[str, ...]:
    """What records say of crossovers: one sentence a pair and phase, or the one reason why there is none.

    Args:
        records: In any order.
        metric: What the sides are compared in.
        exponents: Growth exponents of operators outside the table.
        phases: False where the records' phases were not stated, as in a table from elsewhere; they are left out.
    """
    held = list(records)
    found = find_all(held, metric=metric, exponents=exponents)
    return told(found, held, phases=phases) if found else (why_no_pair(held),)


def told(found: Iterable[Crossover], records: Iterable[Record], *, phases: bool = True) -> tuple[str, ...]:
    """One sentence for each crossover, with its setting where the records have several.

    Args:
        found: Crossovers of these records.
        records: All of them, to tell operators and settings apart.
        phases: False where the records' phases were not stated; they are left out.
    """
    curves = [record.point.curve for record in records]
    names, apart = shared_names(curves), settings_apart(curves)
    said = []
    for crossover in found:
        text, where = sentence(crossover, names), apart[crossover.challenger]
        if not phases:
            text = text.removeprefix(str(crossover.challenger.phase)).lstrip(",: ")
        said.append(text + (f" ({where})" if where else ""))
    return tuple(said)


def why_no_pair(records: Iterable[Record]) -> str:
    """The one reason why records hold no two curves that could be compared."""
    names = sorted(shared_names(record.point.curve for record in records).values())
    if not names:
        return "nothing was measured: there is no record to look for a crossover in"
    if len(names) == 1:
        return f"only {names[0]} is there: a crossover needs two operators"
    return f"{', '.join(names)} share no scope, phase, sizes, dtype and device in which to compare them"
