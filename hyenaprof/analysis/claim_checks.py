"""Published claims held against records: reproduced, not reproduced, or not comparable, and why."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from hyenaprof.analysis.claims import (
    AtLength,
    Claim,
    ClaimResult,
    ClaimsFile,
    CrossoverIn,
    Flops,
    Growth,
    Memory,
    Parameters,
    Ratio,
    Verdict,
)
from hyenaprof.analysis.crossover import Metric, find
from hyenaprof.analysis.scaling import scaling_of
from hyenaprof.model import Comparison, Crossover, CrossoverState, Curve, Flip, Record
from hyenaprof.operators import OPERATORS
from hyenaprof.units import format_percent, format_ratio

CURVE_CONDITIONS = ("scope", "phase", "batch", "width", "heads", "dtype", "device")
WIDEST_GAP = 2.01
"""Neighbouring measured lengths further apart than an octave are not interpolated between."""


class Curves(dict[Curve, list[Record]]):
    """Records by curve; a pair is compared once, however many claims are about it."""

    def __init__(self) -> None:
        super().__init__()
        self._found: dict[tuple[Curve, Curve, Metric], Crossover] = {}

    def crossover(self, challenger: Curve, incumbent: Curve, metric: Metric = "latency") -> Crossover:
        """The crossover of two curves in one metric."""
        key = (challenger, incumbent, metric)
        if key not in self._found:
            self._found[key] = find(self[challenger], self[incumbent], metric=metric)
        return self._found[key]


@dataclass(frozen=True, slots=True)
class Known:
    """What the records say of themselves beyond their points.

    Attributes:
        stated: Which of scope, phase, batch, width, heads, dtype and device mean something; a table from elsewhere
            may state none.
        device_name: Name of the device, where known.
    """

    stated: frozenset[str] = frozenset(CURVE_CONDITIONS)
    device_name: str | None = None


@dataclass(frozen=True, slots=True)
class _Finding:
    verdict: Verdict
    measured: str | None
    reason: str


def _incomparable(reason: str) -> _Finding:
    return _Finding(Verdict.NOT_COMPARABLE, None, reason)


def _decided(reached: bool, measured: str, reason: str) -> _Finding:
    return _Finding(Verdict.REPRODUCED if reached else Verdict.NOT_REPRODUCED, measured, reason)


def judge_claims(
    files: Iterable[ClaimsFile], records: Iterable[Record], known: Known | None = None
) -> tuple[ClaimResult, ...]:
    """Holds every claim against every setting of the records that its stated conditions allow.

    A condition that the source or the records do not state blocks nothing; only one that both state and that differs
    does. A claim that no setting can answer is reported once, with the reason.

    Args:
        files: Sources.
        records: A run's or a table's, in any order.
        known: What else is known of the records.
    """
    grouped = Curves()
    for record in records:
        grouped.setdefault(record.point.curve, []).append(record)
    about = known or Known()
    return tuple(result for file in files for claim in file.claims for result in _results(file, claim, grouped, about))


def _results(file: ClaimsFile, claim: Claim, curves: Curves, known: Known) -> Iterator[ClaimResult]:
    decided: list[ClaimResult] = []
    refused: list[tuple[int, ClaimResult]] = []
    for sides in _sides(claim, curves):
        differs = _difference(claim, sides, known)
        finding = _incomparable(differs.reason) if differs else _check(claim, sides, curves)
        result = ClaimResult(
            file=file,
            claim=claim,
            verdict=finding.verdict,
            published=claim.check.published,
            measured=finding.measured,
            reason=finding.reason,
            setting=_setting(sides, known),
            curve=sides[0],
            unchecked=() if differs else _unchecked(claim, sides, known),
        )
        if finding.verdict is Verdict.NOT_COMPARABLE:
            refused.append((differs.met if differs else _ALL_MET, result))
        else:
            decided.append(result)
    if decided:
        yield from decided
    elif refused:  # the reason of the setting that came closest: a run's other phases are no obstacle
        yield max(refused, key=lambda entry: entry[0])[1]
    else:
        names = " and ".join(_names(claim))
        reason = f"{names} {'was' if len(_names(claim)) == 1 else 'were'} not measured in one setting"
        yield ClaimResult(file, claim, Verdict.NOT_COMPARABLE, claim.check.published, None, reason, ())


def _names(claim: Claim) -> tuple[str, ...]:
    check = claim.check
    return (check.operator,) if isinstance(check, Growth | Parameters) else (check.challenger, check.incumbent)


def _sides(claim: Claim, curves: Curves) -> Iterator[tuple[Curve, ...]]:
    """Every curve, or pair of curves in one setting, that the claim may be about."""
    first, *rest = ([curve for curve in curves if name in {curve.operator, curve.label}] for name in _names(claim))
    for one in first:
        if not rest:
            yield (one,)
        for other in rest[0] if rest else ():
            if other.setting == one.setting:
                yield (one, other)


@dataclass(frozen=True, slots=True)
class _Difference:
    """A stated condition that a measurement does not meet, and how many it met before."""

    met: int
    reason: str


_ALL_MET = len(CURVE_CONDITIONS) + 2


def _difference(claim: Claim, sides: Sequence[Curve], known: Known) -> _Difference | None:
    """The first stated condition that the measurement does not meet."""
    conditions, curve = claim.conditions, sides[0]
    for met, name in enumerate(CURVE_CONDITIONS):
        stated, here = getattr(conditions, name), getattr(curve, name)
        if stated is not None and name in known.stated and stated != here:
            return _Difference(met, f"stated {name} {stated}, measured with {here}")
    if conditions.device_name and known.device_name and conditions.device_name not in known.device_name:
        reason = f"stated on {conditions.device_name}, measured on {known.device_name}"
        return _Difference(len(CURVE_CONDITIONS), reason)
    for option, value in conditions.options.items():
        operator, _, name = option.partition(".")
        for side in sides:
            here = _option(side, name) if side.operator == operator else None
            if here is not None and here != value:
                return _Difference(len(CURVE_CONDITIONS) + 1, f"stated {option} {value}, measured with {here}")
    return None


def _unchecked(claim: Claim, sides: Sequence[Curve], known: Known) -> tuple[str, ...]:
    """Conditions that the source states and the records do not: they block nothing, and nothing was held against them."""
    conditions = claim.conditions
    said = []
    for name in CURVE_CONDITIONS:
        stated = getattr(conditions, name)
        if stated is not None and name not in known.stated:
            said.append(f"{name} {stated}")
    if conditions.device_name and not known.device_name:
        said.append(conditions.device_name)
    for option, value in conditions.options.items():
        operator, _, name = option.partition(".")
        of_it = [side for side in sides if side.operator == operator]
        if of_it and all(_option(side, name) is None for side in of_it):
            said.append(f"{option} {value}")
    return tuple(said)


def _option(curve: Curve, name: str) -> object:
    """An option's value; None for a table's operator, whose options nobody stated."""
    if curve.operator not in OPERATORS or curve.implementation not in OPERATORS[curve.operator].implementations:
        return dict(curve.options).get(name)
    return dict(curve.options).get(name, OPERATORS[curve.operator].options.get(name))


def _setting(sides: Sequence[Curve], known: Known) -> tuple[str, ...]:
    curve = sides[0]
    return tuple(
        f"{name} {value}" if isinstance(value, int) else str(value)
        for name in CURVE_CONDITIONS
        if name in known.stated
        for value in (getattr(curve, name),)
    )


def _check(claim: Claim, sides: tuple[Curve, ...], curves: Curves) -> _Finding:
    held = [curves[side] for side in sides]
    match claim.check:
        case Memory() as check:
            return _ratio(check, curves.crossover(sides[0], sides[1], "peak_memory"))
        case Flops() as check:
            return _flops(check, held[0], held[1])
        case Ratio() as check:
            return _ratio(check, curves.crossover(sides[0], sides[1]))
        case CrossoverIn() as check:
            return _crossover(check, curves.crossover(sides[0], sides[1]))
        case Growth() as check:
            return _growth(check, held[0])
        case Parameters() as check:
            return _parameters(check, held[0])


def _ratio(check: AtLength, found: Crossover) -> _Finding:
    if not found.comparisons or found.range is None:
        return _incomparable(found.reason or "nothing was measured")
    here = _at(found.comparisons, check.length)
    if here is None:
        low, high = found.range
        return _incomparable(f"measured from {low} to {high}, not around {check.length}")
    reach = here.high if here.high is not None else here.ratio
    interval = "" if here.low is None or here.high is None else f" [{here.low:.3g}, {here.high:.3g}]"
    how = "measured there" if here.length == check.length and here.rounds else "interpolated between measured lengths"
    least = check.value * (1 - check.tolerance)
    by_interval = "; its interval alone reaches that" if here.ratio < least <= reach else ""
    return _decided(
        reach >= least,
        f"{format_ratio(here.ratio)}{interval}",
        f"{how}; {format_percent(check.tolerance)} less still counts{by_interval}",
    )


def _at(comparisons: Sequence[Comparison], length: int) -> Comparison | None:
    """The comparison at a length; between two of them, no more than an octave apart, the straight line in logarithms."""
    exact = next((comparison for comparison in comparisons if comparison.length == length), None)
    if exact is not None:
        return exact
    for before, after in pairwise(comparisons):
        if before.length < length < after.length <= WIDEST_GAP * before.length:
            share = math.log(length / before.length) / math.log(after.length / before.length)
            ratio = before.ratio ** (1 - share) * after.ratio**share
            return Comparison(length=length, ratio=ratio, low=None, high=None, rounds=0)
    return None


def _crossover(check: CrossoverIn, found: Crossover) -> _Finding:
    low, high = check.low * (1 - check.tolerance), check.high * (1 + check.tolerance)
    rising = [flip for flip in found.flips if flip.leader_after == found.challenger.label]
    match found.state:
        case CrossoverState.RESOLVED | CrossoverState.SEVERAL if rising:
            places = {flip: _place(flip, low, high) for flip in rising}
            best = min(rising, key=lambda flip: PLACES.index(places[flip]))
            reached = places[best] != PLACES[-1]
            return _decided(reached, _flip_text(best), f"{places[best]} {low:.0f} to {high:.0f}")
        case CrossoverState.NONE_IN_RANGE | CrossoverState.CENSORED if found.range:
            return _no_crossover(found, found.range, low, high)
        case CrossoverState.EQUAL if found.range:
            first, last = found.range
            return _decided(False, "none", f"the two are practically equal from {first} to {last}")
        case CrossoverState.NO_DATA:
            return _incomparable(found.reason or "nothing was measured")
        case _:
            return _incomparable("noise hides where the lead changes")


PLACES = ("within", "outside, but its interval reaches into", "outside")


def _place(flip: Flip, low: float, high: float) -> str:
    """Where a crossover lies against a range; an interval that only touches the range's end reaches nothing of it."""
    if low <= flip.length <= high:
        return PLACES[0]
    reaches = flip.low is not None and flip.high is not None and flip.low < high and flip.high > low
    return PLACES[1] if reaches else PLACES[2]


def _flip_text(flip: Flip) -> str:
    interval = "" if flip.low is None or flip.high is None else f" [{flip.low:.0f}, {flip.high:.0f}]"
    return f"{flip.length:.0f}{interval}"


def _no_crossover(found: Crossover, measured: tuple[int, int], low: float, high: float) -> _Finding:
    first, last = measured
    if found.winner == found.incumbent.label:
        if last < high:
            return _incomparable(f"measured only up to {last}, where {found.winner} still leads")
        return _decided(False, f"> {last}", f"{found.winner} still leads at {last}")
    if first > low:
        return _incomparable(f"measured only from {first}, where {found.winner} leads already")
    return _decided(False, f"< {first}", f"{found.winner} leads already at {first}")


def _growth(check: Growth, records: Sequence[Record]) -> _Finding:
    scaling = scaling_of(records)
    grown = scaling.local if scaling else None
    if grown is None:
        return _incomparable("growth needs two measured lengths")
    where = f"from {grown.lengths[0]} to {grown.lengths[1]}"
    if grown.low is None or grown.high is None:
        reached = abs(grown.exponent - check.exponent) <= check.tolerance
        return _decided(reached, f"L^{grown.exponent:.2f}", f"{where}, single values")
    reached = grown.low - check.tolerance <= check.exponent <= grown.high + check.tolerance
    return _decided(reached, f"L^{grown.exponent:.2f} [{grown.low:.2f}, {grown.high:.2f}]", where)


def _flops(check: Flops, ours: Sequence[Record], theirs: Sequence[Record]) -> _Finding:
    sides = [_costs(side, lambda record: record.cost.flops if record.cost else None) for side in (ours, theirs)]
    if any(check.length not in side for side in sides):
        return _incomparable(f"no analytic FLOPs at {check.length}")
    ratio = sides[1][check.length] / sides[0][check.length]
    return _decided(ratio >= check.value * (1 - check.tolerance), format_ratio(ratio), "analytic FLOPs of both sides")


def _parameters(check: Parameters, records: Sequence[Record]) -> _Finding:
    counts = _costs(records, lambda record: record.cost.parameters if record.cost else None)
    if len(counts) < 2:
        return _incomparable("parameters at two lengths are needed")
    first, last = min(counts), max(counts)
    exponent = math.log(counts[last] / counts[first]) / math.log(last / first)
    return _decided(exponent < check.below, f"L^{exponent:.2f}", f"parameters of the layer at {first} and {last}")


def _costs(records: Iterable[Record], value: Callable[[Record], float | None]) -> dict[int, float]:
    known = ((record.point.shape.length, value(record)) for record in records)
    return {length: number for length, number in known if number}
