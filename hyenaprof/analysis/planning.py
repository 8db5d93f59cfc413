"""How long a call will about take, for budgets: never for a report."""

from __future__ import annotations

import math
from collections.abc import Mapping

PESSIMISM = 1.1
"""Planning errs to the long side: a sweep that ends early wastes less than one that overruns its budget."""
STEEPEST = 3.0
"""Largest local exponent that planning believes; two noisy neighbours can show any."""

FLATTEST = 0.8
"""Exponent with which a shorter call is expected to become cheaper at the least: part of its time is the launch."""


def nearest_length(observed: Mapping[int, float], length: int) -> int:
    """The observed length nearest to another on a logarithmic scale, the longer of two.

    Raises:
        ValueError: Nothing was observed.
    """
    if not observed:
        raise ValueError("nothing was observed to predict from")
    return min(observed, key=lambda known: (abs(math.log(known / length)), -known))


def predict_for_planning(observed: Mapping[int, float], length: int, cost_ratio: float) -> float:
    """Seconds that a call at a length will about take, slightly pessimistic: for budgets, never for a report.

    Upward, the steeper of the operator's own cost and the growth last seen; downward, the flatter; in between, the
    straight line in logarithms.

    Args:
        observed: Seconds by measured length, one or more.
        length: Tokens.
        cost_ratio: The operator's analytic cost at `length` over that at `nearest_length(observed, length)`.

    Raises:
        ValueError: Nothing was observed.
    """
    nearest = nearest_length(observed, length)
    base_s = observed[nearest]
    if length == nearest:
        return base_s
    step = math.log(length / nearest)
    exponent = _local_exponent(observed, length)
    if min(observed) < length < max(observed):
        return PESSIMISM * base_s * math.exp((exponent or 0.0) * step)
    seen = math.exp(exponent * step) if exponent is not None else cost_ratio
    if length > nearest:
        return PESSIMISM * base_s * max(cost_ratio, seen)
    return PESSIMISM * base_s * min(1.0, max(cost_ratio, seen, math.exp(FLATTEST * step)))


def _local_exponent(observed: Mapping[int, float], length: int) -> float | None:
    """Growth exponent between the two observed lengths around, or on one side nearest to, a length."""
    if len(observed) < 2:
        return None
    below = [known for known in sorted(observed) if known <= length]
    above = [known for known in sorted(observed) if known > length]
    first, second = (below[-1], above[0]) if below and above else tuple(sorted(observed)[-2:] if below else above[:2])
    exponent = math.log(observed[second] / observed[first]) / math.log(second / first)
    return min(max(exponent, 0.0), STEEPEST)
