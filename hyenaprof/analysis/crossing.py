"""Where a noisy curve of log ratios passes through zero: local weighted line, lack of fit, bootstrap interval.

Numbers only; `crossover.py` knows records. The rule and the simulation that chose it: STATISTICS.md, "Crossover".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hyenaprof.analysis.stats import CONFIDENCE, LogRatio, Vector

WIDTH = 0.38
"""Half-width of the local line's window in ln L."""
FEWEST = 4
"""Points the window is widened to hold."""
REPLICATES = 999
SEED = 20230221
"""Fixed, so that the same journal gives the same interval."""
WINSORISED_VARIANCE = 0.4120
"""Variance of a standard normal winsorised by 20 % at each end."""


@dataclass(frozen=True, slots=True)
class Curvelet:
    """Log ratios at measured lengths, as numbers.

    Attributes:
        x: Natural logarithm of the lengths, rising.
        y: Mean log ratio there.
        rounds: Rounds behind each.
        variance: Variance of one round, pooled over all lengths.
        freedom: Degrees of freedom of that variance; 0 where no length has two rounds.
    """

    x: Vector
    y: Vector
    rounds: Vector
    variance: float
    freedom: float


@dataclass(frozen=True, slots=True)
class Zero:
    """A zero in tokens, with its interval where one can be had."""

    length: float
    low: float | None
    high: float | None


def curvelet(ratios: list[LogRatio]) -> Curvelet:
    """Puts log ratios, in order of length, into numbers, with the variance of a round pooled over all lengths."""
    variance, freedom = _pooled(ratios)
    return Curvelet(
        x=np.log(np.array([ratio.length for ratio in ratios], dtype=np.float64)),
        y=np.array([ratio.location.value for ratio in ratios]),
        rounds=np.array([ratio.location.count for ratio in ratios], dtype=np.float64),
        variance=variance,
        freedom=freedom,
    )


def _pooled(ratios: list[LogRatio]) -> tuple[float, float]:
    """Variance of a round over all lengths, from winsorised residuals so that one wild length does not set it."""
    residuals, freedom = [], 0.0
    for ratio in ratios:
        count = ratio.location.count
        if ratio.location.error is None or count < 2:  # one exact value, as peak memory has, has no spread
            continue
        if ratio.paired:
            values = np.array(ratio.rounds)
            residuals.extend((values - values.mean()) * math.sqrt(count / (count - 1)))
        else:
            size = ratio.location.error * math.sqrt(count)
            residuals.extend([-size, size])
        freedom += count - 1
    if not residuals:
        return 0.0, 0.0
    low, high = np.quantile(residuals, (0.2, 0.8))
    return float(np.var(np.clip(residuals, low, high))) / WINSORISED_VARIANCE, freedom


def interpolated(curve: Curvelet, left: int, right: int) -> float:
    """Natural logarithm of the length at which the straight line between two points passes zero."""
    (xa, xb), (ya, yb) = curve.x[[left, right]], curve.y[[left, right]]
    return float(xa if ya == yb else xa - ya * (xb - xa) / (yb - ya))


def find_zero(curve: Curvelet, left: int, right: int) -> Zero:
    """Locates the zero between two neighbouring points of opposite sign.

    Without repeated rounds the straight line through the two is all there is, and there is no interval.
    """
    start = interpolated(curve, left, right)
    if curve.freedom == 0 or len(curve.x) < 3:
        return Zero(math.exp(start), None, None)
    window = _window(curve.x, start)
    x, y = curve.x[window] - start, curve.y[window]
    noise = curve.variance / curve.rounds[window]
    kernel = _kernel(x)
    zero, error, scatter = _line(x, y[None, :], noise[None, :], kernel)
    interval = _bootstrap(x, y, noise, kernel, float(zero[0]), float(scatter[0]), curve.freedom)
    low, high = (zero[0] - q * error[0] for q in interval)
    if not math.isfinite(low + high):
        return Zero(math.exp(start + float(zero[0])), None, None)
    return Zero(*(math.exp(start + float(v)) for v in (zero[0], low, high)))


def _window(x: Vector, centre: float) -> NDArray[np.bool_]:
    distance = np.abs(x - centre)
    return distance <= max(WIDTH, float(np.sort(distance)[min(FEWEST, len(x)) - 1]))


def _kernel(offset: Vector) -> Vector:
    reach = 1.1 * float(np.abs(offset).max())
    return np.asarray((1 - (np.abs(offset) / reach) ** 3) ** 3)


def _line(x: Vector, y: Vector, noise: Vector, kernel: Vector) -> tuple[Vector, Vector, Vector]:
    """Weighted lines through rows of y: their zeros, the zeros' standard errors, and tau^2."""
    _, _, rest = _fit(x, y, kernel / (noise + 1e-12))
    freedom = max(len(x) - 2, 1)
    scatter = np.maximum(0, ((rest**2 - noise).sum(axis=1)) / freedom)
    total = noise + scatter[:, None]
    intercept, slope, _ = _fit(x, y, kernel / total)
    zero = -intercept / slope
    weight = kernel / total
    design = np.stack([np.ones_like(x), x])
    # sandwich: kernel weights are not the inverse variances
    bread = np.linalg.inv(np.einsum("ik,rk,jk->rij", design, weight, design))
    meat = np.einsum("ik,rk,jk->rij", design, weight**2 * total, design)
    cover = bread @ meat @ bread
    at = np.stack([np.ones_like(zero), zero], axis=1)
    error = np.sqrt(np.einsum("ri,rij,rj->r", at, cover, at)) / np.abs(slope)
    return zero, error, scatter


def _fit(x: Vector, y: Vector, weight: Vector) -> tuple[Vector, Vector, Vector]:
    total = weight.sum(axis=1)
    xm, ym = (weight @ x) / total, (weight * y).sum(axis=1) / total
    dx = x[None, :] - xm[:, None]
    slope = (weight * dx * (y - ym[:, None])).sum(axis=1) / (weight * dx**2).sum(axis=1)
    intercept = ym - slope * xm
    return intercept, slope, y - intercept[:, None] - slope[:, None] * x


def _bootstrap(  # noqa: PLR0917 -- the pieces of one fit
    x: Vector, y: Vector, noise: Vector, kernel: Vector, zero: float, scatter: float, freedom: float
) -> tuple[float, float]:
    """Quantiles (upper, lower) of (zero - truth) / error over simulated repetitions of the measurement."""
    draw = np.random.default_rng(SEED)
    _, slope, _ = _fit(x, y[None, :], (kernel / (noise + scatter))[None, :])
    truth = slope[0] * (x - zero)
    sample = truth + draw.standard_normal((REPLICATES, len(x))) * np.sqrt(noise + scatter)
    scale = draw.chisquare(freedom, REPLICATES) / freedom
    zeros, errors, _ = _line(x, sample, noise[None, :] * scale[:, None], kernel)
    pivots = (zeros - zero) / errors
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(pivots, (tail, 1 - tail))
    return float(high), float(low)
