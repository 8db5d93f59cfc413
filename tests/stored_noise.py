"""Simulates sessions of a suite whose truth is known: what the machine does, and what calibration sees of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from gate_noise import Array
from numpy.typing import NDArray

from hyenaprof.analysis.location import locate
from hyenaprof.analysis.looks import Ruling
from hyenaprof.analysis.stored import Trial, judge_trials
from hyenaprof.model import Point

ROUNDS = 10


@dataclass(frozen=True, slots=True)
class SessionNoise:
    """Relative standard deviations between sessions.

    Attributes:
        machine: Of arithmetic and of memory traffic, independent of each other, shared by all points and seen by the
            calibration.
        own: Of each point in each session, which no calibration sees: layout, neighbours, clocks under its own load.
        round: Of one round's value within a session.
    """

    machine: float
    own: float
    round: float


SETTINGS = {
    "same card": SessionNoise(machine=0.01, own=0.006, round=0.01),
    "another card of the model": SessionNoise(machine=0.08, own=0.012, round=0.01),
    "cloud CPU": SessionNoise(machine=0.12, own=0.025, round=0.04),
}
MISPLACED = 0.1
"""Standard deviation of a point's roofline position by formula about what it really obeys."""


def draw_rulings(
    noise: SessionNoise,
    random: np.random.Generator,
    points: list[Point],
    *,
    sessions: int,
    calibrated: bool = True,
    slowdown: float = 0.0,
    slower: int = 0,
    tolerance: float = 0.05,
) -> NDArray[np.bool_]:
    """Which points are called regressed in one comparison, the first `slower` of them being so."""
    count = len(points)
    position = random.uniform(0, 1, count)
    believed = np.clip(position + MISPLACED * random.standard_normal(count), 0, 1)
    values = np.stack(
        [_session(noise, random, position, believed if calibrated else None) for _ in range(sessions + 1)]
    )
    values[-1, :slower] += math.log1p(slowdown)
    trials = [
        Trial(
            point=point,
            metric="latency",
            stored=tuple(locate(values[session, place]) for session in range(sessions)),
            now=locate(values[-1, place]),
            limit=math.log1p(tolerance),
            base=1.0,
            candidate=1.0,
        )
        for place, point in enumerate(points)
    ]
    return np.array([verdict.ruling is Ruling.REGRESSED for verdict in judge_trials(trials)])


def _session(noise: SessionNoise, random: np.random.Generator, position: Array, believed: Array | None) -> Array:
    """Logarithms [point, round] of one session, its calibration taken off where there is one."""
    gemm, copy = noise.machine * random.standard_normal(2)
    count = len(position)
    state = position * gemm + (1 - position) * copy + noise.own * random.standard_normal(count)
    rounds = state[:, None] + noise.round * random.standard_normal((count, ROUNDS))
    if believed is None:
        return rounds
    # Three visits of each calibration in every round: their noise is shared by all points.
    seen = np.array([gemm, copy])[:, None] + noise.round / math.sqrt(3) * random.standard_normal((2, ROUNDS))
    weights = np.stack([believed, 1 - believed], axis=1)
    taken: Array = rounds - weights @ seen
    return taken
