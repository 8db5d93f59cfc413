"""Which sign changes along a curve of log ratios are real, where they lie, and where the two sides are equal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np

from hyenaprof.analysis.crossing import Ratios, Zero, find_zero, moderated_errors, ratios_of
from hyenaprof.analysis.location import CONFIDENCE, t_quantile
from hyenaprof.analysis.stats import LogRatio
from hyenaprof.model import Comparison, Flip

EQUAL_WITHIN = 0.02
"""Ratios closer to 1 than this are practically equal."""
LOOSE = 0.99
"""Confidence, in each run of lengths with one sign, of a change that counts only where it is the single one."""
ZONE_OCTAVES = 0.99
"""Shortest zone of practical equality worth a name; an octave, with room for lengths off the powers of two."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What the signs along a curve say.

    Attributes:
        flips: Sign changes by length; where none is proven, the one that the estimates suggest.
        proven: Whether the flips stand between lengths at which the two sides lead beyond doubt.
        overall: +1 where the challenger leads over all lengths together, -1 the incumbent, 0 where it cannot be told.
        equal_zone: Longest run of lengths, an octave or more, at which the sides are practically equal.
        steps: Brackets of those flips that are jumps of the curve over zero.
    """

    flips: tuple[Flip, ...]
    proven: bool
    overall: int
    equal_zone: tuple[int, int] | None
    steps: tuple[tuple[int, int], ...] = ()


def judge(measured: Sequence[LogRatio], comparisons: Sequence[Comparison], names: tuple[str, str]) -> Judged:
    """Finds the sign changes of a curve.

    A change is proven between two lengths whose leads differ at 95 % over all lengths together (Bonferroni, the spread
    of a round moderated by the other lengths'); single values are taken at their word. Where no change is proven so,
    one between two runs of lengths, each run as a whole significant at 99 %, counts if it is the only one.

    Args:
        measured: Log ratios in order of length, at least one.
        comparisons: The same as ratios with their own intervals.
        names: Challenger and incumbent, for the flips' leaders.
    """
    ratios = ratios_of(measured)
    strict = _leaders(ratios, 1 - (1 - CONFIDENCE) / len(measured))
    changes = _changes(strict)
    proven = bool(changes)
    if not proven:
        loose = _changes(_leading_runs(ratios, LOOSE))
        proven = len(loose) == 1
        changes = loose or _changes(_leading_runs(ratios, CONFIDENCE)) or _suggested(ratios)
    found = [_flip(ratios, comparisons, turn, names, strict) for turn in _turns(ratios, changes)]
    return Judged(
        flips=tuple(flip for flip, _ in found),
        proven=proven,
        overall=_overall(ratios),
        equal_zone=_equal_zone(measured, ratios),
        steps=tuple(flip.bracket for flip, zero in found if zero.step),
    )


def _leaders(ratios: Ratios, confidence: float) -> list[int]:
    if ratios.freedom.sum() == 0:
        return [int(sign) for sign in np.sign(ratios.y)]
    errors, freedom = moderated_errors(ratios)
    limits = np.array([t_quantile((1 + confidence) / 2, degrees) for degrees in freedom]) * errors
    return [int(sign) for sign in np.where(np.abs(ratios.y) > limits, np.sign(ratios.y), 0)]


def _leading_runs(ratios: Ratios, confidence: float) -> list[int]:
    """The leader at each length of a run of equal signs that leads as a whole, 0 elsewhere."""
    signs = np.sign(ratios.y)
    if ratios.freedom.sum() == 0:
        return [int(sign) for sign in signs]
    errors, freedom = moderated_errors(ratios)
    leaders = [0] * len(signs)
    for sign, group in groupby(range(len(signs)), key=lambda index: signs[index]):
        run = list(group)
        precision = 1 / np.maximum(errors[run], 1e-12) ** 2
        evidence = abs(float(precision @ ratios.y[run])) / math.sqrt(precision.sum())
        if evidence > t_quantile((1 + confidence) / 2, float(freedom[run].sum())):
            for index in run:
                leaders[index] = int(sign)
    return leaders


def _overall(ratios: Ratios) -> int:
    """Who leads over all lengths taken together."""
    if ratios.freedom.sum() == 0:
        return int(np.sign(ratios.y.sum()))
    errors, freedom = moderated_errors(ratios)
    precision = 1 / np.maximum(errors, 1e-12) ** 2
    evidence = float(precision @ ratios.y) / math.sqrt(precision.sum())
    limit = t_quantile((1 + LOOSE) / 2, float(freedom.sum()))
    return int(np.sign(evidence)) if abs(evidence) > limit else 0


def _changes(leaders: Sequence[int]) -> list[tuple[int, int]]:
    """Index pairs (last of one leader, first of the next)."""
    led = [index for index, leader in enumerate(leaders) if leader]
    return [(left, right) for left, right in pairwise(led) if leaders[left] != leaders[right]]


def _suggested(ratios: Ratios) -> list[tuple[int, int]]:
    """The whole curve, where the estimates at its two ends differ in sign, each by more than practical equality."""
    first, last = ratios.y[[0, -1]]
    apart = first * last < 0 and min(abs(first), abs(last)) > math.log1p(EQUAL_WITHIN)
    return [(0, len(ratios.y) - 1)] if apart else []


@dataclass(frozen=True, slots=True)
class _Turn:
    """A change of sign by index.

    Attributes:
        proof: Last length at which one side leads beyond doubt, first where the other does.
        split: The neighbours in between whose estimates differ in sign.
        reach: First and last length that belong to this change and no other.
        sign: +1 where the challenger leads after it.
    """

    proof: tuple[int, int]
    split: tuple[int, int]
    reach: tuple[int, int]
    sign: int


def _turns(ratios: Ratios, changes: Sequence[tuple[int, int]]) -> list[_Turn]:
    splits = [_split(ratios, *change) for change in changes]
    edges = [(0, 0), *splits, (len(ratios.x) - 1, len(ratios.x) - 1)]
    return [
        _Turn(
            proof=change,
            split=split,
            reach=(edges[number][1], edges[number + 2][0]),
            sign=1 if ratios.y[split[1]] > 0 else -1,
        )
        for number, (change, split) in enumerate(zip(changes, splits, strict=True))
    ]


def _flip(
    ratios: Ratios, comparisons: Sequence[Comparison], turn: _Turn, names: tuple[str, str], strict: Sequence[int]
) -> tuple[Flip, Zero]:
    zero = find_zero(ratios, *turn.split, turn.reach)
    significant = _significant(comparisons, turn, strict)
    interval = (zero.low, zero.high)
    if zero.low is None and ratios.freedom.sum() > 0:
        interval = significant
    first, last = (comparisons[index].length for index in turn.reach)
    low, high = interval
    known = low is not None and high is not None
    left, right = turn.split
    flip = Flip(
        length=zero.length,
        low=min(max(low, first), zero.length) if known and low is not None else None,
        high=max(min(high, last), zero.length) if known and high is not None else None,
        bracket=(comparisons[left].length, comparisons[right].length),
        significant=significant,
        leader_after=names[0] if turn.sign > 0 else names[1],
    )
    return flip, zero


def _split(ratios: Ratios, left: int, right: int) -> tuple[int, int]:
    """The neighbours between which a change of sign leaves the least weight of wrong signs on either side.

    Points that are exactly 0 belong to neither side and are passed over.
    """
    sign = np.sign(ratios.y[right])
    weight = ratios.y * sign * np.sqrt(ratios.rounds)
    inner = [index for index in range(left, right + 1) if ratios.y[index] != 0]

    def wrong(cut: tuple[int, int]) -> float:
        before = sum(max(weight[index], 0.0) for index in inner if index <= cut[0])
        return float(before + sum(max(-weight[index], 0.0) for index in inner if index >= cut[1]))

    turning = [(a, b) for a, b in pairwise(inner) if ratios.y[a] * sign < 0 < ratios.y[b] * sign]
    return min(turning, key=wrong)


def _significant(
    comparisons: Sequence[Comparison], turn: _Turn, strict: Sequence[int]
) -> tuple[int | None, int | None]:
    """Last length where the old leader leads by its own interval, first after it where the new one does.

    Looked for between the lengths that prove the change and as far around them as the same side leads.
    """
    before, after = ("incumbent", "challenger") if turn.sign > 0 else ("challenger", "incumbent")
    start = _reach(strict, turn.proof[0], -1, -turn.sign)
    end = _reach(strict, turn.proof[1], +1, turn.sign)
    part = range(start, end + 1)
    low = max((index for index in part if comparisons[index].leader == before), default=None)
    first = start if low is None else low + 1
    high = min((index for index in part if index >= first and comparisons[index].leader == after), default=None)
    return (None if low is None else comparisons[low].length, None if high is None else comparisons[high].length)


def _reach(strict: Sequence[int], index: int, step: int, sign: int) -> int:
    """Furthest index in one direction where the same side still leads beyond doubt, nothing contrary in between."""
    furthest = index
    while 0 <= index + step < len(strict) and strict[index + step] != -sign:
        index += step
        furthest = index if strict[index] == sign else furthest
    return furthest


def _equal_zone(measured: Sequence[LogRatio], ratios: Ratios) -> tuple[int, int] | None:
    """Longest run whose mean lies within 2 %, and none of whose lengths lies outside it beyond its own error."""
    limit = math.log1p(EQUAL_WITHIN)
    errors = moderated_errors(ratios)[0] if ratios.freedom.sum() else np.zeros(len(measured))
    within = np.abs(ratios.y) < limit + 2.5 * errors
    best: tuple[int, int] | None = None
    for first in range(len(measured)):
        for last in range(len(measured) - 1, first, -1):
            octaves = math.log2(measured[last].length / measured[first].length)
            if octaves < ZONE_OCTAVES or not within[first : last + 1].all():
                continue
            if _flat(ratios, first, last, limit) and (
                best is None or octaves > math.log2(measured[best[1]].length / measured[best[0]].length)
            ):
                best = (first, last)
    return (measured[best[0]].length, measured[best[1]].length) if best else None


def _flat(ratios: Ratios, first: int, last: int, limit: float) -> bool:
    """Whether a straight line through a run stays within the limit from end to end."""
    x, y, weight = (values[first : last + 1] for values in (ratios.x, ratios.y, ratios.rounds))
    centre = float(weight @ x / weight.sum())
    slope = float(weight @ ((x - centre) * y) / (weight @ (x - centre) ** 2))
    mean = float(weight @ y / weight.sum())
    return bool(np.all(np.abs(mean + slope * (x - centre)) < limit))
