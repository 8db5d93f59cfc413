"""The cost model t = a + bL + cL ln L + dL^2 with non-negative terms, fitted on relative residuals.

a is what a call costs at any length, b and c what a linear and a fast-Fourier operator cost, d what attention costs.
Several sub-models fit a handful of lengths equally well and part beyond them: their union is the honest interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hyenaprof.analysis.location import CONFIDENCE, Vector, t_quantile

SUB_MODELS: dict[str, tuple[int, ...]] = {"abcd": (0, 1, 2, 3), "abd": (0, 1, 3), "abc": (0, 1, 2), "acd": (0, 2, 3)}
KEPT_WITHIN = 4.0
"""A sub-model is kept while its residual is at most this many times the best."""
RESIDUAL_FLOOR = 0.005
"""Relative residuals below this are a measurement's own error and tell no sub-models apart."""
REPLICATES = 200
SEED = 20230221


@dataclass(frozen=True, slots=True)
class CostModel:
    """One fitted sub-model.

    Attributes:
        name: Its terms: `abcd`, `abd`, `abc` or `acd`.
        coefficients: Seconds of a, b, c, d; zero for terms left out or not needed.
        residual: Root mean square of the relative residuals, degrees of freedom taken off.
    """

    name: str
    coefficients: tuple[float, float, float, float]
    residual: float

    def at(self, length: float) -> float:
        """Seconds at a length."""
        return float((_terms([length]) @ np.array(self.coefficients))[0])

    @property
    def used(self) -> int:
        """Terms that are not zero."""
        return sum(value > 0 for value in self.coefficients)


def fit_models(observed: Mapping[int, float]) -> tuple[CostModel, ...]:
    """Fits the sub-models to seconds by length and keeps those that fit about as well as the best, best first.

    Returns:
        Empty below four lengths: four terms through three points say nothing.
    """
    if len(observed) < len(SUB_MODELS["abcd"]):
        return ()
    lengths = sorted(observed)
    seconds = np.array([observed[length] for length in lengths])
    fitted = sorted((_fit(name, lengths, seconds) for name in SUB_MODELS), key=lambda model: model.residual)
    limit = max(KEPT_WITHIN * fitted[0].residual, RESIDUAL_FLOOR)
    return tuple(model for model in fitted if model.residual <= limit)


def _terms(lengths: Sequence[float]) -> Vector:
    at = np.asarray(lengths, dtype=np.float64)
    return np.stack([np.ones_like(at), at, at * np.log(at), at**2], axis=1)


def _coefficients(name: str, terms: Vector, seconds: Vector) -> Vector:
    from scipy.optimize import nnls  # late: 0.2 s

    chosen = list(SUB_MODELS[name])
    relative = terms[:, chosen] / seconds[:, None]
    scale = np.linalg.norm(relative, axis=0)
    found = np.zeros(terms.shape[1])
    found[chosen] = nnls(relative / scale, np.ones(len(seconds)))[0] / scale
    return found


def _fit(name: str, lengths: Sequence[int], seconds: Vector) -> CostModel:
    terms = _terms(lengths)
    found = _coefficients(name, terms, seconds)
    rest = seconds / (terms @ found) - 1
    freedom = max(len(seconds) - int(np.count_nonzero(found)), 1)
    a, b, c, d = (float(value) for value in found)
    return CostModel(name, (a, b, c, d), math.sqrt(float(rest @ rest) / freedom))


def interval_at(observed: Mapping[int, float], models: Sequence[CostModel], length: int) -> tuple[float, float]:
    """95 % interval of the seconds at a length: residual bootstrap of each model, union over the models.

    Residuals are scaled to their degrees of freedom, the spread by Student's t, and are never less than the floor.

    Args:
        observed: Seconds by length that the models were fitted to.
        models: From `fit_models`, at least one.
        length: Tokens.
    """
    lengths = sorted(observed)
    terms, target = _terms(lengths), _terms([length])[0]
    draw = np.random.default_rng(SEED)
    ends = [_bootstrap(model, terms, np.array([observed[n] for n in lengths]), target, draw) for model in models]
    return min(low for low, _ in ends), max(high for _, high in ends)


def _bootstrap(
    model: CostModel, terms: Vector, seconds: Vector, target: Vector, draw: np.random.Generator
) -> tuple[float, float]:
    fitted = terms @ np.array(model.coefficients)
    count = len(seconds)
    freedom = max(count - model.used, 1)
    rest = (seconds / fitted - 1) * math.sqrt(count / freedom)
    size = math.sqrt(float(rest @ rest) / count)
    rest = rest * (RESIDUAL_FLOOR / size) if 0 < size < RESIDUAL_FLOOR else rest
    rest = np.concatenate([rest, -rest]) if size else np.array([RESIDUAL_FLOOR, -RESIDUAL_FLOOR])
    samples = [
        float(target @ _coefficients(model.name, terms, fitted * (1 + draw.choice(rest, count))))
        for _ in range(REPLICATES)
    ]
    low, high = np.quantile(samples, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    centre = float(target @ np.array(model.coefficients))
    wider = min(t_quantile((1 + CONFIDENCE) / 2, freedom) / t_quantile((1 + CONFIDENCE) / 2, math.inf), 2.0)
    return max(centre - (centre - float(low)) * wider, 0.0), centre + (float(high) - centre) * wider
