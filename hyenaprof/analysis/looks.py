"""The gate's statistics on plain numbers: log ratios of paired rounds, looked at a few times at one error rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from hyenaprof.analysis.location import LEAST_FREEDOM, Location, locate, t_quantile

POWER = 0.8
"""Power at which the minimum detectable slowdown is stated."""


class Ruling(StrEnum):
    """What a gate says of one quantity of one point."""

    REGRESSED = "regressed"
    IMPROVED = "improved"
    OK = "ok"
    INCONCLUSIVE = "inconclusive"
    MISSING = "missing"
    """Measured before, and not asked for or not reached now: an error, never ok."""
    NOT_JUDGED = "not judged"
    """Nothing to compare with: new, or failing on both sides."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When a gate looks, and how sure it must be.

    Attributes:
        looks: Rounds at which it looks.
        early: How many of the first looks may only say ok.
        alpha: Chance that one gate calls anything regressed that did not get slower, over all looks and all series. At
            0.05 the simulated machine whose rounds scatter by 7 % flagged something in 4 % of its A/A gates; on calmer
            ones, where the tolerance alone prevents it, neither figure flags any, and 0.01 finds as much.
        ok_alpha: One-sided level of the upper bound that must lie below the tolerance.
    """

    looks: tuple[int, ...] = (6, 10, 16, 24)
    early: int = 1
    alpha: float = 0.01
    ok_alpha: float = 0.025

    @property
    def look_alpha(self) -> float:
        """The part of alpha that each look may spend."""
        return self.alpha / max(len(self.looks) - self.early, 1)


RULES = Rules()


@dataclass(frozen=True, slots=True)
class Series:
    """What is judged as one: a quantity of a point on two sides.

    Attributes:
        log_ratios: Logarithm of candidate over base, one a paired round, in order of rounds: above 0 is worse.
        limit: Logarithm of the ratio that is let pass.
    """

    log_ratios: tuple[float, ...]
    limit: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What a series came to; logarithms throughout.

    Attributes:
        ruling: Regressed, improved, ok or inconclusive.
        value: Trimmed mean of the log ratios; None without rounds.
        low: Lower simultaneous bound: all series' lower bounds hold together, at every look, with 99 % confidence.
        high: Upper simultaneous bound, likewise.
        rounds: Paired rounds that decided.
        detectable: Least slowdown that would be flagged with 80 % power, at this spread, by the last look.
        wanted: Rounds that the next look needs of this series; None where it is settled or no look is left.
    """

    ruling: Ruling
    value: float | None
    low: float | None
    high: float | None
    rounds: int
    detectable: float | None
    wanted: int | None = None


def decide(series: Sequence[Series], rules: Rules = RULES, *, closing: bool = False) -> tuple[Decision, ...]:
    """Replays the looks over the rounds that there are, and says what came of each series.

    A look takes the first so many rounds of every series that is not settled. ok: the one-sided upper bound lies below
    the limit. Regressed, at all but the early looks: Holm's procedure over all series, the settled ones with the
    p-value that they were settled with, rejects a ratio of at most 1, and the estimate is past the limit. Else the
    series stays inconclusive and waits for the next look. Which rounds belong to which look is in the numbers alone, so
    the same journal always gives the same answer.

    Args:
        series: All series of one gate.
        rules: When to look, and how sure to be.
        closing: No more rounds will come: those that lack rounds for a look stay inconclusive, and the others are
            judged without them. Else a look that lacks rounds waits for them.

    Returns:
        One decision for each series, in their order.
    """
    state = [_State(each) for each in series]
    for number, look in enumerate(rules.looks):
        active = [each for each in state if each.ruling is Ruling.INCONCLUSIVE]
        short = [each for each in active if len(each.series.log_ratios) < look]
        if short and not closing:
            for each in short:
                each.wanted = look
            break
        ready = [each for each in active if len(each.series.log_ratios) >= look]
        for each in ready:
            each.take(look)
        for each in ready:
            each.settle_ok(rules.ok_alpha)
        if number >= rules.early:
            _settle_regressed(state, ready, rules.look_alpha)
    return tuple(each.decision(rules, tests=len(state)) for each in state)


class _State:
    """A series on its way through the looks."""

    def __init__(self, series: Series) -> None:
        self.series = series
        self.ruling = Ruling.INCONCLUSIVE
        self.location: Location | None = None
        self.p_value = 1.0
        self.wanted: int | None = None

    def take(self, rounds: int) -> None:
        self.location = locate(self.series.log_ratios[:rounds])
        self.p_value = p_value_above(self.location, 0.0)

    def settle_ok(self, alpha: float) -> None:
        if self.location is not None and bound(self.location, alpha, side=1) < self.series.limit:
            self.ruling = Ruling.OK

    def decision(self, rules: Rules, *, tests: int) -> Decision:
        location = self.location
        if location is None and self.series.log_ratios:
            location = locate(self.series.log_ratios)
        if location is None:
            return Decision(self.ruling, None, None, None, 0, None, self.wanted)
        alpha = rules.look_alpha / tests
        known = location.error is not None and location.freedom > LEAST_FREEDOM
        low, high = (bound(location, alpha, side=-1), bound(location, alpha, side=1)) if known else (None, None)
        ruling = self.ruling
        if ruling is Ruling.OK and high is not None and high < 0 and location.value < -self.series.limit:
            ruling = Ruling.IMPROVED
        if ruling is Ruling.REGRESSED and low is not None:
            low = max(low, 0.0)  # Strassburger and Bretz 2008: what Holm's procedure rejects is bounded by the ratio 1
        planned = after(location, rules.looks[-1])
        least = detectable(planned, self.series.limit, alpha=alpha) if known else None
        return Decision(ruling, location.value, low, high, location.count, least, self.wanted)


def _settle_regressed(state: Sequence[_State], ready: Sequence[_State], alpha: float) -> None:
    rejected = holm([each.p_value for each in state], alpha)
    for each, is_rejected in zip(state, rejected, strict=True):
        past = each.location is not None and each.location.value > each.series.limit
        if is_rejected and past and each in ready and each.ruling is Ruling.INCONCLUSIVE:
            each.ruling = Ruling.REGRESSED


def holm(p_values: Sequence[float], alpha: float) -> tuple[bool, ...]:
    """Which hypotheses Holm's step-down procedure rejects, their family-wise error held to alpha.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    rejected = [False] * len(p_values)
    for place, index in enumerate(order):
        if p_values[index] > alpha / (len(p_values) - place):
            break
        rejected[index] = True
    return tuple(rejected)


def p_value_above(location: Location, value: float) -> float:
    """One-sided p-value of the hypothesis that the truth is at most `value`; 1 where there is no error to tell."""
    from scipy.special import stdtr  # late: 0.35 s

    if location.error is None:
        return 1.0
    if location.error == 0:
        return 0.0 if location.value > value else 1.0
    return float(stdtr(location.freedom, (value - location.value) / location.error))


def bound(location: Location, alpha: float, *, side: int) -> float:
    """One-sided bound at level alpha; infinite where one value tells no error.

    Args:
        location: Where the values lie.
        alpha: Chance that the truth lies beyond.
        side: 1 for an upper bound, -1 for a lower.
    """
    if location.error is None:
        return side * math.inf
    return location.value + side * t_quantile(1 - alpha, location.freedom) * location.error


def detectable(location: Location, limit: float, *, alpha: float) -> float:
    """Log ratio that would be flagged with 80 % power, at this error.

    The estimate must pass the limit and the test at level alpha, so it is the larger of the two, and t's 80 % quantile
    of standard errors more; the limit itself where there is no error.
    """
    if not location.error:
        return limit
    error, freedom = location.error, location.freedom
    return max(limit, t_quantile(1 - alpha, freedom) * error) + t_quantile(POWER, freedom) * error


def after(location: Location, rounds: int) -> Location:
    """The same spread after so many rounds: the error that it would then have."""
    error = None if location.error is None else location.error * math.sqrt(location.count / rounds)
    return Location(location.value, error, locate(range(rounds)).freedom, rounds)
