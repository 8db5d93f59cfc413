"""How crossovers moved between two sides of a gate: earlier, later, gone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hyenaprof.analysis.crossover import Metric, find_all
from hyenaprof.analysis.location import locate
from hyenaprof.analysis.looks import Ruling, bound
from hyenaprof.analysis.sentence import sentence, shared_names
from hyenaprof.analysis.stats import log_ratio, median_of
from hyenaprof.model import Crossover, CrossoverState, Curve, Flip, Outcome, Point, Record
from hyenaprof.records.tolerances import Expected, Tolerances

AROUND = math.sqrt(2)
"""Half an octave: lengths that far outside the move still tell whether the challenger itself got slower."""
ALPHA = 0.025
"""One-sided level at which the challenger must have got slower for a later crossover to count against it."""

GotWorse = Callable[[Curve, float, float], bool]
"""Whether a curve got worse between two lengths."""


@dataclass(frozen=True, slots=True)
class Shift:
    """How a crossover moved; lengths in tokens.

    Attributes:
        challenger: The side that overtakes.
        incumbent: The side that is overtaken.
        metric: In what they are compared.
        ruling: Regressed where the crossover clearly came later, and the challenger itself got worse there.
        base: Where the base crosses; None where it does not.
        candidate: Where the candidate crosses.
        text: The sentence: `forward: hyena over flash: the crossover moved from 1490 to 2210`.
        expected: Why this move is expected and does not count; None where it does.
    """

    challenger: Curve
    incumbent: Curve
    metric: Metric
    ruling: Ruling
    base: float | None
    candidate: float | None
    text: str
    expected: str | None = None

    @property
    def is_red(self) -> bool:
        """Whether this alone fails the gate."""
        return self.ruling is Ruling.REGRESSED and self.expected is None


def shifts(
    base: Sequence[Record],
    candidate: Sequence[Record],
    *,
    tolerances: Tolerances,
    expected: Sequence[Expected] = (),
    metric: Metric = "latency",
    got_worse: GotWorse | None = None,
) -> tuple[Shift, ...]:
    """Compares the crossovers that two sides have, pair by pair.

    A crossover moved where its 95 % intervals on both sides lie apart and it moved by more than is let pass. Later (or
    gone) is regressed only where the challenger itself got worse around there: a faster incumbent is no regression.

    Args:
        base: One side's records.
        candidate: The other's.
        tolerances: What is let pass.
        expected: Changes that were made on purpose.
        metric: In what the sides are compared.
        got_worse: How to tell that a curve got worse; from paired rounds unless given.

    Returns:
        One for each pair that crosses on a side.
    """
    worse = got_worse or _by_pairs(base, candidate)
    before, now = (
        {(x.challenger, x.incumbent): x for x in find_all(side, metric=metric)} for side in (base, candidate)
    )
    names = shared_names(record.point.curve for record in (*base, *candidate))
    points = {record.point.curve: record.point for record in candidate}
    found = (
        _shift(old, now[pair], tolerances.crossover(points[old.challenger]), worse=worse, names=names)
        for pair, old in before.items()
        if pair in now and (_crossing(old) or _crossing(now[pair]))
    )
    return tuple(_acknowledged(shift, points[shift.challenger], expected) for shift in found)


def _acknowledged(shift: Shift, point: Point, expected: Iterable[Expected]) -> Shift:
    ratio = shift.candidate / shift.base if shift.candidate and shift.base else None
    entry = next((entry for entry in expected if entry.covers_crossover(point, ratio)), None)
    return replace(shift, expected=entry.excuse) if shift.is_red and entry else shift


def _crossing(crossover: Crossover) -> Flip | None:
    """The one length from which the challenger leads; None where there is none, or several."""
    if crossover.state is not CrossoverState.RESOLVED or len(crossover.flips) != 1:
        return None
    (flip,) = crossover.flips
    return flip if flip.leader_after == crossover.challenger.label else None


def _shift(old: Crossover, new: Crossover, tolerance: float, *, worse: GotWorse, names: Mapping[str, str]) -> Shift:
    before, now = _crossing(old), _crossing(new)
    if before and now:
        ruling, text = _moved(before, now, tolerance)
        span = (min(before.length, now.length), max(before.length, now.length))
    else:
        ruling, span = _appeared(old, new)
        text = f"before, {_stated(old, names)}; now, {_stated(new, names)}"
    if ruling is Ruling.REGRESSED and not worse(old.challenger, span[0] / AROUND, span[1] * AROUND):
        ruling, text = (
            Ruling.OK,
            f"{text}: {names[old.incumbent.label]}'s doing, {names[old.challenger.label]} is as it was",
        )
    subject = f"{old.challenger.phase}: {names[old.challenger.label]} over {names[old.incumbent.label]}"
    return Shift(
        challenger=old.challenger,
        incumbent=old.incumbent,
        metric=old.metric,
        ruling=ruling,
        base=before.length if before else None,
        candidate=now.length if now else None,
        text=f"{subject}: {text}",
    )


def _stated(crossover: Crossover, names: Mapping[str, str]) -> str:
    return sentence(crossover, names).removeprefix(f"{crossover.challenger.phase}: ")


def _moved(before: Flip, now: Flip, tolerance: float) -> tuple[Ruling, str]:
    lengths = f"from {before.length:.0f} to {now.length:.0f}"
    if abs(math.log(now.length / before.length)) <= math.log1p(tolerance):
        return Ruling.OK, f"the crossover stays, {lengths}, within {tolerance:.0%}"
    if before.low is None or before.high is None or now.low is None or now.high is None:
        return Ruling.INCONCLUSIVE, f"the crossover seems to move {lengths}: an end has no interval"
    if now.low > before.high:
        return Ruling.REGRESSED, f"the crossover moved {lengths}"
    if now.high < before.low:
        return Ruling.IMPROVED, f"the crossover moved {lengths}"
    return Ruling.INCONCLUSIVE, f"the crossover seems to move {lengths}: the intervals overlap"


def _appeared(old: Crossover, new: Crossover) -> tuple[Ruling, tuple[float, float]]:
    """What a crossover that only one side has says, by who leads throughout on the other."""
    crossing = _crossing(old) or _crossing(new)
    other = new if _crossing(old) else old
    low, high = other.range or (1, 1)
    if crossing is None or other.state is not CrossoverState.NONE_IN_RANGE:
        return Ruling.INCONCLUSIVE, (low, high)
    challenger_leads = other.winner == other.challenger.label
    worse = challenger_leads is (other is old)
    return (Ruling.REGRESSED if worse else Ruling.IMPROVED), (low, high)


def _by_pairs(base: Iterable[Record], candidate: Iterable[Record]) -> GotWorse:
    """From the rounds that both sides share: the mean over lengths, a value a round."""
    before = {record.point.id: record for record in base if record.outcome is Outcome.OK}
    pairs = [(before[r.point.id], r) for r in candidate if r.point.id in before and r.outcome is Outcome.OK]

    def got_worse(curve: Curve, low: float, high: float) -> bool:
        inside = [pair for pair in pairs if pair[0].point.curve == curve and low <= pair[0].point.shape.length <= high]
        ratios = [ratio.rounds for ours, theirs in inside if (ratio := log_ratio(ours, theirs, median_of)) is not None]
        shared = min((len(rounds) for rounds in ratios), default=0)
        if shared < 3:
            return False
        means = np.mean([rounds[:shared] for rounds in ratios], axis=0)
        return bound(locate(means), ALPHA, side=-1) > 0

    return got_worse
