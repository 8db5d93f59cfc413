"""Simulates whole gates of a suite of points whose truth is known: log ratios of paired rounds, visits by visits.

The profiles are those of `simulator.py`. A round's visits follow one another, base and candidate of a point in
alternating order; bursts (a throttled card, a busy neighbour) begin and end anywhere among them, so that one may hit a single side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from simulator import AUTOCORRELATION, OUTLIER, OUTLIER_SHARE, PROFILES, THROTTLED_SHARE, Noise

from hyenaprof.analysis.looks import RULES, Decision, Series, decide

Array = NDArray[np.float64]

POINTS = 40
SAMPLES = 20
BURST_VISITS = 8
"""Mean length of a burst."""
SETTINGS: dict[str, tuple[Noise, float]] = {
    "locked GPU": (PROFILES["locked GPU"], 0.03),
    "boosting GPU": (PROFILES["boosting GPU"], 0.03),
    "shared CI": (PROFILES["shared CI"], 0.05),
    "host": (PROFILES["host"], 0.05),
    "shared CI, bursts of +30 %": (Noise(0.04, 0.025, 0.03, 0.30), 0.05),
}
"""Noise and tolerance."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one simulated gate came to.

    Attributes:
        decisions: One a point.
        slower: Which points truly got slower.
        visits: Visits that it took, both sides.
    """

    decisions: tuple[Decision, ...]
    slower: tuple[bool, ...]
    visits: int

    @property
    def false_alarm(self) -> bool:
        """Whether a point that did not get slower was flagged."""
        return any(d.ruling == "regressed" and not slow for d, slow in zip(self.decisions, self.slower, strict=True))

    @property
    def found(self) -> list[bool]:
        """For each point that got slower, whether it was flagged."""
        return [d.ruling == "regressed" for d, slow in zip(self.decisions, self.slower, strict=True) if slow]


def draw_gate(
    noise: Noise,
    tolerance: float,
    random: np.random.Generator,
    *,
    slowdown: float = 0.0,
    slower: int = 0,
    points: int = POINTS,
) -> Outcome:
    """One gate: as many of its points as `slower` says take `slowdown` (a fraction) longer.

    All rounds are drawn beforehand; the looks take of them what they need.
    """
    truth = np.zeros(points)
    truth[:slower] = math.log1p(slowdown)
    ratios = draw_log_ratios(noise, random, rounds=RULES.looks[-1], points=points) + truth
    decisions = decide([Series(tuple(row), math.log1p(tolerance)) for row in ratios.T.tolist()], closing=True)
    visits = 2 * sum(decision.rounds for decision in decisions)
    return Outcome(decisions, tuple(bool(value) for value in truth), visits)


def draw_log_ratios(noise: Noise, random: np.random.Generator, *, rounds: int, points: int) -> Array:
    """Log ratios of candidate over base [rounds, points] of sides that are equal."""
    # A worker serves a round's visits: half of the variance of a process is common to all its points.
    process = (
        noise.process
        * math.sqrt(0.5)
        * (random.standard_normal((rounds, points, 2)) + random.standard_normal((rounds, 1, 2)))
    )
    machine = _machine(noise, random, rounds, points)
    logs = process + machine + visit_medians(noise, random, (rounds, points, 2))
    return logs[..., 1] - logs[..., 0]


def _machine(noise: Noise, random: np.random.Generator, rounds: int, points: int) -> Array:
    """What the machine does to each visit [rounds, points, side]: drift from point to point, and bursts."""
    drift = noise.drift * autoregressive(random, (rounds * points,))
    in_burst = _bursts(random, rounds * points * 2).reshape(rounds, points, 2)
    swapped = (np.arange(rounds)[:, None] + np.arange(points)) % 2 == 1
    in_burst[swapped] = in_burst[swapped][:, ::-1]
    return drift.reshape(rounds, points, 1) + math.log1p(noise.throttle) * in_burst


def _bursts(random: np.random.Generator, visits: int) -> NDArray[np.bool_]:
    """Which visits lie in a burst: one in twenty, eight in a row on average."""
    gap = BURST_VISITS * (1 - THROTTLED_SHARE) / THROTTLED_SHARE
    count = 2 + int(3 * visits / (gap + BURST_VISITS))
    lengths = np.stack([random.geometric(1 / gap, count), random.geometric(1 / BURST_VISITS, count)], axis=1).ravel()
    inside = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return np.resize(inside, visits)


def visit_medians(noise: Noise, random: np.random.Generator, shape: Sequence[int]) -> Array:
    """Logs of the medians of visits of twenty autocorrelated samples, one in twenty 30 % longer."""
    samples = noise.within * autoregressive(random, (*shape, SAMPLES))
    samples += math.log1p(OUTLIER) * (random.random(samples.shape) < OUTLIER_SHARE)
    return np.median(samples, axis=-1)


def autoregressive(random: np.random.Generator, shape: Sequence[int]) -> Array:
    """Standard normals, each along the last axis correlated with the one before by 0.3."""
    values = random.standard_normal(tuple(shape))
    fresh = math.sqrt(1 - AUTOCORRELATION**2)
    for index in range(1, values.shape[-1]):
        values[..., index] = AUTOCORRELATION * values[..., index - 1] + fresh * values[..., index]
    return values
