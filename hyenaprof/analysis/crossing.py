"""Where a noisy curve of log ratios passes through zero: local weighted polynomial, lack of fit, bootstrap interval.

Numbers only; `crossover.py` knows records. benchmarks/crossover_simulation.py is
the evidence for its constants.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hyenaprof.analysis.location import CONFIDENCE, Vector
from hyenaprof.analysis.stats import LogRatio

REPLICATES = 999
SEED = 20230221
"""Fixed, so that the same journal gives the same interval."""
WINSORISED_VARIANCE = 0.4120
"""Variance of a standard normal winsorised by 20 % at each end."""
LEAST_VARIANCE = 1e-12
"""Of one round: repetitions that agree to the last digit still have a clock's."""
NEAR = 2 * math.log(2)
"""Lengths within two octaves of a zero tell the noise there; far ones may be noisier or quieter."""
WIGGLE = 0.02
"""Lack of fit taken for granted where measured lengths lie an octave apart, shrinking with the gap: kernels differ from
any smooth curve by about this much, and a coarse grid cannot show it."""
GRAIN = 0.006
"""Lack of fit taken for granted however close measured lengths lie: sizes differ in how well they suit a kernel."""
STEP = 0.05
"""Smallest jump in the log ratio that is called a step."""
STEP_ERRORS = 4.0
"""A jump must exceed this many of its standard errors."""


@dataclass(frozen=True, slots=True)
class Window:
    """Which points a local fit uses, and what it fits.

    Attributes:
        width: Half-width in ln L.
        fewest: Points that it is widened to hold.
        degree: 1 where points lie close, 2 where a straight line would miss the curvature between them.
        enough: Standard error of the zero in ln L above which the next wider window is tried.
    """

    width: float
    fewest: int
    degree: int
    enough: float


WINDOWS = (Window(0.38, 4, 1, 0.016), Window(0.76, 5, 2, 0.032), Window(1.5, 5, 2, math.inf))


@dataclass(frozen=True, slots=True)
class Ratios:
    """Log ratios at measured lengths, as numbers.

    Attributes:
        x: Natural logarithm of the lengths, rising.
        y: Log ratio there; above 0 the challenger leads.
        rounds: Rounds behind each.
        residuals: Deviations of the rounds from their mean, each scaled to the standard deviation of one round.
        freedom: Degrees of freedom of each length's residuals.
    """

    x: Vector
    y: Vector
    rounds: Vector
    residuals: tuple[tuple[float, ...], ...]
    freedom: Vector

    def part(self, first: int, last: int) -> Ratios:
        """The lengths from one index to another, both included."""
        held = slice(first, last + 1)
        return Ratios(self.x[held], self.y[held], self.rounds[held], self.residuals[held], self.freedom[held])


@dataclass(frozen=True, slots=True)
class Zero:
    """A zero in tokens, with its 95 % interval where one can be had.

    Attributes:
        length: Where the log ratio is 0.
        low: Lower end of the interval.
        high: Upper end.
        step: True where the curve jumps over zero between two neighbouring lengths, which are then low and high.
    """

    length: float
    low: float | None
    high: float | None
    step: bool = False


def ratios_of(measured: Sequence[LogRatio]) -> Ratios:
    """Puts log ratios, in order of length, into numbers."""
    return Ratios(
        x=np.log(np.array([ratio.length for ratio in measured], dtype=np.float64)),
        y=np.array([ratio.location.value for ratio in measured]),
        rounds=np.array([ratio.location.count for ratio in measured], dtype=np.float64),
        residuals=tuple(_residuals(ratio) for ratio in measured),
        freedom=np.array([_freedom(ratio) for ratio in measured], dtype=np.float64),
    )


def _freedom(ratio: LogRatio) -> int:
    return 0 if ratio.location.error is None or math.isinf(ratio.location.freedom) else ratio.location.count - 1


def _residuals(ratio: LogRatio) -> tuple[float, ...]:
    count = ratio.location.count
    if _freedom(ratio) == 0 or ratio.location.error is None:
        return ()
    if not ratio.paired:  # the pairs that were never made, as spread as the difference of the sides is
        size = ratio.location.error * math.sqrt(count)
        return (size, -size)
    values = np.array(ratio.rounds)
    return tuple((values - values.mean()) * math.sqrt(count / (count - 1)))


def pooled_variance(ratios: Ratios, centre: float | None = None) -> tuple[float, float]:
    """Variance of one round and its degrees of freedom, over all lengths or those near a centre in ln L.

    From winsorised residuals, so that one wild round or length does not set it.
    """
    chosen = np.flatnonzero(np.abs(ratios.x - centre) <= NEAR) if centre is not None else np.arange(len(ratios.x))
    residuals = [value for index in chosen for value in ratios.residuals[index]]
    if not residuals:
        return (0.0, 0.0) if centre is None else pooled_variance(ratios)
    low, high = np.quantile(residuals, (0.2, 0.8))
    variance = float(np.var(np.clip(residuals, low, high))) / WINSORISED_VARIANCE
    return max(variance, LEAST_VARIANCE), float(ratios.freedom[chosen].sum())


def moderated_errors(ratios: Ratios) -> tuple[Vector, Vector]:
    """Standard error of each length's log ratio and its degrees of freedom, its own variance shrunk to the pooled one.

    The pooled variance counts as four degrees of freedom: three rounds alone tell next to nothing of their spread, and
    all lengths together hide that one is noisier.

    Source: Smyth 2004, "Linear models and empirical Bayes methods", section 4, with the prior's weight fixed.
    """
    pooled, total = pooled_variance(ratios)
    prior = min(4.0, total)
    own = np.array([float(np.mean(np.square(r))) if r else 0.0 for r in ratios.residuals])
    freedom = prior + ratios.freedom
    variance = (prior * pooled + ratios.freedom * own) / np.maximum(freedom, 1)
    return np.sqrt(variance / ratios.rounds), freedom


def interpolated(ratios: Ratios, left: int, right: int) -> float:
    """Natural logarithm of the length at which the straight line between two points passes zero."""
    (xa, xb), (ya, yb) = ratios.x[[left, right]], ratios.y[[left, right]]
    return float(xa - ya * (xb - xa) / (yb - ya))


def find_zero(curve: Ratios, left: int, right: int, reach: tuple[int, int]) -> Zero:
    """Locates the zero between two neighbouring points of opposite sign.

    Without repeated rounds, or with fewer than three lengths, the straight line through the two is all there is, and
    there is no interval.

    Args:
        curve: The whole curve.
        left: Index of the last point with one sign.
        right: Index of the first with the other.
        reach: Indices of the first and last point that belong to this change of sign and no other.
    """
    start = interpolated(curve, left, right)
    variance, freedom = pooled_variance(curve, start)
    ratios = curve.part(*reach)
    if freedom == 0 or len(ratios.x) < 3:
        return Zero(math.exp(start), None, None)
    left, right = left - reach[0], right - reach[0]
    if _is_step(ratios, left, right, variance):
        low, high = (float(round(math.exp(ratios.x[index]))) for index in (left, right))
        return Zero(math.sqrt(low * high), low, high, step=True)
    gap = float(ratios.x[right] - ratios.x[left])
    floor = max(GRAIN, WIGGLE * min(1.0, gap / math.log(2))) ** 2
    fit = _widening_fit(ratios, start, variance, floor)
    spread = _bootstrap(fit, freedom, floor)
    if spread is None or not ratios.x[0] <= fit.zero <= ratios.x[-1]:
        return Zero(math.exp(start), None, None)
    ends = np.clip([fit.zero - pivot * fit.error for pivot in spread], ratios.x[0], ratios.x[-1])
    low, high = (math.exp(end) for end in ends)
    return Zero(math.exp(fit.zero), low, high)


@dataclass(frozen=True, slots=True)
class _Fit:
    """A local fit: offsets from `centre`, variance of the mean at each, kernel weights, polynomial, zero and tau^2."""

    centre: float
    offset: Vector
    noise: Vector
    kernel: Vector
    coefficients: Vector
    scatter: float
    zero: float
    error: float


def _widening_fit(ratios: Ratios, start: float, variance: float, floor: float) -> _Fit:
    fit = None
    for window in WINDOWS:
        sparse = int((np.abs(ratios.x - start) <= window.width).sum()) < window.fewest
        if sparse and window.degree == 1:
            continue
        fit = _centred_fit(ratios, start, window, variance, floor)
        if fit.error <= window.enough:
            return fit
    assert fit is not None  # noqa: S101 -- the last window always fits
    return fit


def _centred_fit(ratios: Ratios, start: float, window: Window, variance: float, floor: float) -> _Fit:
    """Fits around the start, then around the zero found, until the window stands still."""
    fit = _fit_at(ratios, start, window, variance, floor)
    for _ in range(3):
        moved = fit.zero - fit.centre
        if abs(moved) < 0.2 * fit.error or not math.isfinite(moved):
            break
        fit = _fit_at(ratios, fit.centre + min(max(moved, -0.35), 0.35), window, variance, floor)
    return fit


def _fit_at(ratios: Ratios, centre: float, window: Window, variance: float, floor: float) -> _Fit:
    distance = np.abs(ratios.x - centre)
    fewest = float(np.sort(distance)[min(window.fewest, len(distance)) - 1])
    chosen = distance <= max(window.width, fewest) + 1e-9
    offset = ratios.x[chosen] - centre
    noise = variance / ratios.rounds[chosen]
    kernel = np.asarray((1 - (np.abs(offset) / (1.1 * np.abs(offset).max())) ** 3) ** 3)
    degree = min(window.degree, len(offset) - 2)
    zero, error, scatter, coefficients = _zeros(
        offset, ratios.y[chosen][None, :], noise[None, :], kernel, degree=degree, floor=floor
    )
    return _Fit(
        centre=centre,
        offset=offset,
        noise=noise,
        kernel=kernel,
        coefficients=coefficients[0],
        scatter=float(scatter[0]),
        zero=centre + float(zero[0]),
        error=float(error[0]),
    )


def _zeros(
    offset: Vector, y: Vector, noise: Vector, kernel: Vector, *, degree: int, floor: float
) -> tuple[Vector, Vector, Vector, Vector]:
    """Fits each row of y; gives zeros, their standard errors, the lack of fit tau^2, and the coefficients."""
    powers = np.stack([offset**power for power in range(degree + 1)])
    first, _ = _weighted(powers, y, kernel / noise)
    rest = y - first @ powers
    scatter = np.maximum(floor, (rest**2 - noise).sum(axis=1) / max(len(offset) - degree - 1, 1))
    total = noise + scatter[:, None]
    weight = kernel / total
    coefficients, inverse = _weighted(powers, y, weight)
    zero = _newton(coefficients)
    at = np.stack([zero**power for power in range(degree + 1)], axis=1)
    # a sandwich, because kernel weights are not inverse variances
    middle = np.einsum("ik,rk,jk->rij", powers, weight**2 * total, powers)
    variance = np.einsum("ri,rij,rj->r", at, inverse @ middle @ inverse, at)
    return zero, np.sqrt(variance) / np.abs(_slope(coefficients, zero)), scatter, coefficients


def _weighted(powers: Vector, y: Vector, weight: Vector) -> tuple[Vector, Vector]:
    inverse = np.linalg.inv(np.einsum("ik,rk,jk->rij", powers, weight, powers))
    return np.einsum("rij,rj->ri", inverse, np.einsum("ik,rk,rk->ri", powers, weight, y)), inverse


def _value(coefficients: Vector, at: Vector) -> Vector:
    return np.asarray(sum(coefficients[:, power] * at**power for power in range(coefficients.shape[1])))


def _slope(coefficients: Vector, at: Vector) -> Vector:
    terms = (power * coefficients[:, power] * at ** (power - 1) for power in range(1, coefficients.shape[1]))
    return np.asarray(sum(terms)) + 1e-300


def _newton(coefficients: Vector) -> Vector:
    """The zero next to 0 of each row's polynomial; NaN where the parabola does not reach zero."""
    if coefficients.shape[1] == 2:
        return np.asarray(-coefficients[:, 0] / coefficients[:, 1])
    zero = np.zeros(len(coefficients))
    for _ in range(25):
        move = np.clip(_value(coefficients, zero) / _slope(coefficients, zero), -0.5, 0.5)
        zero = zero - move
        if np.abs(move).max() < 1e-9:
            break
    reached = np.abs(_value(coefficients, zero)) < 1e-9
    return np.where(reached, zero, np.nan)


def _bootstrap(fit: _Fit, freedom: float, floor: float) -> tuple[float, float] | None:
    """Upper and lower quantile of (zero - truth) / error over simulated repetitions of the measurement.

    Returns:
        None where more repetitions than an interval may leave out have no zero at all.
    """
    draw = np.random.default_rng(SEED)
    degree = len(fit.coefficients) - 1
    root = fit.zero - fit.centre
    truth = _value(fit.coefficients[None, :], fit.offset) - _value(fit.coefficients[None, :], np.array([root]))
    shape = (REPLICATES, len(fit.offset))
    y = truth + draw.standard_normal(shape) * np.sqrt(fit.noise + fit.scatter)
    scale = draw.chisquare(freedom, REPLICATES) / freedom
    zero, error, _, _ = _zeros(fit.offset, y, fit.noise * scale[:, None], fit.kernel, degree=degree, floor=floor)
    pivots = (zero - root) / error
    pivots = pivots[np.isfinite(pivots)]
    if len(pivots) < CONFIDENCE * REPLICATES or not math.isfinite(fit.error):
        return None
    low, high = np.quantile(pivots, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    return float(high), float(low)


def _is_step(ratios: Ratios, left: int, right: int, variance: float) -> bool:
    """Whether the curve jumps over zero between two neighbours, instead of passing through it.

    A common slope on both sides and a jump between them: the jump must be large, beyond noise, and hold zero inside.
    """
    middle = (ratios.x[left] + ratios.x[right]) / 2
    offset = ratios.x - middle
    near: NDArray[np.bool_] = np.abs(offset) <= WINDOWS[0].width
    if ratios.x[right] - ratios.x[left] > WINDOWS[0].width / 2 or near.sum() < 4:
        return False
    design = np.stack([np.ones(int(near.sum())), offset[near], (offset[near] > 0).astype(np.float64)])
    (coefficients,), (inverse,) = _weighted(design, ratios.y[near][None, :], (ratios.rounds[near] / variance)[None, :])
    before, jump = float(coefficients[0]), float(coefficients[2])
    error = math.sqrt(float(inverse[2, 2]))
    return abs(jump) > max(STEP, STEP_ERRORS * error) and before * (before + jump) < 0
