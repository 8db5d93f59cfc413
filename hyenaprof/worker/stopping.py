"""When a visit has seen enough: pure functions of the samples so far.

Rules and evidence: the interval of a median by order statistics, with the number of samples replaced by the effective
number, from the autocorrelation of sign(x - median) (Geyer 1992, "Practical Markov chain Monte Carlo", the initial
positive sequence).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import median

from hyenaprof.pipe import VisitRules

_FIRST_CHECK = 30
_CHECK_GROWTH = 1.25
_Z_95 = 1.959964
"""Standard normal quantile of 0.975."""


def checkpoints(rules: VisitRules) -> Iterator[int]:
    """Sample counts at which the interval is looked at: 30, 38, 48, 60, ..., each a quarter more than the last.

    Few looks, because every look is another chance to stop on a lucky interval.
    """
    count = max(_FIRST_CHECK, rules.min_samples)
    while count < rules.max_samples:
        yield count
        count = math.ceil(count * _CHECK_GROWTH)


def effective_samples(samples: Sequence[float]) -> float:
    """How many independent samples these are worth for their median, at least 1.

    n / (1 + 2 sum rho_k), rho being the autocorrelation of sign(x - median), summed over Geyer's pairs
    rho_2k + rho_2k+1 as long as they are positive.
    """
    middle = median(samples)
    signs = [math.copysign(1.0, x - middle) if x != middle else 0.0 for x in samples]
    power = sum(sign * sign for sign in signs)
    if power == 0:
        return float(len(samples))
    total = -1.0
    for lag in range(0, len(signs) - 1, 2):
        pair = (_product(signs, lag) + _product(signs, lag + 1)) / power
        if pair <= 0:
            break
        total += 2 * pair
    return max(1.0, len(samples) / max(total, 1.0))


def _product(signs: Sequence[float], lag: int) -> float:
    return sum(a * b for a, b in zip(signs, signs[lag:], strict=False))


def median_interval(samples: Sequence[float]) -> tuple[float, float]:
    """95 % interval of the median in the samples' unit, by order statistics of the effective number of samples.

    The interval of a fraction p = 1/2 +- z / (2 sqrt(n_eff)) is read off the sorted samples, rounded outwards.
    """
    ordered = sorted(samples)
    last = len(ordered) - 1
    half = _Z_95 / (2 * math.sqrt(effective_samples(samples)))
    low = math.floor((0.5 - half) * last)
    high = math.ceil((0.5 + half) * last)
    return ordered[max(0, low)], ordered[min(last, high)]


def precise(samples: Sequence[float], precision: float) -> bool:
    """Whether the interval's half-width is within `precision` of the median."""
    low, high = median_interval(samples)
    return (high - low) / 2 <= precision * median(samples)


def is_long(call_s: float, rules: VisitRules) -> bool:
    """Whether one call alone fills the window, so that a visit is one sample."""
    return call_s > rules.window_s


def enough(count: int, spent_s: float, rules: VisitRules, readings: Callable[[], Iterable[Sequence[float]]]) -> bool:
    """Whether sampling may stop.

    Args:
        count: Samples so far, at least 1.
        spent_s: Seconds of all of them.
        rules: Window, counts and precision.
        readings: Gives the clean samples of every phase read, in order; asked only where it decides.
    """
    if count >= rules.max_samples or (count == 1 and is_long(spent_s, rules)):
        return True
    if spent_s >= rules.window_s:
        return count >= _floor(spent_s / count, rules)
    return count in checkpoints(rules) and all(precise(samples, rules.precision) for samples in readings())


def _floor(call_s: float, rules: VisitRules) -> int:
    """Samples taken even past the window: the minimum where two windows hold it, else the floor."""
    return rules.min_samples if rules.min_samples * call_s <= 2 * rules.window_s else rules.floor_samples


def settled(calls_s: Sequence[float], rules: VisitRules) -> bool:
    """Whether warm-up may stop: the last calls are no longer getting faster, or the window is spent on it.

    At least three calls; compared are the fastest of the last half and of all before it, so that one slow call (a page
    fault, a clock rising) neither ends nor prolongs it.
    """
    spent_s = sum(calls_s)
    if is_long(calls_s[0], rules) or spent_s >= rules.window_s:
        return True
    if len(calls_s) < 3 or (spent_s < _WARMUP_FLOOR_S and len(calls_s) < rules.max_samples):
        return False
    half = len(calls_s) // 2
    return min(calls_s[half:]) >= min(calls_s[:half]) * (1 - _SETTLED)


_WARMUP_FLOOR_S = 0.02
"""Short calls are warmed up for as long as clocks and caches need, not for a count."""
_SETTLED = 0.02
"""Faster by less than this is noise, not warming."""
